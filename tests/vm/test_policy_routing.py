# SPDX-License-Identifier: GPL-2.0
"""Rules of policy routing choose the way of each reply to a client, as with ip_vs."""

import contextlib
import socket

import pytest
from lab import shell
from lab.director import Service
from lab.fixtures import _hosts, flow_by  # noqa: F401
from lab.flow import PORT, Flow
from lab.netns import wait_until
from lab.raw import _director_rvs, _ipvs, _lab, _rvs  # noqa: F401
from lab.transfer import UdpEcho, ask

FLOWS = [("rvs", 4, "nat"), ("rvs", 4, "fullnat"), ("rvs", 6, "nat"), ("rvs", 6, "fullnat"),
         ("rvs", 6, "nat64"), ("ip_vs", 4, "nat"), ("ip_vs", 6, "nat")]
BY_ALL = pytest.mark.parametrize("flow", FLOWS, indirect=True,
                                 ids=["-".join(map(str, one)) for one in FLOWS])
LONG, SHORT = 600, 100


@contextlib.contextmanager
def a_flow(hosts, director, version, mode):
    """A flow whose replies by table 77 get lost."""
    flow = Flow(hosts, director, version, mode)
    other = hosts.of(version)[0].addresses["rs2"]
    try:
        with flow.changed(f"route add default via {other} dev eth0 table 77",
                          "route flush table 77"):
            assert flow.both() is True
            yield flow
    finally:
        flow.close()


_flow = flow_by(a_flow)


@contextlib.contextmanager
def marks(host, priority):
    """Long replies of dests get a mark in PREROUTING."""
    host.run("nft", "-f", "-", stdin=f"""table inet rvsmarks {{
        chain pre {{ type filter hook prerouting priority {priority};
            udp sport {PORT} meta length > 500 meta mark set 7;
        }}
    }}
    """)
    try:
        yield
    finally:
        host.run("nft", "delete", "table", "inet", "rvsmarks")


def by_mark(flow, priority):
    """Each reply goes by its own mark, from when there is a rule until there is none."""
    with marks(flow.lab.director, priority):
        assert flow.back(LONG) is True
        with flow.changed("rule add fwmark 7 table 77 pref 10", "rule del pref 10"):
            if priority < -350:
                assert flow.back(LONG, 0.3) is None
            wait_until(lambda: flow.back(LONG, 0.3) is None, "replies wait for their marks")
            for _ in range(2):
                assert flow.back(SHORT) is True
                assert flow.back(LONG, 0.3) is None
            assert flow.both(SHORT) is True
        assert flow.back(LONG) is True
    assert flow.both(LONG) is True


@BY_ALL
@pytest.mark.parametrize("priority", [-150, -400], ids=["mangle", "first"])
def test_by_a_mark(flow, priority):
    by_mark(flow, priority)


@pytest.mark.parametrize("version", [4, 6])
def test_by_a_mark_where_ip_vs_has_its_hooks(hosts, rvs, version):
    shell.rmmod("rvs")
    shell.run("modprobe", "rvs", "local_in=1")
    for mode in ("nat", "fullnat"):
        with a_flow(hosts, rvs, version, mode) as flow:
            by_mark(flow, -150)
    shell.rmmod("rvs")
    shell.modprobe("rvs")


@BY_ALL
def test_by_the_dscp(flow):
    level, option = (socket.IPPROTO_IPV6, 67) if flow.versions[0] == 6 else (socket.IPPROTO_IP, 1)
    with flow.changed("rule add tos 0x10 table 77 pref 10", "rule del pref 10"):
        for value, seen in ((0x10, None), (0, True), (0x10, None)):
            flow.sockets[0].setsockopt(level, option, value)
            assert flow.back(SHORT, 3 if seen else 0.3) is seen
    assert flow.back() is True


@BY_ALL
def test_by_addresses(flow):
    """Those are the same for all of a flow, which keeps its way. The source is the one that the
    client has asked."""
    def looked_up():
        return flow.director.counters()["route_refreshes"] if flow.director.name == "rvs" else 0

    with flow.changed(f"rule add from {flow.vip} table 77 pref 10", "rule del pref 10"):
        assert flow.back(SHORT, 0.3) is None
    with flow.changed("rule add from 192.0.2.1 table 77 pref 10" if flow.version == 4 else
                      "rule add from 2001:db8:ff::1 table 77 pref 10", "rule del pref 10"):
        assert [flow.back() for _ in range(3)] == [True] * 3

        def keeps_its_way():
            before = looked_up()
            assert [flow.back() for _ in range(3)] == [True] * 3
            return looked_up() == before

        # A neighbour that is asked for anew has it looked up once more.
        wait_until(keeps_its_way, "it is not looked up any more", 20)


@BY_ALL
def test_by_ports(flow):
    with flow.changed(f"rule add ipproto udp sport {PORT} table 77 pref 10", "rule del pref 10"):
        assert flow.back(SHORT, 0.3) is None
    with flow.changed(f"rule add ipproto udp sport {PORT + 1} table 77 pref 10", "rule del pref 10"):
        assert flow.back() is True


@BY_ALL
def test_not_by_the_device_that_they_came_by(flow):
    """Replies are routed as what leaves this host."""
    with flow.changed("rule add iif eth0 table 77 pref 10", "rule del pref 10"):
        assert flow.back() is True



@pytest.mark.parametrize("version", [4, 6])
def test_by_the_vrf(hosts, rvs, lab, version):
    """Client and dest are in a VRF of the director's; its table of routes leads to both."""
    shell.modprobe("vrf", "8021q")
    near, far, vip, bits = "10.8.0.{}", "10.7.0.{}", "203.0.113.77", (24, 32)
    if version == 6:
        near, far, vip, bits = "2001:db8:8::{}", "2001:db8:7::{}", "2001:db8:113::77", (64, 128)
    server, client, director = lab.real["rs1"], lab.real["rs2"], lab.director
    director.ip("link add red type vrf table 100", "link set red up")
    for number, (net, host) in enumerate(((far, client), (near, server)), 7):
        vlan = f"link add link eth0 name eth0.{number} type vlan id {number}"
        director.ip(vlan, f"link set eth0.{number} master red", f"link set eth0.{number} up",
                    f"addr add {net.format(1)}/{bits[0]} dev eth0.{number}")
        host.ip(vlan, f"addr add {net.format(2)}/{bits[0]} dev eth0.{number}",
                f"link set eth0.{number} up")
    client.ip(f"route add {vip}/{bits[1]} via {far.format(1)}")
    server.ip(f"route add {far.format(0)}/{bits[0]} via {near.format(1)}")
    # Dests are looked up as what this host sends, which is in no VRF.
    director.ip(f"route add {near.format(0)}/{bits[0]} dev red")
    try:
        rvs.add(Service([(near.format(2), 1)], mode="nat", port=PORT, protocol="udp", vip=vip))
        with contextlib.closing(UdpEcho(server, PORT, near.format(2))):
            assert [ask(client, vip, PORT) for _ in range(3)] == [b"rs1 x"] * 3
    finally:
        rvs.flush()
        for host, number in ((client, 7), (server, 8), (director, 7), (director, 8)):
            host.ip(f"link del eth0.{number}")
        director.ip("link del red")
