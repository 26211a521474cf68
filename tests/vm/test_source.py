# SPDX-License-Identifier: GPL-2.0
"""Where first packets may come from: what the host's input path would say, as behind it in ip_vs."""

import contextlib
import socket
import struct

import pytest
from lab.director import Service, run_by
from lab.packets import ACK, ETH_ALL, ETH_IPV6, SYN, checksum, icmp, mac_bytes, tcp, udp
from lab.raw import _director_rvs, _ipvs, _rvs, _wire, counted  # noqa: F401
from lab.six import CLIENT as CLIENT6
from lab.six import DIRECTOR as DIRECTOR6
from lab.six import VIP as VIP6
from lab.six import Six
from lab.topology import CLIENT, DIRECTOR, VIP, Lab

ELSEWHERE = "203.0.113.20"  # a virtual address that the director does not have itself
LOCAL = "192.168.56.201"
BEHIND = "172.16.5.9"  # what the director has behind another device
GOOD = [CLIENT, "10.9.8.7"]
NOBODY = ["127.0.0.1", "127.9.9.9", "0.0.0.0", "224.0.0.1", "255.255.255.255", DIRECTOR, VIP]
# Linux routes these like others, and the last one where it does not look for a way back.
ODD = ["240.0.0.1", "0.1.2.3"]
BROADCAST = "192.168.56.255"
SOURCES = [*GOOD, *ODD, *NOBODY, BROADCAST, BEHIND]
LOOSE = {*GOOD, *ODD, BROADCAST, BEHIND}
STRICT = {*GOOD, *ODD}
PASS = {"loose": LOOSE, "strict": STRICT, "reachable": {*STRICT, BEHIND}}
KINDS = {"loose": 0, "strict": 1, "reachable": 2}


@pytest.fixture(name="lab", scope="module")
def _lab():
    made = Lab(web=False)
    made.prepare_dr()
    made.director.ip("link add behind type dummy", "link set behind up",
                     "addr add 172.16.5.1/24 dev behind")
    made.director.ip(f"addr add {LOCAL}/32 dev eth0")
    yield made
    made.close()


@contextlib.contextmanager
def settings(lab, **values):
    """Settings of IPv4 on the director's devices for a while."""
    names = {f"ipv4__conf__{where}__{name}": value for name, value in values.items()
             for where in ("all", "eth0")}
    lab.director.sysctl(**names)
    try:
        yield
    finally:
        lab.director.sysctl(**dict.fromkeys(names, 0))


def dns(lab, mode="dr", vip=VIP, **more):
    return Service([(lab.addresses["rs1"], 1)], protocol="udp", port=53, mode=mode, vip=vip, **more)


def marked(source):
    """What a datagram from SOURCE says, so that it is known whatever its addresses become."""
    return b"from " + source.encode()


def passes(wire, sources, packet):
    """Those of SOURCES whose packets come to rs1; PACKET makes one of a source and what it says."""
    wire.clear()
    wire.send(*(packet(source, marked(source)) for source in sources))
    wire.settle()
    said = [seen.payload for seen in wire.real["rs1"].drain()]
    return {source for source in sources if any(p.endswith(marked(source)) for p in said)}


def query(vip=VIP, port=4000):
    return lambda source, data: udp((source, port), (vip, 53), data)


@pytest.mark.parametrize("mode", ["dr", "nat"])
def test_the_same_sources_pass_as_in_ip_vs(lab, ipvs, rvs, wire, mode):
    seen = {}
    for director in (ipvs, rvs):
        with run_by(director, dns(lab, mode)):
            for port, (kind, number) in enumerate(KINDS.items(), 4000):
                before = rvs.counters()
                with settings(lab, rp_filter=number):
                    seen[director.name, kind] = passes(wire, SOURCES, query(port=port))
                if director is rvs:
                    passed = len(seen["rvs", kind])
                    counted(rvs, before, drop_martian=len(SOURCES) - passed)
                    assert rvs.counters()["conns_now"] - before["conns_now"] == passed
    for kind in KINDS:
        assert seen["rvs", kind] == seen["ip_vs", kind] == PASS[kind], kind


@pytest.mark.parametrize("allowed", ["accept_local", "route_localnet"])
def test_what_the_operator_allows_passes_as_in_ip_vs(lab, ipvs, rvs, wire, allowed):
    seen = []
    with settings(lab, **{allowed: 1}):
        for director in (ipvs, rvs):
            with run_by(director, dns(lab)):
                seen.append(passes(wire, SOURCES, query(port=4001)))
    assert seen[1] == seen[0] > {*GOOD}


@pytest.mark.parametrize("mode", ["dr", "fullnat", "one-packet", "fwmark", "tcp"])
def test_nobody_s_packets_go_nowhere_wherever_the_virtual_address_is(lab, rvs, wire, mode):
    svc = dns(lab, "fullnat" if mode == "fullnat" else "dr", ELSEWHERE,
              options=("--ops",) if mode == "one-packet" else ())
    svc.protocol = "tcp" if mode == "tcp" else "udp"
    sources = [*SOURCES, ELSEWHERE]

    def packet(source, data):
        if mode == "tcp":
            return tcp((source, port), (ELSEWHERE, 53), SYN, data)
        return udp((source, port), (ELSEWHERE, 53), data)

    with contextlib.ExitStack() as stack:
        stack.enter_context(settings(lab, rp_filter=1))
        stack.callback(lab.director.sysctl, ipv4__ip_forward=1)
        if mode == "fullnat":
            rvs.adm("laddr", "add", "--default", LOCAL)
            stack.callback(rvs.adm, "laddr", "del", "--default", LOCAL)
        if mode == "fwmark":
            # A service by mark makes all new flows wait for their marks.
            rvs.adm("service", "add", "fwmark/7", "-s", "rr")
        rvs.add(svc)
        stack.callback(rvs.flush)
        for port, forwarding in ((4100, 1), (4101, 0)):
            lab.director.sysctl(ipv4__ip_forward=forwarding)
            before = rvs.counters()
            assert passes(wire, sources, packet) == STRICT
            counted(rvs, before, drop_martian=len(sources) - len(STRICT))


def test_another_virtual_address_is_no_source_either(lab, rvs, wire):
    """Two services that answer each other would do so for ever."""
    rvs.add(dns(lab, vip=ELSEWHERE))
    rvs.add(dns(lab, vip="203.0.113.21"))
    assert passes(wire, [CLIENT, "203.0.113.21", "203.0.113.22"], query(ELSEWHERE)) == {
        CLIENT, "203.0.113.22"}


LSRR = b"\x83\x07"
ROUTES = {
    "on": LSRR + b"\4" + socket.inet_aton("192.168.56.1") + b"\0",
    "over": LSRR + b"\x08" + socket.inet_aton("192.168.56.1") + b"\0",
}


@pytest.mark.parametrize("accepted", [0, 1])
def test_who_may_say_the_way_as_in_ip_vs(lab, ipvs, rvs, wire, accepted):
    seen = []
    with settings(lab, accept_source_route=accepted):
        for director in (ipvs, rvs):
            with run_by(director, dns(lab)):
                for port, options in enumerate(ROUTES.values(), 4200):
                    seen.append(passes(wire, [CLIENT], lambda source, data, p=port, o=options:
                                       udp((source, p), (VIP, 53), data, options=o)))
                if director is rvs and not accepted:
                    counted(rvs, {**rvs.counters(), "drop_martian": 0}, drop_martian=2)
    assert seen[2:] == seen[:2] == [set(), {CLIENT} if accepted else set()]


def test_errors_and_pings_of_nobody_go_nowhere(lab, rvs, wire):
    rvs.add(dns(lab))
    assert passes(wire, [CLIENT], query(port=4300)) == {CLIENT}
    about = udp((VIP, 53), (CLIENT, 4300), b"answer")
    def error(source, data):
        return icmp(source, VIP, 3, 3, b"\0\0\0\0", about + data)

    before = rvs.counters()
    assert passes(wire, SOURCES, error) == LOOSE
    counted(rvs, before, drop_martian=len(NOBODY))
    rvs.adm("config", "set", "--echo", "balance")
    def ping(source, data):
        return icmp(source, VIP, 8, 0, b"\0\1\0\1", data)

    assert passes(wire, SOURCES, ping) == LOOSE


@pytest.mark.parametrize("mode", ["nat", "fullnat"])
@pytest.mark.parametrize("source", ["127.0.0.1", DIRECTOR])
# pylint: disable-next=too-many-arguments,too-many-positional-arguments
def test_a_program_here_gets_no_answer_to_what_a_neighbour_asked(lab, rvs, wire, mode, source):
    if mode == "fullnat":
        rvs.adm("laddr", "add", "--default", LOCAL)
    rvs.add(dns(lab, mode))
    with lab.director.inside():
        program = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        program.bind((source, 9999))
    with lab.real["rs1"].inside():
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("0.0.0.0", 53))
    with program, server:
        server.settimeout(0.3)
        wire.send(udp((source, 9999), (VIP, 53), b"forged"))
        wire.settle()
        with contextlib.suppress(TimeoutError):
            data, asker = server.recvfrom(100)
            server.sendto(b"answer", asker)
            raise AssertionError(f"{data} came to the server")
        # The program's own questions are answered.
        program.setblocking(False)
        with pytest.raises(BlockingIOError):
            program.recv(100)
    if mode == "fullnat":
        rvs.adm("laddr", "del", "--default", LOCAL)


def test_what_is_known_is_not_asked_again(lab, rvs, wire):
    """rp_filter is the concern of new flows: that of a connection was asked when it began."""
    svc = Service([(lab.addresses["rs1"], 1)])
    rvs.add(svc)
    wire.send(tcp((BEHIND, 4400), (VIP, 80), SYN))
    wire.settle()
    with settings(lab, rp_filter=1):
        before = rvs.counters()
        wire.send(tcp((BEHIND, 4400), (VIP, 80), ACK, seq=1001, ack=1))
        wire.settle()
        counted(rvs, before)
        assert [conn["state"] for conn in rvs.connections()] == ["established"]


def udp6(source, destination, data, port=4000):
    """A UDP packet of IPv6 to port 53."""
    ends = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, destination)
    length = 8 + len(data)
    segment = struct.pack("!HHHH", port, 53, length, 0) + data
    total = checksum(ends + struct.pack("!II", length, 17) + segment) or 0xFFFF
    segment = segment[:6] + struct.pack("!H", total) + segment[8:]
    return struct.pack("!IHBB", 6 << 28, length, 17, 64) + ends + segment


GOOD6 = [CLIENT6, "2001:db8:9::1", "fe80::1234", "::ffff:10.0.0.1"]
NOBODY6 = ["::1", "ff02::1"]
# ip_vs sends these on, though nobody could answer them.
OURS6 = ["::", DIRECTOR6, VIP6]


@pytest.fixture(name="six", scope="module")
def _six(lab):
    made = Six(lab)
    made.prepare_dr()
    return made


@pytest.mark.parametrize("mode", ["dr", "nat"])
# pylint: disable-next=too-many-arguments,too-many-positional-arguments
def test_sources_of_ipv6(lab, six, ipvs, rvs, wire, mode):
    svc = Service([(six.addresses["rs1"], 1)], protocol="udp", port=53, mode=mode, vip=VIP6)
    head = mac_bytes(wire.director_mac) + wire.tap.mac + struct.pack("!H", ETH_IPV6)
    sources = [*GOOD6, *NOBODY6, *OURS6]
    seen = []
    with lab.real["rs1"].inside():
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_ALL))
        tap.bind(("eth0", ETH_ALL))
    with tap:
        for director in (ipvs, rvs):
            with run_by(director, svc):
                wire.clear()
                # The last is good, and shows that all before it were dealt with.
                for source in [*sources, "2001:db8:9::ff"]:
                    wire.tap.send_frame(head + udp6(source, VIP6, marked(source) + b"!"))
                came = set()
                tap.settimeout(10)
                while b"from 2001:db8:9::ff!" not in came:
                    frame = tap.recv(2000)
                    came.add(frame[62:] if frame[12:14] == b"\x86\xdd" else b"")
                seen.append({s for s in sources if marked(s) + b"!" in came})
                if director is rvs:
                    assert rvs.counters()["drop_martian"] >= len(OURS6)
    assert seen[1] == {*GOOD6}
    assert seen[0] - {*OURS6} == seen[1]
