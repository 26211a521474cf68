# SPDX-License-Identifier: GPL-2.0
"""Module and namespace go while packets of tracked flows go fast."""

import contextlib

import pytest
from lab import shell, topology
from lab.director import Service
from lab.netns import wait_until
from test_fast_lane import MASQUERADE, TRACKED, Stream, went_fast


def references():
    """How many services keep the module; none where it is not there."""
    with open("/proc/modules", encoding="ascii") as modules:
        return next((int(line.split()[2]) for line in modules if line.startswith("rvs ")), None)


@pytest.mark.parametrize("what", ["module", "namespace"])
def test_gone_under_traffic(lab, rvs, what):
    """What was sent last is still on its way."""
    lab.names = {4: topology}
    rs = topology.REAL_SERVERS["rs1"]
    lab.director.run("iptables-restore", "-n", stdin="".join(
        f"*{table}\n{rule}\nCOMMIT\n"
        for table, rule in (line.format(rs=rs).split(" ", 1) for line in (MASQUERADE, TRACKED))))
    rvs.adm("config", "set", "--conntrack", "fast")
    rvs.add(Service([(rs, 1)], mode="nat", port=5000))
    with contextlib.closing(Stream(lab, 4, "nat")) as one:
        one.moves()
        assert went_fast(rvs)[0] > 0
        one.client.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            one.client.send(bytes(1 << 20))
        if what == "module":
            rvs.adm("unload")
            assert references() is None
            shell.modprobe("rvs")
            return
        lab.hosts.remove(lab.director)
        lab.director.close()
        wait_until(lambda: references() == 0, "the director's namespace is gone", seconds=60)
