# SPDX-License-Identifier: GPL-2.0
"""A dest that is new, or takes connections again, gets its share little by little."""

import collections
import itertools

import pytest
from lab.director import Service, run_by
from lab.fixtures import lab_of_file
from lab.netns import wait_until
from lab.packets import udp
from lab.raw import _director_rvs, _rvs, _wire  # noqa: F401
from lab.topology import CLIENT, VIP, Lab


_lab = lab_of_file(prepare=Lab.prepare_dr)


@pytest.fixture(name="shares")
def _shares(wire):
    ports = itertools.count(10000)

    def shares(count):
        """How many of new flows each dest gets."""
        wire.clear()
        for _ in range(count):
            wire.send(udp((CLIENT, next(ports)), (VIP, 53), b"query"))
            if count % 20 == 0:
                wire.settle()
        wire.settle()
        return collections.Counter(wire.took())

    return shares


@pytest.fixture(name="svc")
def _svc(lab, rvs):
    dests = [(lab.addresses[name], 2) for name in ("rs1", "rs2")]
    svc = Service(dests, scheduler="wrr", protocol="udp", port=53)
    with run_by(rvs, svc):
        yield svc


@pytest.mark.parametrize("scheduler", ["wrr", "twos"])
def test_a_new_dest_gets_little_at_first(lab, rvs, svc, shares, scheduler):
    new = f"{lab.addresses['rs3']}:53"
    rvs.adm("service", "set", svc.id, "--slow-start", 6000, "-s", scheduler)
    # Those that were there before are not new.
    assert set(shares(60)) == {"rs1", "rs2"}
    rvs.adm("dest", "add", svc.id, new, "--weight", 2)
    first = shares(120)
    assert first["rs3"] <= 8 and first.total() == 120
    assert abs(first["rs1"] - first["rs2"]) <= (4 if scheduler == "wrr" else 60)
    assert rvs.dests(svc)[lab.addresses["rs3"]]["weight"] == 2
    rvs.adm("service", "set", svc.id, "--slow-start", 0, "-s", "wrr")
    assert set(shares(60).values()) == {20}
    # So does one that comes back from weight 0.
    rvs.adm("service", "set", svc.id, "--slow-start", 6000)
    rvs.adm("dest", "set", svc.id, new, "--weight", 0)
    rvs.adm("dest", "set", svc.id, new, "--weight", 2)
    assert shares(120)["rs3"] <= 8


def test_it_has_its_share_in_the_end(lab, rvs, svc, shares):
    rvs.adm("service", "set", svc.id, "--slow-start", 2)
    rvs.adm("dest", "add", svc.id, f"{lab.addresses['rs3']}:53", "--weight", 2)
    wait_until(lambda: set(shares(60).values()) == {20}, "the new dest has its share")


def test_schedulers_that_go_by_hash_or_order_have_no_slow_start(lab, rvs, svc, shares):
    rvs.adm("service", "set", svc.id, "--slow-start", 6000, "-s", "rr")
    rvs.adm("dest", "add", svc.id, f"{lab.addresses['rs3']}:53", "--weight", 2)
    assert set(shares(60).values()) == {20}
    refused = rvs.adm("service", "set", svc.id, "--slow-start", 2_678_401, check=False)
    assert refused.returncode and "slow start 2678401 s is out of range" in refused.stderr
