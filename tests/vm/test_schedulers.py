# SPDX-License-Identifier: GPL-2.0
"""Schedulers that look at connections and addresses: RVS as ip_vs, flow by flow.

Connections stay open here, so that the choice depends on what came before.
"""

import collections
import fractions
import threading

import pytest
from lab.director import Service, run_by
from lab.held import clients
from lab.netns import wait_until
from lab.topology import DIRECTOR, Lab

# A dest that ip_vs removed keeps its counts for the next service of the same address, so every test
# has an address of its own.
VIPS = [f"203.0.113.{i}" for i in range(20, 60)]

SOURCES = [f"198.51.100.{i}" for i in range(20, 60)]

# What happens to a service: connections that open, the oldest that end, a dest's new weight.
STORY = [
    ("open", 9),
    ("close", 4),
    ("open", 4),
    ("weight", "rs2", 0),
    ("open", 3),
    ("weight", "rs2", 7),
    ("close", 5),
    ("open", 8),
    ("weight", "rs1", 1),
    ("open", 4),
]

# Equal weights make ties.
CASES = [
    *((name, (2, 5, 3)) for name in ("rr", "wrr", "lc", "wlc", "sed", "nq", "fo", "ovf")),
    *((name, (1, 1, 1)) for name in ("lc", "wlc", "sed", "nq")),
]

EVERY_SCHEDULER = (
    "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos",
)


@pytest.fixture(name="lab", scope="module")
def _lab():
    """One lab for all of this file: tests leave nothing but an address that was used."""
    made = Lab()
    made.prepare_dr()
    for host in (made.director, *made.real.values()):
        host.ip(*(f"addr add {vip}/32 dev lo" for vip in VIPS))
    made.router.ip(f"route add 203.0.113.0/24 via {DIRECTOR}")
    made.client.ip(*(f"addr add {source}/24 dev eth0" for source in SOURCES))
    yield made
    made.close()


@pytest.fixture(name="vip")
def _vip(unused=iter(VIPS)):
    """An address that no test has used."""
    return next(unused)


def service(lab, vip, scheduler, weights):
    """A service of the lab's real servers."""
    return Service(list(zip(lab.addresses.values(), weights)), scheduler=scheduler, vip=vip)


def set_weight(director, svc, address, weight):
    """Changes one dest."""
    dest = f"{address}:{svc.port}"
    if director.name == "rvs":
        director.adm("dest", "set", svc.id, dest, "--weight", weight)
    else:
        which = ("-t", f"{svc.vip}:{svc.port}", "-r", dest)
        director.host.run("ipvsadm", "-e", *which, "-g", "-w", weight)


def told(lab, director, svc):
    """Who answered, step by step of the story."""
    seen = []
    with run_by(director, svc), clients(lab, svc) as held:
        for step, *args in STORY:
            if step == "open":
                seen.append([held.open() for _ in range(*args)])
            elif step == "close":
                held.close(*args)
            else:
                name, weight = args
                set_weight(director, svc, lab.addresses[name], weight)
    return seen


@pytest.mark.parametrize(
    "scheduler, weights", CASES, ids=[f"{name}-{w[0]}-{w[1]}-{w[2]}" for name, w in CASES]
)
# pylint: disable-next=too-many-arguments,too-many-positional-arguments
def test_connections_held_open_go_where_ip_vs_sends_them(lab, ipvs, rvs, vip, scheduler, weights):
    svc = service(lab, vip, scheduler, weights)
    expected = told(lab, ipvs, svc)
    assert told(lab, rvs, svc) == expected


def by_source(lab, director, svc):
    """Who answers each source address."""
    with run_by(director, svc), clients(lab, svc) as held:
        return [held.open(source) for source in SOURCES]


@pytest.mark.parametrize("scheduler", ["dh", "sh", "mh"])
def test_an_address_goes_where_ip_vs_sends_it(lab, ipvs, rvs, vip, scheduler):
    svc = service(lab, vip, scheduler, (3, 1, 2))
    expected = by_source(lab, ipvs, svc)
    seen = by_source(lab, rvs, svc)
    assert seen == expected
    # There is one destination address.
    assert len(set(seen)) == (1 if scheduler == "dh" else 3)


@pytest.mark.parametrize("scheduler", ["lblc", "lblcr"])
def test_flows_to_one_address_stay_together_as_in_ip_vs(lab, ipvs, rvs, vip, scheduler):
    svc = service(lab, vip, scheduler, (4, 4, 4))
    expected = told(lab, ipvs, svc)
    assert told(lab, rvs, svc) == expected


def test_twos_uses_every_dest_that_has_weight(lab, rvs, vip):
    svc = service(lab, vip, "twos", (1, 1, 0))
    with run_by(rvs, svc), clients(lab, svc) as held:
        seen = collections.Counter(held.open() for _ in range(40))
    assert set(seen) == {"rs1", "rs2"}
    # The less loaded of the two unless only the other was drawn.
    assert abs(seen["rs1"] - seen["rs2"]) <= 10


def test_another_scheduler_counts_the_connections_there_are(lab, rvs, vip):
    svc = service(lab, vip, "fo", (1, 2, 3))
    with run_by(rvs, svc), clients(lab, svc) as held:
        assert {held.open() for _ in range(6)} == {"rs3"}
        rvs.adm("service", "set", svc.id, "--scheduler", "lc")
        seen = collections.Counter(held.open() for _ in range(12))
        assert seen == {"rs1": 6, "rs2": 6}
        # Connections that begin and end meanwhile count as well.
        rvs.adm("service", "set", svc.id, "--scheduler", "fo")
        assert {held.open() for _ in range(3)} == {"rs3"}
        rvs.adm("service", "set", svc.id, "--scheduler", "lc")
        seen = collections.Counter(held.open() for _ in range(6))
        assert seen == {"rs1": 3, "rs2": 3}


def active(rvs, svc):
    """Each dest's weight and active connections, once they stay the same; the newest dest first.

    Inactive ones expire all the time.
    """
    def of_now():
        dests = rvs.json("dest", "list", svc.id)["dests"]
        return [(d["id"].split(":")[0], d["weight"], d["active"]) for d in reversed(dests)]

    return wait_until(lambda: (now := of_now()) == of_now() and now, "counts stay the same")


def test_schedulers_and_weights_change_while_connections_come_and_go(lab, rvs, vip):
    svc = service(lab, vip, "wlc", (900, 500, 700))
    names = {address: name for name, address in lab.addresses.items()}
    done, seen = threading.Event(), []

    def come_and_go(held):
        while not done.is_set():
            seen.append(held.open())
            held.close(len(held.sockets) // 20)

    with run_by(rvs, svc), clients(lab, svc) as held:
        thread = threading.Thread(target=come_and_go, args=(held,))
        thread.start()
        try:
            for number, name in enumerate(EVERY_SCHEDULER * 2):
                rvs.adm("service", "set", svc.id, "--scheduler", name)
                set_weight(rvs, svc, lab.addresses["rs2"], 100 + 200 * (number % 5))
        finally:
            done.set()
            thread.join()
        assert seen and None not in seen
        rvs.adm("service", "set", svc.id, "--scheduler", "sed")
        expected, now = [], active(rvs, svc)
        weights = {address: weight for address, weight, _ in now}
        counts = {address: count for address, _, count in now}
        for _ in range(9):
            least = min(counts, key=lambda a: fractions.Fraction(counts[a] + 1, weights[a]))
            counts[least] += 1
            expected.append(names[least])
        assert [held.open() for _ in range(9)] == expected
