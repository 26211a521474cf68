# SPDX-License-Identifier: GPL-2.0
"""Tunnels of mode tun other than plain IPIP: GRE and GUE, with and without checksums.

test_ipvs_tunnels.py compares their bytes with those of ip_vs.
"""

import contextlib
import json

import pytest
from lab.capture import Capture
from lab.director import Service
from lab.topology import CLIENT, DIRECTOR, ROUTER, VIP
from lab.transfer import UdpEcho, ask, both_ways

PORT = 6080
KINDS = {
    "gre": ["--tun-type", "gre"],
    "gre-csum": ["--tun-type", "gre", "--tun-csum"],
    "gue": ["--tun-type", "gue", "--tun-port", str(PORT)],
    "gue-csum": ["--tun-type", "gue", "--tun-port", str(PORT), "--tun-csum"],
    "gue-remcsum": ["--tun-type", "gue", "--tun-port", str(PORT), "--tun-remcsum"],
}
# Bytes in front of a packet that carries its own checksum.
OVERHEAD = {"gre": 24, "gre-csum": 28, "gue": 32, "gue-csum": 32, "gue-remcsum": 32}
BPF = {"gre": "ip proto 47", "gue": f"udp port {PORT}"}


@pytest.fixture(name="tun")
def _tun(lab, rvs):
    """RVS; real servers are as they were afterwards."""
    yield rvs
    lab.real["rs1"].run("rvsadm", "rs", "undo")


def receive(lab, kind):
    """The real server takes packets out of these tunnels, and of no others."""
    server = lab.real["rs1"]
    server.run("rvsadm", "rs", "undo")
    server.run("rvsadm", "rs", "setup", "--mode", "tun", "--vip", VIP, *KINDS.get(kind, []))


def add(rvs, lab, kind, port, protocol="tcp"):
    receive(lab, kind)
    service = f"{protocol}/{VIP}:{port}"
    rvs.adm("service", "add", service, "--scheduler", "rr")
    rvs.adm("dest", "add", service, f"{lab.addresses['rs1']}:{port}", "--mode", "tun", *KINDS[kind])


def add_ipvs(ipvs, lab, kind, port, protocol="tcp"):
    ipvs.add(Service([], port=port, protocol=protocol))
    ipvs.host.run("ipvsadm", "-a", f"-{protocol[0]}", f"{VIP}:{port}", "-r",
                  f"{lab.addresses['rs1']}:{port}", "-i", *KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_a_megabyte_each_way(lab, tun, kind):
    add(tun, lab, kind, 5000)
    with Capture(lab.real["rs1"], "eth0", BPF[kind.split("-")[0]]) as capture:
        assert both_ways(lab.client, lab.real["rs1"], VIP, 5000, 1 << 20) == CLIENT
    assert capture.lines


@pytest.mark.parametrize("kind", KINDS)
def test_a_megabyte_each_way_without_offloads(lab, tun, kind):
    for host in (lab.director, lab.client, lab.real["rs1"]):
        host.run("ethtool", "-K", "eth0", "gro", "off", "gso", "off", "tso", "off", "tx", "off")
    add(tun, lab, kind, 5000)
    assert both_ways(lab.client, lab.real["rs1"], VIP, 5000, 1 << 20) == CLIENT


@pytest.mark.parametrize("kind", KINDS)
def test_the_client_learns_the_mtu_of_the_tunnel(lab, tun, kind):
    add(tun, lab, kind, 5000)
    with Capture(lab.client, "eth0", "icmp", options=("-v",)) as capture:
        both_ways(lab.client, lab.real["rs1"], VIP, 5000, 1 << 18)
    text = "\n".join(capture.lines)
    allowed = {1500 - OVERHEAD[kind]} | ({1500 - 40} if kind == "gue-remcsum" else set())
    assert any(f"need to frag (mtu {mtu})" in text for mtu in allowed), text


@pytest.mark.parametrize("kind", KINDS)
def test_a_datagram_that_may_be_fragmented_is(lab, tun, kind):
    add(tun, lab, kind, 5353, "udp")
    data = bytes(range(250)) * 12
    with contextlib.closing(UdpEcho(lab.real["rs1"], 5353, address=VIP)):
        assert ask(lab.client, VIP, 5353, data) == b"rs1 " + data


def test_lines_are_ipvsadm_s(lab, ipvs, tun):
    """What ipvsadm saves is restored here, and saved as the same."""
    for number, kind in enumerate(KINDS):
        add_ipvs(ipvs, lab, kind, 5000 + number)
    saved = lab.director.run("ipvsadm-save", "-n").stdout
    ipvs.flush()
    tun.adm("restore", "-", stdin=saved)
    assert sorted(tun.adm("save").stdout.split("\n")) == sorted(saved.replace("  ", " ").split("\n"))
    dests = json.loads(tun.adm("dest", "list", "-j").stdout)["dests"]
    assert [d["tunnel"]["type"] for d in dests] == ["gre", "gre", "gue", "gue", "gue"]
    assert "tun gue:6080 remcsum" in tun.adm("dest", "list").stdout


def test_a_tunnel_is_changed_while_packets_travel(lab, tun):
    add(tun, lab, "gre", 5353, "udp")
    service, dest = f"udp/{VIP}:5353", f"{lab.addresses['rs1']}:5353"
    with contextlib.closing(UdpEcho(lab.real["rs1"], 5353, address=VIP)):
        for kind, options in (*KINDS.items(), ("ipip", ["--tun-type", "ipip"])):
            receive(lab, kind)
            tun.adm("dest", "set", service, dest, *options)
            assert ask(lab.client, VIP, 5353) == b"rs1 x"


def test_mode_local_serves_what_the_director_serves(lab, rvs):
    """Its connections are counted and limited as those of others."""
    rvs.adm("service", "add", f"udp/{VIP}:5353", "--scheduler", "rr")
    rvs.adm("dest", "add", f"udp/{VIP}:5353", "127.0.0.1:5353", "--mode", "local")
    with contextlib.closing(UdpEcho(lab.director, 5353, address=VIP)) as echo:
        assert ask(lab.client, VIP, 5353) == b"director x"
        assert echo.peers[0][0] == CLIENT
    (conn,) = rvs.json("conn", "list")["connections"]
    assert conn["mode"] == "local"
    rvs.adm("dest", "add", f"udp/{VIP}:5353", f"{DIRECTOR}:5353", "--mode", "local")
    saved = rvs.adm("save").stdout
    assert saved.count("--local") == 2
    rvs.adm("restore", "-", stdin=saved)
    assert rvs.adm("save").stdout == saved


@pytest.mark.parametrize("kind", ["ipip", "gre", "gue-csum"])
def test_an_error_about_the_tunnel_becomes_one_to_the_client(lab, tun, kind):
    """A router behind the director takes less than the director's device does."""
    far = "10.9.0.1"
    receive(lab, kind)
    lab.real["rs1"].ip(f"addr add {far}/32 dev lo")
    lab.router.sysctl(ipv4__conf__all__send_redirects=0, ipv4__conf__lan__send_redirects=0)
    lab.router.ip(f"route add {far}/32 via {lab.addresses['rs1']} dev lan mtu lock 1400")
    lab.director.ip(f"route add {far}/32 via {ROUTER}")
    tun.adm("service", "add", f"tcp/{VIP}:5000", "--scheduler", "rr")
    tun.adm("dest", "add", f"tcp/{VIP}:5000", f"{far}:5000", "--mode", "tun", *KINDS.get(kind, []))
    with Capture(lab.client, "eth0", "icmp", options=("-v",)) as capture:
        assert both_ways(lab.client, lab.real["rs1"], VIP, 5000, 1 << 18) == CLIENT
    text = "\n".join(capture.lines)
    mtu = 1400 - OVERHEAD.get(kind, 20)
    assert f"need to frag (mtu {mtu})" in text and "bad" not in text
    # The next one is answered by the director itself.
    assert "mtu 1400" in lab.director.run("ip", "route", "get", far).stdout
