# SPDX-License-Identifier: GPL-2.0
"""Ten thousand dests in one service. Limits of time are for an emulated CPU that others share."""

import time

import pytest
from lab.lone import ID, SERVICE, VIP, batch, dest, host_fixture, step

__all__ = ["host_fixture"]

COUNT = 10_000
LAST = dest(COUNT)


@pytest.fixture(name="limit")
def _limit():
    """A limit of time in seconds for what a `with` holds."""

    class Limit:
        def __init__(self, seconds):
            self.seconds = seconds

        def __enter__(self):
            self.begin = time.monotonic()

        def __exit__(self, kind, *_):
            took = time.monotonic() - self.begin
            assert kind or took < self.seconds, f"took {took:.1f} s"

    return Limit


@pytest.fixture(name="nl", scope="module")
def _nl(host):
    with host.client() as client:
        yield client


@pytest.fixture(name="many", scope="module")
def _many(host, nl):
    """The service with its dests, and the seconds it took to restore them."""
    lines = [f"-A -t {VIP}:80 -s rr"]
    lines += [f"-a -t {VIP}:80 -r {dest(i)['address']}:80 -g -w 1" for i in range(COUNT)]
    begin = time.monotonic()
    host.adm("restore", "-", stdin="\n".join(lines) + "\n", timeout=100)
    return nl, time.monotonic() - begin


def dests_now(nl):
    return nl.one("service-get", service=SERVICE)["service"]["dests"]


def test_restore_adds_them(many):
    nl, seconds = many
    assert dests_now(nl) == COUNT
    assert seconds < 60


def test_list_has_each_once_in_order(many, host, limit):
    del many
    with limit(30):
        found = [d["address"] for d in host.json("dest", "list", ID)["dests"]]
    assert found == [dest(i)["address"] for i in range(COUNT)]


def test_table_has_a_line_each(many, host, limit):
    del many
    with limit(60):
        assert len(host.adm("dest", "list").stdout.splitlines()) == COUNT + 1


def test_one_more_and_gone_again(many, limit):
    nl, _ = many
    with limit(10):
        nl.do("dest-add", service=SERVICE, dest=dict(LAST, mode=1, weight=1))
        assert dests_now(nl) == COUNT + 1
        nl.do("dest-del", service=SERVICE, dest=LAST)
    assert dests_now(nl) == COUNT


def test_another_scheduler(many, limit):
    nl, _ = many
    with limit(10):
        nl.do("service-set", service=dict(SERVICE, scheduler="wrr"))
        nl.do("service-set", service=dict(SERVICE, scheduler="rr"))


def test_delete_under_the_cursor_of_a_dump(many, host, limit):
    nl, _ = many
    with limit(30), host.client() as reader:
        reader.start_dump("dest-get", service=SERVICE)
        first, last = reader.receive_some()
        assert first and not last
        # Before the cursor, at it and behind it.
        sent = len(first)
        for number in (0, sent, sent + 1, COUNT - 1):
            nl.do("dest-del", service=SERVICE, dest=dest(number))
        rest = reader.receive()
    assert rest.interrupted
    assert dests_now(nl) == COUNT - 4
    # Another dump has each once. Bytes will do, and decoding takes its time.
    assert len({message.attrs for message in nl.dump("dest-get")}) == COUNT - 4


def test_flush(many, limit):
    nl, _ = many
    with limit(10):
        nl.do("service-flush")
    assert nl.dump("service-get") == []


def test_more_than_the_neighbour_table_has_room_for(nl, host):
    # Neighbours that are not resolved: a dummy with ARP answers nobody. Adding a dest is no
    # reason for an entry; the table takes 1024 at most (gc_thresh3).
    host.ip("link set d0 arp on")
    try:
        batch(nl, [
            step("service-add", scheduler="rr"),
            *(step("dest-add", to=dest(i), mode=1, weight=1) for i in range(1500)),
        ])
        assert dests_now(nl) == 1500
    finally:
        nl.do("service-flush")
        host.ip("link set d0 arp off")
