# SPDX-License-Identifier: GPL-2.0
"""Local addresses: pools of services and of the namespace, and which packets they let in."""

import json

import pytest
from lab.director import Service
from lab.genl import Client, Refused
from lab.lone import DEST, SERVICE, batch, changes, host_fixture, nl_fixture, state, step
from lab.netns import wait_until
from lab.packets import tcp, udp
from lab.raw import _director_rvs, _lab, _rvs, _wire, counted  # noqa: F401
from lab.topology import CLIENT, VIP

__all__ = ["host_fixture", "nl_fixture"]

OTHER = dict(SERVICE, port=81)


@pytest.fixture(name="addresses", scope="module")
def _addresses(host):
    """Addresses that the host has."""
    addresses = [f"10.0.1.{number}" for number in range(1, 5)]
    host.ip(*(f"addr add {address}/32 dev d0" for address in addresses))
    return addresses


@pytest.fixture(name="two")
def _two(nl, addresses):
    """Two services without addresses, SERVICE and OTHER."""
    del addresses
    batch(nl, [step("service-add", one, scheduler="rr") for one in (SERVICE, OTHER)])
    return nl


def local(op, address, service=None):
    """A step of a batch."""
    named = {"service": service} if service else {}
    return op, {**named, "laddr": {"address": address}}


def add(address, service=None):
    return local("laddr-add", address, service)


def remove(address, service=None):
    return local("laddr-del", address, service)


def pools(client, **of):
    """(port of the service or None, address) of each address."""
    found = [message.content for message in client.dump("laddr-get", **of)]
    return [(each.get("service", {}).get("port"), each["laddr"]["address"]) for each in found]


def test_the_default_comes_first_then_services_each_in_order(two, addresses):
    a, b, c, d = addresses
    batch(two, [add(d, OTHER), add(c), add(b, SERVICE), add(a, SERVICE), add(b)])
    assert pools(two) == [(None, c), (None, b), (80, b), (80, a), (81, d)]
    assert pools(two, service=SERVICE) == [(80, b), (80, a)]


def test_one_at_a_time(two, addresses):
    two.do("laddr-add", laddr={"address": addresses[0]})
    two.do("laddr-add", service=SERVICE, laddr={"address": addresses[0]})
    two.do("laddr-del", laddr={"address": addresses[0]})
    assert pools(two) == [(80, addresses[0])]
    two.do("laddr-del", service=SERVICE, laddr={"address": addresses[0]})
    assert pools(two) == []


def test_more_than_one_buffer_holds(two, host):
    """A dump is cut between addresses and goes on there."""
    host.ip("route add local 10.200.0.0/16 dev d0")
    many = [f"10.200.{number // 250}.{number % 250 + 1}" for number in range(1000)]
    batch(two, [add(address) for address in many] + [add(address, OTHER) for address in many])
    assert pools(two) == [(port, address) for port in (None, 81) for address in many]


def test_a_refused_batch_leaves_every_address_in_its_place(two, addresses):
    a, b, c, d = addresses
    batch(two, [add(a), add(b), add(c), add(a, SERVICE), add(b, SERVICE), add(c, SERVICE)])
    before = state(two)
    with pytest.raises(Refused, match="no service"):
        batch(two, [
            remove(b), add(d), add(b), remove(b, SERVICE), add(d, SERVICE), remove(a, SERVICE),
            step("service-del"), step("service-del"),
        ])
    assert state(two) == before


def test_a_removed_service_takes_its_addresses_along(two, addresses):
    batch(two, [add(addresses[0], SERVICE), add(addresses[1], OTHER)])
    two.do("service-del", service=SERVICE)
    assert pools(two) == [(81, addresses[1])]
    two.do("service-add", service=dict(SERVICE, scheduler="rr"))
    assert pools(two) == [(81, addresses[1])]


def test_a_flush_of_services_leaves_the_default(two, addresses):
    batch(two, [add(addresses[0]), add(addresses[1], OTHER)])
    two.do("service-flush")
    assert pools(two) == [(None, addresses[0])]


def test_every_change_counts_as_one_of_the_configuration(two, addresses):
    first = two.one("config-get")["generation"]
    two.do("laddr-add", laddr={"address": addresses[0]})
    (message,) = two.dump("laddr-get")
    assert message.content["generation"] == first + 1


def test_events(two, host, addresses):
    a, b = addresses[:2]
    with host.client() as listener:
        listener.listen()
        two.do("laddr-add", laddr={"address": a})
        two.do("laddr-add", service=SERVICE, laddr={"address": b})
        # What the same batch adds and removes again has no event.
        batch(two, [add(b), remove(b), remove(a), add(a, OTHER)])
        two.do("service-del", service=OTHER)
        found = [
            (name, content.get("service", {}).get("port"), content.get("laddr", {}).get("address"))
            for name, content in listener.events()
        ]
    assert found == [
        ("laddr-add-ntf", None, a),
        ("laddr-add-ntf", 80, b),
        ("laddr-del-ntf", None, a),
        ("laddr-add-ntf", 81, a),
        ("service-del-ntf", 81, None),
    ]


def test_dests_of_services_with_and_without_addresses_are_picked_on(two, addresses):
    """Pools change with dests in one batch, and schedules are made for all."""
    steps = [add(addresses[0]), step("dest-add", to=DEST, mode=1, weight=1),
             add(addresses[1], SERVICE), step("dest-set", to=DEST, weight=2), remove(addresses[0])]
    two.do("batch", changes(steps))
    assert pools(two) == [(80, addresses[1])]
    assert two.one("dest-get", service=SERVICE, dest=DEST)["dest"]["weight"] == 2


# A packet whose header lies is dropped and counted when its destination is let in: it tells who is.

LIP = "192.168.56.200"
LIE = tcp((CLIENT, 4000), (LIP, 1234), 2, offset=4)
FLOW = udp((CLIENT, 4000), (VIP, 53), b"query")


@pytest.fixture(name="director")
def _director(lab, rvs):
    """The director with a UDP service and the address LIP, and a socket to its RVS."""
    lab.director.ip(f"addr replace {LIP}/24 dev eth0")
    rvs.add(Service([("192.168.56.101", 1)], protocol="udp", port=53))
    with lab.director.inside():
        client = Client()
    yield client
    for message in client.dump("laddr-get"):
        if "service" not in message.content:
            client.do("laddr-del", laddr=message.content["laddr"])
    client.close()


def is_let_in(rvs, wire):
    before = rvs.counters()["drop_malformed"]
    wire.send(LIE)
    wire.settle()
    return rvs.counters()["drop_malformed"] - before == 1


@pytest.mark.parametrize("service", [None, {"protocol": 17, "address": VIP, "port": 53}],
                         ids=["default", "service"])
def test_packets_to_local_addresses_are_let_in(rvs, wire, director, service):
    named = {"service": service} if service else {}
    assert not is_let_in(rvs, wire)
    director.do("laddr-add", laddr={"address": LIP}, **named)
    assert is_let_in(rvs, wire)
    director.do("laddr-del", laddr={"address": LIP}, **named)
    wait_until(lambda: not is_let_in(rvs, wire), "the address is forgotten")


@pytest.mark.parametrize("how", ["laddr-del", "service-del"])
def test_a_removed_address_is_let_in_while_there_are_connections(rvs, wire, director, how):
    service = {"protocol": 17, "address": VIP, "port": 53}
    director.do("laddr-add", service=service, laddr={"address": LIP})
    wire.send(FLOW)
    wait_until(lambda: rvs.counters()["conns_now"] == 1, "the connection is there")
    if how == "laddr-del":
        director.do("laddr-del", service=service, laddr={"address": LIP})
    else:
        director.do("service-del", service=service)
        # A namespace that has had services keeps its hooks.
    for _ in range(4):
        assert is_let_in(rvs, wire)
    rvs.adm("conn", "flush")
    wait_until(lambda: not is_let_in(rvs, wire), "the address is forgotten")


def test_what_belongs_to_nothing_is_the_hosts(rvs, wire, director):
    """Programs on the director may use the address too."""
    director.do("laddr-add", laddr={"address": LIP})
    before = rvs.counters()
    wire.tap.drain()
    wire.send(tcp((CLIENT, 4001), (LIP, 1234), 2))
    reset = wire.tap.see(lambda seen: seen.source == LIP and seen.protocol == 6)
    assert reset, "the host answers for its port"
    counted(rvs, before)


def test_rvsadm_saves_and_restores_what_it_added(two, host, addresses):
    del two
    a, b, c, d = addresses
    host.adm("laddr", "add", "--default", a, b)
    host.adm("laddr", "add", "tcp/203.0.113.10:80", c, d)
    host.adm("laddr", "del", "--default", a)
    listed = [(each["service"], each["address"]) for each in host.json("laddr", "list")["laddrs"]]
    assert listed == [(None, b), ("tcp/203.0.113.10:80", c), ("tcp/203.0.113.10:80", d)]
    saved = host.adm("save").stdout
    host.adm("laddr", "add", "--default", a)
    host.adm("laddr", "del", "tcp/203.0.113.10:80", c)
    done = json.loads(host.adm("restore", "-", "-j", stdin=saved).stdout)
    assert done["laddrs"] == {"added": 1, "changed": 0, "removed": 1, "unchanged": 2}
    again = json.loads(host.adm("restore", "-", "-j", stdin=saved).stdout)
    assert again["laddrs"] == {"added": 0, "changed": 0, "removed": 0, "unchanged": 3}
    assert sorted(host.adm("save").stdout.splitlines()) == sorted(saved.splitlines())


def test_rvsadm_says_what_to_do_about_an_address_of_another_host(two, host):
    del two
    done = host.adm("laddr", "add", "--default", "192.0.2.7", check=False)
    assert done.returncode == 1
    assert "192.0.2.7 is not an address of this host" in done.stderr
    assert "ip addr add" in done.stderr
