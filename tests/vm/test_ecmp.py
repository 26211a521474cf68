# SPDX-License-Identifier: GPL-2.0
"""Three directors behind a router that spreads by ECMP, as examples/ecmp-bgp has them: one goes, one comes."""

import pytest

from lab.ecmp import NAMES, Directors
from lab.netns import wait_until


@pytest.fixture(name="directors")
def _directors(lab, way):
    made = Directors(lab, way)
    yield made
    made.close()


@pytest.mark.seconds(600)
@pytest.mark.parametrize("way", ["sync", "mh"])
def test_no_connection_breaks(directors, way):
    for name in NAMES:
        directors.announce(name)
    directors.spread(*NAMES)
    # So many that each director has some, whatever their hashes.
    count = directors.speak(NAMES, 40)
    with_sync = way == "sync"

    def all_known(name):
        wait_until(lambda: directors.knows(name) >= count, f"{name} knows all {count}", 60, step=0.5)

    if with_sync:
        for name in NAMES:
            all_known(name)
    directors.cut("two")
    directors.spread("one", "three")
    assert directors.all_go_on() == [], "after one was cut off"
    # Another one in its place, which knows nothing: it learns, then it says that it is there.
    directors.remove("two")
    directors.boot("two")
    if with_sync:
        all_known("two")
    directors.announce("two")
    directors.spread(*NAMES)
    wait_until(lambda: directors.packets("two") > 0, "the new one has something to do")
    assert directors.all_go_on() == [], "after one was added"
    if with_sync:
        assert directors.begun("two") == 0
    count += directors.speak(["two"], 1)
    assert directors.all_go_on() == []
    print(f"{way}: one of three directors killed, one added: {count} connections, 0 broken")
