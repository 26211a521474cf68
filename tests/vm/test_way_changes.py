# SPDX-License-Identifier: GPL-2.0
"""What is kept of a way is told of each change, under traffic, in both IP versions and every mode.

Each test is a row of docs/design/packets.md's table of what tells of a change. Stock ip_vs does the same
tests, where it has the feature.
"""

import contextlib
import socket

import pytest
from lab import debug, shell
from lab.capture import Capture
from lab.fixtures import _hosts, flow_by  # noqa: F401
from lab.flow import LENGTHS, TRANSLATING, Flow
from lab.netns import wait_until
from lab.raw import _director_rvs, _ipvs, _lab, _rvs  # noqa: F401

RVS = [(4, "dr"), (4, "nat"), (4, "tun"), (4, "fullnat"), (6, "dr"), (6, "nat"), (6, "fullnat"),
       (6, "nat64")]
IPVS = [(4, "dr"), (4, "nat"), (4, "tun"), (6, "dr"), (6, "nat")]
BOTH = [("rvs", *one) for one in RVS] + [("ip_vs", *one) for one in IPVS]
FAR = {4: "10.9.9.9", 6: "2001:db8:99::9"}


def named(params):
    return ["-".join(map(str, one)) for one in params]


def with_flows(params):
    """The test for each (director, IP version, mode)."""
    return pytest.mark.parametrize("flow", params, indirect=True, ids=named(params))


BY_ALL = with_flows(BOTH)
BY_RVS = with_flows([one for one in BOTH if one[0] == "rvs"])


@contextlib.contextmanager
def a_flow(hosts, director, version, mode, dest=None):
    flow = Flow(hosts, director, version, mode, dest)
    try:
        assert flow.both() is True, "a flow of its own passes"
        yield flow
    finally:
        flow.close()


_flow = flow_by(a_flow)


def host_route(address):
    return f"{address}/{128 if ':' in address else 32}"


def is_told(mtu, around, told):
    """Whether who sends too much is told what fits. What becomes shorter may be told less than that:
    packets are measured as they come."""
    return told == mtu - around or (around < 0 and told == mtu)


def ways(flow):
    """Each way that there is: where it leads, who sends a packet on it, and by how much that is
    longer there."""
    near = host_route(flow.dest), "dev eth0", flow.toward, flow.around
    far = host_route(flow.beyond), f"via {flow.router} dev eth0", flow.back, max(-flow.around, 0)
    return [near, far] if flow.mode in TRANSLATING else [near]


@BY_ALL
def test_the_mtu_of_the_device(flow, lab):
    """Its peer still takes frames of 4 bytes more: only what leaves is limited."""
    # What comes in IPv6 and leaves in IPv4 is shorter there.
    limited = [way[2:] for way in ways(flow) if way[3] >= 0]
    assert [send(1500 - around) for send, around in limited] == [True] * len(limited)
    lab.director.ip("link set eth0 mtu 1496")
    try:
        for send, around in limited:
            assert send(1500 - around) == 1496 - around
    finally:
        lab.director.ip("link set eth0 mtu 1500")
    assert [send(1500 - around) for send, around in limited] == [True] * len(limited)


@with_flows([one for one in BOTH if one[1] == 6])
def test_the_mtu_of_ipv6_on_the_device(flow, lab):
    """It has one of its own there, which routers' advertisements set as well."""
    limited = [way[2:] for way in ways(flow) if ":" in way[0]]
    assert flow.both(1450) is True
    lab.director.sysctl(ipv6__conf__eth0__mtu=1400)
    try:
        for send, around in limited:
            assert send(1450) == 1400 - around
    finally:
        lab.director.sysctl(ipv6__conf__eth0__mtu=1500)
    assert flow.both(1450) is True


@BY_ALL
def test_the_mtu_of_the_route(flow):
    """A hop limit of the route's is for packets of this host's own."""
    for target, route, send, around in ways(flow):
        assert send(1450) is True
        hops = flow.hops
        with flow.changed(f"route replace {target} {route} mtu 1300 hoplimit 9", f"route del {target}"):
            assert is_told(1300, around, send(1350))
            assert send(1280) is True and flow.hops == hops
        assert send(1450) is True


def learn(flow, size, target):
    """The director learns the path's MTU from a packet of its own of that length."""
    version = 6 if ":" in target else 4
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    with flow.lab.director.inside(), socket.socket(family, socket.SOCK_DGRAM) as s:
        s.setsockopt(*((41, 23) if version == 6 else (0, 10)), 2)
        s.connect((target, 9))
        s.send(bytes(size - LENGTHS[version]))
        s.settimeout(3)
        with pytest.raises(OSError, match="too long"):
            s.recv(100)


def a_path(flow, target, send, around, narrow):
    """What is learned of the path to TARGET holds until it is lowered or expires."""
    director, router = flow.lab.director, flow.lab.router
    version = 6 if ":" in target else 4

    def learned(mtu, expires):
        director.sysctl(**{f"ipv{version}__route__mtu_expires": expires})
        flow.ip(narrow.format(f"mtu {mtu}"), host=router)
        learn(flow, mtu + 40, target)
        flow.ip(narrow.format(""), host=router)

    assert send(1450) is True
    learned(1400, 600)
    assert is_told(1400, around, send(1450))
    # The same exception is changed.
    learned(1350, 600)
    assert is_told(1350, around, send(1380))
    learned(1300, 1)
    wait_until(lambda: send(1450) is True, "the learned MTU has expired", seconds=15, step=0.3)


FAR_MODES = [one for one in BOTH if one[2] != "dr"]


@pytest.mark.parametrize("by, version, mode", FAR_MODES, ids=named(FAR_MODES))
def test_the_mtu_of_the_path_to_the_dest(hosts, rvs, ipvs, by, version, mode):
    inner = 4 if mode == "nat64" else version
    far, lab = FAR[inner], hosts.lab
    here, _ = hosts.of(inner)
    to = f"route replace {far} via {here.addresses['rs1']} dev lan {{}}"
    lab.real["rs1"].ip(f"addr add {host_route(far)} dev lo")
    lab.router.ip(to.format(""))
    try:
        with a_flow(hosts, rvs if by == "rvs" else ipvs, version, mode, far) as flow:
            a_path(flow, far, flow.toward, flow.around, to)
    finally:
        lab.real["rs1"].ip(f"addr del {host_route(far)} dev lo")


BACK = [one for one in BOTH if one[0] == "rvs" and one[2] in TRANSLATING]


@with_flows(BACK)
def test_the_mtu_of_the_path_to_the_client(flow):
    a_path(flow, flow.beyond, flow.back, ways(flow)[1][3], f"route replace {flow.beyond} dev wan {{}}")


def link_local(host, device):
    shown = host.run("ip", "-6", "-br", "addr", "show", "dev", device).stdout
    return next(word.split("/")[0] for word in shown.split() if word.startswith("fe80"))


@pytest.mark.parametrize("by", ["rvs", "rvs-local_in", "ip_vs"])
def test_ipv4_by_a_next_hop_of_ipv6(hosts, rvs, ipvs, lab, by):
    """RFC 8950, as BGP has it on links without IPv4 addresses."""
    if by == "rvs-local_in":
        shell.rmmod("rvs")
        shell.run("modprobe", "rvs", "local_in=1")
    hops = [(link_local(host, device), host.mac(device))
            for host, device in ((lab.real["rs1"], "eth0"), (lab.router, "lan"))]
    for mode in ("dr", "nat", "tun", "fullnat"):
        if (by, mode) == ("ip_vs", "fullnat"):
            continue
        with a_flow(hosts, ipvs if by == "ip_vs" else rvs, 4, mode) as flow:
            with contextlib.ExitStack() as changed:
                for (target, _, send, _), (hop, mac) in zip(ways(flow), hops):
                    changed.enter_context(flow.changed(
                        f"route replace {target} via inet6 {hop} dev eth0", f"route del {target}"))
                    assert send() is True, (mode, target)
                    # From now on it has a header in store, which is one of IPv6.
                    lab.director.ip(f"neigh replace {hop} lladdr {mac} dev eth0 nud reachable")
                    assert [send() for _ in range(3)] == [True] * 3, (mode, target)
                assert flow.both(1480) is True
            assert flow.both() is True, mode
    if by == "rvs-local_in":
        shell.rmmod("rvs")
        shell.modprobe("rvs")


@BY_ALL
def test_the_neighbour(flow, lab):
    other = lab.real["rs2"].mac("eth0")
    for target, route, send, _ in ways(flow):
        hop = route.split()[1] if "via" in route else target.split("/")[0]
        with flow.changed(f"neigh replace {hop} lladdr {other} dev eth0 nud permanent",
                          f"neigh del {hop} dev eth0"):
            assert send(seconds=0.3) is None
        assert send() is True


def counted(lab, chain):
    listed = lab.director.run("nft", "list", "chain", *chain.split()).stdout
    return [int(part.split()[0]) for part in listed.split("counter packets ")[1:]][0]


CHAINS = {
    "inet rvstest out": "type filter hook output priority 0; udp dport 5353 counter;",
    "inet rvstest post": "type filter hook postrouting priority 0; counter;",
    "netdev rvstest egress": "type filter hook egress device eth0 priority 0; counter;",
}


@BY_ALL
def test_rules_of_output_meet_the_next_packet(flow, lab):
    def slow():
        return flow.director.counters()["slow_xmit"] if flow.director.name == "rvs" else 0

    before = slow()
    for chain, rules in CHAINS.items():
        family, table, name = chain.split()
        if (name, flow.mode) == ("out", "tun"):
            continue  # They see the tunnel.
        if name == "egress" and debug.is_debug_kernel():
            continue  # It was built without.
        text = f"table {family} {table} {{\n chain {name} {{ {rules}\n }}\n}}\n"
        lab.director.run("nft", "-f", "-", stdin=text)
        try:
            assert flow.both() is True
            assert counted(lab, chain) >= (1 if name == "out" else len(ways(flow))), chain
        finally:
            lab.director.run("nft", "delete", "table", family, table)
    if flow.director.name == "rvs":
        assert slow() > before
        before = slow()
        # And who comes when they have gone goes straight.
        assert flow.both() is True and slow() == before


@BY_RVS
def test_the_dest_becomes_this_host(flow):
    address = f"{host_route(flow.dest)} dev lo"
    with flow.changed(f"addr add {address}", f"addr del {address}"):
        assert flow.toward(seconds=0.3) is None
    assert flow.toward() is True


@BY_RVS
def test_other_routes(flow, hosts):
    """One that leads nowhere, in the table and in one ahead of it, and a next hop that is replaced."""
    for target, route, send, _ in ways(flow):
        other = hosts.of(6 if ":" in target else 4)[0].addresses["rs2"]
        with flow.changed(f"route add blackhole {target}", f"route del blackhole {target}"):
            assert send(seconds=0.3) is None
        with flow.changed(f"rule add to {target} table 77", f"rule del to {target} table 77"):
            assert send() is True
            nowhere = f"blackhole {target} table 77"
            with flow.changed(f"route add {nowhere}", f"route del {nowhere}"):
                assert send(seconds=0.3) is None
            assert send() is True
        hop = route.split()[1] if "via" in route else target.split("/")[0]
        # Onlink: that of IPv6 has its address from this very route.
        with flow.changed(f"nexthop add id 10 via {hop} dev eth0 onlink", "nexthop del id 10"), \
                flow.changed(f"route add {target} nhid 10", f"route del {target}"):
            assert send() is True
            flow.ip(f"nexthop replace id 10 via {other} dev eth0 onlink")
            assert send(seconds=0.3) is None
            flow.ip(f"nexthop replace id 10 via {hop} dev eth0 onlink")
            assert send() is True
        assert send() is True


@BY_ALL
@pytest.mark.skipif(debug.is_debug_kernel(), reason="the debug kernel has no MPLS")
def test_an_encapsulation(flow, lab):
    shell.modprobe("mpls_router", "mpls_iptunnel")
    for target, route, send, _ in ways(flow):
        hop = route.split()[1] if "via" in route else target.split("/")[0]
        via = "inet6" if ":" in target else "inet"
        with Capture(lab.director, "eth0", "mpls 100") as capture, flow.changed(
                f"route replace {target} encap mpls 100 via {via} {hop} dev eth0",
                f"route del {target}"):
            assert send(seconds=0.3) is None
        assert len(capture.lines) == 1, capture.lines
        assert send() is True
