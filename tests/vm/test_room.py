# SPDX-License-Identifier: GPL-2.0
"""What anyone can make by a packet is bounded: templates of persistence, and their order to go."""

import pytest
from lab.director import Service, run_by
from lab.fixtures import lab_of_file
from lab.netns import wait_until
from lab.packets import ACK, SYN, tcp, udp
from lab.raw import _director_rvs, _ipvs, _rvs, _wire  # noqa: F401
from lab.topology import CLIENT, VIP, Lab


_lab = lab_of_file(web=False, prepare=Lab.prepare_dr)


def service(lab, *options, protocol="tcp", port=80):
    return Service([(a, 1) for a in lab.addresses.values()], protocol=protocol, port=port,
                   options=("-p", 300, *options))


def forged(number):
    """An address that a flood claims."""
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def flood(wire, count, protocol="tcp", port=80, first=1 << 16):
    """Packets that open a flow each, all from other addresses."""
    for number in range(first, first + count):
        ends = (forged(number), 5000), (VIP, port)
        wire.send(tcp(*ends, SYN) if protocol == "tcp" else udp(*ends, b"query"))
        if number % 500 == 0:
            wire.settle()
    wire.settle()


def begin(wire, port):
    """A connection of the client: who gets it."""
    wire.clear()
    wire.send(tcp((CLIENT, port), (VIP, 80), SYN))
    wire.send(tcp((CLIENT, port), (VIP, 80), ACK, seq=1001, ack=1))
    wire.settle()
    return wire.took()


def held(rvs):
    """Connections and templates that there are."""
    counters = rvs.counters()
    return counters["conns_now"] + counters["templates_now"]


@pytest.mark.parametrize("protocol", ["tcp", "udp", "ops"])
def test_a_flood_leaves_no_more_than_conn_max_as_in_ip_vs(lab, ipvs, rvs, wire, protocol):
    ops = ("--ops",) if protocol == "ops" else ()
    protocol = "tcp" if protocol == "tcp" else "udp"
    svc = service(lab, *ops, protocol=protocol)
    rvs.adm("config", "set", "--conn-max", 100)
    with run_by(rvs, svc):
        flood(wire, 2000, protocol)
        # A flow that there was room for may have needed two.
        assert held(rvs) <= 101
        if ops:
            # No connection is in the way of others, and no template is worth more than the next.
            assert rvs.counters()["templates_dropped"] >= 1850
            assert rvs.counters()["drop_conn_max"] == 0
        else:
            assert rvs.counters()["drop_conn_max"] >= 1850
    ipvs.host.run("sysctl", "-qw", "net.ipv4.vs.conn_max=100")
    try:
        with run_by(ipvs, svc):
            flood(wire, 200, protocol, first=2 << 16)
            listed = ipvs.host.run("ipvsadm", "-Lnc").stdout.splitlines()
            assert len([line for line in listed if VIP in line or "10." in line]) <= 100
    finally:
        ipvs.host.run("sysctl", "-qw", "net.ipv4.vs.conn_max=1073741824", check=False)


def test_a_client_that_was_answered_stays_with_its_dest_through_a_flood(lab, rvs, wire):
    rvs.adm("config", "set", "--conn-max", 100)
    with run_by(rvs, service(lab)):
        first = begin(wire, 6000)
        assert len(first) == 2 and len({*first}) == 1
        flood(wire, 1000)
        counters = rvs.counters()
        assert counters["drop_conn_max"] > 0 and counters["templates_dropped"] > 0
        # What it has goes on, and when there is room again what it begins goes there too.
        wire.clear()
        wire.send(tcp((CLIENT, 6000), (VIP, 80), ACK, seq=1001, ack=1))
        wire.settle()
        assert wire.took() == first[:1]
        rvs.adm("conn", "flush")
        for port in (6001, 6002, 6003):
            assert begin(wire, port) == first


def test_templates_of_one_service_are_not_in_the_way_of_another(lab, rvs, wire):
    rvs.adm("config", "set", "--conn-max", 50)
    dns = Service([(lab.addresses["rs1"], 1)], protocol="udp", port=53)
    with run_by(rvs, service(lab, "--ops", protocol="udp")):
        rvs.add(dns)
        flood(wire, 200, "udp")
        assert rvs.counters()["templates_now"] == 50
        wire.clear()
        wire.send(*(udp((CLIENT, port), (VIP, 53), b"query") for port in range(7000, 7020)))
        wire.settle()
        assert len(wire.took()) == 20 and held(rvs) == 50


def test_who_is_answered_late_has_its_template_all_the_same(lab, rvs, wire):
    rvs.adm("config", "set", "--conn-max", 2)
    with run_by(rvs, service(lab)):
        wire.clear()
        wire.send(tcp((CLIENT, 6100), (VIP, 80), SYN))
        wire.settle()
        # The only template that can go is the client's.
        flood(wire, 1)
        assert rvs.counters()["templates_dropped"] == 1
        wire.send(tcp((CLIENT, 6100), (VIP, 80), ACK, seq=1001, ack=1))
        wire.settle()
        first = wire.took()
        rvs.adm("config", "set", "--conn-max", 0)
        again = [begin(wire, port) for port in (6101, 6102, 6103)]
        assert len({name for each in again for name in each}) == 1
        assert again[0][0] in first


def test_drop_entry_ends_templates_that_are_not_assured(lab, rvs, wire):
    with run_by(rvs, service(lab)):
        begin(wire, 6200)
        flood(wire, 300)
        rvs.adm("config", "set", "--drop-entry", "on")
        wait_until(lambda: rvs.counters()["templates_dropped"] >= 20, "templates are dropped")
        first = begin(wire, 6201)
        rvs.adm("config", "set", "--drop-entry", "off")
        assert [begin(wire, port) for port in (6202, 6203)] == [first, first]
