# SPDX-License-Identifier: GPL-2.0
"""Frames of established flows leave at the device, by a program for XDP, as they would by the stack."""

import pytest
from lab import shell
from lab.topology import VIP
from lab.transfer import both_ways
from test_modes import MEGABYTE, MODES, one, prepare, seen_by


def attach(lab, rvs, *options):
    """Frames of a virtual wire have whole checksums only where its other end makes them, and that takes
    frames only if it has a program itself."""
    lab.router.run("ethtool", "-K", "to-director", "tx", "off")
    lab.router.run("rvsadm", "xdp", "attach", "to-director")
    rvs.adm("xdp", "attach", "eth0", *options)


def counters(rvs):
    """Those of frames."""
    every = rvs.json("stats", "show")["counters"]
    return {name: value for name, value in every.items() if name.startswith("xdp")}


@pytest.mark.parametrize("mode, how", [*((mode, "native") for mode in MODES), ("nat", "generic")])
def test_a_transfer_each_way(lab, rvs, mode, how):
    attach(lab, rvs, "--mode", how)
    prepare(lab, rvs, mode)
    rvs.add(one(lab, mode))
    assert both_ways(lab.client, lab.real["rs1"], VIP, 5000, MEGABYTE) in seen_by(mode)
    after = counters(rvs)
    print(after)
    assert after["xdp_taken"] > 100
    traffic = rvs.json("service", "list", "--stats")["services"][0]["stats"]
    taken = traffic["in_packets"] + traffic["out_packets"]
    assert after["xdp_taken"] <= taken
    assert rvs.json("xdp", "show")["devices"][0]["mode"] == how
    assert shell.run("rmmod", "rvs", check=False).returncode != 0
    rvs.adm("xdp", "detach", "eth0")
    assert both_ways(lab.client, lab.real["rs1"], VIP, 5000, 10_000) in seen_by(mode)
    assert counters(rvs)["xdp_taken"] == after["xdp_taken"]
