# SPDX-License-Identifier: GPL-2.0
"""A device that gives its frames to RVS: odd frames are the stack's, and what changes on their way holds for
the next frame."""

import contextlib
import struct

import pytest
from lab import shell
from lab.director import Service
from lab.netns import wait_until
from lab.packets import ETH_IP, ETH_IPV6, ICMP, UDP, fragments, icmp, ipv4, mac_bytes, tcp, udp
from lab.raw import _director_rvs, _lab, _rvs, _wire  # noqa: F401
from lab.topology import CLIENT, VIP

FLOW = ((CLIENT, 40000), (VIP, 5353))
RS1 = "192.168.56.101"
NO_OPERATION = b"\1\1\1\1"
TAGGED = 0x8100


@pytest.fixture(name="attached", scope="module")
def _attached(lab, wire, director_rvs):  # noqa: F811
    """Both ends of the director's wire, whose frames have whole sums."""
    for host, device in ((lab.router, "to-director"), (lab.director, "eth0")):
        host.run("ethtool", "-K", device, "tx", "off")
        host.run("rvsadm", "xdp", "attach", device)
    lab.director.ip(f"neigh replace {RS1} lladdr {lab.real['rs1'].mac('eth0')} dev eth0 nud permanent")
    yield
    # Without services it is the programs that hold it.
    director_rvs.flush()
    assert shell.run("rmmod", "rvs", check=False).returncode
    shell.run("rvsadm", "unload")


@pytest.fixture(name="flow")
def _flow(lab, wire, rvs, attached):  # noqa: F811
    """A flow to rs1 by dr that is established: returns what sends the next of its datagrams."""
    rvs.add(Service([(lab.addresses["rs1"], 1)], protocol="udp", port=5353))
    wire.send(udp(*FLOW, b"first"))
    assert wire.real["rs1"].see(lambda seen: seen.payload[8:] == b"first")
    wire.clear()

    def send(data=b"next", **ip):
        wire.send(udp(*FLOW, data, **ip))

    return send


def taken(rvs):
    """Frames that were taken so far."""
    return rvs.counters()["xdp_taken"]


def goes(rvs, wire, flow, is_taken=True, name="rs1"):
    """The next datagram of the flow arrives, at the device or through the stack."""
    assert arrives_taken(rvs, wire, flow, name) is is_taken, rvs.counters()


def arrives_taken(rvs, wire, flow, name):
    """Whether the next datagram, which arrives, was taken at the device."""
    before = taken(rvs)
    wire.real[name].drain()
    flow()
    assert wire.real[name].see(lambda seen: seen.payload[8:] == b"next"), f"{name} gets nothing"
    return taken(rvs) > before


def comes_to_go(rvs, wire, flow, is_taken):
    """As soon as the worker has seen that rules have come or gone."""
    wait_until(lambda: arrives_taken(rvs, wire, flow, "rs1") is is_taken, f"taken: {is_taken}")


def odd(wire, lab):
    """Frames by what is odd about them."""
    to, own = mac_bytes(wire.director_mac), wire.tap.mac

    def frame(packet, kind=ETH_IP, mac=to, tag=None):
        tags = b"" if tag is None else struct.pack("!HH", TAGGED, tag)
        return mac + own + tags + struct.pack("!H", kind) + packet

    whole = udp(*FLOW, b"datagram")
    wrong = whole[:10] + b"\xff\xff" + whole[12:]
    yield "as usual", [frame(whole)]
    yield "filled up", [frame(whole + bytes(20))]
    yield "TCP of no connection", [frame(tcp(*FLOW, 16))]
    yield "another's", [frame(whole, mac=mac_bytes(lab.real["rs2"].mac("eth0")))]
    yield "everybody's", [frame(whole, mac=b"\xff" * 6)]
    yield "cut off in the header", [frame(whole[:18])]
    yield "cut off in UDP's", [frame(whole[:24])]
    yield "shorter than it says", [frame(udp(*FLOW, b"datagram", total_len=200))]
    yield "shorter than its header", [frame(udp(*FLOW, b"datagram", total_len=16))]
    yield "UDP longer than it is", [frame(udp(*FLOW, b"datagram", length=100))]
    yield "UDP shorter than UDP", [frame(udp(*FLOW, b"datagram", length=4))]
    yield "of version 5", [frame(udp(*FLOW, b"datagram", version=5))]
    yield "of version 6 in IPv4's type", [frame(udp(*FLOW, b"datagram", version=6))]
    yield "in IPv6's type", [frame(whole, ETH_IPV6)]
    yield "a short header", [frame(udp(*FLOW, b"datagram", ihl=4))]
    yield "a header longer than all", [frame(udp(*FLOW, b"", ihl=15))]
    yield "a wrong sum", [frame(wrong)]
    yield "at its last hop", [frame(udp(*FLOW, b"datagram", ttl=1))]
    yield "behind options", [frame(udp(*FLOW, b"datagram", options=NO_OPERATION))]
    pieces = fragments(udp(*FLOW, b"f" * 100, ident=9), 56)
    yield "in fragments", [frame(piece) for piece in pieces]
    yield "a priority, which is no VLAN", [frame(whole, tag=5 << 13)]
    yield "of a VLAN that is not there", [frame(whole, tag=7)]
    yield "a frame of a type that nobody has", [frame(whole, 0x88B5)]
    yield "another protocol", [frame(ipv4(CLIENT, VIP, 47, bytes(20)))]
    yield "a ping of the virtual address", [frame(icmp(CLIENT, VIP, 8, 0))]
    long = udp(*FLOW, b"l" * 1400)
    yield "too long for the way, in pieces", [frame(long)]
    yield "too long for the way, whole", [frame(udp(*FLOW, b"l" * 1400, fragment=0x4000))]


def arrived(wire, frames):
    """What of them reaches rs1. The last one has options, so it goes through the stack and overtakes none."""
    wire.clear()
    for frame in frames:
        wire.tap.send_frame(frame)
    wire.send(udp(*FLOW, b"last", options=NO_OPERATION))
    seen = []

    def is_last(packet):
        seen.append(packet)
        return packet.payload[8:] == b"last"

    assert wire.real["rs1"].see(is_last), "the last one does not arrive"
    return [packet.raw[:packet.total_len] for packet in seen[:-1] if packet.protocol in (ICMP, UDP)]


def test_odd_frames_reach_whom_they_reach_through_the_stack(lab, wire, rvs, flow):  # noqa: F811
    goes(rvs, wire, flow)
    lab.director.ip(f"route add {RS1}/32 dev eth0 mtu 1300")
    # The stack looks the way up anew.
    flow()
    frames = list(odd(wire, lab))
    before = taken(rvs)
    at_device = {name: arrived(wire, those) for name, those in frames}
    took = taken(rvs) - before
    rvs.adm("xdp", "detach", "eth0")
    through_stack = {name: arrived(wire, those) for name, those in frames}
    rvs.adm("xdp", "attach", "eth0")
    lab.director.ip(f"route del {RS1}/32")
    assert took == 2, "more than what is usual is taken, or less"
    different = {name: (at_device[name], seen) for name, seen in through_stack.items() if at_device[name] != seen}
    assert not different
    assert len(through_stack["in fragments"]) == 1 and len(through_stack["too long for the way, in pieces"]) == 2


def test_what_changes_on_the_way_holds_for_the_next_frame(lab, wire, rvs, flow):  # noqa: F811
    director, (first, second) = lab.director, (lab.real[name].mac("eth0") for name in ("rs1", "rs2"))
    goes(rvs, wire, flow)
    director.ip(f"neigh replace {RS1} lladdr {second} dev eth0 nud permanent")
    goes(rvs, wire, flow, name="rs2")
    director.ip(f"neigh del {RS1} dev eth0")
    goes(rvs, wire, flow, is_taken=False)
    director.ip(f"neigh replace {RS1} lladdr {first} dev eth0 nud permanent")
    # The stack looks a way up that is no longer good.
    flow()
    goes(rvs, wire, flow)
    director.ip(f"neigh replace 192.168.56.102 lladdr {second} dev eth0 nud permanent",
                f"route add {RS1}/32 via 192.168.56.102")
    goes(rvs, wire, flow, is_taken=False, name="rs2")
    goes(rvs, wire, flow, name="rs2")
    director.ip(f"route del {RS1}/32")
    flow()
    goes(rvs, wire, flow)
    director.ip(f"route add {RS1}/32 dev eth0 mtu 1000")
    flow()
    goes(rvs, wire, flow)
    before = rvs.counters()
    flow(b"l" * 1200, fragment=0x4000)
    assert wire.tap.see(lambda seen: seen.protocol == ICMP and seen.icmp == (3, 4, 1000)), "nobody is told"
    after = rvs.counters()
    assert after["xdp_taken"] == before["xdp_taken"]
    assert after["drop_too_big"] - before["drop_too_big"] == 1
    director.ip(f"route del {RS1}/32")
    for mtu in (1400, 1500):
        director.ip(f"link set eth0 mtu {mtu}")
        flow()
        goes(rvs, wire, flow)


def test_rules_settings_and_dests_are_heeded(lab, wire, rvs, flow):  # noqa: F811
    lab.director.run("nft", "-f", "-", stdin="""table ip t { chain c {
        type filter hook postrouting priority 0; ip daddr 192.0.2.1 drop
    }
    }""")
    comes_to_go(rvs, wire, flow, is_taken=False)
    lab.director.run("nft", "delete", "table", "ip", "t")
    comes_to_go(rvs, wire, flow, is_taken=True)
    # What is dropped while memory is short are new flows.
    rvs.adm("config", "set", "--drop-packet", "on", "--drop-rate", "1")
    goes(rvs, wire, flow)
    wire.real["rs1"].drain()
    wire.send(udp((CLIENT, 40001), FLOW[1], b"new"))
    wire.settle()
    assert rvs.counters()["drop_overload"] == 1 and not wire.took()
    rvs.adm("config", "set", "--drop-packet", "off")
    # Its connections are cared for in the stack.
    rvs.adm("dest", "del", "udp/203.0.113.10:5353", f"{RS1}:5353")
    before = taken(rvs)
    flow()
    wire.settle()
    assert taken(rvs) == before


def test_rules_at_ingress_are_named(lab, rvs, flow):  # noqa: F811
    rvs.adm("xdp", "detach", "eth0")
    lab.director.run("tc qdisc add dev eth0 clsact")
    lab.director.run("tc filter add dev eth0 ingress pref 7 matchall action ok")
    lab.director.run("nft", "-f", "-", stdin="""table netdev t { chain early {
        type filter hook ingress device eth0 priority 0
    }
    }""")
    said = rvs.adm("xdp", "attach", "eth0").stderr
    lab.director.run("tc qdisc del dev eth0 clsact")
    lab.director.run("nft", "delete", "table", "netdev", "t")
    assert "ingress of eth0" in said and "tc filter matchall, pref 7" in said and "chain early of netdev t" in said
    # A device has one program.
    again = rvs.adm("xdp", "attach", "eth0", check=False)
    assert again.returncode == 1 and "has a program for XDP already" in again.stderr


@contextlib.contextmanager
def no_jit():
    """Programs are not compiled."""
    path = "/proc/sys/net/core/bpf_jit_enable"
    with open(path, "w", encoding="ascii") as f:
        f.write("0")
    try:
        yield
    finally:
        with open(path, "w", encoding="ascii") as f:
            f.write("1")


def test_without_a_compiler_of_programs_attach_says_so(lab, rvs, attached):  # noqa: F811
    rvs.adm("xdp", "detach", "eth0")
    with no_jit():
        refused = rvs.adm("xdp", "attach", "eth0", check=False)
    assert refused.returncode == 1 and "/proc/sys/net/core/bpf_jit_enable" in refused.stderr
    rvs.adm("xdp", "attach", "eth0")
