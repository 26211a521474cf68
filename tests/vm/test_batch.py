# SPDX-License-Identifier: GPL-2.0
"""Batches are all or nothing; dumps are of one moment or say that they are not."""

import threading

import pytest
from lab.genl import Refused, encode
from lab.lone import DEST, ID, SERVICE, batch, changes, dest, host_fixture, nl_fixture, services, state, step

__all__ = ["host_fixture", "nl_fixture"]


def full(service, count, first=0, weight=1):
    """Steps that add a service with COUNT dests."""
    port = service["port"]
    dests = [dest(first + i, port) for i in range(count)]
    return [
        step("service-add", service, scheduler="rr"),
        *(step("dest-add", service, to=to, mode=1, weight=weight) for to in dests),
    ]


@pytest.fixture(name="three")
def _three(nl):
    """Three services of four dests each."""
    for service in services(3):
        batch(nl, full(service, 4))
    return services(3)


def mixed(three):
    """Something of everything; the first service goes, of the others it changes a lot."""
    _, second, third = three
    new = services(1, first_port=9)[0]
    return [
        step("service-del", three[0]),
        step("dest-set", second, to=dest(0, second["port"]), weight=0),
        step("dest-del", second, to=dest(1, second["port"])),
        step("dest-add", second, to=dest(8, second["port"]), mode=1, weight=7),
        # Its place in the order is lost with it.
        step("dest-del", second, to=dest(2, second["port"])),
        step("dest-add", second, to=dest(2, second["port"]), mode=1, weight=1),
        step("service-set", third, scheduler="wrr"),
        *full(new, 2),
        step("service-del", new),
        *full(new, 3),
        # And the removed one comes back, empty.
        step("service-add", three[0], scheduler="wrr"),
    ]


def dests_of(nl, service):
    """(host number, weight) of each dest, in order."""
    found = [message.content["dest"] for message in nl.dump("dest-get", service=service)]
    return [(int(d["address"].split(".")[-1]) - 1, d["weight"]) for d in found]


def test_batch_applies_in_order(nl, three):
    batch(nl, mixed(three))
    ports = [(m.content["service"]["port"], m.content["service"]["scheduler"])
             for m in nl.dump("service-get")]
    assert ports == [(2, "rr"), (3, "wrr"), (9, "rr"), (1, "wrr")]
    assert dests_of(nl, three[0]) == []
    assert dests_of(nl, three[1]) == [(0, 0), (3, 1), (8, 7), (2, 1)]
    assert dests_of(nl, three[2]) == [(0, 1), (1, 1), (2, 1), (3, 1)]


def test_refused_batch_changes_not_a_byte(nl, three):
    before = state(nl)
    steps = mixed(three)
    bad = step("dest-set", three[2], to=dest(99, three[2]["port"]), weight=1)
    # The refusal comes after none, some and all of the others.
    for place in range(len(steps) + 1):
        with pytest.raises(Refused) as refused:
            batch(nl, [*steps[:place], bad, *steps[place:]])
        assert refused.value.errno == "ENOENT"
        assert refused.value.where == f"change[{place}].dest"
        assert state(nl) == before, f"refused after {place} steps"
    batch(nl, steps)
    assert state(nl) != before


def test_what_a_batch_adds_and_removes_was_never_there(nl):
    service = services(1)[0]
    batch(nl, [*full(service, 3), step("service-del", service)])
    assert nl.dump("service-get") == []


def test_batch_may_have_settings_too(nl):
    settings = ("config", {"udp-timeout": 71, "tcp-timeouts": {"close": 72}})
    nl.do("batch", [settings, *changes([step("service-add", scheduler="rr")])])
    config = nl.one("config-get")["config"]
    assert (config["udp-timeout"], config["tcp-timeouts"]["close"]) == (71, 72)
    assert len(nl.dump("service-get")) == 1


def test_batch_may_have_settings_only(nl):
    nl.do("batch", config={"udp-timeout": 71})
    assert nl.one("config-get")["config"]["udp-timeout"] == 71


def test_batch_is_one_change_of_the_generation(nl):
    before = nl.one("stats-get")["generation"]
    batch(nl, full(SERVICE, 10))
    assert nl.one("stats-get")["generation"] == before + 1


def test_refused_change_is_no_change_of_the_generation(nl):
    before = nl.one("stats-get")["generation"]
    with pytest.raises(Refused):
        nl.do("service-del", service=SERVICE)
    assert nl.one("stats-get")["generation"] == before


def test_dump_without_a_change_is_whole_and_in_order(nl):
    batch(nl, full(SERVICE, 1000))
    found = nl.dump("dest-get", service=SERVICE)
    assert not found.interrupted
    assert [m.content["dest"]["address"] for m in found] == [dest(i)["address"] for i in range(1000)]


def test_dump_says_that_a_change_came_between(nl, host):
    batch(nl, full(SERVICE, 1000))
    with host.client() as other:
        nl.start_dump("dest-get")
        first, last = nl.receive_some()
        assert first and not last and not first.interrupted
        other.do("dest-set", service=SERVICE, dest=dict(dest(0), weight=2))
        assert nl.receive().interrupted


def test_dump_of_services_says_that_a_change_came_between(nl, host):
    batch(nl, [step("service-add", each, scheduler="rr") for each in services(1000)])
    with host.client() as other:
        nl.start_dump("service-get")
        nl.receive_some()
        other.do("service-del", service=services(1)[0])
        assert nl.receive().interrupted


def test_dump_ends_when_its_service_goes_under_it(nl, host):
    batch(nl, full(SERVICE, 1000))
    with host.client() as other:
        nl.start_dump("dest-get", service=SERVICE)
        nl.receive_some()
        other.do("service-flush")
        rest = nl.receive()
    assert rest.interrupted
    assert len(rest) < 1000


class Changer(threading.Thread):
    """Gives all dests one weight, then another, in bursts, until it is stopped."""

    def __init__(self, client, dests):
        super().__init__()
        self.client, self.dests = client, dests
        self.done = threading.Event()
        self.rounds = 0

    def run(self):
        # A pause is longer than a list takes, so that one of its attempts meets no change.
        while not self.done.wait(0.4):
            for weight in (1, 2, 3):
                batch(self.client, [step("dest-set", to=to, weight=weight) for to in self.dests])
                self.rounds += 1


def test_rvsadm_lists_one_moment_while_everything_changes(nl, host):
    count = 500
    batch(nl, full(SERVICE, count))
    changer = Changer(host.client(), [dest(i) for i in range(count)])
    changer.start()
    try:
        for _ in range(4):
            weights = [d["weight"] for d in host.json("dest", "list")["dests"]]
            assert len(weights) == count
            assert len(set(weights)) == 1, "a list of two moments"
    finally:
        changer.done.set()
        changer.join()
    assert changer.rounds > 2


class Mover(Changer):
    """Takes the first dest away and adds another at the end, until it is told to stop."""

    def run(self):
        number = len(self.dests)
        with self.client:
            while not self.done.wait(0.1):
                gone, self.dests = self.dests[0], [*self.dests[1:], dest(number)]
                batch(self.client, [step("dest-del", to=gone),
                                    step("dest-add", to=self.dests[-1], mode=1, weight=1)])
                number += 1
                self.rounds += 1


def test_lists_under_steady_change_are_of_one_moment(nl, host):
    """Each change moves all places by one; a list takes longer than there is between two."""
    count = 3000
    batch(nl, full(SERVICE, count))
    mover = Mover(host.client(), [dest(i) for i in range(count)])
    mover.start()
    try:
        before = mover.rounds
        for _ in range(2):
            found = [d["id"] for d in host.json("dest", "list", ID)["dests"]]
            assert len(found) == len(set(found)) == count
            saved = host.adm("save").stdout.splitlines()
            assert len(saved) == len(set(saved)) == count + 1
        assert host.json("service", "list")["services"][0]["dests"] == count
        assert mover.rounds > before + 4
    finally:
        mover.done.set()
        mover.join()


def test_reader_that_never_reads_does_not_hold_up_changes(nl, host):
    batch(nl, full(SERVICE, 1000))
    with host.client() as other:
        other.start_dump("dest-get")
        nl.do("dest-set", service=SERVICE, dest=dict(dest(0), weight=2))
        nl.do("service-del", service=SERVICE)
    assert nl.dump("service-get") == []


def test_dest_goes_from_one_service_only(nl):
    one, two = services(2)
    batch(nl, [*full(one, 1), *full(two, 1)])
    nl.do("dest-del", service=one, dest=dest(0, one["port"]))
    assert (dests_of(nl, one), dests_of(nl, two)) == ([], [(0, 1)])


def test_set_without_anything_keeps_everything(nl):
    batch(nl, [step("service-add", scheduler="wrr"), step("dest-add", to=DEST, mode=1, weight=9)])
    nl.do("service-set", service=SERVICE)
    nl.do("dest-set", service=SERVICE, dest=DEST)
    assert nl.one("service-get", service=SERVICE)["service"]["scheduler"] == "wrr"
    assert nl.one("dest-get", service=SERVICE, dest=DEST)["dest"]["weight"] == 9


def test_a_batch_of_too_many_changes_is_refused_by_its_bound(nl):
    # More than the kernel gives in one piece, whatever a change takes; it warns when it is asked.
    count = 10 << 20
    nl.grow(count * 8)
    nl.send("batch", encode("main", {"change": {}}) * count)
    with pytest.raises(Refused) as refused:
        nl.receive()
    assert refused.value.errno == "E2BIG"
    assert refused.value.text == f"{count} changes in one batch, which has at most 1048576"
