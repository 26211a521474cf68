# SPDX-License-Identifier: GPL-2.0
"""Connections as they are listed: of real clients, all or those of one service."""

import glob
import json
import socket

import pytest
from lab.director import Rvs, Service
from lab.genl import SPEC, Client, Refused
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
    (["--client", "198.51.100.0/24"], 5), (["--client", "198.51.0.0/24"], 0), (["--mode", "dr"], 5),
    (["--mode", "nat"], 0), (["--protocol", "udp"], 2), (["--idle", "3000"], 0), (["--client", "::/0"], 0),
])
def test_rvsadm_counts(busy, args, count):
    assert busy.rvs.adm("conn", "list", "--count", *args).stdout == f"{count}\n"
    assert busy.rvs.json("conn", "list", "--count", *args) == {"count": count}


def test_rvsadm_lists_those_of_a_dest(busy):
    counts = [busy.rvs.json("conn", "list", "--dest", address, "--count")["count"]
              for address in busy.addresses]
    assert sum(counts) == 5 and min(counts) >= 1


def test_the_kernel_picks_them_out(busy):
    """Of the two ends, the network and the port; each attribute is asked for by itself."""
    port = busy.clients(busy.tcp)[0]
    (found,) = busy.nl.dump("conn-get", selection={"client-address": CLIENT, "client-port": port})
    assert ports([found]) == [port]
    dest = found.content["conn"]["dest-address"]
    here = ports(busy.nl.dump("conn-get", service=TCP, selection={"dest-address": dest, "dest-port": 80}))
    assert here == [port]
    network = {"dest-address": "192.168.56.0", "dest-prefix": 24, "state": 11, "mode": 1, "protocol": 17}
    assert ports(busy.nl.dump("conn-get", selection=network)) == busy.clients(busy.udp)
    assert busy.nl.dump("conn-get", selection={"silent": 3_000_000}) == []
    ends = {"virtual-address": VIP, "virtual-port": 53}
    assert ports(busy.nl.dump("conn-get", selection=ends)) == busy.clients(busy.udp)


@pytest.mark.parametrize("selection, text", [
    ({"client-address": "198.51.100.1", "client-prefix": 24}, "network is 198.51.100.0/24"),
    ({"client-address": "198.51.100.0", "client-prefix": 33}, "more than the address's 32 bits"),
    ({"dest-prefix": 24}, "dest-address is missing"),
    ({"virtual-address": VIP}, "virtual-port is missing"),
    ({"protocol": 33}, "the protocol is 6 (tcp)"),
])
def test_selections_that_are_none(busy, selection, text):
    for make in (lambda: busy.nl.dump("conn-get", selection=selection),
                 lambda: busy.nl.do("conn-flush", selection=selection)):
        with pytest.raises(Refused) as refused:
            make()
        assert text in refused.value.text
    assert len(busy.nl.dump("conn-get")) == 5


def test_limit_sort_and_columns(busy):
    def clients(*args):
        lines = busy.rvs.adm("conn", "list", *args, "--columns", "client,idle").stdout.splitlines()
        assert lines[0].split() == ["CLIENT", "IDLE"]
        return [int(line.split()[0].split(":")[1]) for line in lines[1:]]

    in_order = sorted(busy.clients([*busy.tcp, *busy.udp]))
    assert clients("--sort", "client") == in_order
    assert clients("--sort", "client", "--reverse", "--limit", "2") == in_order[:-3:-1]
    assert set(clients("--limit", "3")) < set(in_order)
    assert len(busy.rvs.json("conn", "list", "--limit", "1")["connections"]) == 1


def test_show_has_all_that_is_known(busy):
    port = busy.clients(busy.tcp)[0]
    ends = ("tcp", f"{CLIENT}:{port}", f"{VIP}:80")
    shown = busy.rvs.json("conn", "show", *ends)
    conn, dest = shown["connection"], shown["dest"]
    assert (conn["client"], conn["scheduled_by"], conn["local"]) == (ends[1], TCP_ID, None)
    assert (dest["id"], dest["active"], dest["weight"]) == (conn["dest"], 1, 1)
    assert "weight 1, 1 active" in busy.rvs.adm("conn", "show", *ends).stdout
    none = busy.rvs.adm("conn", "show", "tcp", f"{CLIENT}:1", f"{VIP}:80", check=False)
    assert none.returncode == 1 and "there is none" in none.stderr


def test_explain_of_what_is_known_and_what_is_not(busy):
    port = busy.clients(busy.tcp)[0]
    known = busy.rvs.json("explain", "tcp", f"{CLIENT}:{port}", f"{VIP}:80")
    assert (known["verdict"], known["chosen_by"], known["service"]) == ("connection", "connection", TCP_ID)
    assert known["way"]["neighbour"]["address"] and known["mode"] == "dr"
    new = busy.rvs.json("explain", "tcp", "198.51.100.77:1234", f"{VIP}:80")
    assert (new["verdict"], new["chosen_by"], new["scheduler"]) == ("new", "scheduler", "rr")
    # No turn is taken by the question, and the next flow goes where it said.
    assert busy.rvs.json("explain", "tcp", "198.51.100.77:1234", f"{VIP}:80")["dest"] == new["dest"]
    with busy.lab.client.inside():
        with socket.create_connection((VIP, 80), timeout=10) as flow:
            end = f"{CLIENT}:{flow.getsockname()[1]}"
            went = busy.rvs.json("explain", "tcp", end, f"{VIP}:80")
            assert (went["verdict"], went["dest"]) == ("connection", new["dest"])
    busy.rvs.adm("conn", "end", "--client", end)
    for to, why in ((f"{VIP}:81", "no service has that port"), ("203.0.113.99:80", "no service has that address")):
        passed = busy.rvs.json("explain", "tcp", "198.51.100.77:1234", to)
        assert (passed["verdict"], passed["dest"]) == ("pass", None) and why in passed["why"]
    assert new["source"]["back"]["device"] == "eth0" and new["source"]["refused_from"] == []
    text = busy.rvs.adm("explain", "udp", "198.51.100.77:1234", f"{VIP}:53").stdout
    assert "client      the way back is eth0 by router" in text
    assert text.splitlines()[-1].startswith("verdict     goes to 192.168.56.")
    mixed = busy.rvs.adm("explain", "udp", "198.51.100.77:1234", "[2001:db8::1]:53", check=False)
    assert mixed.returncode == 1 and "of one IP version" in mixed.stderr


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


def test_those_of_a_selection_end(busy):
    port = busy.clients(busy.udp)[0]
    with busy.lab.director.inside(), Client() as listener:
        listener.listen()
        done = busy.rvs.adm("conn", "end", UDP_ID, "--client", f"{CLIENT}:{port}")
        ((name, told),) = listener.events()
    assert done.stdout == "1 connection is ended\n"
    assert (name, told["selection"]["client-port"]) == ("conn-flush-ntf", port)
    left = busy.clients([*busy.tcp, busy.udp[1]] if port == busy.udp[0].getsockname()[1] else
                        [*busy.tcp, busy.udp[0]])
    assert ports(busy.nl.dump("conn-get")) == left
    refused = busy.rvs.adm("conn", "end", check=False)
    assert refused.returncode == 1 and "conn flush" in refused.stderr
    assert busy.rvs.json("conn", "end", "--client", "198.51.100.99") == {"ended": 0}


def test_flush_of_one_service_leaves_the_others(busy):
    busy.rvs.adm("conn", "flush", UDP_ID)
    assert ports(busy.nl.dump("conn-get")) == busy.clients(busy.tcp)
