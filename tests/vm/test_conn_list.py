# SPDX-License-Identifier: GPL-2.0
"""Connections as they are listed: of real clients, all or those of one service."""

import glob
import json
import socket

import pytest
from lab.director import Rvs, Service
from lab.genl import SPEC, Client
from lab.netns import wait_until
from lab.topology import CLIENT, VIP, Lab

TCP = {"protocol": 6, "address": VIP, "port": 80}
UDP = {"protocol": 17, "address": VIP, "port": 53}
TCP_ID, UDP_ID = f"tcp/{VIP}:80", f"udp/{VIP}:53"


class Busy:
    """A lab with three open TCP connections and two UDP flows."""

    def __init__(self):
        self.lab = Lab()
        self.lab.prepare_dr()
        self.rvs = Rvs(self.lab.director)
        self.addresses = list(self.lab.addresses.values())
        dests = [(address, 1) for address in self.addresses]
        self.rvs.add(Service(dests))
        self.rvs.add(Service(dests, protocol="udp", port=53))
        with self.lab.client.inside():
            self.tcp = [socket.create_connection((VIP, 80), timeout=10) for _ in range(3)]
            self.udp = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for flow in self.udp:
            flow.connect((VIP, 53))
            flow.send(b"?")
        with self.lab.director.inside():
            self.nl = Client()
        wait_until(lambda: len(self.nl.dump("conn-get")) >= 5, "five connections")

    def clients(self, sockets):
        """Client ports of sockets."""
        return sorted(s.getsockname()[1] for s in sockets)


@pytest.fixture(name="busy", scope="module")
def _busy():
    busy = Busy()
    yield busy
    for each in [*busy.tcp, *busy.udp, busy.nl]:
        each.close()
    busy.lab.close()


def ports(messages):
    return sorted(message.content["conn"]["client-port"] for message in messages)


def test_dump_of_all(busy):
    assert ports(busy.nl.dump("conn-get")) == busy.clients([*busy.tcp, *busy.udp])


def test_dump_of_one_service(busy):
    assert ports(busy.nl.dump("conn-get", service=TCP)) == busy.clients(busy.tcp)
    assert ports(busy.nl.dump("conn-get", service=UDP)) == busy.clients(busy.udp)


def test_every_attribute_of_a_connection(busy):
    # 1 and 11 are established and udp of the spec's conn-state.
    for service, state in ((TCP, 1), (UDP, 11)):
        found = [m.content["conn"] for m in busy.nl.dump("conn-get", service=service)]
        for conn in found:
            assert conn["protocol"] == service["protocol"]
            assert conn["client-address"] == CLIENT
            assert (conn["virtual-address"], conn["virtual-port"]) == (VIP, service["port"])
            assert conn["dest-address"] in busy.addresses
            assert conn["dest-port"] == service["port"]
            assert (conn["mode"], conn["state"]) == (1, state)
            assert 0 < conn["expires"] <= 900_000
        # rr gives each another dest.
        assert len({conn["dest-address"] for conn in found}) == len(found)


def test_kernels_ynl_lists_those_of_a_service(busy):
    (source,) = glob.glob("/usr/src/rvs/*/source")[:1]
    done = busy.lab.director.run(
        "python3", f"{source}/tools/net/ynl/pyynl/cli.py", "--spec", SPEC, "--no-schema",
        "--output-json", "--dump", "conn-get", "--json", json.dumps({"service": TCP}),
    )
    found = [answer["conn"] for answer in json.loads(done.stdout)]
    assert sorted(conn["client-port"] for conn in found) == busy.clients(busy.tcp)
    assert {(conn["client-address"], conn["state"], conn["mode"]) for conn in found} == {
        (CLIENT, "established", "dr")
    }


def test_rvsadm_lists_those_of_a_service(busy):
    for name, sockets, state in ((TCP_ID, busy.tcp, "established"), (UDP_ID, busy.udp, "udp")):
        found = busy.rvs.json("conn", "list", name)["connections"]
        assert sorted(int(c["client"].split(":")[1]) for c in found) == busy.clients(sockets)
        assert {(c["service"], c["state"], c["mode"]) for c in found} == {(name, state, "dr")}


@pytest.mark.parametrize("args, count", [
    ([], 5), ([TCP_ID], 3), (["--state", "established"], 3), (["--state", "udp"], 2),
    (["--client", CLIENT], 5), (["--client", "198.51.100.99"], 0), ([UDP_ID, "--state", "none"], 0),
])
def test_rvsadm_counts(busy, args, count):
    assert busy.rvs.adm("conn", "list", "--count", *args).stdout == f"{count}\n"
    assert busy.rvs.json("conn", "list", "--count", *args) == {"count": count}


def test_rvsadm_lists_those_of_a_dest(busy):
    counts = [busy.rvs.json("conn", "list", "--dest", address, "--count")["count"]
              for address in busy.addresses]
    assert sum(counts) == 5 and min(counts) >= 1


def test_table_agrees_with_json(busy):
    found = busy.rvs.json("conn", "list")["connections"]
    rows = [line.split()[:6] for line in busy.rvs.adm("conn", "list").stdout.splitlines()[1:]]
    expected = [
        [c["protocol"], c["client"], c["service"].split("/")[1], c["dest"], c["mode"], c["state"]]
        for c in found
    ]
    assert sorted(rows) == sorted(expected)


def test_active_connections_of_services_and_dests(busy):
    services = {s["id"]: s for s in busy.rvs.json("service", "list")["services"]}
    assert services[TCP_ID]["active"] == 3
    dests = busy.rvs.json("dest", "list", TCP_ID)["dests"]
    assert [dest["active"] for dest in dests] == [1, 1, 1]


def test_flush_of_one_service_leaves_the_others(busy):
    busy.rvs.adm("conn", "flush", UDP_ID)
    assert ports(busy.nl.dump("conn-get")) == busy.clients(busy.tcp)
