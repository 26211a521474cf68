# SPDX-License-Identifier: GPL-2.0
"""Rules of INPUT do not see what goes to services: who has such is told."""

import pytest
from lab import shell
from lab.director import Rvs, Service
from lab.kernel_log import KernelLog

CHAIN = """
table inet rvstest {
  chain in { type filter hook input priority 0; }
}
"""
WEB = Service([])
DNS = Service([], protocol="udp", port=53)


def said(rvs, service):
    """What rvsadm says on its standard error when a service is added."""
    return rvs.adm("service", "add", service.id, "-s", "rr").stderr


@pytest.mark.parametrize("behind", [0, 1])
def test_rules_of_input_are_told_of_once(lab, unloaded, behind):
    del unloaded
    shell.run("modprobe", "rvs", f"local_in={behind}")
    rvs = Rvs(lab.director)
    log = KernelLog()
    lab.director.run("nft", "-f", "-", stdin=CHAIN)
    # Nothing there that it could have seen.
    assert said(rvs, WEB) == ""
    rvs.flush()
    lab.director.run("nft", "add rule inet rvstest in ip daddr 203.0.113.10 drop")
    first, second = said(rvs, WEB), said(rvs, DNS)
    assert rvs.json("stats", "show")["counters"]["input_rules"] == (0 if behind else 1)
    saved = rvs.adm("save").stdout
    rvs.flush()
    restored = rvs.adm("restore", "-", stdin=saved).stderr
    if behind:
        assert (first, second, restored) == ("", "", "")
    else:
        assert "rules of INPUT do not see what goes to services: in of inet rvstest\n" in first
        assert second == "" and restored == first
    told = [line for line in log.read() if "has rules of INPUT" in line]
    assert len(told) == (0 if behind else 1), told
    log.close()
