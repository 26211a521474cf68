# SPDX-License-Identifier: GPL-2.0
"""TUN where the packet, the tunnel or both are IPv6."""

import contextlib
import socket

import pytest
from lab import six as v6
from lab import topology
from lab.capture import Capture
from lab.director import Service
from lab.transfer import LONG, UdpEcho, ask, both_ways
from lab.web import sequence

# What the tunnel adds.
KINDS = {"4in6": 40, "6in6": 40, "6in4": 20, "4in6-gre": 44, "6in6-gre": 44}


class Tunnel:
    """A director whose service's packets travel in tunnels of one kind."""

    def __init__(self, kind, six, rvs):
        self.six, self.rvs = six, rvs
        self.overhead = KINDS[kind]
        inner, self.outer = kind[0], kind[3]
        self.vip = topology.VIP if inner == "4" else v6.VIP
        self.client = topology.CLIENT if inner == "4" else v6.CLIENT
        self.any = "0.0.0.0" if inner == "4" else "::"
        self.dests = six.lab.addresses if self.outer == "4" else six.addresses
        self.options = ("--tun-type", "gre") if kind.endswith("gre") else ()
        for host in six.real.values():
            host.run("rvsadm", "rs", "setup", "--mode", "tun", "--vip", self.vip,
                     "--over", f"ipv{self.outer}", *self.options)

    def add(self, port, protocol="tcp", dests=("rs1",)):
        """A service with these dests."""
        self.rvs.add(Service(
            [(self.dests[name], 1) for name in dests], mode="tun", vip=self.vip, port=port,
            protocol=protocol, dest_options=self.options,
        ))


@pytest.fixture(name="tunnel", params=KINDS)
def _tunnel(request, six, rvs):
    yield Tunnel(request.param, six, rvs)
    for host in six.real.values():
        host.run("rvsadm", "rs", "undo")


@pytest.mark.usefixtures("web")
def test_requests_are_served_in_turn_and_show_the_client(six, tunnel):
    tunnel.add(80, dests=six.real)
    served = sequence(six.client, tunnel.vip, 6)
    assert served[:3] * 2 == served and sorted(served[:3]) == ["rs1", "rs2", "rs3"]
    assert six.web["rs1"].log()[-1][0] == tunnel.client


@pytest.mark.parametrize("gro", ["on", "off"])
def test_a_long_transfer_each_way(six, tunnel, gro):
    """Full segments do not fit: the client is told the MTU within the tunnel."""
    for host in (six.director, six.client, six.real["rs1"]):
        host.run("ethtool", "-K", "eth0", "gro", gro, "gso", gro, "tso", gro)
    tunnel.add(5000)
    seen = both_ways(six.client, six.real["rs1"], tunnel.vip, 5000, LONG, tunnel.any)
    assert seen == tunnel.client


def test_the_mtu_that_is_told(six, tunnel):
    tunnel.add(5353, "udp")
    v4 = tunnel.any == "0.0.0.0"
    with six.client.inside():
        s = socket.socket(socket.AF_INET if v4 else socket.AF_INET6, socket.SOCK_DGRAM)
    expression = "icmp[0]==3" if v4 else "icmp6 and ip6[40]==2"
    with s, Capture(six.client, "eth0", expression) as capture:
        s.connect((tunnel.vip, 5353))
        option = (socket.IPPROTO_IP, 10) if v4 else (socket.IPPROTO_IPV6, 23)
        s.setsockopt(*option, 2)  # IP_MTU_DISCOVER, IPV6_MTU_DISCOVER: always
        s.settimeout(1)
        s.send(bytes(1450))
        with pytest.raises(OSError):
            for _ in range(3):
                s.recv(1)
    assert any(f"mtu {1500 - tunnel.overhead}" in line for line in capture.lines), capture.lines


def test_datagrams_in_fragments(six, tunnel):
    tunnel.add(5353, "udp")
    data = bytes(range(256)) * 20
    with contextlib.closing(UdpEcho(six.real["rs1"], 5353, tunnel.vip)):
        assert ask(six.client, tunnel.vip, 5353, data) == b"rs1 " + data


FAR = {"4": "10.9.0.1", "6": "2001:db8:9::1"}


def test_an_error_about_the_tunnel_becomes_one_to_the_client(six, tunnel):
    """A router behind the director takes less than the director's device does."""
    far, server = FAR[tunnel.outer], six.real["rs1"]
    via, router = ((six.addresses["rs1"], v6.ROUTER) if tunnel.outer == "6" else
                   (six.lab.addresses["rs1"], topology.ROUTER))
    server.ip(f"addr add {far} dev lo" + (" nodad" if tunnel.outer == "6" else ""))
    six.router.sysctl(ipv4__conf__all__send_redirects=0, ipv4__conf__lan__send_redirects=0)
    six.director.ip(f"route add {far} via {router}")
    tunnel.rvs.add(Service([(far, 1)], mode="tun", vip=tunnel.vip, port=5000,
                           dest_options=tunnel.options))
    v4 = tunnel.any == "0.0.0.0"
    expression = "icmp[0]==3" if v4 else "icmp6 and ip6[40]==2"
    # The least of IPv6: a client of IPv6 can make nothing smaller, so the tunnel's packets are cut.
    for path in (1400, 1280):
        six.router.ip(f"route replace {far} via {via} dev lan mtu lock {path}")
        six.director.run("ip -6 route flush cache")
        with Capture(six.client, "eth0", expression, options=("-v",)) as capture:
            seen = both_ways(six.client, server, tunnel.vip, 5000, 1 << 17, tunnel.any)
        assert seen == tunnel.client
        text = "\n".join(capture.lines)
        assert "bad" not in text
        if tunnel.outer == "4":
            # Routers fragment it.
            continue
        mtu = path - tunnel.overhead if v4 else max(path - tunnel.overhead, 1280)
        assert (f"need to frag (mtu {mtu})" if v4 else f"mtu {mtu}") in text, text
        # The next one is answered by the director itself.
        assert f"mtu {path}" in six.director.run("ip", "route", "get", far).stdout
