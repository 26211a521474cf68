# SPDX-License-Identifier: GPL-2.0
"""Which flows go on, move, are refused or start anew when the configuration changes."""

import pytest
from lab.director import Service
from lab.fixtures import lab_of_file
from lab.packets import ACK, RST, SYN, tcp, udp
from lab.raw import _director_rvs, _ipvs, _rvs, _wire, counted  # noqa: F401
from lab.session import Session
from lab.topology import CLIENT, VIP, Lab
from lab.web import get


# nginx and the virtual address on every real server.
_lab = lab_of_file(prepare=Lab.prepare_dr)


def web(lab, weights=(1, 1, 1), **kwargs):
    return Service(list(zip(lab.addresses.values(), weights)), **kwargs)


def dns(lab, weights=(1, 1, 1)):
    return web(lab, weights, protocol="udp", port=53)


def dest_id(lab, service, name):
    return f"{lab.addresses[name]}:{service.port}"


def set_weight(lab, rvs, service, name, weight):
    rvs.adm("dest", "set", service.id, dest_id(lab, service, name), "--weight", weight)


def remove(lab, rvs, service, name):
    rvs.adm("dest", "del", service.id, dest_id(lab, service, name))


def test_tcp_goes_on_when_its_dest_gets_weight_0(lab, rvs):
    service = web(lab)
    rvs.add(service)
    with Session(lab.client, VIP) as session:
        name = session.ask()
        for other in lab.real:
            set_weight(lab, rvs, service, other, 0 if other == name else 7)
        assert [session.ask() for _ in range(3)] == [name] * 3
        assert name not in {get(lab.client, VIP) for _ in range(6)}


def test_tcp_goes_on_when_its_dest_is_removed(lab, rvs):
    service = web(lab)
    rvs.add(service)
    with Session(lab.client, VIP) as session:
        name = session.ask()
        remove(lab, rvs, service, name)
        assert [session.ask() for _ in range(3)] == [name] * 3
        assert name not in {get(lab.client, VIP) for _ in range(4)}


def test_tcp_goes_on_when_its_service_is_removed(lab, rvs):
    service = web(lab)
    rvs.add(service)
    with Session(lab.client, VIP) as session:
        name = session.ask()
        rvs.adm("service", "del", service.id)
        assert [session.ask() for _ in range(3)] == [name] * 3
        with pytest.raises(ConnectionRefusedError):
            get(lab.client, VIP)


def test_tcp_goes_on_when_its_service_is_removed_and_added_again(lab, rvs):
    service = web(lab)
    rvs.add(service)
    with Session(lab.client, VIP) as session:
        name = session.ask()
        rvs.adm("service", "del", service.id)
        rvs.add(service)
        assert [session.ask() for _ in range(3)] == [name] * 3


def test_expire_nodest_ends_tcp_of_a_removed_dest(lab, rvs):
    service = web(lab)
    rvs.add(service)
    rvs.adm("config", "set", "--expire-nodest", "on")
    with Session(lab.client, VIP) as session:
        name = session.ask()
        before = rvs.counters()
        remove(lab, rvs, service, name)
        with pytest.raises(ConnectionResetError):
            session.ask()
        counted(rvs, before, drop_dest_gone=1)
        # The same source port is free to start anew, elsewhere.
        port = session.source_port
        session.close()
        assert get(lab.client, VIP, source_port=port) != name


def test_expire_nodest_leaves_tcp_of_other_dests_alone(lab, rvs):
    service = web(lab)
    rvs.add(service)
    rvs.adm("config", "set", "--expire-nodest", "on")
    with Session(lab.client, VIP) as session:
        name = session.ask()
        for other in set(lab.real) - {name}:
            remove(lab, rvs, service, other)
        assert session.ask() == name


def test_udp_flow_of_a_removed_dest_moves_with_its_next_packet(lab, rvs, wire):
    service = dns(lab)
    rvs.add(service)
    query = udp((CLIENT, 5000), (VIP, 53), b"query")
    wire.clear()
    wire.send(query, query)
    wire.settle()
    first, again = wire.took()
    assert first == again
    remove(lab, rvs, service, first)
    wire.send(query, query)
    wire.settle()
    moved = wire.took()
    assert len(moved) == 2 and len(set(moved)) == 1 and moved[0] != first
    assert [c["dest"] for c in rvs.connections()] == [dest_id(lab, service, moved[0])]


def test_udp_flow_goes_on_when_its_dest_gets_weight_0(lab, rvs, wire):
    service = dns(lab)
    rvs.add(service)
    query = udp((CLIENT, 5001), (VIP, 53), b"query")
    wire.clear()
    wire.send(query)
    wire.settle()
    [first] = wire.took()
    set_weight(lab, rvs, service, first, 0)
    wire.send(query)
    wire.settle()
    assert wire.took() == [first]


def test_a_dest_of_weight_0_takes_no_new_flow(lab, rvs, wire):
    rvs.add(dns(lab, (1, 0, 1)))
    wire.clear()
    wire.send(*(udp((CLIENT, 6000 + i), (VIP, 53)) for i in range(12)))
    wire.settle()
    took = wire.took()
    assert len(took) == 12 and set(took) == {"rs1", "rs3"}


@pytest.mark.parametrize("weights", [(0, 0, 0), ()], ids=["all-weights-0", "no-dest"])
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_no_dest_is_answered_with_port_unreachable(lab, rvs, wire, protocol, weights):
    rvs.add(web(lab, weights, protocol=protocol, port=53))
    before = rvs.counters()
    wire.clear()
    if protocol == "tcp":
        packet = tcp((CLIENT, 7000), (VIP, 53), SYN)
    else:
        packet = udp((CLIENT, 7000), (VIP, 53), b"query")
    wire.send(packet)
    [answer] = wire.tap.see(lambda seen: seen.protocol == 1)
    assert answer.icmp[:2] == (3, 3)
    assert (answer.source, answer.destination) == (VIP, CLIENT)
    # The client finds its flow in what the answer quotes.
    assert answer.payload[8 + 12 : 8 + 24] == packet[12:24]
    counted(rvs, before, drop_no_dest=1)
    assert rvs.connections() == [] and wire.took() == []


def test_a_client_hears_of_no_dest_at_once(lab, rvs):
    rvs.add(web(lab, (0, 0, 0)))
    with pytest.raises(ConnectionRefusedError):
        get(lab.client, VIP, timeout=3)


def test_conn_max_refuses_new_flows_and_keeps_the_old(lab, rvs, wire):
    rvs.add(dns(lab))
    rvs.adm("config", "set", "--conn-max", 3)
    before = rvs.counters()
    wire.clear()
    flows = [udp((CLIENT, 8000 + i), (VIP, 53)) for i in range(5)]
    wire.send(*flows)
    wire.send(*flows[:3])
    wire.settle()
    assert len(wire.took()) == 6
    counted(rvs, before, drop_conn_max=2)
    rvs.adm("config", "set", "--conn-max", 0)
    wire.send(*flows)
    wire.settle()
    assert len(wire.took()) == 5
    assert rvs.counters()["conns_now"] == 5


def test_conn_max_has_room_again_after_a_flush(lab, rvs, wire):
    rvs.add(dns(lab))
    rvs.adm("config", "set", "--conn-max", 1)
    wire.clear()
    wire.send(udp((CLIENT, 8100), (VIP, 53)))
    wire.settle()
    rvs.adm("conn", "flush")
    wire.send(udp((CLIENT, 8101), (VIP, 53)))
    wire.settle()
    assert len(wire.took()) == 2


def reuse(wire, last):
    """Who takes two SYNs from one port, with LAST, a packet that ended the first, in between."""
    source, vip = (CLIENT, 9000 + last), (VIP, 81)
    wire.clear()
    wire.send(tcp(source, vip, SYN))
    wire.send(tcp(source, vip, last))
    wire.send(tcp(source, vip, SYN, seq=900000))
    wire.settle()
    took = wire.took(lambda seen: seen.protocol == 6 and seen.payload[13] & SYN)
    assert len(took) == 2
    return took[0] == took[1]


@pytest.mark.parametrize("last, stays", [(ACK, True), (RST | ACK, True), (1, False)],
                         ids=["established", "reset-in-syn-recv", "time-wait"])
def test_a_port_used_again_is_scheduled_as_ip_vs_does(lab, ipvs, rvs, wire, last, stays):
    service = web(lab, port=81)
    ipvs.add(service)
    assert reuse(wire, last) == stays
    ipvs.flush()
    rvs.add(service)
    assert reuse(wire, last) == stays


def test_a_port_used_again_after_a_reset_leaves_a_drained_dest(lab, rvs, wire):
    service = web(lab, port=81)
    rvs.add(service)
    source, vip = (CLIENT, 9100), (VIP, 81)
    wire.clear()
    wire.send(*(tcp(source, vip, flags) for flags in (SYN, ACK, RST)))
    wire.settle()
    [first] = set(wire.took())
    set_weight(lab, rvs, service, first, 0)
    wire.send(tcp(source, vip, SYN, seq=900000))
    wire.settle()
    [second] = wire.took()
    assert second != first


def test_a_segment_of_no_connection_is_left_to_the_host(lab, rvs, wire):
    rvs.add(web(lab, port=81))
    before = rvs.counters()
    wire.clear()
    wire.send(tcp((CLIENT, 9200), (VIP, 81), ACK, ack=77))
    [answer] = wire.tap.see(lambda seen: seen.protocol == 6)
    assert answer.payload[13] & RST
    assert wire.took() == [] and rvs.connections() == []
    counted(rvs, before, not_syn=1)


def test_flushing_connections_ends_them(lab, rvs):
    rvs.add(web(lab))
    with Session(lab.client, VIP) as session:
        session.ask()
        rvs.adm("conn", "flush")
        assert rvs.connections() == []
        with pytest.raises(ConnectionResetError):
            session.ask()


def test_flushing_connections_of_one_service_leaves_the_others(lab, rvs, wire):
    services = [dns(lab), web(lab, protocol="udp", port=54)]
    for service in services:
        rvs.add(service)
    wire.send(*(udp((CLIENT, 9300), (VIP, service.port)) for service in services))
    wire.settle()
    rvs.adm("conn", "flush", services[0].id)
    assert [c["service"] for c in rvs.connections()] == [services[1].id]
