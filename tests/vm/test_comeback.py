# SPDX-License-Identifier: GPL-2.0
"""Dests that are removed, and added again while they have connections."""

import itertools

import pytest
from lab.director import Service, run_by
from lab.packets import ACK, SYN, tcp
from lab.raw import _director_rvs, _lab, _rvs, _wire  # noqa: F401
from lab.topology import CLIENT, VIP


def service(lab, **kwargs):
    return Service([(address, 1) for address in lab.addresses.values()], **kwargs)


def goes(wire, packet):
    """Who gets a packet."""
    wire.clear()
    wire.send(packet)
    wire.settle()
    taken = wire.took()
    assert len(taken) == 1, taken
    return taken[0]


def opens(wire, port):
    """Who gets a connection of the client, which is established."""
    ends = ((CLIENT, port), (VIP, 80))
    taken = goes(wire, tcp(*ends, SYN))
    assert goes(wire, tcp(*ends, ACK, seq=1001, ack=1)) == taken
    return taken


@pytest.mark.parametrize("whole", [False, True])
def test_a_dest_that_comes_back_finds_its_connections(lab, rvs, wire, whole):
    svc = service(lab)
    with run_by(rvs, svc):
        names = [opens(wire, port) for port in range(6000, 6003)]
        dest = f"{lab.addresses[names[1]]}:80"
        rvs.adm("config", "set", "--expire-nodest", "on")
        if whole:
            rvs.flush()
            rvs.add(svc)
        else:
            rvs.adm("dest", "del", svc.id, dest)
            rvs.adm("dest", "add", svc.id, dest, "--weight", 5)
        told = rvs.dests(svc)
        assert [told[address]["active"] for address in lab.addresses.values()] == [1, 1, 1]
        assert told[lab.addresses[names[1]]]["weight"] == (1 if whole else 5)
        # It was not ended, as one of a removed dest would be.
        assert goes(wire, tcp((CLIENT, 6001), (VIP, 80), ACK, seq=1001, ack=1)) == names[1]
        stats = [told[address]["stats"]["in_packets"] for address in lab.addresses.values()]
        assert sum(stats) == (0 if whole else 4)
        assert rvs.traffic()["in_packets"] == 7
        [listed] = rvs.json("service", "list", "--stats")["services"]
        assert listed["stats"]["in_packets"] == (1 if whole else 7)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_dests_are_found_whatever_the_order_they_went_in(lab, rvs, wire, order):
    svc = service(lab)
    with run_by(rvs, svc):
        for port in range(6000, 6003):
            opens(wire, port)
        saved = rvs.adm("save").stdout
        dests = list(lab.addresses.values())
        for index in order:
            rvs.adm("dest", "del", svc.id, f"{dests[index]}:80")
        rvs.adm("restore", "-", stdin=saved)
        assert [rvs.dests(svc)[dest]["active"] for dest in dests] == [1, 1, 1]


def test_a_batch_that_takes_a_dest_back_and_fails_changes_nothing(lab, rvs, wire):
    svc = service(lab)
    with run_by(rvs, svc):
        names = [opens(wire, port) for port in range(6000, 6003)]
        gone = lab.addresses[names[0]]
        rvs.adm("dest", "del", svc.id, f"{gone}:80")
        lines = [f"-A -t {VIP}:80 -s rr", f"-a -t {VIP}:80 -r {gone}:80 -g -w 1",
                 f"-a -t {VIP}:80 -r 192.168.56.255:80 -g -w 1"]
        refused = rvs.adm("restore", "-", stdin="\n".join(lines) + "\n", check=False)
        assert refused.returncode
        assert gone not in rvs.dests(svc)
        assert rvs.traffic()["in_packets"] == 6
        assert goes(wire, tcp((CLIENT, 6000), (VIP, 80), ACK, seq=1001, ack=1)) == names[0]


@pytest.mark.parametrize("config, own, ends", [("off", "on", True), ("on", "off", False)])
# pylint: disable-next=too-many-arguments,too-many-positional-arguments
def test_a_service_says_what_becomes_of_connections_of_removed_dests(
    lab, rvs, wire, config, own, ends
):
    svc = service(lab, options=("--expire-nodest", own))
    with run_by(rvs, svc):
        rvs.adm("config", "set", "--expire-nodest", config)
        name = opens(wire, 6000)
        rvs.adm("dest", "del", svc.id, f"{lab.addresses[name]}:80")
        wire.clear()
        wire.send(tcp((CLIENT, 6000), (VIP, 80), ACK, seq=1001, ack=1))
        wire.settle()
        assert wire.took() == ([] if ends else [name])
