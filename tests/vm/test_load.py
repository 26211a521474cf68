# SPDX-License-Identifier: GPL-2.0
"""The module comes and goes, and so do devices and namespaces, under a flood of packets."""

from lab import shell
from lab.director import Rvs, Service
from lab.flood import flood
from lab.netns import Host
from lab.topology import VIP


def udp(lab, **more):
    return Service([(a, 1) for a in lab.addresses.values()], protocol="udp", **more)


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
