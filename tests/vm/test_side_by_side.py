# SPDX-License-Identifier: GPL-2.0
"""Thousands of flows while weights change, dests join and leave and thresholds are crossed.

RVS has to send each flow where stock ip_vs sends it, in the same guest. The story of a case is
random, but the same for both. `make test-long` tells twenty times as much.
"""

import os
import random
import struct

import pytest
from lab.director import MarkedService, Service, run_by
from lab.packets import ACK, FIN, SYN, tcp
from lab.raw import _director_rvs, _ipvs, _lab, _rvs, _wire  # noqa: F401
from lab.topology import CLIENT

FLOWS = int(os.environ.get("RVS_CONNECTIONS") or 1000)
FIRST_PORT = 10_000
# A dest that ip_vs removed keeps its counts for the next service of the same address, so every
# case has an address of its own.
SCHEDULERS = {
    name: f"203.0.113.{number}"
    for number, name in enumerate(("rr", "wrr", "lc", "wlc", "sed", "nq", "fo", "ovf"), start=100)
}


# Addresses of services by mark, for the schedulers that go by them.
MANY = {
    name: [f"203.0.113.{first + number}" for number in range(12)]
    for name, first in (("lblc", 120), ("lblcr", 140))
}
# A weight of 1; weights of these are numbers of connections, and too small ones refuse most.
UNITS = {"ovf": max(30, FLOWS // 50), "lblc": 10, "lblcr": 10}


def story(scheduler, names):
    """Steps of FLOWS flows: (what, arguments). Dests are named; the first two are there at first.

    A dest is set, or joins, with a weight, an upper and a lower threshold. Some dest takes
    flows without end all the time, or most would go nowhere.
    """
    dice, unit = random.Random(scheduler), UNITS.get(scheduler, 1)
    # For an address ip_vs takes its dest also at the upper threshold, and one that has left when
    # it is back. RVS does not.
    changes = ("weight",) if scheduler in MANY else ("weight", "thresholds", "leave")
    there, steps, opened, alive = {name: (unit, 0, 0) for name in names[:2]}, [], 0, []
    while opened < FLOWS:
        ports = range(opened, min(opened + dice.randint(1, 120), FLOWS))
        steps.append(("open", [FIRST_PORT + port for port in ports]))
        opened += len(ports)
        alive += steps[-1][1]
        dice.shuffle(alive)
        gone = dice.randint(0, len(alive) // 2)
        steps.append(("close", alive[:gone]))
        del alive[:gone]
        name = dice.choice(names)
        others = [settings for other, settings in there.items() if other != name]
        weight, upper, lower = there.get(name, (unit * dice.randint(1, 5), 0, 0))
        what = dice.choice(changes) if name in there else "join"
        if what == "weight":
            weight = unit * dice.choice((0, 1, 1, 2, 3, 7, 100))
        elif what == "thresholds":
            upper = dice.choice((0, 10, 60, 300))
            lower = dice.randint(1, upper) if upper and dice.random() < 0.5 else 0
        after = others if what == "leave" else [*others, (weight, upper, lower)]
        if not any(weight and not upper for weight, upper, _ in after):
            continue
        if what == "leave":
            del there[name]
            steps.append((what, name))
        else:
            there[name] = (weight, upper, lower)
            steps.append(("join" if what == "join" else "set", name, weight, upper, lower))
    return steps


class Flows:
    """Clients' packets to virtual addresses, and to whom they went."""

    def __init__(self, wire, vips):
        self._wire, self._vips = wire, vips
        self._patterns = {
            (vip, flags): tcp((CLIENT, 0), (vip, 80), flags)
            for vip in vips for flags in (SYN, ACK, ACK | FIN)
        }

    def _packet(self, port, flags):
        """Of the flow with a source port, to an address of its own; the first are busier."""
        vip = self._vips[int(len(self._vips) * random.Random(port).random() ** 2)]
        made = bytearray(self._patterns[vip, flags])
        (base,) = struct.unpack_from("!H", made, 36)
        total = (base ^ 0xFFFF) + port
        total = (total & 0xFFFF) + (total >> 16)
        struct.pack_into("!H", made, 20, port)
        struct.pack_into("!H", made, 36, total ^ 0xFFFF)
        return bytes(made)

    def send(self, ports, flags):
        """A packet of each of these source ports. Who got it, by port; nobody is left out."""
        self._wire.send(*(self._packet(port, flags) for port in ports))
        self._wire.settle()
        return {
            seen.ports[0]: name
            for name, tap in self._wire.real.items()
            for seen in tap.drain(lambda seen: seen.destination in self._vips)
        }


def command(director, svc, what, address, *settings):
    """One step of a story that is about a dest."""
    dest = f"{address}:{svc.port}"
    if director.name == "rvs":
        names = ("--weight", "--upper", "--lower")
        options = [word for pair in zip(names, settings) for word in pair]
        mode = ("--mode", "dr") if what == "join" else ()
        how = {"join": "add", "leave": "del", "set": "set"}[what]
        director.adm("dest", how, svc.id, dest, *mode, *options)
    else:
        options = [word for pair in zip(("-w", "-x", "-y"), settings) for word in pair]
        how = {"join": "-a", "leave": "-d", "set": "-e"}[what]
        mode = () if what == "leave" else ("-g",)
        director.host.run("ipvsadm", how, *svc.which, "-r", dest, *mode, *options)


def told(flows, director, svc, steps, addresses):
    """Who got the flows of each step that opens some, by port; those that nobody got are missing."""
    seen, owner, away = [], {}, set()
    with run_by(director, svc):
        for what, *args in steps:
            if what == "open":
                taken = flows.send(*args, SYN)
                flows.send(taken, ACK)
                owner.update(taken)
                seen.append(taken)
            elif what == "close":
                # ip_vs drops what comes for a removed dest, RVS lets connections end there.
                flows.send([port for port in args[0] if owner.get(port) not in away], ACK | FIN)
            else:
                (away.add if what == "leave" else away.discard)(args[0])
                command(director, svc, what, addresses[args[0]], *args[1:])
    return seen


@pytest.fixture(name="addresses", autouse=True, scope="module")
def _addresses(lab):
    vips = [*SCHEDULERS.values(), *sum(MANY.values(), [])]
    lab.director.ip(*(f"addr add {vip}/32 dev lo" for vip in vips))


def compare(lab, flows, ipvs, rvs, svc):
    """The same story of a service by ip_vs and by RVS."""
    steps = story(svc.scheduler, list(lab.addresses))
    # No connection may end by itself meanwhile.
    ipvs.host.run("ipvsadm", "--set", 10000, 10000, 0)
    rvs.adm("config", "set", "--tcp-timeout", "established=10000,fin-wait=10000")
    expected = told(flows, ipvs, svc, steps, lab.addresses)
    seen = told(flows, rvs, svc, steps, lab.addresses)
    assert sum(map(len, expected)) > FLOWS // 4
    for number, (one, other) in enumerate(zip(expected, seen)):
        assert other == one, f"ip_vs and RVS differ in the {number}th step that opens flows"
    assert len(seen) == len(expected)


@pytest.mark.seconds(100 + FLOWS // 20)
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_flows_go_where_ip_vs_sends_them(lab, wire, ipvs, rvs, scheduler):
    dests = [(lab.addresses[name], UNITS.get(scheduler, 1)) for name in ("rs1", "rs2")]
    svc = Service(dests, scheduler=scheduler, vip=SCHEDULERS[scheduler])
    compare(lab, Flows(wire, [svc.vip]), ipvs, rvs, svc)


@pytest.mark.seconds(100 + FLOWS // 20)
@pytest.mark.parametrize("scheduler", MANY)
def test_flows_to_many_addresses_go_where_ip_vs_sends_them(lab, wire, ipvs, rvs, scheduler):
    dests = [(lab.addresses[name], UNITS[scheduler]) for name in ("rs1", "rs2")]
    vips, mark = MANY[scheduler], int(MANY[scheduler][0].split(".")[3])
    svc = MarkedService(dests, scheduler=scheduler, mark=mark)
    rule = f"ip daddr {vips[0]}-{vips[-1]} meta mark set {mark}"
    lab.director.run("nft", "add table ip marks; add chain ip marks marks "
                     "{ type filter hook prerouting priority mangle; }; "
                     f"add rule ip marks marks {rule}")
    try:
        compare(lab, Flows(wire, vips), ipvs, rvs, svc)
    finally:
        lab.director.run("nft", "delete table ip marks")
