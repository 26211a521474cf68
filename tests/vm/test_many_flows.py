# SPDX-License-Identifier: GPL-2.0
"""The connection table under many flows: it grows, finds, lists, empties and shrinks."""

import pytest
from lab.director import Service
from lab.netns import wait_until
from lab.packets import udp
from lab.raw import _director_rvs, _lab, _rvs, _wire  # noqa: F401
from lab.topology import CLIENT, VIP

# pktgen's ports and addresses go round side by side; 20,000 and 3 have no common divisor, so
# this many packets are as many flows, and again as many packets are the same flows.
FLOWS = 60_000
FEWER = ("udp_src_min 10000", "udp_src_max 22000", "flag !SHARED")
MANY = ("udp_src_min 10000", "udp_src_max 30000", "src_min 198.51.100.2", "src_max 198.51.100.4",
        "flag !SHARED")
DNS = Service([("192.168.56.101", 1), ("192.168.56.102", 1)], protocol="udp", port=53)
SMALLEST = 256


@pytest.fixture(name="sinks", autouse=True, scope="module")
def _sinks(lab):
    """Real servers that drop what comes before it costs them anything."""
    for host in lab.real.values():
        host.run("nft", "add table netdev sink; add chain netdev sink in "
                 "{ type filter hook ingress device eth0 priority 0; } ; "
                 "add rule netdev sink in ip daddr 203.0.113.10 drop")


def objects():
    """Connections that the slab holds."""
    with open("/sys/kernel/slab/rvs_conn/shrink", "w", encoding="ascii") as f:
        f.write("1")
    with open("/sys/kernel/slab/rvs_conn/objects", encoding="ascii") as f:
        return int(f.read().split()[0])


def shrunk(rvs):
    return wait_until(lambda: rvs.counters()["table_buckets"] == SMALLEST,
                      "the table is as small as it gets", seconds=20, step=0.3)


def test_many_flows(rvs, wire):
    """One test of many steps: making the flows is what costs."""
    rvs.add(DNS)
    before = rvs.counters()
    assert before["table_buckets"] == SMALLEST
    flood = wire.flood(*MANY)
    assert flood.send(FLOWS) == FLOWS
    wire.settle()
    # Each flow made one connection.
    assert rvs.traffic()["connections"] == FLOWS
    now = rvs.counters()
    assert now["conns_now"] == FLOWS
    # The table grew with them.
    wait_until(lambda: rvs.counters()["table_buckets"] == 65536, "the table has grown", 20, 0.3)
    assert rvs.counters()["table_resizes"] > before["table_resizes"]
    # It finds all of them: the same packets again make none.
    assert flood.send(FLOWS) == FLOWS
    wire.settle()
    assert rvs.traffic()["connections"] == FLOWS
    assert rvs.traffic()["in_packets"] == 2 * FLOWS
    # A listing has each once.
    count = int(rvs.adm("conn", "list", "--count").stdout)
    assert count == FLOWS
    clients = [line.split()[1] for line in rvs.adm("conn", "list").stdout.splitlines()[1:]]
    assert len(clients) == len(set(clients)) == FLOWS
    # A flush empties it, and the memory comes back.
    rvs.adm("conn", "flush")
    assert rvs.counters()["conns_now"] == 0
    shrunk(rvs)
    wait_until(lambda: objects() == 0, "connections are freed", 10, 0.3)
    dests = rvs.dests(DNS).values()
    assert [(d["active"], d["inactive"]) for d in dests] == [(0, 0)] * 2


def test_listing_while_the_table_grows(rvs, wire):
    rvs.add(DNS)
    first = {f"{CLIENT}:{port}" for port in range(2000, 2200)}
    wire.send(*(udp((CLIENT, port), (VIP, 53)) for port in range(2000, 2200)))
    wire.settle()
    resizes = rvs.counters()["table_resizes"]
    listings = []
    with wire.flood(*FEWER):
        for _ in range(12):
            listings.append([c["client"] for c in rvs.connections()])
            if len(listings[-1]) > 8000:
                break
    assert rvs.counters()["table_resizes"] > resizes
    for listing in listings:
        # Whole entries of flows that there are, whatever moved meanwhile.
        for client in set(listing) - first:
            address, port = client.split(":")
            assert address == CLIENT and 10000 <= int(port) < 22000
    # Quiet again, a listing is complete and has each flow once.
    now = [c["client"] for c in rvs.connections()]
    assert len(now) == len(set(now)) == rvs.counters()["conns_now"]
    assert first < set(now)


def test_flows_are_found_while_the_table_grows_and_shrinks(rvs, wire):
    """A steady flow keeps its one connection through all resizes."""
    rvs.add(DNS)
    flows = [udp((CLIENT, 3000 + i), (VIP, 53)) for i in range(50)]
    wire.send(*flows)
    wire.settle()
    owners = {c["client"]: c["dest"] for c in rvs.connections()}
    rvs.adm("config", "set", "--udp-timeout", 8)
    flood = wire.flood(*FEWER)
    for _ in range(4):
        flood.send(3000)
        wire.send(*flows)
    wire.settle()

    def only_the_steady_ones():
        wire.send(*flows)
        wire.settle()
        now = rvs.counters()
        return (now["conns_now"], now["table_buckets"]) == (len(flows), SMALLEST)

    # All others expire; the table gets small again.
    wait_until(only_the_steady_ones, "the others are gone", seconds=60)
    assert {c["client"]: c["dest"] for c in rvs.connections()} == owners


def test_flushing_under_a_flood(rvs, wire):
    rvs.add(DNS)
    with wire.flood(*MANY):
        for _ in range(5):
            rvs.adm("conn", "flush")
    wire.settle()
    rvs.adm("conn", "flush")
    assert rvs.counters()["conns_now"] == 0
    shrunk(rvs)
    wait_until(lambda: objects() == 0, "connections are freed", 10, 0.3)


def test_conn_max_holds_under_a_flood_from_two_cpus(rvs, wire, lab):
    rvs.add(DNS)
    rvs.adm("config", "set", "--conn-max", 2000)
    with wire.flood(*MANY):
        wire.flood(*MANY, cpu=1, host=lab.real["rs3"]).send(6000)
    now = rvs.counters()
    # Each CPU may be past the check with one.
    assert 2000 <= now["conns_now"] <= 2002
    assert now["drop_conn_max"] > 4000
