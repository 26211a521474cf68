# SPDX-License-Identifier: GPL-2.0
"""Two directors with keepalived, as examples/keepalived-pair has them: one is cut off, and comes back."""

import collections
import contextlib
import os

import pytest

from lab.kept_pair import ALL, PLAIN, PORTS, KeptPair
from lab.netns import wait_until

LONG = bool(os.environ.get("RVS_LONG"))
# Connections and flows in each mode of each IP version.
EACH, FLOWS = (200, 50) if LONG else (2, 1)


@pytest.fixture(name="pair")
def _pair(lab, kind):
    made = KeptPair(lab, kind)
    yield made
    made.close()


def cell(end):
    """What an address and port are for."""
    mode = next(mode for mode, port in PORTS.items() if port == end[1])
    return f"IPv{6 if ':' in end[0] else 4} {mode}"


def go_on(*those):
    """Waits until all of those have been answered twice more; how many have not, by what they are for."""
    before = [each.told() for each in those]

    def silent():
        return [end for each, told in zip(those, before) for end in each.silent(told)]

    with contextlib.suppress(AssertionError):
        wait_until(lambda: not silent(), "answers", 120 if LONG else 60, step=0.5)
    return dict(collections.Counter(map(cell, silent())))


def knows(pair, host, count):
    """Waits until a director knows so many; stock ip_vs never knows them all."""
    try:
        wait_until(lambda: pair.knows(host) >= count, f"{host.name} knows all", 150, step=0.5)
    except AssertionError:
        if pair.kind == "rvs":
            raise


@pytest.mark.parametrize("kind", ["rvs", *(["ip_vs"] if LONG else [])])
@pytest.mark.seconds(1800 if LONG else 300)
def test_no_connection_breaks(pair, kind):
    cells = ALL if kind == "rvs" else PLAIN
    pair.up()
    speakers, going = pair.speak(EACH, cells, FLOWS)
    count = (EACH + FLOWS) * len(cells)
    knows(pair, pair.two, count)
    print(f"{kind}: of {count}, in each mode {EACH} connections and {FLOWS} flows, "
          f"the second knows {pair.knows(pair.two)}")
    pair.cut(pair.one)
    pair.becomes_master(pair.two)
    tcp, udp = go_on(speakers), go_on(going)
    print(f"{kind}: one is cut off: broken connections {tcp}, flows {udp}, answered by others {len(going.broken())}")
    assert kind == "ip_vs" or (tcp, udp, going.broken()) == ({}, {}, []), speakers.broken()
    # It comes back with what it has, learns what was opened meanwhile, and takes over again.
    more, _ = pair.speak(EACH // 2, cells)
    unanswered = go_on(more)
    print(f"{kind}: opened by the second: not answered {unanswered}")
    assert kind == "ip_vs" or unanswered == {}
    pair.mend(pair.one)
    knows(pair, pair.one, count + EACH // 2 * len(cells))
    pair.becomes_master(pair.one)
    tcp, udp = go_on(speakers, more), go_on(going)
    print(f"{kind}: one is back: broken connections {tcp}, flows {udp}, answered by others {len(going.broken())}")
    assert kind == "ip_vs" or (tcp, udp, going.broken()) == ({}, {}, []), speakers.broken()
    assert kind == "ip_vs" or speakers.broken() == more.broken() == []
