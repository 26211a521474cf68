# SPDX-License-Identifier: GPL-2.0
"""Local ports of FullNAT when there are few: whose is taken, whose is not, and when one is free."""

import time

import pytest
from lab.director import Service
from lab.fullnat import LOCALS
from lab.packets import ACK, FIN, RST, SYN, mac_bytes, tcp, udp
from lab.raw import _director_rvs, _lab, _rvs, _wire, counted, wait_until  # noqa: F401
from lab.topology import CLIENT, REAL_SERVERS, VIP

RS1 = REAL_SERVERS["rs1"]
WEB = Service([(RS1, 1)], mode="fullnat")
DNS = Service([(RS1, 1)], mode="fullnat", protocol="udp", port=53)


@pytest.fixture(name="local", autouse=True, scope="module")
def _local(lab, director_rvs):
    """One local address, and a client and a real server that answer nothing by themselves."""
    lab.director.ip(f"addr add {LOCALS[0]}/32 dev eth0")
    director_rvs.adm("laddr", "add", "--default", LOCALS[0])
    for host, what in ((lab.real["rs1"], "tcp dport 80"), (lab.real["rs1"], "udp dport 53"),
                       (lab.client, f"ip saddr {VIP}")):
        host.run("nft", "add table netdev sink; add chain netdev sink in "
                 "{ type filter hook ingress device eth0 priority 0; } ; "
                 f"add rule netdev sink in {what} drop")


def syn(source):
    return tcp((CLIENT, source), (VIP, 80), SYN)


def states(rvs):
    """State of each connection by its client's port."""
    return {int(c["client"].split(":")[1]): c["state"] for c in rvs.connections()}


def arrivals(wire):
    """Local ports of the SYNs that have come to the real server."""
    wire.settle()
    seen = wire.real["rs1"].drain(lambda seen: seen.protocol == 6 and seen.source == LOCALS[0])
    return [packet.ports[0] for packet in seen]


def answer(wire, local_port, flags):
    """A segment of the real server's."""
    segment = tcp((RS1, 80), (LOCALS[0], local_port), flags, seq=5000, ack=1001)
    wire.real["rs1"].send(mac_bytes(wire.director_mac), segment)


def begin(wire, source, establish=True):
    """A client's connection; returns its local port."""
    wire.clear()
    wire.send(syn(source))
    local_port, = arrivals(wire)
    if establish:
        answer(wire, local_port, SYN | ACK)
        wire.settle()
        wire.send(tcp((CLIENT, source), (VIP, 80), ACK))
        wire.settle()
    return local_port


def test_only_the_port_of_a_connection_that_is_over_is_taken(rvs, wire):
    rvs.adm("config", "set", "--local-ports", "6000-6004")
    rvs.add(WEB)
    # 1 is not answered, 2 stays, 3 is closed by the server, 4 by the client, 5 is reset.
    places = {source: begin(wire, source, establish=source != 1) for source in range(1, 6)}
    assert sorted(places.values()) == list(range(6000, 6005))
    answer(wire, places[3], FIN | ACK)
    wire.send(tcp((CLIENT, 4), (VIP, 80), FIN | ACK), tcp((CLIENT, 5), (VIP, 80), RST))
    wire.settle()
    before = {1: "syn-recv", 2: "established", 3: "fin-wait", 4: "close-wait"}
    wait_until(lambda: states(rvs) == before | {5: "close"}, "all are as they shall be")
    counters = rvs.counters()
    assert begin(wire, 6, establish=False) == places[5]
    assert states(rvs) == before | {6: "syn-recv"}
    # Of those that are left none is over.
    wire.clear()
    wire.send(syn(7), syn(8))
    assert not arrivals(wire)
    counted(rvs, counters, drop_no_port=2)
    # That the pool is full is remembered, but not when that changes.
    wire.send(tcp((CLIENT, 2), (VIP, 80), RST))
    wire.settle()
    assert begin(wire, 9) == places[2]
    counted(rvs, counters, drop_no_port=2)


def test_the_one_that_has_been_over_for_longest_goes(rvs, wire):
    rvs.adm("config", "set", "--local-ports", "6000-6004")
    rvs.add(WEB)
    for source in range(1, 6):
        begin(wire, source)
        wire.send(tcp((CLIENT, source), (VIP, 80), RST))
        wire.settle()
        # The clock of connections has ticks of some milliseconds.
        time.sleep(0.02)
    for source in range(6, 9):
        begin(wire, source)
        closed = [port for port, state in states(rvs).items() if state == "close"]
        assert min(closed) == source - 4


def test_datagrams_do_not_take_each_others_ports(rvs, wire):
    """And a pool is used up to its last port, also a large one; then all are refused."""
    rvs.adm("config", "set", "--local-ports", "6000-6299")
    rvs.add(DNS)
    before = rvs.counters()
    flows = [udp((CLIENT, 1000 + i), (VIP, 53)) for i in range(300)]
    for _ in range(3):
        # Who finds none asks again.
        wire.send(*flows)
        wire.settle()
    assert rvs.counters()["conns_now"] == 300
    refused = rvs.counters()["drop_no_port"] - before["drop_no_port"]
    assert refused < 30, "they were found until few were left"
    before = rvs.counters()
    wire.send(*(udp((CLIENT, 2000 + i), (VIP, 53)) for i in range(200)))
    wire.settle()
    counted(rvs, before, drop_no_port=200)
    assert rvs.counters()["conns_now"] == 300
    rvs.adm("conn", "flush")
    before = rvs.counters()
    wire.send(udp((CLIENT, 3000), (VIP, 53)))
    wire.settle()
    counted(rvs, before)
    assert rvs.counters()["conns_now"] == 1
