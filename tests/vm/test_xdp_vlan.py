# SPDX-License-Identifier: GPL-2.0
"""Frames with tags of VLANs, at a device that gives its frames to RVS: what leaves, by which VLAN, is what
leaves through the stack."""

import contextlib
import socket
import struct

import pytest
from lab import shell
from lab.director import Service
from lab.netns import wait_until
from lab.packets import ETH_IP, Tap, mac_bytes, udp
from lab.raw import _director_rvs, _lab, _rvs, _wire  # noqa: F401
from lab.topology import CLIENT, VIP

FIRST_PORT = 5353
# Where rs1 is reached: plainly, by a VLAN, and by another one.
PLACES = {None: "192.168.56.101", 10: "10.10.0.101", 20: "10.20.0.101"}
NO_OPERATION = b"\1\1\1\1"
# Its device on the director is down; of another namespace; another's address; there is none.
DOWN, ELSEWHERE, MOVED, MISSING = 30, 40, 50, 60
TAG, OUTER = 0x8100, 0x88A8
PRIORITY = 5 << 13
SOL_PACKET, PACKET_AUXDATA, VLAN_VALID = 263, 8, 1 << 4


class Server(Tap):
    """rs1's device: what comes by it with which tag."""

    def __init__(self, lab):
        super().__init__(lab.real["rs1"], "eth0", incoming_only=True)
        self._socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)

    def _read(self):
        """The tag, None without one, and the packet without what fills a frame up."""
        data, messages, _, address = self._socket.recvmsg(70000, 256)
        status, _, _, _, _, tag, _ = struct.unpack("=3I4H", messages[0][2][:20])
        if address[1] != ETH_IP:
            return None
        head, packet = data[:14], data[14:]
        return tag if status & VLAN_VALID else None, packet[:struct.unpack("!H", packet[2:4])[0]], head[6:12]

    def after(self, wire, frames, last):
        """What comes of frames: LAST is a packet that the stack sends on behind them."""
        self.drain()
        for one in frames:
            wire.tap.send_frame(one)
        # Those that were taken leave at the end of a round of the device's.
        wire.settle()
        wire.send(last)
        seen = []

        def is_last(one):
            seen.append(one)
            return one[1][-4:] == b"last"

        assert self.see(is_last), "the last one does not arrive"
        return [(tag, packet) for tag, packet, _ in seen[:-1] if socket.inet_aton(CLIENT) in packet[:20]]


@pytest.fixture(name="vlans", scope="module")
def _vlans(lab, wire, director_rvs):  # noqa: F811
    """VLANs on the director and on rs1, which the router's bridge passes on."""
    shell.modprobe("8021q")
    director, server = lab.director, lab.real["rs1"]
    for host, number in ((director, 118), (server, 101)):
        host.ip(*(line for vlan in (10, 20) for line in (
            f"link add link eth0 name eth0.{vlan} type vlan id {vlan}",
            f"addr add 10.{vlan}.0.{number}/24 dev eth0.{vlan}", f"link set eth0.{vlan} up")))
    for vlan in (10, 20):
        director.ip(f"neigh replace 10.{vlan}.0.101 lladdr {server.mac(f'eth0.{vlan}')} dev eth0.{vlan} nud permanent")
    director.ip(
        f"neigh replace 192.168.56.101 lladdr {server.mac('eth0')} dev eth0 nud permanent",
        *(f"link add link eth0 name eth0.{vlan} type vlan id {vlan}" for vlan in (DOWN, ELSEWHERE, MOVED)),
        f"link set eth0.{MOVED} address 02:00:00:00:00:50 up", f"link set eth0.{ELSEWHERE} netns {lab.client.name}")
    # A device that takes tags out of frames hides whose they are.
    for mode in ("native", "generic"):
        refused = director_rvs.adm("xdp", "attach", "eth0", "--mode", mode, check=False)
        assert refused.returncode == 1 and "ethtool -K eth0 rxvlan off" in refused.stderr
    refused = director_rvs.adm("xdp", "attach", "eth0.10", check=False)
    assert refused.returncode == 1 and "rvsadm xdp attach eth0:" in refused.stderr
    lab.router.run("ethtool", "-K", "to-director", "tx", "off", "txvlan", "off")
    lab.router.run("rvsadm", "xdp", "attach", "to-director")
    director.run("ethtool", "-K", "eth0", "tx", "off", "rxvlan", "off")
    yield
    director_rvs.flush()
    shell.run("rvsadm", "unload")


@contextlib.contextmanager
def attached(rvs):
    """The director's frames are RVS's; what was said of it."""
    said = rvs.adm("xdp", "attach", "eth0").stderr
    try:
        yield said
    finally:
        rvs.adm("xdp", "detach", "eth0")


@pytest.fixture(name="flows")
def _flows(lab, wire, rvs, vlans):  # noqa: F811
    """An established flow to rs1 at each of its places, by a port each; returns the port by place."""
    ports = dict(zip(PLACES, range(FIRST_PORT, FIRST_PORT + len(PLACES))))
    for place, port in ports.items():
        rvs.add(Service([(PLACES[place], 1)], protocol="udp", port=port))
        wire.send(udp((CLIENT, 40000), (VIP, port), b"first"))
    wire.settle()
    return ports


def frame(wire, packet, *tags, mac=None):
    """One for the director, with those tags, each (kind, TCI) or a TCI."""
    pairs = [tag if isinstance(tag, tuple) else (TAG, tag) for tag in tags]
    head = b"".join(struct.pack("!HH", *pair) for pair in pairs)
    return (mac or mac_bytes(wire.director_mac)) + wire.tap.mac + head + struct.pack("!H", ETH_IP) + packet


def sent(lab, wire, those):
    """What reaches rs1 of frames."""
    last = udp((CLIENT, 40000), (VIP, FIRST_PORT), b"last", options=NO_OPERATION)
    with Server(lab) as server:
        return server.after(wire, those, last)


def until_taken(wire, rvs, one):
    """Sends a frame until it is taken: the stack looks a way up that is no longer good."""
    def goes():
        before = rvs.counters()["xdp_taken"]
        wire.tap.send_frame(one)
        wire.settle()
        return rvs.counters()["xdp_taken"] > before

    wait_until(goes, "it is taken")


def same(lab, wire, rvs, those, taken):
    """Frames reach whom they reach through the stack, so many TAKEN at the device; returns by which VLANs."""
    by_stack = sent(lab, wire, those)
    with attached(rvs):
        before = rvs.counters()["xdp_taken"]
        at_device = sent(lab, wire, those)
        assert rvs.counters()["xdp_taken"] - before == taken, rvs.counters()
    # One that is taken may overtake one that is not.
    assert sorted(at_device, key=str) == sorted(by_stack, key=str)
    return [tag for tag, _ in by_stack]


def test_tags_are_put_in_changed_and_taken_out(lab, wire, rvs, flows):  # noqa: F811
    pairs = [(come, out) for come in PLACES for out in PLACES]
    those = [frame(wire, udp((CLIENT, 40000), (VIP, flows[out]), b"next"), *([PRIORITY | come] if come else []))
             for come, out in pairs]
    assert same(lab, wire, rvs, those, taken=len(pairs)) == [out for _, out in pairs]


def test_what_else_has_tags_is_the_stacks(lab, wire, rvs, flows):  # noqa: F811
    packet = udp((CLIENT, 40000), (VIP, flows[10]), b"next")

    def tagged(*tags, **how):
        return frame(wire, packet, *tags, **how)

    moved = mac_bytes("02:00:00:00:00:50")
    those = [
        tagged(DOWN), tagged(ELSEWHERE), tagged(MISSING), tagged(10, 20), tagged((OUTER, 10)), tagged((OUTER, 10), 20),
        # The VLAN's own address counts.
        tagged(10, mac=moved), tagged(MOVED), frame(wire, packet[:21], 10), frame(wire, b"", 10), tagged(10)[:16],
        # A priority alone is no VLAN's.
        tagged(PRIORITY),
    ]
    assert same(lab, wire, rvs, those, taken=0) == [10, 10]
    assert same(lab, wire, rvs, [tagged(MOVED, mac=moved)], taken=1) == [10]


def test_what_the_device_of_the_vlan_is_set_to_holds(lab, wire, rvs, flows):  # noqa: F811
    director = lab.director
    long, short = (frame(wire, udp((CLIENT, 40000), (VIP, flows[10]), b"l" * size)) for size in (1400, 1000))
    director.ip("link set eth0.10 mtu 1300")
    # In two fragments.
    assert same(lab, wire, rvs, [short, long], taken=1) == [10] * 3
    director.ip("link set eth0.10 mtu 1500")
    assert same(lab, wire, rvs, [short, long], taken=2) == [10, 10]
    # Priorities are the stack's.
    director.ip("link set eth0.10 type vlan egress-qos-map 0:3")
    assert same(lab, wire, rvs, [short], taken=0) == [3 << 13 | 10]
    director.ip("link set eth0.10 type vlan egress-qos-map 0:0")
    assert same(lab, wire, rvs, [short], taken=1) == [10]
    director.ip("link set eth0.10 address 02:00:00:00:00:10")
    with attached(rvs), Server(lab) as server:
        until_taken(wire, rvs, short)
        seen = [one for one in server.drain() if len(one[1]) > 1000]
        assert seen and all((tag, source.hex(":")) == (10, "02:00:00:00:00:10") for tag, _, source in seen)
    director.ip(f"link set eth0.10 address {wire.director_mac}")


def test_tunnels_leave_by_vlans(lab, wire, rvs, flows):  # noqa: F811
    rvs.add(Service([(PLACES[20], 1)], mode="tun", protocol="udp", port=6000))
    packet = udp((CLIENT, 40000), (VIP, 6000), b"next")
    wire.send(packet)
    wire.settle()
    with attached(rvs), Server(lab) as server:
        for tags in ([], [10], [20]):
            until_taken(wire, rvs, frame(wire, packet, *tags))
        outer = server.see(lambda seen: seen[1][9] == 4, count=3)
        assert len(outer) == 3
    for tag, whole, _ in outer:
        inner = whole[20:]
        # One hop less.
        assert tag == 20 and inner[8] == packet[8] - 1 and inner[12:] == packet[12:]


def test_rules_at_the_ingress_of_vlans_are_named(lab, rvs, vlans):  # noqa: F811
    lab.director.run("tc qdisc add dev eth0.10 clsact")
    lab.director.run("tc filter add dev eth0.10 ingress pref 9 matchall action ok")
    with attached(rvs) as said:
        assert "ingress of eth0.10" in said and "tc filter matchall, pref 9" in said
        assert "tx off txvlan off" in said
    lab.director.run("tc qdisc del dev eth0.10 clsact")
