# SPDX-License-Identifier: GPL-2.0
"""At the device of a kernel that is locked down, as Secure Boot does it. That cannot be undone, and no module
of ours can be loaded then: the guest is this test's alone (scripts/test-long)."""

import os
import pathlib

import pytest
from lab import shell
from lab.topology import VIP
from lab.transfer import both_ways
from test_modes import MEGABYTE, one, prepare
from test_xdp import attach, counters

LEVEL = pathlib.Path("/sys/kernel/security/lockdown")

pytestmark = pytest.mark.skipif(not os.environ.get("RVS_LOCKDOWN"), reason="spoils the guest: make test-long")


def test_attached_while_locked_down(lab, rvs):
    prepare(lab, rvs, "nat")
    rvs.add(one(lab, "nat"))
    if not LEVEL.exists():
        shell.run("mount -t securityfs securityfs /sys/kernel/security")
    for level in ("integrity", "confidentiality"):
        LEVEL.write_text(level, encoding="ascii")
        assert f"[{level}]" in LEVEL.read_text(encoding="ascii")
        before = counters(rvs)["xdp_taken"]
        attach(lab, rvs)
        both_ways(lab.client, lab.real["rs1"], VIP, 5000, MEGABYTE)
        assert counters(rvs)["xdp_taken"] > before + 100
        for host, device in ((lab.director, "eth0"), (lab.router, "to-director")):
            host.run("rvsadm", "xdp", "detach", device)
