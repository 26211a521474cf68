# SPDX-License-Identifier: GPL-2.0
"""From ip_vs to RVS on one host: RVS is loaded beside it, and what ip_vs knows goes on by it until it ends."""

import pytest

from lab import compat, shell
from lab.netns import wait_until
from lab.pair import SERVICES, Clients, Pair, _clients, give, known  # noqa: F401


EACH = 2


@pytest.fixture(name="pair")
def _pair(lab):
    compat.unload()
    made = Pair(lab)
    yield made
    made.close()
    compat.unload()


def established(director):
    """The clients' ports of connections that have not ended."""
    return {port for port, state, _ in known(director) if state == "established"}


def test_connections_go_on_where_they_began(pair, clients):
    # Whoever is first has the name.
    old, _ = pair.directors("ip_vs", "ip_vs")
    give(old, SERVICES)
    # They are idle while things change: nothing that ip_vs tells another director would have them.
    ports = clients.connect(EACH)
    shell.run("modprobe", "rvs", "ipvs=1")
    new, _ = pair.directors("rvs", "rvs")
    new.adm("restore", "-", stdin=pair.first.run("ipvsadm-save", "-n").stdout)
    more = Clients(pair.lab.client)
    try:
        more_ports = more.connect(EACH)
        for _ in range(3):
            assert established(new) == more_ports
            assert established(old) == ports
            assert not clients.speak(b"still there?", 30)
            assert not more.speak(b"and you?", 30)
        clients.close()
        wait_until(lambda: not established(old), "those of ip_vs are over", 20, step=0.2)
        old.flush()
        shell.rmmod("ip_vs_rr", "ip_vs")
        # RVS takes the name that is free now.
        print(shell.run("rvsadm", "upgrade").stdout)
        listed = pair.first.run("ipvsadm", "-Ln").stdout
        assert listed.count("->") == len(SERVICES) + 1  # the table's head
        assert not more.speak(b"and now?", 30)
        assert established(new) == more_ports
    finally:
        more.close()
