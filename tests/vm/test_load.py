# SPDX-License-Identifier: GPL-2.0
"""The module comes and goes, and so do devices and namespaces, under a flood of packets."""

import pytest
from lab import shell
from lab.director import Rvs, Service
from lab.flood import flood
from lab.netns import Host
from lab.topology import VIP
from lab.web import get


def udp(lab, **more):
    return Service([(a, 1) for a in lab.addresses.values()], protocol="udp", **more)


@pytest.mark.seconds(400)
def test_fifty_loads_and_unloads(lab, unloaded):
    lab.prepare_dr()
    with flood(lab, VIP, flows=20000) as sent:
        for _ in range(50):
            before = sent.seen()
            rvs = Rvs(lab.director)
            rvs.restore(udp(lab))
            while sent.seen() < before + 50:
                pass
            shell.rmmod("rvs")
    rvs = Rvs(lab.director)
    rvs.add(Service([(lab.addresses["rs1"], 1)]))
    assert get(lab.client, VIP) == "rs1"


def test_unload_with_connections_in_the_table(lab, rvs):
    lab.prepare_dr()
    rvs.add(udp(lab))
    with flood(lab, VIP, flows=5000) as sent:
        while sent.seen() < 5000:
            pass
    assert rvs.json("stats", "show")["counters"]["conns_now"] > 1000
    shell.rmmod("rvs")


def test_real_servers_device_goes_away(lab, rvs):
    """What is cached of a route lets go of the device."""
    lab.prepare_dr()
    rvs.add(udp(lab))
    with flood(lab, VIP, flows=2000):
        for name in ("rs1", "rs2", "rs3"):
            lab.real[name].ip("link del eth0")
            # Gone from the director's side too: another way to the same network.
            lab.director.ip("link set eth0 down", "link set eth0 up")
        lab.director.ip("link del eth0")


def test_directors_namespace_goes_away(lab, rvs):
    lab.prepare_dr()
    rvs.add(udp(lab))
    with flood(lab, VIP, flows=2000):
        lab.hosts.remove(lab.director)
        lab.director.close()


def test_namespaces_have_services_of_their_own(lab, rvs):
    rvs.add(udp(lab))
    other = Host("other")
    lab.hosts.append(other)
    assert Rvs(other).json("service", "list")["services"] == []
    Rvs(other).flush()
    assert len(rvs.json("service", "list")["services"]) == 1
