# SPDX-License-Identifier: GPL-2.0
"""Connections: they stick, drain, expire, and the table follows their number."""

import time

import pytest
from lab.director import Service
from lab.flood import flood
from lab.netns import wait_until
from lab.topology import VIP
from lab.web import get, sequence


def everyone(lab, **more):
    return Service([(a, 1) for a in lab.addresses.values()], **more)


def counters(rvs):
    return rvs.json("stats", "show")["counters"]


def test_udp_flow_stays_with_its_server(lab, rvs):
    lab.prepare_dr()
    rvs.add(everyone(lab, protocol="udp"))
    with flood(lab, VIP) as sent:
        while sent.seen() < 2000:
            pass
    connections = rvs.json("conn", "list")["connections"]
    assert len(connections) == 1


@pytest.mark.usefixtures("web")
def test_weight_zero_drains(lab, rvs):
    """A drained server gets nothing new and keeps what it has."""
    lab.prepare_dr()
    service = everyone(lab, protocol="udp")
    rvs.add(service)
    with flood(lab, VIP, flows=30, delay=100000) as sent:
        wait_until(lambda: len(rvs.json("conn", "list")["connections"]) == 30, "30 flows")
        for address in list(lab.addresses.values())[:2]:
            rvs.adm("dest", "set", service.id, f"{address}:80", "--weight", 0)
        before = sent.seen()
        wait_until(lambda: sent.seen() > before + 200, "the flood goes on")
    assert len(rvs.json("conn", "list")["connections"]) == 30
    tcp = everyone(lab)
    rvs.add(tcp)
    for address in list(lab.addresses.values())[:2]:
        rvs.adm("dest", "set", tcp.id, f"{address}:80", "--weight", 0)
    assert set(sequence(lab.client, VIP, 5)) == {"rs3"}


def test_connections_expire(lab, rvs):
    lab.prepare_dr()
    rvs.add(everyone(lab, protocol="udp"))
    with flood(lab, VIP, flows=500) as sent:
        while sent.seen() < 3000:
            pass
    assert counters(rvs)["conns_now"] > 400
    rvs.adm("config", "set", "--udp-timeout", 1)
    wait_until(lambda: counters(rvs)["conns_now"] == 0, "all expired", seconds=30, step=0.5)
    assert counters(rvs)["conns_expired"] > 400


def test_table_grows_and_shrinks(lab, rvs):
    lab.prepare_dr()
    rvs.add(everyone(lab, protocol="udp"))
    small = counters(rvs)["table_buckets"]
    with flood(lab, VIP, flows=20000) as sent:
        wait_until(lambda: counters(rvs)["conns_now"] > 12000, "12,000 flows", seconds=60)
        assert sent.seen() > 12000
        wait_until(lambda: counters(rvs)["table_buckets"] > 4 * small, "the table grows")
    big = counters(rvs)["table_buckets"]
    rvs.adm("config", "set", "--udp-timeout", 1)
    wait_until(
        lambda: counters(rvs)["table_buckets"] < big and counters(rvs)["conns_now"] == 0,
        "the table is empty and shrinks", seconds=60, step=0.5,
    )


@pytest.mark.usefixtures("web")
def test_neighbour_change_is_followed(lab, rvs):
    """A real server that comes back with another MAC address gets packets again."""
    lab.prepare_dr()
    rvs.add(Service([(lab.addresses["rs1"], 1)]))
    assert get(lab.client, VIP) == "rs1"
    lab.real["rs1"].ip(
        "link set eth0 down", "link set eth0 address 02:00:00:00:00:77", "link set eth0 up",
        "route replace default via 192.168.56.1",
    )
    lab.director.ip("neigh flush dev eth0")
    lab.router.ip("neigh flush dev lan")
    assert get(lab.client, VIP) == "rs1"


def test_statistics_count_what_was_sent(lab, rvs):
    lab.prepare_dr()
    rvs.add(everyone(lab, protocol="udp"))
    with flood(lab, VIP, flows=10) as sent:
        while sent.seen() < 1000:
            pass
    # The flood's last packets may still be on their way.
    time.sleep(0.5)
    traffic = rvs.json("stats", "show")["traffic"]
    assert traffic["connections"] == 10
    assert traffic["in_packets"] >= 1000
    assert traffic["in_bytes"] == traffic["in_packets"] * 46
