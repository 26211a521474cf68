# SPDX-License-Identifier: GPL-2.0
"""The way of single packets through the director to real servers (DR), and what it answers."""

import struct

import pytest
from lab.director import Service
from lab.packets import (DF, ICMP, Tap, checksum, fragments, icmp, ipv4, mac_bytes, tcp, udp)
from lab.raw import _director_rvs, _lab, _rvs, _wire, counted, wait_until  # noqa: F401
from lab.topology import CLIENT, DIRECTOR, ROUTER, VIP

RS1, RS2, RS3 = (f"192.168.56.10{i}" for i in (1, 2, 3))
ELSEWHERE = "203.0.113.20"  # a virtual address that the director does not have itself


def dns(*addresses, vip=VIP):
    return Service([(a, 1) for a in addresses or (RS1,)], protocol="udp", port=53, vip=vip)


def query(port=5000, data=b"query", vip=VIP, **ip):
    return udp((CLIENT, port), (vip, 53), data, **ip)


def through(wire, *packets, at="rs1", count=1, vip=VIP):
    """Sends packets; what reaches a real server's device of them."""
    wire.clear()
    wire.send(*packets)
    return wire.real[at].see(lambda seen: seen.destination == vip, count, seconds=3)


def reassembled(pieces):
    """Payload of one packet that came in pieces."""
    data = {(piece.fragment & 0x1FFF) * 8: piece.payload for piece in pieces}
    whole = b""
    while len(whole) in data:
        whole += data[len(whole)]
    assert len(whole) == sum(len(part) for part in data.values()), "a hole, or overlaps"
    return whole


def test_only_ttl_and_frame_change(rvs, wire, lab):
    rvs.add(dns())
    packet = query(tos=0x2E, ident=4711)
    [seen] = through(wire, packet)
    assert seen.raw == packet[:8] + b"\x3f" + packet[9:10] + seen.raw[10:12] + packet[12:]
    assert seen.is_intact
    assert seen.destination_mac == lab.real["rs1"].mac("eth0")
    assert seen.source_mac == wire.director_mac


@pytest.mark.parametrize("ident", [0, 0x13FF, 0xFFFF])
def test_header_checksum_is_right_after_any_carry(rvs, wire, ident):
    """Packets whose checksums are all over the place, the corners 0xfeff and up included."""
    rvs.add(dns())
    packets = [query(ident=(ident + 257 * i) & 0xFFFF, tos=i) for i in range(64)]
    seen = through(wire, *packets, count=64)
    assert len(seen) == 64 and all(one.is_intact and one.ttl == 63 for one in seen)


def test_ttl_2_goes_on_as_1(rvs, wire):
    rvs.add(dns())
    [seen] = through(wire, query(ttl=2))
    assert seen.ttl == 1


@pytest.mark.parametrize("vip", [VIP, ELSEWHERE])
def test_ttl_1_is_answered_with_time_exceeded(rvs, wire, vip):
    rvs.add(dns(vip=vip))
    wire.clear()
    packet = query(ttl=1, vip=vip)
    wire.send(packet)
    [answer] = wire.tap.see(lambda seen: seen.protocol == ICMP)
    assert answer.icmp[:2] == (11, 0)
    assert answer.payload[8:28] == packet[:20]
    assert wire.took() == []


def test_time_exceeded_comes_from_the_director_where_the_vip_is_elsewhere(rvs, wire):
    rvs.add(dns(vip=ELSEWHERE))
    wire.clear()
    wire.send(query(port=5001, ttl=1, vip=ELSEWHERE))
    [answer] = wire.tap.see(lambda seen: seen.protocol == ICMP)
    assert (answer.source, answer.destination) == (DIRECTOR, CLIENT)


@pytest.fixture(name="narrow")
def _narrow(lab):
    """A path of 1000 bytes to rs1."""
    lab.director.ip(f"route add {RS1}/32 dev eth0 mtu 1000")
    yield 1000
    lab.director.ip(f"route del {RS1}/32 dev eth0")


def test_df_over_the_mtu_is_answered_with_the_mtu(rvs, wire, narrow):
    rvs.add(dns())
    before = rvs.counters()
    wire.clear()
    wire.send(query(data=b"x" * (narrow - 28), fragment=DF), query(data=b"x" * 973, fragment=DF))
    [answer] = wire.tap.see(lambda seen: seen.protocol == ICMP)
    assert answer.icmp == (3, 4, narrow)
    assert (answer.source, answer.destination) == (VIP, CLIENT)
    # The packet that fits exactly went on.
    assert [len(one.raw) for one in wire.real["rs1"].drain(lambda s: s.destination == VIP)] == [
        narrow
    ]
    counted(rvs, before, drop_too_big=1)


def test_without_df_a_packet_over_the_mtu_is_fragmented(rvs, wire, narrow):
    rvs.add(dns())
    before = rvs.counters()
    packet = query(data=bytes(i % 251 for i in range(1400)))
    pieces = through(wire, packet, count=2)
    assert len(pieces) == 2 and all(len(p.raw) <= narrow and p.is_intact for p in pieces)
    assert {p.ttl for p in pieces} == {63}
    assert {p.destination_mac for p in pieces} == {wire.lab.real["rs1"].mac("eth0")}
    assert reassembled(pieces) == packet[20:]
    counted(rvs, before, slow_xmit=1)


def test_a_change_of_the_path_s_mtu_is_followed(rvs, wire, lab):
    rvs.add(dns())
    big = query(data=b"x" * 1300, fragment=DF)
    assert len(through(wire, big)) == 1
    lab.director.ip(f"route add {RS1}/32 dev eth0 mtu 1200")
    wire.clear()
    wire.send(big)
    [answer] = wire.tap.see(lambda seen: seen.protocol == ICMP)
    assert answer.icmp == (3, 4, 1200)
    lab.director.ip(f"route del {RS1}/32 dev eth0")
    assert len(through(wire, big)) == 1


def test_a_change_of_the_device_s_mtu_is_followed(rvs, wire, lab):
    rvs.add(dns())
    big = query(data=b"x" * 1300, fragment=DF)
    assert len(through(wire, big)) == 1
    # Its peer still takes large frames: only what leaves is limited.
    lab.director.ip("link add narrow type dummy", "link del narrow")
    lab.director.ip("link set eth0 mtu 1496")
    wire.clear()
    wire.send(query(data=b"x" * 1472, fragment=DF))
    answers = wire.tap.see(lambda seen: seen.protocol == ICMP)
    lab.director.ip("link set eth0 mtu 1500")
    assert [answer.icmp for answer in answers] == [(3, 4, 1496)]
    assert len(through(wire, query(data=b"x" * 1472, fragment=DF))) == 1


def test_a_route_change_is_followed(rvs, wire, lab):
    rvs.add(dns())
    assert len(through(wire, query())) == 1
    lab.director.ip(f"route add {RS1}/32 via {RS2}")
    assert len(through(wire, query(), at="rs2")) == 1
    lab.director.ip(f"route del {RS1}/32 via {RS2}")
    assert len(through(wire, query())) == 1


def test_a_new_mac_of_a_real_server_is_followed(rvs, wire, lab):
    rvs.add(dns())
    assert len(through(wire, query())) == 1
    other = lab.real["rs2"].mac("eth0")
    lab.director.ip(f"neigh replace {RS1} lladdr {other} dev eth0 nud permanent")
    assert len(through(wire, query(), at="rs2")) == 1
    lab.director.ip(f"neigh del {RS1} dev eth0")
    assert len(through(wire, query())) == 1


def test_nothing_is_lost_while_the_neighbour_is_asked_for(rvs, wire, lab):
    rvs.add(dns())
    for _ in range(2):
        lab.director.ip(f"neigh flush to {RS1}")
        # Enough at once that most of them wait in the neighbour's queue.
        packets = [query(port=5100, data=bytes([i])) for i in range(20)]
        seen = through(wire, *packets, count=20)
        assert [one.payload[8:] for one in seen] == [bytes([i]) for i in range(20)]
        mac = lab.real["rs1"].mac("eth0")
        assert {(one.destination_mac, one.ttl) for one in seen} == {(mac, 63)}


def test_a_real_server_behind_a_gateway_is_reached(rvs, wire, lab):
    lab.director.ip(f"route add 10.9.9.0/24 via {RS2}")
    rvs.add(dns("10.9.9.9"))
    [seen] = through(wire, query(), at="rs2")
    assert seen.destination_mac == lab.real["rs2"].mac("eth0")
    lab.director.ip(f"route replace 10.9.9.0/24 via {RS3}")
    assert len(through(wire, query(), at="rs3")) == 1
    lab.director.ip(f"route del 10.9.9.0/24 via {RS3}")


def test_no_route_is_answered_with_host_unreachable_until_there_is_one(rvs, wire, lab):
    rvs.add(dns())
    lab.director.ip(f"route add unreachable {RS1}/32")
    before = rvs.counters()
    wire.clear()
    wire.send(query(port=5200))
    [answer] = wire.tap.see(lambda seen: seen.protocol == ICMP)
    assert answer.icmp[:2] == (3, 1)
    counted(rvs, before, drop_no_route=1)
    lab.director.ip(f"route del unreachable {RS1}/32")
    assert len(through(wire, query(port=5200))) == 1


def test_a_real_server_that_does_not_answer_arp_is_reported(rvs, wire, lab):
    rvs.add(dns("192.168.56.200"))
    wire.clear()
    lab.director.run("sysctl", "-qw", "net.ipv4.neigh.eth0.retrans_time_ms=100")
    wire.send(query(port=5201))
    answers = wire.tap.see(lambda seen: seen.protocol == ICMP, seconds=8)
    lab.director.run("sysctl", "-qw", "net.ipv4.neigh.eth0.retrans_time_ms=1000")
    assert [answer.icmp[:2] for answer in answers] == [(3, 1)]


def test_fragments_go_to_one_dest_whole(rvs, wire):
    rvs.add(dns(RS1, RS2, RS3))
    wire.clear()
    wholes = [query(port=5300 + i, data=bytes([i]) * 4000, ident=900 + i) for i in range(6)]
    pieces = [fragments(whole, 1400) for whole in wholes]
    # All flows in turn, the last piece first for every other one.
    for i, parts in enumerate(pieces):
        wire.send(*(reversed(parts) if i % 2 else parts))
    wire.settle()
    got = {name: tap.drain(lambda seen: seen.destination == VIP)
           for name, tap in wire.real.items()}
    for whole in wholes:
        ident = struct.unpack("!H", whole[4:6])[0]
        at = {name: [s for s in seen if s.raw[4:6] == whole[4:6]] for name, seen in got.items()}
        [parts] = [parts for parts in at.values() if parts]
        assert reassembled(parts) == whole[20:], ident
    assert rvs.counters()["conns_now"] == 6
    assert {len({s.raw[4:6] for s in seen}) for seen in got.values()} == {2}


def test_fragments_of_an_unfinished_packet_go_nowhere(rvs, wire):
    rvs.add(dns())
    wire.clear()
    wire.send(*fragments(query(data=b"x" * 4000, ident=77), 1400)[:-1])
    wire.settle()
    assert wire.took() == [] and rvs.counters()["conns_now"] == 0


@pytest.mark.parametrize("kind, code", [(3, 4), (3, 3), (11, 0), (12, 0)],
                         ids=["too-big", "port", "time", "parameter"])
def test_an_error_about_a_flow_reaches_its_real_server(rvs, wire, kind, code):
    rvs.add(dns(RS1, RS2, RS3))
    flows = [query(port=5400 + i) for i in range(3)]
    wire.clear()
    wire.send(*flows)
    wire.settle()
    whose = {seen.ports[0]: name for name, tap in wire.real.items()
             for seen in tap.drain(lambda s: s.destination == VIP)}
    assert len(set(whose.values())) == 3
    for port, name in whose.items():
        inner = udp((VIP, 53), (CLIENT, port), b"answer" * 50)[:28]
        error = icmp(ROUTER, VIP, kind, code, struct.pack("!HH", 0, 1300), inner)
        wire.clear()
        wire.send(error)
        wire.settle()
        [got] = [(n, s) for n, tap in wire.real.items()
                 for s in tap.drain(lambda s: s.destination == VIP)]
        assert got[0] == name
        assert got[1].payload == error[20:] and checksum(got[1].payload) == 0


def test_an_error_about_an_unknown_flow_stays(rvs, wire):
    rvs.add(dns(RS1, RS2, RS3))
    wire.clear()
    inner = udp((VIP, 53), (CLIENT, 5999))
    wire.send(icmp(ROUTER, VIP, 3, 3, data=inner))
    wire.settle()
    assert wire.took() == []


def test_the_director_answers_pings_to_a_vip_it_has(rvs, wire):
    rvs.add(dns())
    wire.clear()
    wire.send(icmp(CLIENT, VIP, 8, 0, b"\0\7\0\1", b"hello"))
    [answer] = wire.tap.see(lambda seen: seen.protocol == ICMP)
    assert answer.icmp[0] == 0 and (answer.source, answer.destination) == (VIP, CLIENT)
    assert wire.took() == []


def test_a_vip_need_not_be_on_the_director(rvs, wire):
    rvs.add(dns(vip=ELSEWHERE))
    assert len(through(wire, query(vip=ELSEWHERE), vip=ELSEWHERE)) == 1


def test_a_port_without_a_service_is_not_balanced(rvs, wire):
    rvs.add(dns())
    wire.clear()
    wire.send(udp((CLIENT, 5500), (VIP, 54)))
    [answer] = wire.tap.see(lambda seen: seen.protocol == ICMP)
    assert answer.icmp[:2] == (3, 3)
    assert wire.took() == [] and rvs.connections() == []


@pytest.mark.parametrize("mac", ["02:00:00:00:00:99", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01"],
                         ids=["other", "broadcast", "multicast"])
def test_frames_for_other_hosts_are_not_balanced(rvs, wire, lab, mac):
    rvs.add(dns())
    lab.director.ip("link set eth0 promisc on")
    wire.clear()
    wire.tap.send(mac_bytes(mac), query())
    wire.settle()
    lab.director.ip("link set eth0 promisc off")
    assert wire.took() == [] and rvs.connections() == []


@pytest.mark.parametrize("options", [b"\1\1\1\0", b"\x07\x07\x04\0\0\0\0\0"],
                         ids=["no-operation", "record-route"])
def test_ip_options_do_not_hinder(rvs, wire, options):
    rvs.add(dns())
    packet = query(options=options, data=b"with options")
    [seen] = through(wire, packet)
    assert seen.is_intact and seen.payload == packet[20 + len(options):]


def test_tcp_with_ip_options_keeps_its_connection(rvs, wire):
    service = Service([(RS1, 1), (RS2, 1)])
    rvs.add(service)
    wire.clear()
    for flags in (2, 16, 16):
        wire.send(tcp((CLIENT, 5600), (VIP, 80), flags, options=b"\2\4\5\xb4"))
    wire.settle()
    assert len(set(wire.took())) == 1
    assert [c["state"] for c in rvs.connections()] == ["established"]


def test_a_capture_on_the_director_shows_packets_as_they_came(rvs, wire, lab):
    """A tap shares the packet's memory: the header must be copied before it is written."""
    rvs.add(dns())
    with Tap(lab.director, "eth0", incoming_only=True) as tap:
        [seen] = through(wire, query(port=5700))
        [came] = tap.see(lambda s: s.destination == VIP)
    assert (came.ttl, seen.ttl) == (64, 63)
    assert came.is_intact and seen.is_intact


def test_a_vlan_is_a_path_to_and_from(rvs, wire, lab):
    director, server = lab.director, lab.real["rs1"]
    for host, address in ((director, "10.5.0.1"), (server, "10.5.0.2")):
        host.ip("link add link eth0 name eth0.5 type vlan id 5",
                f"addr add {address}/24 dev eth0.5", "link set eth0.5 up")
    rvs.add(dns("10.5.0.2"))
    with Tap(server, "eth0.5", incoming_only=True) as tap:
        wire.send(query(port=5800))
        assert len(tap.see(lambda s: s.destination == VIP)) == 1
        # The other way in: a tagged frame.
        frame = (mac_bytes(wire.director_mac) + wire.tap.mac + b"\x81\0\0\5\x08\0"
                 + query(port=5801))
        wire.tap.send_frame(frame)
        [seen] = tap.see(lambda s: s.destination == VIP)
        assert seen.ports[0] == 5801 and seen.ttl == 63
    for host in (director, server):
        host.ip("link del eth0.5")
    # Nothing of ours holds the device: it is gone, and so is the way.
    before = rvs.counters()
    wire.send(query(port=5802))
    wait_until(lambda: rvs.counters()["route_refreshes"] > before["route_refreshes"],
               "the way is looked up again")


RULES = """
table ip rvstest {
  chain pre { type filter hook prerouting priority 0; ct state invalid counter drop; }
  chain local { type filter hook input priority 0; ip daddr 203.0.113.10 udp dport 53 counter drop; }
  chain way { type filter hook forward priority 0; ip daddr 203.0.113.10 counter drop; }
  chain post { type nat hook postrouting priority 100; masquerade; }
}
"""


def test_conntrack_and_rules_do_not_hinder_and_see_no_balanced_packet(rvs, wire, lab):
    rvs.add(dns())
    lab.director.run("nft", "-f", "-", stdin=RULES)
    try:
        packets = [query(port=5900, data=bytes([i])) for i in range(5)]
        seen = through(wire, *packets, count=5)
        assert [(s.source, s.payload[8:]) for s in seen] == [
            (CLIENT, bytes([i])) for i in range(5)
        ]
        listed = lab.director.run("conntrack", "-L", "-p", "udp").stdout
        assert "dport=53" not in listed, listed
        # Fragments meet conntrack's defragmentation first.
        big = query(port=5901, data=b"y" * 3000, ident=55)
        pieces = through(wire, *fragments(big, 1400), count=3)
        assert reassembled(pieces) == big[20:]
        # What is not ours is still theirs.
        wire.send(icmp(CLIENT, VIP, 8, 0, b"\0\0\0\1"))
        wire.settle()
        assert "icmp" in lab.director.run("conntrack", "-L").stdout
    finally:
        lab.director.run("nft", "delete", "table", "ip", "rvstest")


def test_other_protocols_to_the_vip_are_left_to_the_host(rvs, wire):
    rvs.add(dns())
    wire.clear()
    wire.send(ipv4(CLIENT, VIP, 47, b"\0" * 16))
    wire.settle()
    assert wire.took() == []


def test_local_programs_reach_the_service(rvs, wire, lab):
    rvs.add(dns(vip=ELSEWHERE))
    wire.clear()
    lab.director.run("socat", "-u", "EXEC:echo hello", f"UDP4-SENDTO:{ELSEWHERE}:53,sourceport=6100")
    [seen] = wire.real["rs1"].see(lambda s: s.destination == ELSEWHERE)
    assert (seen.source, seen.ports, seen.ttl) == (DIRECTOR, (6100, 53), 64)
    assert rvs.counters()["conns_now"] == 1


def test_local_programs_hear_when_there_is_no_dest(rvs, lab):
    rvs.add(Service([], protocol="tcp", port=53, vip=ELSEWHERE))
    done = lab.director.run("socat", "-T3", "/dev/null",
                            f"TCP4:{ELSEWHERE}:53,connect-timeout=4", check=False)
    assert "refused" in done.stderr, done.stderr
