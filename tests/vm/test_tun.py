# SPDX-License-Identifier: GPL-2.0
"""TUN: packets travel unchanged in IPIP to a dest, which answers the client itself."""

import contextlib

import pytest
from lab.capture import Capture
from lab.director import Service
from lab.topology import CLIENT, DIRECTOR, VIP
from lab.transfer import UdpEcho, ask, both_ways
from lab.web import get, sequence

MEGABYTE = 1 << 20


@pytest.fixture(name="tun")
def _tun(lab, rvs):
    lab.prepare_tun()
    return rvs


def one(lab, port, protocol="tcp"):
    return Service([(lab.addresses["rs1"], 1)], mode="tun", port=port, protocol=protocol)


@pytest.mark.usefixtures("web")
def test_requests_are_served_in_turn_and_show_the_client(lab, tun):
    tun.add(Service([(address, 1) for address in lab.addresses.values()], mode="tun"))
    seen = sequence(lab.client, VIP, 6)
    assert sorted(seen[:3]) == ["rs1", "rs2", "rs3"] and seen[3:] == seen[:3]
    assert lab.web["rs1"].log()[-1][0] == CLIENT
    assert lab.web["rs1"].log()[-1][2] == VIP


def on_the_wire(lab, data):
    """The packet that reaches rs1 for a datagram of the client, byte for byte."""
    with (
        contextlib.closing(UdpEcho(lab.real["rs1"], 5353, address=VIP)),
        Capture(lab.real["rs1"], "eth0", "ip proto 4", options=("-x",)) as capture,
        lab.client.inside(),
    ):
        ask(lab.client, VIP, 5353, data)
    return [line.strip() for line in capture.lines if line.startswith("\t")]


def test_the_tunnel_looks_as_ip_vs_s(lab, ipvs, tun):
    """All bytes of outer and inner header: DF of the client's datagrams is set, so no id differs."""
    ipvs.add(one(lab, 5353, "udp"))
    expected = on_the_wire(lab, b"the same bytes")
    ipvs.flush()
    tun.add(one(lab, 5353, "udp"))
    found = on_the_wire(lab, b"the same bytes")
    assert expected and mask(found) == mask(expected)


def mask(lines):
    """Without what differs between any two datagrams: ids, checksums over them, source port."""
    words = " ".join(line.split(":", 1)[1].strip() for line in lines).split()
    for at in (2, 5, 12, 15, 20, 23):
        words[at] = "...."
    return words


def test_the_client_learns_the_mtu_of_the_tunnel(lab, tun):
    """A full-sized packet does not fit with the outer header: its sender is told what does."""
    tun.add(one(lab, 5000))
    with Capture(lab.client, "eth0", "icmp", options=("-v",)) as capture:
        both_ways(lab.client, lab.real["rs1"], VIP, 5000, MEGABYTE // 4)
    assert "need to frag (mtu 1480)" in "\n".join(capture.lines)


def test_a_datagram_that_may_be_fragmented_is(lab, tun):
    tun.add(one(lab, 5353, "udp"))
    data = bytes(range(250)) * 12
    with contextlib.closing(UdpEcho(lab.real["rs1"], 5353, address=VIP)):
        assert ask(lab.client, VIP, 5353, data) == b"rs1 " + data


@pytest.mark.usefixtures("web")
def test_a_program_on_the_director_gets_through(lab, tun):
    """With the virtual address elsewhere: a program's own address is then its source."""
    lab.director.ip(f"addr del {VIP}/32 dev lo", f"route add {VIP}/32 via {lab.addresses['rs1']}")
    tun.add(one(lab, 80))
    assert get(lab.director, VIP) == "rs1"
    assert lab.web["rs1"].log()[-1][0] == DIRECTOR
