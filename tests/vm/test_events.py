# SPDX-License-Identifier: GPL-2.0
"""Listeners learn of every change, in order, with what it changed."""

import datetime
import json
import subprocess

import pytest
from lab.genl import Refused
from lab.lone import DEST, ID, SERVICE, VIP, batch, changes, host_fixture, nl_fixture, step

__all__ = ["host_fixture", "nl_fixture"]

ADD = [step("service-add", scheduler="rr"), step("dest-add", to=DEST, mode=1, weight=1)]


@pytest.fixture(name="listener")
def _listener(nl, host):
    """A second socket, which hears events."""
    del nl
    with host.client() as client:
        client.listen()
        yield client


def names(listener):
    return [name.removesuffix("-ntf") for name, _ in listener.events()]


def monitor(host, *args):
    """A running `rvsadm monitor` that listens already."""
    child = host.start(
        "rvsadm", "monitor", "--timeout", 60, *args,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    assert child.stderr.readline() == "rvsadm: listening for events\n"
    return child


def life(nl):
    """A service's life; seven events."""
    nl.do("service-add", service=dict(SERVICE, scheduler="rr"))
    nl.do("dest-add", service=SERVICE, dest=dict(DEST, mode=1, weight=1))
    nl.do("dest-set", service=SERVICE, dest=dict(DEST, weight=5))
    nl.do("service-set", service=dict(SERVICE, scheduler="wrr"))
    nl.do("config-set", config={"udp-timeout": 33})
    nl.do("dest-del", service=SERVICE, dest=DEST)
    nl.do("service-del", service=SERVICE)


LIFE = ["service-add", "dest-add", "dest-set", "service-set", "config", "dest-del", "service-del"]


def test_a_life_in_order_with_rising_generations(nl, listener):
    life(nl)
    events = listener.events()
    assert [name.removesuffix("-ntf") for name, _ in events] == LIFE
    generations = [content["generation"] for _, content in events]
    assert generations == list(range(generations[0], generations[0] + len(LIFE)))


def test_event_has_what_get_gives(nl, listener):
    nl.do("service-add", service=dict(SERVICE, scheduler="rr"))
    assert listener.events() == [("service-add-ntf", nl.one("service-get", service=SERVICE))]
    nl.do("dest-add", service=SERVICE, dest=dict(DEST, mode=1, weight=3))
    assert listener.events() == [("dest-add-ntf", nl.one("dest-get", service=SERVICE, dest=DEST))]
    nl.do("dest-set", service=SERVICE, dest=dict(DEST, weight=4))
    assert listener.events() == [("dest-set-ntf", nl.one("dest-get", service=SERVICE, dest=DEST))]
    nl.do("config-set", config={"udp-timeout": 34})
    config = nl.one("config-get")
    # These are the module's, and never change.
    del config["parameters"]
    assert listener.events() == [("config-ntf", config)]


def test_removal_tells_what_was_there(nl, listener):
    batch(nl, ADD)
    was_dest = nl.one("dest-get", service=SERVICE, dest=DEST)
    listener.events()
    nl.do("dest-del", service=SERVICE, dest=DEST)
    ((name, content),) = listener.events()
    assert (name, content["dest"]) == ("dest-del-ntf", was_dest["dest"])
    was_service = nl.one("service-get", service=SERVICE)
    nl.do("service-del", service=SERVICE)
    ((name, content),) = listener.events()
    assert (name, content["service"]) == ("service-del-ntf", was_service["service"])


def test_removed_service_is_one_event(nl, listener):
    batch(nl, ADD)
    listener.events()
    nl.do("service-del", service=SERVICE)
    assert names(listener) == ["service-del"]


def test_flush_is_an_event_a_service(nl, listener):
    batch(nl, [*ADD, step("service-add", dict(SERVICE, port=81), scheduler="rr")])
    listener.events()
    nl.do("service-flush")
    events = listener.events()
    assert [(name, content["service"]["port"]) for name, content in events] == [
        ("service-del-ntf", 80), ("service-del-ntf", 81),
    ]


def test_flush_of_nothing_is_no_event(nl, listener):
    nl.do("service-flush")
    assert names(listener) == []


def test_batch_tells_of_the_whole(nl, listener):
    passing = dict(SERVICE, port=82)
    batch(nl, [
        *ADD, step("dest-set", to=DEST, weight=9), step("service-add", passing, scheduler="rr"),
        step("service-del", passing),
    ])
    events = listener.events()
    assert [name for name, _ in events] == ["service-add-ntf", "dest-add-ntf", "dest-set-ntf"]
    # Nobody ever saw it with weight 1.
    assert [content["dest"]["weight"] for _, content in events[1:]] == [9, 9]
    assert len({content["generation"] for _, content in events}) == 1


def test_refused_change_is_no_event(nl, listener):
    for steps in ([step("service-del")], [*ADD, step("dest-set", to=DEST, weight=2**31)]):
        with pytest.raises(Refused):
            batch(nl, steps)
    with pytest.raises(Refused):
        nl.do("config-set", config={"udp-timeout": 0})
    with pytest.raises(Refused):
        nl.do("batch", [("config", {"udp-timeout": 9}), *changes([step("service-del")])])
    assert names(listener) == []


def test_reading_is_no_event(nl, listener):
    batch(nl, ADD)
    listener.events()
    nl.dump("dest-get")
    assert names(listener) == []


def test_zeroing_and_flushing_name_the_service_if_it_is_about_one(nl, listener):
    batch(nl, ADD)
    listener.events()
    nl.do("stats-zero")
    nl.do("stats-zero", service=SERVICE)
    nl.do("conn-flush")
    nl.do("conn-flush", service=SERVICE)
    events = listener.events()
    assert [name for name, _ in events] == ["stats-zero-ntf"] * 2 + ["conn-flush-ntf"] * 2
    told = [content.get("service") for _, content in events]
    named = {"protocol": 6, "address": VIP, "port": 80}
    assert told == [None, named, None, named]
    assert len({content["generation"] for _, content in events}) == 1


def test_every_listener_hears_it(nl, listener, host):
    with host.client() as second:
        second.listen()
        batch(nl, ADD)
        assert names(second) == names(listener) == ["service-add", "dest-add"]


def test_listener_that_is_too_slow_learns_that_it_missed_some(nl, host):
    with host.client() as slow:
        slow.shrink(4096)
        slow.listen()
        batch(nl, ADD)
        with pytest.raises(OSError, match="No buffer space"):
            for weight in range(100):
                nl.do("dest-set", service=SERVICE, dest=dict(DEST, weight=weight))
            slow.events()


def told(out):
    """The lines of a monitor without their times, which are those of now and in order."""
    times, lines = zip(*(line.split(" ", 1) for line in out.splitlines()))
    at = [datetime.datetime.strptime(each, "%Y-%m-%dT%H:%M:%S.%fZ") for each in times]
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    assert at == sorted(at) and datetime.timedelta() <= now - at[0] < datetime.timedelta(minutes=5)
    return list(lines)


CHANGES = {
    f"service set {ID} --persistence 300 --persistence-prefix 24":
        f"service-set {ID} scheduler rr persistence 300 persistence-prefix 24",
    f"service set {ID} --persistence 0": f"service-set {ID} scheduler rr persistence 0",
    f"service set {ID} --udp-timeout 5 --expire-quiesced on":
        f"service-set {ID} scheduler rr expire-quiesced on timeout udp=5",
    f"dest set {ID} 10.1.1.1:80 --upper 9":
        f"dest-set {ID} 10.1.1.1:80 mode dr weight 1 upper 9",
    f"dest drain {ID} 10.1.1.1:80 --deadline 600":
        f"dest-set {ID} 10.1.1.1:80 mode dr weight 0 drain 600",
    f"dest set {ID} 10.1.1.1:80 --weight 2 --upper 0":
        f"dest-set {ID} 10.1.1.1:80 mode dr weight 2 upper 0",
    f"stats zero {ID}": f"stats-zero {ID}",
    "conn flush": "conn-flush all",
    "service flush":
        f"service-del {ID} scheduler rr persistence-prefix 24 expire-quiesced on timeout udp=5",
}


def test_monitor_says_what_has_changed(nl, host):
    batch(nl, ADD)
    child = monitor(host, "--count", len(CHANGES) + 1)
    for command in CHANGES:
        host.adm(*command.split())
    # A dest without connections has drained at the worker's next look, or was taken back before.
    nl.do("stats-zero")
    out, _ = child.communicate(timeout=60)
    lines = [line for line in told(out) if not line.startswith("dest-drained")]
    lines = [line.removesuffix(", drains no longer") for line in lines]
    # That one more came is all the same here.
    expected = list(CHANGES.values())
    assert lines[:len(expected)] == expected


def test_monitor_prints_a_life(nl, host):
    child = monitor(host, "--count", len(LIFE))
    life(nl)
    out, err = child.communicate(timeout=60)
    lines = told(out)
    assert [line.split()[0] for line in lines] == LIFE
    assert lines[0] == f"service-add {ID} scheduler rr"
    assert lines[1] == f"dest-add {ID} 10.1.1.1:80 mode dr weight 1"
    assert lines[2] == f"dest-set {ID} 10.1.1.1:80 mode dr weight 5"
    assert lines[3] == f"service-set {ID} scheduler wrr"
    assert lines[4].startswith("config ") and "--udp-timeout 33" in lines[4]
    assert lines[5] == f"dest-del {ID} 10.1.1.1:80 mode dr weight 5"
    assert lines[6] == f"service-del {ID} scheduler wrr"
    assert (child.returncode, err) == (0, "")


def test_monitor_prints_a_document_an_event(nl, host):
    child = monitor(host, "--count", len(LIFE), "-j")
    life(nl)
    out, _ = child.communicate(timeout=60)
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["event"] for event in events] == LIFE
    assert events[0]["service"]["id"] == ID
    assert all(event["time"].endswith("Z") for event in events)
    assert (events[1]["dest"]["id"], events[1]["dest"]["weight"]) == ("10.1.1.1:80", 1)
    assert events[2]["dest"]["weight"] == 5
    assert events[3]["service"]["scheduler"] == "wrr"
    assert events[4]["config"]["udp_timeout"] == 33
    assert events[5]["dest"]["service"] == ID
    generations = [event["generation"] for event in events]
    assert generations == sorted(set(generations))


def test_monitor_tells_what_it_is_asked_for(nl, host):
    """Of a service, of a real server, of some kinds; others count for nothing."""
    batch(nl, ADD)
    other = f"tcp/{VIP}:81"
    asked = {
        (other, "--count", 2): ["service-add", "dest-add"],
        ("--dest", "10.2.0.0/16", "--count", 1): ["dest-add"],
        ("--event", "dest-set,config", "--count", 2): ["dest-set", "config"],
    }
    children = {args: monitor(host, *args) for args in asked}
    nl.do("dest-set", service=SERVICE, dest=dict(DEST, weight=5))
    host.adm("service", "add", other, "-s", "rr")
    host.adm("dest", "add", other, "10.2.3.4:81")
    nl.do("config-set", config={"udp-timeout": 33})
    for args, events in asked.items():
        out, err = children[args].communicate(timeout=60)
        assert ([line.split()[0] for line in told(out)], err) == (events, "")
    wrong = host.adm("monitor", "--event", "dest-gone", check=False)
    assert wrong.returncode == 2 and "dest-drained" in wrong.stderr


def test_monitor_of_a_reader_that_leaves_is_no_error(nl, host):
    child = monitor(host)
    child.stdout.close()
    batch(nl, ADD)
    assert child.wait(timeout=60) == 0
    assert child.stderr.read() == ""


def test_monitor_says_when_less_came_than_asked_for(nl, host):
    del nl
    done = host.adm("monitor", "--count", 1, "--timeout", 1, check=False)
    assert done.returncode == 1
    assert "0 of 1 came before the timeout" in done.stderr
