# SPDX-License-Identifier: GPL-2.0
"""Thousands of flows while weights change, dests join and leave and thresholds are crossed.

RVS has to send each flow where stock ip_vs sends it, in the same guest. The story of a case is
random, but the same for both. `make test-long` tells ten times as much.
"""

import os
import random
import struct

import pytest
from lab.director import Service, run_by
from lab.packets import ACK, FIN, SYN, tcp
from lab.raw import _director_rvs, _ipvs, _lab, _rvs, _wire  # noqa: F401
from lab.topology import CLIENT

FLOWS = int(os.environ.get("RVS_CONNECTIONS") or 2000)
FIRST_PORT = 10_000
# A dest that ip_vs removed keeps its counts for the next service of the same address, so every
# case has an address of its own.
SCHEDULERS = {
    name: f"203.0.113.{number}"
    for number, name in enumerate(("rr", "wrr", "lc", "wlc", "sed", "nq", "fo", "ovf"), start=100)
}


# A weight of 1; ovf's weights are numbers of connections.
UNITS = {"ovf": 30}


def story(scheduler, names):
    """Steps of FLOWS flows: (what, arguments). Dests are named; the first two are there at first.

    A dest is set, or joins, with a weight, an upper and a lower threshold. Some dest takes
    flows without end all the time, or most would go nowhere.
    """
    dice, unit = random.Random(scheduler), UNITS.get(scheduler, 1)
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
        what = dice.choice(("weight", "thresholds", "leave")) if name in there else "join"
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
    """Clients' packets to one virtual address, and to whom they went."""

    def __init__(self, wire, vip):
        self._wire, self._vip = wire, vip
        self._patterns = {
            flags: bytearray(tcp((CLIENT, 0), (vip, 80), flags)) for flags in (SYN, ACK, ACK | FIN)
        }

    def send(self, ports, flags):
        """A packet of each of these source ports. Who got it, by port; nobody is left out."""
        pattern = self._patterns[flags]
        (base,) = struct.unpack_from("!H", pattern, 36)
        made = []
        for port in ports:
            total = (base ^ 0xFFFF) + port
            total = (total & 0xFFFF) + (total >> 16)
            struct.pack_into("!H", pattern, 20, port)
            struct.pack_into("!H", pattern, 36, total ^ 0xFFFF)
            made.append(bytes(pattern))
        struct.pack_into("!H", pattern, 20, 0)
        struct.pack_into("!H", pattern, 36, base)
        self._wire.send(*made)
        self._wire.settle()
        return {
            seen.ports[0]: name
            for name, tap in self._wire.real.items()
            for seen in tap.drain(lambda seen: seen.destination == self._vip)
        }


def command(director, svc, what, address, *settings):
    """One step of a story that is about a dest."""
    dest = f"{address}:80"
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
        director.host.run("ipvsadm", how, "-t", f"{svc.vip}:80", "-r", dest, *mode, *options)


def told(wire, director, svc, steps, addresses):
    """Who got the flows of each step that opens some, by port; those that nobody got are missing."""
    flows, seen, owner, away = Flows(wire, svc.vip), [], {}, set()
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
    lab.director.ip(*(f"addr add {vip}/32 dev lo" for vip in SCHEDULERS.values()))


@pytest.mark.seconds(100 + FLOWS // 20)
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_flows_go_where_ip_vs_sends_them(lab, wire, ipvs, rvs, scheduler):
    svc = Service(
        [(lab.addresses[name], UNITS.get(scheduler, 1)) for name in ("rs1", "rs2")],
        scheduler=scheduler, vip=SCHEDULERS[scheduler],
    )
    steps = story(scheduler, list(lab.addresses))
    # No connection may end by itself meanwhile.
    ipvs.host.run("ipvsadm", "--set", 10000, 10000, 0)
    rvs.adm("config", "set", "--tcp-timeout", "established=10000,fin-wait=10000")
    expected = told(wire, ipvs, svc, steps, lab.addresses)
    seen = told(wire, rvs, svc, steps, lab.addresses)
    assert sum(map(len, expected)) > FLOWS // 4
    for number, (one, other) in enumerate(zip(expected, seen)):
        assert other == one, f"ip_vs and RVS differ in the {number}th step that opens flows"
    assert len(seen) == len(expected)
