# SPDX-License-Identifier: GPL-2.0
"""The table of forwarded packets at a device that gives its frames to RVS: what leaves, and what is known
of the connections afterwards, is what it is through the stack."""

import time

import pytest
from lab import shell
from lab.netns import wait_until
from lab.packets import mac_bytes
from lab.raw import _director_rvs, _lab, _rvs, _wire  # noqa: F401
from lab.traced import flows
from test_forwarded import SCENES, TCP, UDP, Scene, _ends, configure, replay  # noqa: F401

SYN = 2
# What leaves at the device is more than the table's tests have time for twice.
BOTH_WAYS = {"dr 4", "dr 6", "nat 4", "nat 6", "fullnat 4", "tun 4 4 gue-csum"}


@pytest.fixture(name="taken", scope="module")
def _taken(lab, ends, director_rvs):  # noqa: F811
    """Frames that were taken so far; neighbours are known for good."""
    router, dest = lab.router.mac("lan"), lab.real["rs1"].mac("eth0")
    lab.director.ip(
        *(f"neigh replace {address} lladdr {mac} dev eth0 nud permanent" for address, mac in [
            ("192.168.56.1", router), ("192.168.56.101", dest), ("2001:db8:56::101", dest),
            ("2001:db8:56::1", router)]))

    # What the wire's other end has is what lets frames leave by this one.
    lab.router.run("rvsadm", "xdp", "attach", "to-director")
    director_rvs.adm("xdp", "attach", "eth0")
    yield lambda: director_rvs.counters()["xdp_taken"]
    shell.run("rvsadm", "unload")


def may_leave(case):
    """Whether the frame of a case is taken: of an established flow of TCP or UDP, and nothing else in it."""
    raw, at = case.before, 20 if case.before[0] == 0x45 else 40
    protocol = raw[9] if raw[0] >> 4 == 4 else raw[6]
    is_plain = raw[0] in (0x45, 0x60, 0x6B) and protocol in (TCP, UDP)
    return is_plain and not case.opens and not (protocol == TCP and raw[at + 13] & SYN)


def known(rvs):
    """What is known of connections and of traffic; how long they last to 20 seconds."""
    connections = rvs.connections()
    for one in connections:
        one["expires_ms"] = round(one["expires_ms"] / 20_000)
        del one["idle_ms"]
    services = rvs.json("service", "list", "--stats")["services"]
    counters = {name: n for name, n in rvs.counters().items() if not name.startswith("xdp")}
    return sorted(connections, key=str), [one["stats"] for one in services], counters


def followed(lab, ends, rvs, text, taken):
    """What is known and told of the connections of a scene, its cases, and how many frames were taken."""
    before = taken()
    with flows() as trace:
        cases = replay(lab, ends, rvs, text)
        those, took = known(rvs), taken() - before
        rvs.reset()
        told = trace.told()
    assert [event for event, _ in told].count("new_flow") == len(those[0])
    # A flush ends them in no order.
    return (*those, sorted(told)), cases, took


@pytest.mark.parametrize("text", SCENES)
def test_frames_leave_as_the_table_says(lab, ends, rvs, taken, text):  # noqa: F811
    by_stack = None
    if text in BOTH_WAYS:
        rvs.adm("xdp", "detach", "eth0")
        by_stack, _, _ = followed(lab, ends, rvs, text, taken)
        rvs.adm("xdp", "attach", "eth0")
    at_device, cases, took = followed(lab, ends, rvs, text, taken)
    # Between IP versions all is the stack's. So is a dest's first datagram: the way back is not known yet.
    expected = sum(map(may_leave, cases)) - Scene(text).translates
    assert took == (0 if Scene(text).crosses else expected), rvs.counters()
    if by_stack:
        assert at_device == by_stack


def ended(lab, ends, rvs):
    """What is told of connections that packets follow and then none: each has to last while packets come."""
    director, (client, _) = mac_bytes(lab.director.mac("eth0")), ends
    rvs.adm("config", "set", "--udp-timeout", "6", "--tcp-timeout", "established=6,syn-recv=6,fin-wait=6,close=6")
    configure(rvs, Scene("dr 4"))
    cases = [case for case in Scene("dr 4").cases() if case.before[9] in (TCP, UDP) and (case.opens or may_leave(case))]
    with flows() as trace:
        for case in cases:
            client.put(director, case.before)
        wait_until(lambda: len(rvs.connections()) == len(trace.told()), "connections are told of")
        begun = len(rvs.connections())
        again = [case.before for case in cases if not case.opens]
        end = time.monotonic() + 12
        while time.monotonic() < end:
            for packet in again:
                client.put(director, packet)
            time.sleep(0.5)
        # By then they do not change any more: on the way it depends on when one looks.
        states = sorted((row["client"], row["state"]) for row in rvs.connections())
        assert len(trace.told()) == begun, "one ends while packets come"
        last = time.monotonic()
        wait_until(lambda: not rvs.connections(), "all end")
        lasted = time.monotonic() - last
        # It is told a moment after they are gone from the table.
        wait_until(lambda: [event for event, _ in trace.told()].count("conn_end") == begun, "all ends are told")
        return states, sorted(trace.told()), lasted


def test_connections_last_and_end_as_through_the_stack(lab, ends, rvs, taken):  # noqa: F811
    rvs.adm("xdp", "detach", "eth0")
    *by_stack, lasted = ended(lab, ends, rvs)
    rvs.reset()
    rvs.adm("xdp", "attach", "eth0")
    before = taken()
    *at_device, also = ended(lab, ends, rvs)
    assert taken() - before > 20
    assert at_device == by_stack and by_stack[1]
    assert all("why=expired" in says for event, says in at_device[1] if event == "conn_end")
    assert lasted > 4 and also > 4, (lasted, also)
