# SPDX-License-Identifier: GPL-2.0
"""Module, namespaces and devices come and go under a packet flood; the framework reads dmesg."""

import os
import time

import pytest
from lab import shell
from lab.director import Service
from lab.fixtures import lab_of_file
from lab.netns import wait_until, wire as connect
from lab.packets import tcp, udp
from lab.raw import Observed, Wire
from lab.topology import CLIENT, VIP

DNS = Service([("192.168.56.101", 1), ("192.168.56.102", 1)], protocol="udp", port=53)
LINES = """
-A -u 203.0.113.10:53 -s rr
-a -u 203.0.113.10:53 -r 192.168.56.101:53 -g -w 1
-a -u 203.0.113.10:53 -r 192.168.56.102:53 -g -w 1
-A -t 203.0.113.10:80 -s wrr
-a -t 203.0.113.10:80 -r 192.168.56.101:80 -g -w 3
"""
FLOWS = ("udp_src_min 10000", "udp_src_max 14000")


_lab = lab_of_file(web=False)


@pytest.fixture(name="wire", scope="module")
def _wire(lab):
    made = Wire(lab)
    yield made
    made.close()


@pytest.fixture(name="rvs")
def _rvs(lab):
    made = Observed(lab.director)
    made.reset()
    return made


def users():
    """How many use the module; None when it is not loaded."""
    with open("/proc/modules", encoding="ascii") as f:
        for line in f:
            words = line.split()
            if words[0] == "rvs":
                return int(words[2])
    return None


def assert_no_trace():
    """Nothing of the module is left."""
    assert users() is None
    assert not os.path.exists("/sys/kernel/slab/rvs_conn")
    with open("/proc/slabinfo", encoding="ascii") as f:
        assert "rvs" not in f.read()


def takes_flows(rvs, wire, port=6000, count=6):
    """New flows are balanced and listed."""
    wire.clear()
    wire.send(*(udp((CLIENT, port + i), (VIP, 53)) for i in range(count)))
    wire.settle()
    took = wire.took(lambda s: s.protocol == 17 and port <= s.ports[0] < port + count)
    assert len(took) == count and set(took) == {"rs1", "rs2"}
    mine = {f"{CLIENT}:{port + i}" for i in range(count)}
    assert mine <= {c["client"] for c in rvs.connections()}


@pytest.mark.parametrize("turn", range(5 if os.environ.get("RVS_LONG") else 2))
def test_load_and_unload_ten_times_under_a_flood(lab, wire, turn):
    """Fifty times in all with make test-long. Each time services are configured and flows begin."""
    shell.rmmod("rvs")
    # From one CPU and from the other: a device belongs to one. Nearly all there is at first, then
    # a few thousand a second: a flood that leaves no time makes grace periods long.
    source = {"cpu": 1, "host": lab.real["rs3"]} if turn % 2 else {}
    with wire.flood(*FLOWS, f"delay {200_000 if turn else 20_000}", **source) as flood:
        for _ in range(10):
            shell.modprobe("rvs")
            lab.director.run("rvsadm", "restore", stdin=LINES)
            assert users() == 1
            shell.rmmod("rvs")
        assert flood.sent() > 1000
    assert_no_trace()
    rvs = Observed(lab.director)
    rvs.add(DNS)
    takes_flows(rvs, wire)
    shell.rmmod("rvs")
    assert_no_trace()


def test_unload_while_connections_begin_and_expire(lab, wire):
    rvs = Observed(lab.director)
    rvs.adm("restore", stdin=LINES)
    rvs.adm("config", "set", "--udp-timeout", 1)
    with wire.flood("udp_src_min 1000", "udp_src_max 60000"):
        wait_until(lambda: rvs.counters()["conns_expired"] > 500, "connections expire", 40, 0.3)
        shell.rmmod("rvs")
    assert_no_trace()


def test_unload_while_the_table_is_resized(lab, wire):
    rvs = Observed(lab.director)
    rvs.adm("restore", stdin=LINES)
    with wire.flood("udp_src_min 1000", "udp_src_max 60000", "src_min 198.51.100.2",
                    "src_max 198.51.100.9", "flag IPSRC_RND"):
        wait_until(lambda: rvs.counters()["table_resizes"] >= 2, "the table grows", 30, 0.1)
        shell.rmmod("rvs")
    assert_no_trace()


def test_services_come_and_go_under_a_flood(rvs, wire):
    with wire.flood(*FLOWS):
        for _ in range(10):
            rvs.adm("restore", stdin=LINES)
            rvs.adm("service", "flush")
    rvs.add(DNS)
    takes_flows(rvs, wire)
    rvs.reset()
    # Removed services and dests were let go of, with their connections.
    assert rvs.counters()["conns_now"] == 0


def test_a_namespace_with_services_can_be_made_and_deleted_again_and_again(rvs):
    rvs.add(DNS)
    for _ in range(5):
        shell.run("ip netns add brief")
        shell.run("ip -n brief link set lo up")
        shell.run("ip -n brief addr add 192.168.56.5/24 dev lo")
        shell.run("ip netns exec brief rvsadm restore", stdin=LINES)
        shell.run("ip netns del brief")
    assert len(rvs.json("service", "list")["services"]) == 1


class Direct:
    """A network of its own between director and rs1, on which devices come and go."""

    service = Service([("10.7.0.2", 1)], protocol="udp", port=53)

    def __init__(self, lab):
        self.director, self.server = lab.director, lab.real["rs1"]
        # Without it packets would go to the router and come back.
        self.director.ip("route add unreachable 10.7.0.0/24 metric 9999")
        self.make()

    def make(self):
        """Device and address, as an operator makes them anew."""
        connect(self.director, self.server, "direct", "direct")
        self.director.ip("addr add 10.7.0.1/24 dev direct")
        self.server.ip("addr add 10.7.0.2/24 dev direct")

    def received(self):
        """Packets that the real server got on it."""
        out = self.server.run("ip", "-s", "link", "show", "direct").stdout.splitlines()
        return int(out[out.index(next(x for x in out if "RX:" in x)) + 1].split()[1])

    def carries(self):
        """Whether packets arrive now."""
        before = self.received()
        wait_until(lambda: self.received() > before + 50, "packets arrive", 15, 0.2)

    def close(self):
        self.director.ip("link del direct", "route del unreachable 10.7.0.0/24 metric 9999")


@pytest.fixture(name="direct")
def _direct(lab):
    made = Direct(lab)
    yield made
    made.close()


def test_a_device_is_deleted_and_made_anew_under_a_flood(rvs, wire, direct):
    rvs.add(direct.service)
    with wire.flood(*FLOWS):
        for side in (direct.director, direct.server, direct.director):
            direct.carries()
            began = time.monotonic()
            side.ip("link del direct")
            # The kernel complains of a held device after ten seconds.
            assert time.monotonic() - began < 8
            time.sleep(0.3)
            direct.make()
        direct.carries()
    # The flows are those of the start: none was lost, none made twice.
    assert rvs.traffic()["connections"] == rvs.counters()["conns_now"] <= 4000


def test_a_device_goes_down_and_up_under_a_flood(rvs, wire, direct):
    rvs.add(direct.service)
    with wire.flood(*FLOWS):
        for side in (direct.director, direct.server):
            direct.carries()
            side.ip("link set direct down")
            time.sleep(0.3)
            side.ip("link set direct up")
        direct.carries()


def test_an_idle_way_lets_its_device_go(rvs, wire, direct):
    """No packet comes after the device is gone that would look the way up anew."""
    rvs.add(direct.service)
    wire.send(udp((CLIENT, 6500), (VIP, 53)))
    wire.settle()
    began = time.monotonic()
    direct.director.ip("link del direct")
    assert time.monotonic() - began < 8
    direct.make()


def test_a_removed_dest_lets_its_device_go(rvs, wire, direct):
    """Its TCP connection is still there."""
    service = Service([("10.7.0.2", 1)])
    rvs.add(service)
    wire.send(tcp((CLIENT, 6501), (VIP, 80), 2))
    wire.settle()
    rvs.adm("service", "del", service.id)
    began = time.monotonic()
    direct.director.ip("link del direct")
    assert time.monotonic() - began < 8
    direct.make()


def test_a_device_moves_to_another_namespace_under_a_flood(rvs, wire, direct, lab):
    rvs.add(direct.service)
    with wire.flood(*FLOWS):
        direct.carries()
        began = time.monotonic()
        lab.director.ip(f"link set direct netns {lab.client.name}")
        assert time.monotonic() - began < 8
        lab.client.ip("link del direct")
        direct.make()
        direct.carries()


def test_routes_and_neighbours_change_under_a_flood(rvs, wire, lab):
    rvs.add(DNS)
    mac = lab.real["rs2"].mac("eth0")
    with wire.flood(*FLOWS):
        for _ in range(5):
            lab.director.ip(
                "route add 192.168.56.101/32 via 192.168.56.102",
                # Both drop every neighbour. `neigh flush` gives up when they come back as it looks.
                "link set eth0 arp off",
                "link set eth0 arp on",
                "route del 192.168.56.101/32 via 192.168.56.102",
                f"neigh replace 192.168.56.101 lladdr {mac} dev eth0 nud permanent",
                "neigh del 192.168.56.101 dev eth0",
            )
    takes_flows(rvs, wire, port=6600)
