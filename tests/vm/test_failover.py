# SPDX-License-Identifier: GPL-2.0
"""Two directors with keepalived, as examples/keepalived-pair has them: one is cut off, and comes back."""

import os

import pytest

from lab.kept_pair import ALL, PLAIN, KeptPair
from lab.netns import wait_until

LONG = bool(os.environ.get("RVS_LONG"))
# Of each kind 200 connections and 50 flows in the long run.
SIZES = {("rvs", True): (200 // len(ALL), 50 // len(ALL) + 1),
         ("ip_vs", True): (200 // len(PLAIN), 50 // len(PLAIN) + 1), ("rvs", False): (2, 1)}


@pytest.fixture(name="pair")
def _pair(lab, kind):
    made = KeptPair(lab, kind)
    yield made
    made.close()


def all_go_on(*those):
    """Waits until all of those have been answered twice more; says who has not."""
    rounds = [each.rounds() for each in those]
    try:
        wait_until(lambda: all(each.rounds() > n + 1 for each, n in zip(those, rounds)), "answers", 60)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("kind", ["rvs", *(["ip_vs"] if LONG else [])])
@pytest.mark.seconds(900 if LONG else 300)
def test_no_connection_breaks(pair, kind):
    cells = ALL if kind == "rvs" else PLAIN
    connections, flows = SIZES[kind, LONG]
    pair.up()
    speakers, going = pair.speak(connections, cells, flows)
    count = (connections + flows) * len(cells)
    wait_until(lambda: pair.knows(pair.two) >= count, "the second knows all", 150, step=0.5)
    pair.cut(pair.one)
    pair.becomes_master(pair.two)
    assert all_go_on(speakers, going), "after the first was cut off"
    print(f"{kind}: one cut off: {len(speakers.broken())} of {connections * len(cells)} connections, "
          f"{len(going.broken())} of {flows * len(cells)} flows broken")
    assert speakers.broken() == going.broken() == []
    # It comes back with what it has, learns what was opened meanwhile, and takes over again.
    more, _ = pair.speak(1, cells)
    count += len(cells)
    wait_until(lambda: more.rounds() >= 1, "answers", 30)
    pair.mend(pair.one)
    wait_until(lambda: pair.knows(pair.one) >= count, "the first knows all", 150, step=0.5)
    pair.becomes_master(pair.one)
    assert all_go_on(speakers, going, more), "after the first took over again"
    broken = [*speakers.broken(), *going.broken(), *more.broken()]
    print(f"{kind}: one is back: {len(broken)} of {count} broken")
    assert broken == []
