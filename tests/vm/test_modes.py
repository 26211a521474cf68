# SPDX-License-Identifier: GPL-2.0
"""What has to hold in every mode: long transfers, MTUs, offloads, paths, clients on odd hosts."""

import contextlib

import pytest
from lab import shell
from lab.capture import Capture
from lab.director import Rvs, Service, run_by
from lab.fullnat import LOCALS
from lab.topology import CLIENT, DIRECTOR, VIP
from lab.transfer import LONG, UdpEcho, ask, both_ways
from lab.web import get, sequence

MODES = ["dr", "nat", "tun", "fullnat"]
ELSEWHERE = "203.0.113.11"
MEGABYTE = 1 << 20


def prepare(lab, rvs, mode):
    """Real servers and director for a mode."""
    if mode == "fullnat":
        lab.director.ip(*(f"addr add {address}/32 dev eth0" for address in LOCALS))
        rvs.adm("laddr", "add", "--default", *LOCALS)
    else:
        getattr(lab, f"prepare_{mode}")()


def seen_by(mode):
    """Whom a real server sees."""
    return LOCALS if mode == "fullnat" else [CLIENT]


def one(lab, mode, port=5000, protocol="tcp", vip=VIP, server="rs1"):
    return Service([(lab.addresses[server], 1)], mode=mode, port=port, protocol=protocol, vip=vip)


def set_mtu(lab, mtu, *hosts):
    """Of all devices on the way, or of those of some hosts."""
    router = [f"link set {dev} mtu {mtu}" for dev in
              ("wan", *(f"to-{name}" for name in ("director", *lab.addresses)), "lan")]
    for host in hosts or (lab.client, lab.director, *lab.real.values()):
        host.ip(f"link set eth0 mtu {mtu}")
    if not hosts:
        lab.router.ip(*router)


@pytest.mark.parametrize("gro", ["on", "off"])
@pytest.mark.parametrize("mode", MODES)
def test_a_long_transfer_each_way(lab, rvs, mode, gro):
    for host in (lab.director, lab.client, lab.real["rs1"]):
        host.run("ethtool", "-K", "eth0", "gro", gro, "gso", gro, "tso", gro)
    prepare(lab, rvs, mode)
    rvs.add(one(lab, mode))
    assert both_ways(lab.client, lab.real["rs1"], VIP, 5000, LONG) in seen_by(mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("mtu", [1280, 9000])
def test_other_mtus(lab, rvs, mode, mtu):
    set_mtu(lab, mtu)
    prepare(lab, rvs, mode)
    rvs.add(one(lab, mode))
    assert both_ways(lab.client, lab.real["rs1"], VIP, 5000, 8 * MEGABYTE) in seen_by(mode)


@pytest.mark.parametrize("mode", MODES)
def test_a_narrow_way_to_the_real_server(lab, rvs, mode):
    """The director tells the client what fits."""
    set_mtu(lab, 1280, lab.director)
    prepare(lab, rvs, mode)
    rvs.add(one(lab, mode))
    both_ways(lab.client, lab.real["rs1"], VIP, 5000, MEGABYTE)
    # Less the header of the tunnel, or the option that tells the client's address.
    mtu = 1280 - {"tun": 20, "fullnat": 8}.get(mode, 0)
    assert f"mtu {mtu}" in lab.client.run("ip", "route", "get", VIP).stdout


@pytest.mark.parametrize("mode", MODES)
def test_without_any_offload(lab, rvs, mode):
    for host in (lab.client, lab.director, lab.real["rs1"]):
        host.run("ethtool", "-K", "eth0", "gro", "off", "gso", "off", "tso", "off", "tx", "off",
                 "rx", "off", "sg", "off")
    prepare(lab, rvs, mode)
    rvs.add(one(lab, mode))
    assert both_ways(lab.client, lab.real["rs1"], VIP, 5000, 4 * MEGABYTE) in seen_by(mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("gro", ["on", "off"])
def test_over_a_bad_wire(lab, rvs, mode, gro):
    """Segments that the director sends get lost and overtake each other."""
    for host in (lab.client, lab.director, lab.real["rs1"]):
        host.run("ethtool", "-K", "eth0", "gro", gro, "gso", gro, "tso", gro)
    shell.modprobe("sch_netem")
    lab.director.run("tc qdisc add dev eth0 root netem loss 1% delay 1ms reorder 5%")
    prepare(lab, rvs, mode)
    rvs.add(one(lab, mode))
    assert both_ways(lab.client, lab.real["rs1"], VIP, 5000, 4 * MEGABYTE) in seen_by(mode)


@pytest.mark.parametrize("mode", MODES)
def test_through_a_vlan(lab, rvs, mode):
    """Director and real server share a VLAN; the address there is the dest's."""
    prepare(lab, rvs, mode)
    rvs.add(one(lab, mode, port=5001))
    for host, address in ((lab.director, "10.5.0.1"), (lab.real["rs1"], "10.5.0.2")):
        host.ip("link add link eth0 name eth0.5 type vlan id 5",
                f"addr add {address}/24 dev eth0.5", "link set eth0.5 up")
    lab.real["rs1"].sysctl(ipv4__conf__all__rp_filter=0)
    rvs.adm("service", "add", f"tcp/{VIP}:5000", "--scheduler", "rr")
    rvs.adm("dest", "add", f"tcp/{VIP}:5000", "10.5.0.2:5000", "--mode", mode)
    if mode == "fullnat":
        lab.real["rs1"].ip(*(f"route add {address}/32 via 10.5.0.1" for address in LOCALS))
    both_ways(lab.client, lab.real["rs1"], VIP, 5000, MEGABYTE)


@pytest.mark.parametrize("mode", ["dr", "nat", "fullnat"])
def test_through_a_tunnel_device(lab, rvs, mode):
    """The director reaches the real server by a device that wraps packets."""
    shell.modprobe("ipip")
    prepare(lab, rvs, mode)
    server = lab.real["rs1"]
    for host, here, there, address in (
        (lab.director, DIRECTOR, lab.addresses["rs1"], "10.6.0.1"),
        (server, lab.addresses["rs1"], DIRECTOR, "10.6.0.2"),
    ):
        host.ip(f"link add t0 type ipip local {here} remote {there}",
                f"addr add {address}/24 dev t0", "link set t0 up")
    server.sysctl(ipv4__conf__all__rp_filter=0, ipv4__conf__t0__rp_filter=0)
    rvs.adm("service", "add", f"tcp/{VIP}:5000", "--scheduler", "rr")
    rvs.adm("dest", "add", f"tcp/{VIP}:5000", "10.6.0.2:5000", "--mode", mode)
    if mode == "fullnat":
        server.ip(*(f"route add {address}/32 via 10.6.0.1" for address in LOCALS))
    both_ways(lab.client, server, VIP, 5000, MEGABYTE)


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize("mode", MODES)
def test_a_program_on_the_director(lab, rvs, mode):
    """The virtual address is elsewhere, as else its replies stay on the real servers."""
    prepare(lab, rvs, mode)
    if mode in ("dr", "tun"):
        for host in lab.real.values():
            host.ip(f"addr add {ELSEWHERE}/32 dev lo")
    lab.director.ip(f"route add {ELSEWHERE}/32 via {lab.addresses['rs1']}")
    rvs.add(Service([(a, 1) for a in lab.addresses.values()], mode=mode, vip=ELSEWHERE))
    assert sorted(sequence(lab.director, ELSEWHERE, 3)) == ["rs1", "rs2", "rs3"]


@pytest.mark.usefixtures("web")
def test_a_real_server_that_is_its_own_client(lab, rvs):
    """FullNAT: any server serves it, itself too. DR, TUN: it has the address and serves itself."""
    prepare(lab, rvs, "fullnat")
    rvs.add(Service([(a, 1) for a in lab.addresses.values()], mode="fullnat"))
    assert sorted(sequence(lab.real["rs1"], VIP, 3)) == ["rs1", "rs2", "rs3"]
    lab.prepare_dr()
    assert get(lab.real["rs1"], VIP, source_port=45000) == "rs1"


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize("name", ["ipvs", "rvs"])
def test_a_real_server_as_a_client_of_nat(lab, request, name):
    """As in ip_vs: others serve it where their answers pass the director; it cannot serve itself."""
    director = request.getfixturevalue(name)
    lab.prepare_nat()
    first, second = lab.addresses["rs1"], lab.addresses["rs2"]
    for server, other in (("rs1", second), ("rs2", first)):
        lab.real[server].sysctl(ipv4__conf__all__accept_redirects=0,
                                ipv4__conf__eth0__accept_redirects=0)
        lab.real[server].ip(f"route add {other}/32 via {DIRECTOR}")
    with run_by(director, Service([(second, 1)], mode="nat")):
        assert get(lab.real["rs1"], VIP) == "rs2"
    with (
        run_by(director, Service([(first, 1)], mode="nat", port=5353, protocol="udp")),
        contextlib.closing(UdpEcho(lab.real["rs1"], 5353)),
        pytest.raises(TimeoutError),
    ):
        ask(lab.real["rs1"], VIP, 5353, timeout=0.5)


@pytest.mark.usefixtures("web")
def test_a_real_server_of_tunnels_serves_itself(lab, rvs):
    prepare(lab, rvs, "tun")
    rvs.add(Service([(a, 1) for a in lab.addresses.values()], mode="tun"))
    assert {get(lab.real["rs1"], VIP) for _ in range(2)} == {"rs1"}


@pytest.mark.parametrize("mode", MODES)
def test_a_datagram_with_ip_options(lab, rvs, mode):
    """A record of the route, and room for one more stop."""
    prepare(lab, rvs, mode)
    rvs.add(one(lab, mode, 5353, "udp"))
    address = VIP if mode in ("dr", "tun") else lab.addresses["rs1"]
    options = bytes([7, 7, 4, 0, 0, 0, 0, 0])
    with contextlib.closing(UdpEcho(lab.real["rs1"], 5353, address=address)):
        assert ask(lab.client, VIP, 5353, b"x", options=options) == b"rs1 x"
        assert ask(lab.client, VIP, 5353, bytes(4000), options=options) == b"rs1 " + bytes(4000)


INPUT = """
table ip rvstest {
  chain in { type filter hook input priority 0; ip daddr 203.0.113.10 counter; }
}
"""


@pytest.mark.parametrize("mode", MODES)
def test_hooks_where_ip_vs_has_them(lab, unloaded, mode):
    """With local_in=1 rules of INPUT see what comes, and the rest is the same."""
    del unloaded
    shell.run("modprobe", "rvs", "local_in=1")
    rvs = Rvs(lab.director)
    prepare(lab, rvs, mode)
    rvs.add(one(lab, mode))
    rvs.add(one(lab, mode, 5353, "udp"))
    lab.director.run("nft", "-f", "-", stdin=INPUT)
    assert both_ways(lab.client, lab.real["rs1"], VIP, 5000, MEGABYTE) in seen_by(mode)
    listed = lab.director.run("nft", "list", "chain", "ip", "rvstest", "in").stdout
    assert "counter packets 0" not in listed
    address = VIP if mode in ("dr", "tun") else lab.addresses["rs1"]
    with (
        contextlib.closing(UdpEcho(lab.real["rs1"], 5353, address=address)),
        Capture(lab.real["rs1"], "eth0", "udp or ip proto 4", options=("-v",)) as capture,
    ):
        assert ask(lab.client, VIP, 5353, bytes(3000)) == b"rs1 " + bytes(3000)
        assert ask(lab.client, VIP, 5353) == b"rs1 x"
    assert "ttl 62," in capture.lines[0]


MARKS = """
table ip rvsmarks {
  chain pre { type filter hook prerouting priority mangle; udp dport { 5353, 5354 } meta mark set 7; }
}
"""


def test_marks_count_where_ip_vs_has_its_hooks(lab, unloaded):
    del unloaded
    shell.run("modprobe", "rvs", "local_in=1")
    rvs = Rvs(lab.director)
    prepare(lab, rvs, "nat")
    rvs.adm("service", "add", "fwmark/7", "-s", "rr", "--persistence", 300)
    for address in lab.addresses.values():
        rvs.adm("dest", "add", "fwmark/7", f"{address}:0", "--mode", "nat")
    lab.director.run("nft", "-f", "-", stdin=MARKS)
    with contextlib.ExitStack() as stack:
        for host in lab.real.values():
            for port in (5353, 5354):
                stack.enter_context(contextlib.closing(UdpEcho(host, port)))
        said = {ask(lab.client, VIP, port) for port in (5353, 5354, 5353)}
    assert len(said) == 1
    assert rvs.json("service", "show", "fwmark/7")["service"]["templates"] == 1
