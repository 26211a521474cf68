# SPDX-License-Identifier: GPL-2.0
"""Namespaces without services have nothing of RVS; those with services do not meet."""

import json

from lab import shell
from lab.director import Service
from lab.netns import wait_until
from lab.packets import udp
from lab.raw import _director_rvs, _lab, _rvs, _wire  # noqa: F401
from lab.topology import CLIENT, VIP

DNS = Service([("192.168.56.101", 1), ("192.168.56.102", 1)], protocol="udp", port=53)


def hooks(host):
    """What `nft` says of the IPv4 hooks of a namespace; functions of ours are marked [rvs]."""
    return host.run("nft", "list", "hooks", "ip").stdout


def test_only_namespaces_with_services_have_hooks(rvs, lab):
    rvs.add(DNS)
    assert "[rvs]" in hooks(lab.director)
    for host in (lab.router, lab.client, lab.real["rs1"]):
        assert "[rvs]" not in hooks(host)


def test_a_namespace_made_later_has_no_hooks(rvs, lab):
    rvs.add(DNS)
    shell.run("ip netns add later")
    try:
        assert "[rvs]" not in shell.run("ip netns exec later nft list hooks ip").stdout
    finally:
        shell.run("ip netns del later")


def test_other_namespaces_see_no_services_connections_or_counts(rvs, wire, lab):
    rvs.add(DNS)
    wire.send(*(udp((CLIENT, 7000 + i), (VIP, 53)) for i in range(4)))
    wire.settle()
    assert rvs.counters()["conns_now"] == 4
    for host in (lab.router, lab.real["rs1"]):
        def said(*args):
            return json.loads(host.run("rvsadm", *args, "-j").stdout)  # noqa: B023
        assert said("service", "list")["services"] == []
        assert said("conn", "list")["connections"] == []
        stats = said("stats", "show")
        assert not any(stats["traffic"].values())
        assert stats["counters"]["conns_now"] == 0


def test_the_same_service_in_two_namespaces_is_two_services(rvs, wire, lab):
    rvs.add(DNS)
    lab.real["rs3"].run("rvsadm", "service", "add", DNS.id, "--scheduler", "wrr")
    wire.clear()
    wire.send(udp((CLIENT, 7100), (VIP, 53)))
    wire.settle()
    assert len(wire.took()) == 1
    lab.real["rs3"].run("rvsadm", "service", "flush")
    [service] = rvs.json("service", "list")["services"]
    assert (service["scheduler"], service["dests"]) == ("rr", 2)


def test_settings_of_one_namespace_are_its_own(rvs, lab):
    rvs.adm("config", "set", "--udp-timeout", 77)
    other = json.loads(lab.client.run("rvsadm", "config", "show", "-j").stdout)
    assert other["udp_timeout"] == 300


def test_a_service_s_packets_are_not_touched_elsewhere(rvs, lab):
    """The router forwards packets to the virtual address although it loaded the same module."""
    rvs.add(DNS)
    before = rvs.traffic()["in_packets"]
    with lab.client.inside():
        shell.run("socat", "-u", "EXEC:echo hello", f"UDP4-SENDTO:{VIP}:53")
    wait_until(lambda: rvs.traffic()["in_packets"] == before + 1, "it is counted once")
