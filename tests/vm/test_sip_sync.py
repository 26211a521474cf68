# SPDX-License-Identifier: GPL-2.0
"""Directors tell each other with which dest a call of SIP stays, and RVS and ip_vs as well."""

import socket

import pytest

from lab import shell, sip
from lab.director import Service
from lab.netns import wait_until
from lab.pair import _pair, sync  # noqa: F401
from lab.topology import CLIENT, VIP
from lab.transfer import UdpEcho, new_port

# The other one answers by the director.
NAMES = ("rs2", "rs3")
# Datagrams after which ip_vs tells of a flow, and of its call.
THRESHOLD = 3


@pytest.fixture(name="servers")
def _servers(pair):
    made = [UdpEcho(pair.lab.real[name], sip.PORT, VIP) for name in NAMES]
    yield made
    for server in made:
        server.close()


def say(client, call, times=1):
    """Who answers a new flow of the client about a call."""
    with client.inside():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with s:
        s.settimeout(10)
        s.bind((CLIENT, new_port()))
        s.connect((VIP, sip.PORT))
        names = set()
        for _ in range(times):
            s.send(sip.message(call))
            names.add(s.recv(2000).split()[0].decode())
        (name,) = names
        return name


def calls_of(director):
    """How many calls a director knows."""
    if director.name == "rvs":
        return len([row for row in director.json("conn", "templates")["templates"] if row["call_id"]])
    lines = director.host.run("ipvsadm", "-Lnc", "--persistent-conn").stdout.splitlines()
    return sum(f"{CLIENT}:0" in line and "sip" in line for line in lines)


@pytest.mark.parametrize("kinds", [("rvs", "rvs"), ("rvs", "ip_vs"), ("ip_vs", "rvs")], ids="-to-".join)
def test_calls_stay_with_their_dest(pair, servers, kinds):
    if "ip_vs" in kinds:
        shell.modprobe("ip_vs", "ip_vs_pe_sip")
    first, second = pair.directors(*kinds)
    dests = [(pair.lab.addresses[name], 1) for name in NAMES]
    for director in (first, second):
        director.add(Service(dests, protocol="udp", port=sip.PORT, options=("-p", 300, "--pe", "sip")))
    sync(first, "start", "master")
    sync(second, "start", "backup")
    calls = [sip.new_call() for _ in range(5)]
    before = [say(pair.lab.client, call, THRESHOLD + 1) for call in calls]
    assert len(set(before)) == 2
    wait_until(lambda: calls_of(second) == len(calls), "the second knows the calls", 30, step=0.2)
    pair.fail_over()
    # With rr others would be next.
    for call, name in reversed(list(zip(calls, before))):
        assert say(pair.lab.client, call) == name
    if kinds == ("rvs", "rvs"):
        assert second.json("sync", "show")["counters"]["misfit"] == 0


def test_a_call_for_a_service_of_networks_is_not_taken(pair, servers):
    first, second = pair.directors("rvs", "rvs")
    dests = [(pair.lab.addresses[name], 1) for name in NAMES]
    for director, engine in ((first, ("--pe", "sip")), (second, ())):
        director.add(Service(dests, protocol="udp", port=sip.PORT, options=("-p", 300, *engine)))
    sync(first, "start", "master")
    sync(second, "start", "backup")
    say(pair.lab.client, sip.new_call())
    wait_until(lambda: second.json("sync", "show")["counters"]["misfit"], "it is counted", 30, step=0.2)
    assert second.json("conn", "templates")["templates"] == []
