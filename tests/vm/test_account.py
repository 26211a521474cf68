# SPDX-License-Identifier: GPL-2.0
"""What one connection carried, of services that keep accounts, and how many are in each state."""

import contextlib
import socket

import pytest
from lab.director import Service
from lab.fullnat import LOCALS
from lab.netns import wait_until
from lab.six import VIP as VIP6
from lab.six import Six
from lab.topology import VIP
from lab.transfer import UdpEcho, ask, both_ways

SIZE = 100_000


@pytest.fixture(name="served")
def _served(lab, rvs, request):
    """A service with an account: of a mode and a family, to one dest."""
    mode, family = request.param
    vip, address = VIP, lab.addresses["rs1"]
    if family != "IPv4":
        six = Six(lab)
        vip = VIP6
        if family == "IPv6":
            six.prepare(mode, rvs)
            address = six.addresses["rs1"]
    elif mode == "dr":
        lab.prepare_dr()
    elif mode == "nat":
        lab.prepare_nat()
    if mode == "fullnat" and family != "IPv6":
        for local in LOCALS:
            lab.director.ip(f"addr add {local}/32 dev eth0")
        rvs.adm("laddr", "add", "--default", *LOCALS)
    service = Service([(address, 1)], mode=mode, vip=vip, port=5000, options=("--account",))
    rvs.add(service)
    return service, "::" if family == "IPv6" else "0.0.0.0"


def carried(rvs, service):
    """What the connections of a service carried, in the order of their clients' ports."""
    found = rvs.json("conn", "list", service.id)["connections"]
    accounts = [conn["account"] for conn in sorted(found, key=lambda conn: conn["client"])]
    for account in filter(None, accounts):
        # They grow older while the test looks.
        assert account.pop("age") < 600
    return accounts


def flow_of(client):
    """A flow of datagrams to the service."""
    with client.inside():
        flow = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    flow.settimeout(30)
    flow.connect((VIP, 5000))
    return flow


def of_dest(rvs, service):
    """What its one dest carried, as the module counts it for each dest."""
    stats = rvs.json("service", "show", service.id)["dests"][0]["stats"]
    return {name: stats[name] for name in ("in_packets", "out_packets", "in_bytes", "out_bytes")}


@pytest.mark.parametrize("served", [
    ("dr", "IPv4"), ("nat", "IPv4"), ("fullnat", "IPv4"), ("dr", "IPv6"), ("nat", "IPv6"),
    ("fullnat", "64"),
], indirect=True, ids="-".join)
def test_a_connection_carried_what_its_dest_did(lab, rvs, served):
    service, listens = served
    both_ways(lab.client, lab.real["rs1"], service.vip, 5000, SIZE, server_address=listens)

    def account():
        (of,) = carried(rvs, service)
        return of

    # The last segments may still be on their way.
    wait_until(lambda: account() == of_dest(rvs, service), "the account is what the dest carried")
    account = account()
    assert account["in_bytes"] > SIZE
    assert (account["out_bytes"] > SIZE) == (service.mode != "dr")
    # Its memory goes back to where it came from.
    assert rvs.json("conn", "end", service.id) == {"ended": 1}


def test_only_what_begins_while_accounts_are_kept(lab, rvs):
    """One begins before, one meanwhile; of that one what comes afterwards is not counted."""
    lab.prepare_nat()
    service = Service([(lab.addresses["rs1"], 1)], mode="nat", port=5000, protocol="udp")
    rvs.add(service)
    with contextlib.closing(UdpEcho(lab.real["rs1"], 5000)):
        ask(lab.client, VIP, 5000)
        assert carried(rvs, service) == [None]
        rvs.adm("service", "set", service.id, "--account")
        assert "account" in rvs.adm("service", "list").stdout
        with flow_of(lab.client) as flow:
            for _ in range(3):
                flow.send(b"x")
                flow.recv(64)
            counted = [account for account in carried(rvs, service) if account]
            assert [(of["in_packets"], of["out_packets"]) for of in counted] == [(3, 3)]
            # As many bytes as "x" and "rs1 x" have with their headers.
            assert [(of["in_bytes"], of["out_bytes"]) for of in counted] == [(3 * 29, 3 * 33)]
            rvs.adm("service", "set", service.id, "--account=off")
            flow.send(b"x")
            flow.recv(64)
            assert [account for account in carried(rvs, service) if account] == counted
    ages = rvs.json("conn", "list", "--age", "0")["connections"]
    assert len(ages) == 1 and ages[0]["account"]
    assert rvs.json("conn", "list", "--age", "100000", "--count") == {"count": 0}
    rows = rvs.adm("conn", "list", "--columns", "client,in-packets,out-bytes", "--sort", "in-packets")
    assert [row.split()[1:] for row in rows.stdout.splitlines()[1:]] == [["-", "-"], ["3", "99"]]


def test_a_flow_stays_with_a_dest_that_is_accounted_and_quiesced(lab, rvs):
    """A dest of weight 0 keeps its UDP flows, and loses them where they are to leave it."""
    lab.prepare_nat()
    dests = [(lab.addresses["rs1"], 1), (lab.addresses["rs2"], 0)]
    service = Service(dests, mode="nat", port=5000, protocol="udp", options=("--account",))
    rvs.add(service)
    echoes = [UdpEcho(lab.real[name], 5000) for name in ("rs1", "rs2")]
    try:
        with flow_of(lab.client) as flow:
            def answer():
                flow.send(b"?")
                return flow.recv(64)
            assert answer() == b"rs1 ?"
            rvs.adm("dest", "set", service.id, f"{lab.addresses['rs2']}:5000", "--weight", "1")
            rvs.adm("dest", "set", service.id, f"{lab.addresses['rs1']}:5000", "--weight", "0")
            assert answer() == b"rs1 ?"
            rvs.adm("service", "set", service.id, "--expire-quiesced", "on")
            assert answer() == b"rs2 ?"
            (account,) = carried(rvs, service)
            assert (account["in_packets"], account["out_packets"]) == (1, 1)
    finally:
        for echo in echoes:
            echo.close()


def test_how_many_are_in_each_state(lab, rvs):
    lab.prepare_nat()
    dests = [(lab.addresses["rs1"], 1)]
    rvs.add(Service(dests, mode="nat", port=5000))
    rvs.add(Service(dests, mode="nat", port=5000, protocol="udp"))
    assert set(rvs.json("stats", "show")["states"].values()) == {0}

    def states():
        told = rvs.json("stats", "show")["states"]
        return {name: number for name, number in told.items() if number}

    with contextlib.closing(UdpEcho(lab.real["rs1"], 5000)):
        for _ in range(3):
            ask(lab.client, VIP, 5000)
    both_ways(lab.client, lab.real["rs1"], VIP, 5000, 1000)
    wait_until(lambda: states() == {"udp": 3, "time_wait": 1}, "the sweep has counted them")
    assert "conns udp" in rvs.adm("stats", "show").stdout
    rvs.adm("conn", "flush")
    assert states() == {}
