# SPDX-License-Identifier: GPL-2.0
"""Pings of virtual addresses: left to the host, answered, or sent to a real server."""

import pytest
from lab import six as ipv6
from lab.director import end
from lab.raw import _director_rvs, _lab, _rvs, _wire  # noqa: F401
from lab.topology import DIRECTOR, VIP

# Nobody has these addresses; the router sends them to the director.
ELSEWHERE = {4: "203.0.113.77", 6: "2001:db8:113::77"}
OWN = {4: VIP, 6: ipv6.VIP}
VERSIONS = [4, 6]


@pytest.fixture(name="net", scope="module")
def _net(lab):
    """The lab with IPv6, a path to addresses that are nowhere, and real servers that have them."""
    made = ipv6.Six(lab)
    lab.router.ip(f"route add {ELSEWHERE[4]}/32 via {DIRECTOR}",
                  f"route add {ELSEWHERE[6]}/128 via {ipv6.DIRECTOR}")
    for host in lab.real.values():
        host.sysctl(ipv4__conf__all__arp_ignore=1, ipv4__conf__all__arp_announce=2)
        host.ip(f"addr add {ELSEWHERE[4]}/32 dev lo", f"addr add {ELSEWHERE[6]}/128 dev lo nodad")
    return made


def ping(lab, address, *options):
    """Whether the client has an answer; its text."""
    done = lab.client.run("ping", "-c", "1", "-W", "1", *options, address, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def echoes(host, version):
    """Echo requests that a host has had."""
    name = {4: "snmp", 6: "snmp6"}[version]
    with host.inside(), open(f"/proc/self/net/{name}", encoding="ascii") as f:
        lines = f.read().splitlines()
    if version == 6:
        return int(dict(line.split() for line in lines)["Icmp6InEchos"])
    keys, values = (line.split() for line in lines if line.startswith("Icmp: "))
    return int(dict(zip(keys, values))["InEchos"])


def serve(rvs, address, mode="dr", weight=1, version=4, protocol="tcp"):
    """A service at ADDRESS with all real servers."""
    dests = ipv6.REAL_SERVERS if version == 6 else rvs.lab.addresses
    service = f"{protocol}/{end(address, 80)}"
    rvs.adm("service", "add", service, "-s", "rr")
    for dest in dests.values():
        rvs.adm("dest", "add", service, end(dest, 80), "--mode", mode, "--weight", weight)


@pytest.fixture(name="rvs")
def _rvs_here(rvs, lab):
    rvs.lab = lab
    return rvs


@pytest.mark.parametrize("version", VERSIONS)
def test_pings_are_left_to_the_host(net, rvs, lab, version):
    for address in (OWN[version], ELSEWHERE[version]):
        serve(rvs, address, version=version)
    assert ping(lab, OWN[version])[0]
    assert not ping(lab, ELSEWHERE[version])[0]


@pytest.mark.parametrize("version", VERSIONS)
def test_pings_of_addresses_elsewhere_are_answered(net, rvs, lab, version):
    rvs.adm("config", "set", "--echo", "answer")
    assert not ping(lab, ELSEWHERE[version])[0]
    serve(rvs, ELSEWHERE[version], version=version, weight=0)
    before = {name: echoes(host, version) for name, host in lab.real.items()}
    for options in ([], ["-s", "1472"], ["-s", "0"], ["-s", "4000"]):
        answered, text = ping(lab, ELSEWHERE[version], *options)
        assert answered, text
    # Two routers on the way back take one each, of 64: the director is none.
    assert "ttl=63" in ping(lab, ELSEWHERE[version])[1]
    # The last hop is the director.
    assert ping(lab, ELSEWHERE[version], "-t", "2")[0]
    assert ping(lab, OWN[version])[0]
    assert {name: echoes(host, version) for name, host in lab.real.items()} == before
    rvs.adm("config", "set", "--echo", "host")
    assert not ping(lab, ELSEWHERE[version])[0]


def test_only_addresses_of_services_are_answered(net, rvs, lab):
    """Others are as before, also while a virtual address shares their place in the filter."""
    rvs.adm("config", "set", "--echo", "answer")
    rvs.adm("service", "add", "fwmark/7", "-s", "rr")
    assert not ping(lab, ELSEWHERE[4])[0]
    rvs.adm("service", "add", f"udp/{ELSEWHERE[4]}:0", "-s", "rr")
    assert ping(lab, ELSEWHERE[4])[0]
    # A second one of the address goes, the first stays.
    rvs.adm("service", "add", f"tcp/{ELSEWHERE[4]}:80", "-s", "rr")
    rvs.adm("service", "del", f"udp/{ELSEWHERE[4]}:0")
    assert ping(lab, ELSEWHERE[4])[0]
    rvs.adm("service", "flush")
    assert not ping(lab, ELSEWHERE[4])[0]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_pings_a_dest(net, rvs, lab, version):
    rvs.adm("config", "set", "--echo", "balance")
    serve(rvs, ELSEWHERE[version], version=version)
    before = {name: echoes(host, version) for name, host in lab.real.items()}
    for _ in range(3):
        answered, text = ping(lab, ELSEWHERE[version])
        assert answered, text
    asked = {n for n, host in lab.real.items() if echoes(host, version) > before[n]}
    assert len(asked) == 1
    # Another takes them when that one takes no more flows.
    service = f"tcp/{end(ELSEWHERE[version], 80)}"
    dests = ipv6.REAL_SERVERS if version == 6 else lab.addresses
    dest = end(dests[asked.pop()], 80)
    rvs.adm("dest", "set", service, dest, "--weight", 0)
    assert ping(lab, ELSEWHERE[version])[0]
    now = {n for n, host in lab.real.items() if echoes(host, version) > before[n]}
    assert len(now) == 2


def test_without_a_dest_that_takes_flows_nobody_answers(net, rvs, lab):
    rvs.adm("config", "set", "--echo", "balance")
    serve(rvs, OWN[4], weight=0)
    before = rvs.counters()["drop_no_dest"]
    answered, text = ping(lab, OWN[4])
    assert not answered and "Unreachable" in text
    assert rvs.counters()["drop_no_dest"] == before + 1


@pytest.mark.parametrize("version", VERSIONS)
def test_dests_without_the_address_are_not_asked(net, rvs, lab, version):
    rvs.adm("config", "set", "--echo", "balance")
    serve(rvs, ELSEWHERE[version], mode="nat", version=version)
    before = {name: echoes(host, version) for name, host in lab.real.items()}
    assert ping(lab, ELSEWHERE[version])[0]
    assert {name: echoes(host, version) for name, host in lab.real.items()} == before


def test_the_next_service_of_an_address_stands_for_it(net, rvs, lab):
    """Also where the first one, which did, is gone."""
    rvs.adm("config", "set", "--echo", "answer")
    serve(rvs, ELSEWHERE[4])
    assert ping(lab, ELSEWHERE[4])[0]
    rvs.adm("service", "del", f"tcp/{end(ELSEWHERE[4], 80)}")
    assert not ping(lab, ELSEWHERE[4])[0]
    serve(rvs, ELSEWHERE[4], protocol="udp")
    assert ping(lab, ELSEWHERE[4])[0]
