# SPDX-License-Identifier: GPL-2.0
"""Narrow links anywhere between client and real server, with what the director adds to packets on
the way: transfers are whole, and clients are told what fits."""

import contextlib
import re
import socket
import struct

import pytest
from lab import shell
from lab.director import Service
from lab.fullnat import LOCALS
from lab.netns import wait_until
from lab.packets import DF, checksum, ipv4
from lab.six import CLIENT as CLIENT6
from lab.six import DIRECTOR as DIRECTOR6
from lab.six import LOCALS as LOCALS6
from lab.six import ROUTER as ROUTER6
from lab.six import VIP as VIP6
from lab.topology import CLIENT, DIRECTOR, ROUTER, VIP
from lab.transfer import UdpEcho, both_ways

# Addresses of rs1 behind the next router.
FAR, FAR6 = "10.9.0.1", "2001:db8:9::1"
# Of the virtual address and of the dest.
ENDS = {"v4": (VIP, FAR), "v6": (VIP6, FAR6), "nat64": (VIP6, FAR)}
PORT = 5000
IP_MTU, IPV6_MTU = 14, 24
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_DO = 10, 23, 2


@pytest.fixture(name="far")
def _far(six, fullnat):
    """The hosts of a lab in which rs1 is behind the next router, and knows clients by the option."""
    six.prepare_fullnat(fullnat)
    six.router.sysctl(ipv4__conf__all__send_redirects=0, ipv4__conf__lan__send_redirects=0)
    server = six.real["rs1"]
    server.ip(f"addr add {FAR}/32 dev lo", f"addr add {FAR6}/128 dev lo nodad")
    six.director.ip(f"route add {FAR}/32 via {ROUTER}", f"route add {FAR6}/128 via {ROUTER6}")
    shell.modprobe("toa")
    for address in [*LOCALS, *LOCALS6]:
        server.run("rvsadm", "toa", "trust", "add", address)
    server.run("rvsadm", "toa", "udp", "on")
    lay(six, None)
    return six


def lay(six, place, mtu=1500):
    """Makes the link before or behind the director, or the one beyond the next router, narrow, and
    all forget what they knew of paths."""
    narrow = {where: f"mtu lock {mtu}" if where == place else "" for where in
              ("before", "behind", "beyond")}
    near = (six.lab.addresses["rs1"], six.addresses["rs1"])
    six.router.ip(
        f"route replace {VIP}/32 via {DIRECTOR} dev lan {narrow['before']}",
        f"route replace {VIP6}/128 via {DIRECTOR6} dev lan {narrow['before']}",
        f"route replace {CLIENT}/32 dev wan {narrow['before']}",
        f"route replace {CLIENT6}/128 dev wan {narrow['before']}",
        f"route replace {FAR}/32 via {near[0]} dev lan {narrow['beyond']}",
        f"route replace {FAR6}/128 via {near[1]} dev lan {narrow['beyond']}",
    )
    six.director.ip(f"route replace {FAR}/32 via {ROUTER} {narrow['behind']}",
                    f"route replace {FAR6}/128 via {ROUTER6} {narrow['behind']}")
    for host in (six.client, six.director, six.real["rs1"]):
        host.sysctl(ipv4__route__flush=1)
        host.run("ip -6 route flush cache")


def serve(six, rvs, family, toa, protocol="tcp"):
    """A service whose dest is far away."""
    vip, dest = ENDS[family]
    service = Service([(dest, 1)], mode="fullnat", vip=vip, port=PORT, protocol=protocol)
    rvs.flush()
    rvs.add(service)
    if protocol == "tcp" and toa == "on":
        toa = "default"
    rvs.adm("service", "set", service.id, "--toa", toa)


def known(host, address):
    """The MTU of the path to an address that a host knows of; 1500 if nothing."""
    route = host.run("ip", "route", "get", address).stdout
    found = re.search(r"mtu (?:lock )?(\d+)", route)
    return int(found.group(1)) if found else 1500


# Family, option, narrow link, its MTU, and what the client is told: what fits with what is added,
# which is the option, less what a header of IPv4 is shorter than one of IPv6.
TRANSFERS = [
    (family, toa, place, 1300, 1300)
    for family in ENDS for toa in ("on", "off") for place in ("before", "behind", "beyond")
]
TOLD = {
    ("v4", "on", "behind"): 1292, ("v4", "on", "beyond"): 1292,
    ("v6", "on", "behind"): 1280, ("v6", "on", "beyond"): 1280,
    ("nat64", "off", "beyond"): 1320,
}
TRANSFERS = [(*case[:4], TOLD.get(case[:3], case[4])) for case in TRANSFERS]
# No less than 1,280 bytes is told an IPv6 client: what is longer than its path is cut.
TRANSFERS += [
    ("v6", "on", place, 1280, 1280) for place in ("before", "behind", "beyond")
] + [
    ("nat64", toa, place, 1000, 1280) for toa in ("on", "off") for place in ("behind", "beyond")
] + [("nat64", "on", "beyond", 1280, 1280), ("v4", "on", "beyond", 600, 592)]


@pytest.mark.parametrize("family", ENDS)
def test_transfers(far, fullnat, family):
    """The client's first flight is longer than the path, and all of it may make the socket."""
    vip, dest = ENDS[family]
    for _, toa, place, mtu, told in [case for case in TRANSFERS if case[0] == family]:
        lay(far, place, mtu)
        serve(far, fullnat, family, toa)
        case = f"{family} {toa} {place} {mtu}"
        try:
            peer = both_ways(far.client, far.real["rs1"], vip, PORT, 100_000, server_address=dest)
        except (OSError, AssertionError) as error:
            raise AssertionError(case) from error
        assert peer in (LOCALS if toa == "off" and family != "v6" else
                        LOCALS6 if toa == "off" else
                        [CLIENT] if family == "v4" else [CLIENT6, *LOCALS]), case
        assert known(far.client, vip) == told, case


# As above, of datagrams: the option takes 8 bytes, or 24 of IPv6; where the director knows that it
# does not fit it goes ahead.
DATAGRAMS = [
    ("v4", "on", "beyond", 1300, 1292), ("v4", "on", "behind", 1300, 1300),
    ("v4", "off", "beyond", 1300, 1300), ("v6", "on", "beyond", 1400, 1376),
    ("v6", "on", "beyond", 1290, 1280), ("v6", "on", "behind", 1300, 1300),
    ("v6", "off", "beyond", 1300, 1300), ("nat64", "off", "beyond", 1300, 1320),
    ("nat64", "off", "beyond", 1000, 1280), ("nat64", "off", "behind", 1000, 1280),
]


def test_datagrams(far, fullnat):
    """A client that does not want its datagrams cut learns what fits, and that comes."""
    for family, toa, place, mtu, told in DATAGRAMS:
        case = f"{family} {toa} {place} {mtu}"
        vip, dest = ENDS[family]
        lay(far, place, mtu)
        serve(far, fullnat, family, toa, "udp")
        with contextlib.closing(UdpEcho(far.real["rs1"], PORT, dest)) as echo, path(far, vip) as s:
            print(case)

            def learned():
                with contextlib.suppress(OSError):
                    s.send(bytes(1400))
                return mtu_of(s) < 1500

            wait_until(learned, case)
            assert mtu_of(s) == told, case
            echo.peers.clear()
            # The first may be lost to what a router tells the director.
            data = bytes(range(250)) * 6
            data = data[: told - (28 if family == "v4" else 48)]

            def whole():
                with contextlib.suppress(OSError):
                    s.send(data)
                return answer(s) == b"rs1 " + data

            wait_until(whole, f"{case}: {mtu_of(s)}")
            own = {s.getsockname()[0]} if toa == "on" else {*LOCALS, *LOCALS6}
            assert {peer[0] for peer in echo.peers} <= own, case


@contextlib.contextmanager
def path(six, vip):
    """A client's connected socket of UDP that wants to know its path's MTU."""
    with six.client.inside():
        s = socket.socket(socket.AF_INET6 if ":" in vip else socket.AF_INET, socket.SOCK_DGRAM)
    with s:
        if s.family == socket.AF_INET:
            s.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DO)
        else:
            s.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_DO)
        s.settimeout(1)
        s.connect((vip, PORT))
        yield s


def mtu_of(s):
    """The MTU of a connected socket's path."""
    if s.family == socket.AF_INET:
        return s.getsockopt(socket.IPPROTO_IP, IP_MTU)
    return s.getsockopt(socket.IPPROTO_IPV6, IPV6_MTU)


def answer(s):
    """What comes within a second."""
    try:
        return s.recv(9999)
    except TimeoutError:
        return None


# What routers say that lie, or say nothing.
LIES = {"v4": [0, 1, 67, 68, 300, 65535], "v6": [0, 1, 1279, 1280, 65536, 0xFFFFFFFF]}
LIES["nat64"] = LIES["v4"]


@pytest.mark.parametrize("family", ENDS)
def test_lies(far, fullnat, family):
    """Whatever is said of the path of a connection, it goes on, and those after it."""
    vip, dest = ENDS[family]
    serve(far, fullnat, family, "on")
    with far.real["rs1"].inside():
        listener = socket.create_server((dest, PORT), family=socket.AF_INET6 if ":" in dest else
                                        socket.AF_INET)
    with far.client.inside():
        client = socket.socket(socket.AF_INET6 if ":" in vip else socket.AF_INET)
    with listener, client:
        listener.settimeout(20)
        client.settimeout(20)
        client.connect((vip, PORT))
        server, _ = listener.accept()
        with server:
            server.settimeout(20)
            seen = far.real["rs1"].run("ss", "-tnH", "state", "established").stdout.split()[-1]
            for mtu in LIES[family]:
                lie(far.router, endpoint(seen), (dest, PORT), mtu)
                client.sendall(bytes(20_000))
                left = 20_000
                while left:
                    left -= len(server.recv(left))
    both_ways(far.client, far.real["rs1"], vip, PORT, 50_000, server_address=dest)


def endpoint(text):
    """Address and port of ADDRESS:PORT."""
    address, _, port = text.rpartition(":")
    return address.strip("[]"), int(port)


def lie(host, source, dest, mtu):
    """Errors about a full segment from SOURCE to DEST: with all of its header, and with 8 bytes."""
    header = struct.pack("!HHIIBBHHH", source[1], dest[1], 1, 1, 0x80, 0x10, 100, 0, 0)
    header += b"\xfe\x08\0\0\0\0\0\0\1\1\1\1"
    v6 = ":" in dest[0]
    if v6:
        ends = (socket.inet_pton(socket.AF_INET6, end[0]) for end in (source, dest))
        inner = struct.pack("!IHBB", 6 << 28, 1460, 6, 60) + b"".join(ends)
        start = struct.pack("!BBHI", 2, 0, 0, mtu)
    else:
        inner = ipv4(source[0], dest[0], 6, bytes(1480), fragment=DF)[:20]
        start = struct.pack("!BBHI", 3, 4, 0, mtu)
    with host.inside():
        s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_RAW,
                          socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP)
    with s:
        for quoted in (header, header[:8]):
            message = start + inner + quoted
            # The kernel sums ICMPv6 itself.
            total = 0 if v6 else checksum(message)
            s.sendto(message[:2] + struct.pack("!H", total) + message[4:], (source[0], 0))
