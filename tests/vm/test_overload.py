# SPDX-License-Identifier: GPL-2.0
"""What is given up when memory runs short, or when it is asked for."""

import pytest
from lab.director import Service, run_by
from lab.fixtures import lab_of_file
from lab.netns import wait_until
from lab.packets import ACK, SYN, tcp, udp
from lab.raw import _director_rvs, _ipvs, _rvs, _wire  # noqa: F401
from lab.topology import CLIENT, VIP, Lab

# More than any guest has, in MiB.
EVERYTHING = 1 << 24


_lab = lab_of_file(prepare=Lab.prepare_dr)


@pytest.fixture(name="web")
def _web(lab):
    return Service([(address, 1) for address in lab.addresses.values()])


@pytest.fixture(name="dns")
def _dns(lab):
    return Service([(a, 1) for a in lab.addresses.values()], protocol="udp", port=53)


def begin(wire, ports):
    """How many flows of new ports come through."""
    wire.clear()
    for port in ports:
        wire.send(udp((CLIENT, port), (VIP, 53), b"query"))
        wire.settle()
    return len(wire.took())


def test_one_of_so_many_new_flows_is_dropped_as_in_ip_vs(lab, ipvs, rvs, wire, dns):
    with run_by(rvs, dns):
        rvs.adm("config", "set", "--drop-packet", "on", "--drop-rate", 3)
        seen = begin(wire, range(5000, 5012))
        assert rvs.counters()["drop_overload"] == 4
        assert len(rvs.connections()) == 8
        # What is there goes on.
        rvs.adm("config", "set", "--drop-rate", 1)
        assert begin(wire, range(5000, 5012)) == 8
        assert begin(wire, range(6000, 6005)) == 0
        rvs.adm("config", "set", "--drop-packet", "off")
        assert begin(wire, range(6000, 6005)) == 5
    names = ("net.ipv4.vs.drop_packet", "net.ipv4.vs.am_droprate")
    ipvs.host.run("sysctl", "-qw", f"{names[1]}=3")
    ipvs.host.run("sysctl", "-qw", f"{names[0]}=3")
    try:
        with run_by(ipvs, dns):
            expected = begin(wire, range(5000, 5012))
    finally:
        ipvs.host.run("sysctl", "-qw", f"{names[0]}=0")
        ipvs.host.run("sysctl", "-qw", f"{names[1]}=10")
    assert seen == expected == 8


def test_flows_are_dropped_while_memory_is_short(rvs, wire, dns):
    with run_by(rvs, dns):
        rvs.adm("config", "set", "--drop-packet", "auto")
        assert begin(wire, range(5000, 5010)) == 10
        rvs.adm("config", "set", "--memory-min", EVERYTHING)
        assert begin(wire, range(5010, 5020)) == 0
        rvs.adm("config", "set", "--memory-min", 4)
        assert begin(wire, range(5020, 5030)) == 10


@pytest.mark.parametrize("when", [("on", 4), ("auto", EVERYTHING)])
def test_connections_that_were_not_answered_end_early(rvs, wire, web, when):
    with run_by(rvs, web):
        ends = [((CLIENT, port), (VIP, 80)) for port in range(5000, 5400)]
        wire.send(*(tcp(*each, SYN) for each in ends))
        wire.send(*(tcp(*each, ACK, seq=1001, ack=1) for each in ends[:200]))
        wire.settle()
        assert len(rvs.connections("--state", "syn-recv")) == 200
        rvs.adm("config", "set", "--drop-entry", when[0], "--memory-min", when[1])
        # A 32nd of the table a second.
        wait_until(lambda: rvs.counters()["conns_dropped"] >= 6, "connections are dropped")
        assert len(rvs.connections("--state", "established")) == 200
        rvs.adm("config", "set", "--drop-entry", "off")


def test_what_is_set_is_shown_and_refused(rvs):
    refused = rvs.adm("config", "set", "--drop-rate", 0, check=False)
    assert refused.returncode and "drop rate 0" in refused.stderr
    rvs.adm("config", "set", "--drop-entry", "auto", "--drop-rate", 7, "--memory-min", 9)
    shown = rvs.json("config", "show")
    assert (shown["drop_entry"], shown["drop_packet"]) == ("auto", "off")
    assert (shown["drop_rate"], shown["memory_min"]) == (7, 9)
