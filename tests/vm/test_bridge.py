# SPDX-License-Identifier: GPL-2.0
"""Directors and real servers on a bridge whose frames iptables sees (br_netfilter)."""

import contextlib

import pytest
from lab import shell
from lab.director import Service
from lab.packets import Tap, mac_bytes, udp
from lab.raw import _director_rvs, _rvs, _wire  # noqa: F401
from lab.topology import CLIENT, DIRECTOR, ROUTER, VIP, Lab
from lab.transfer import UdpEcho, ask, both_ways

CALLS = ["net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables"]
# The wire that a bridge of the director's leads to: rs3 is there, on the director's own network.
OTHER = "02:00:00:00:00:99"


@pytest.fixture(name="lab", scope="module")
def _lab():
    """The director's device and rs3's are ports of a bridge on the director."""
    shell.modprobe("br_netfilter")
    made = Lab(web=False)
    director, server = made.director, made.real["rs3"]
    mac = director.mac("eth0")
    made.router.ip("link del to-rs3")
    director.ip(
        "link add br0 type bridge forward_delay 0 mcast_snooping 0",
        f"link set br0 address {mac}", "link set br0 up", "link set eth0 master br0",
        "link add port3 type veth peer name eth0 netns rs3", "link set port3 up master br0",
        f"addr del {DIRECTOR}/24 dev eth0", f"addr add {DIRECTOR}/24 dev br0",
        f"route replace default via {ROUTER}",
    )
    server.ip("link set eth0 up", f"addr add {made.addresses['rs3']}/24 dev eth0",
              f"route replace default via {ROUTER}")
    made.prepare_dr()
    for name in CALLS:
        director.run("sysctl", "-qw", f"{name}=1")
    yield made
    made.close()
    # It shows rules the frames of every bridge that comes after it.
    shell.rmmod("br_netfilter")


def dns(lab, *names, mode="dr"):
    return Service([(lab.addresses[name], 1) for name in names], protocol="udp", port=53, mode=mode)


def test_frames_to_others_are_left_alone(lab, rvs, wire):
    """A bridge shows them as if they were this host's: those of flows that there are, too."""
    rvs.add(dns(lab, "rs1"))
    wire.clear()
    def came():
        return len(wire.real["rs1"].drain(lambda seen: seen.destination == VIP))

    wire.tap.send(mac_bytes(OTHER), udp((CLIENT, 5000), (VIP, 53), b"of others"))
    wire.settle()
    assert came() == 0 and rvs.connections() == []
    wire.send(udp((CLIENT, 5000), (VIP, 53), b"ours"))
    wire.settle()
    assert came() == 1 and len(rvs.connections()) == 1
    with Tap(lab.real["rs3"], "eth0", incoming_only=True) as beyond:
        wire.tap.send(mac_bytes(OTHER), udp((CLIENT, 5000), (VIP, 53), b"of others again"))
        # It is bridged, as it came.
        [seen] = beyond.see(lambda seen: seen.destination == VIP)
        assert seen.ttl == 64 and seen.destination_mac == OTHER
    assert came() == 0


@pytest.mark.parametrize("behind", [0, 1])
def test_replies_to_other_gateways_are_left_alone(lab, rvs, wire, behind):
    """A real server behind the bridge that answers by another router is not this host's matter."""
    if behind:
        shell.rmmod("rvs")
        shell.run("modprobe", "rvs", "local_in=1")
        lab.director.ip(f"route replace default via {ROUTER}")
    rvs.add(dns(lab, "rs3", mode="nat"))
    server = lab.addresses["rs3"]
    wire.send(udp((CLIENT, 5100), (VIP, 53), b"query"))
    wire.settle()
    assert len(rvs.connections()) == 1
    answer = udp((server, 53), (CLIENT, 5100), b"answer")
    with Tap(lab.real["rs3"], "eth0") as tap:
        wire.clear()
        tap.send(mac_bytes(OTHER), answer)
        tap.send(mac_bytes(wire.director_mac), answer)
        sources = [s.source for s in wire.tap.see(lambda s: s.destination == CLIENT, count=2)]
    # One as it was, which the bridge floods, one translated.
    assert sorted(sources) == sorted([server, VIP])
    if behind:
        rvs.flush()
        shell.rmmod("rvs")
        shell.modprobe("rvs")


@pytest.mark.parametrize("mode", ["dr", "nat"])
@pytest.mark.parametrize("name", ["rs1", "rs3"])
def test_real_servers_on_the_same_bridge_go_on_working(lab, rvs, mode, name):
    host = lab.real[name]
    with contextlib.ExitStack() as stack:
        if mode == "nat":
            host.ip(f"route replace default via {DIRECTOR}")
            stack.callback(host.ip, f"route replace default via {ROUTER}")
        rvs.add(dns(lab, name, mode=mode))
        rvs.add(Service([(lab.addresses[name], 1)], port=5000, mode=mode))
        address = VIP if mode == "dr" else lab.addresses[name]
        stack.enter_context(contextlib.closing(UdpEcho(host, 53, address=address)))
        assert ask(lab.client, VIP, 53, b"hello") == f"{name} hello".encode()
        assert both_ways(lab.client, host, VIP, 5000, 300_000) == CLIENT
