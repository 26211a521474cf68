# SPDX-License-Identifier: GPL-2.0
"""Services by mark: flows of packets that rules have marked, whatever they are to."""

import contextlib
import itertools
import socket

import pytest
from lab import sip
from lab.fixtures import lab_of_file
from lab.netns import wait_until
from lab.packets import udp
from lab.raw import _director_rvs, _ipvs, _rvs, _wire  # noqa: F401
from lab.six import CLIENT as CLIENT6
from lab.six import VIP as VIP6
from lab.six import Six
from lab.topology import CLIENT, DIRECTOR, VIP, Lab

MARK = 7
FOUR, SIX = f"fwmark/{MARK}", f"fwmark6/{MARK}"


_lab = lab_of_file(prepare=Lab.prepare_dr)


@pytest.fixture(name="clients")
def _clients(numbers=itertools.count(1)):
    """Clients that no other test has, since ip_vs remembers them."""
    number = next(numbers)
    return [*(f"12.{number}.100.{i}" for i in (40, 41)), f"12.{number}.101.7", f"13.{number}.2.77"]


@contextlib.contextmanager
def marking(host, *rules, hook="prerouting", priority="mangle", kind="filter"):
    """Rules of nft that mark packets on a host."""
    chain = f"{{ type {kind} hook {hook} priority {priority}; }}"
    host.run("nft", f"add table inet marks; add chain inet marks marks {chain}")
    try:
        host.run("nft", "; ".join(f"add rule inet marks marks {rule}" for rule in rules))
        yield
    finally:
        host.run("nft", "delete table inet marks")


def ports(*numbers, mark=MARK):
    """The rule for datagrams to ports."""
    return f"udp dport {{ {', '.join(map(str, numbers))} }} meta mark set {mark}"


def set_up(director, lab, *options, mode="dr", port=0):
    """The service with all real servers, on RVS or on ip_vs."""
    dests = [f"{address}:{port}" for address in lab.addresses.values()]
    if director.name == "rvs":
        director.adm("service", "add", FOUR, "-s", "rr", *options)
        for dest in dests:
            director.adm("dest", "add", FOUR, dest, "--mode", mode)
        return
    director.host.run("ipvsadm", "-A", "-f", MARK, "-s", "rr", *options)
    for dest in dests:
        director.host.run("ipvsadm", "-a", "-f", MARK, "-r", dest, {"dr": "-g", "nat": "-m"}[mode])


def takers(wire, client, port=5000, to=53):
    """Who gets a datagram of a client: nobody, when it is not balanced."""
    wire.clear()
    wire.send(udp((client, port), (VIP, to), b"query"))
    wire.settle()
    return wire.took()


def asks(wire, *args, **kwargs):
    """The one who gets a datagram of a client."""
    (taken,) = takers(wire, *args, **kwargs)
    return taken


@pytest.mark.parametrize("options", [(), ("-p", 300), ("-p", 300, "-M", "255.255.255.0")])
# pylint: disable-next=too-many-arguments,too-many-positional-arguments
def test_flows_to_several_ports_are_one_service_as_in_ip_vs(
    lab, ipvs, rvs, wire, clients, options
):
    seen = []
    with marking(lab.director, ports(53, 54, 55)):
        for director in (ipvs, rvs):
            set_up(director, lab, *options)
            seen.append([asks(wire, client, to=to) for to in (53, 54, 55) for client in clients])
            director.flush()
    assert seen[0] == seen[1]
    assert (seen[1][:4] == seen[1][4:8] == seen[1][8:]) == bool(options)
    assert len(set(seen[1])) == 3


def test_calls_of_sip_stay_as_in_ip_vs(lab, ipvs, rvs, wire, clients):
    """Whatever port of the service they come to; there is no such call in other services."""
    calls = [sip.new_call() for _ in range(4)]
    asked = [(client, call, to) for to in (5060, 5061) for call in calls for client in clients[:2]]
    seen = []
    with marking(lab.director, ports(5060, 5061)):
        for director in (ipvs, rvs):
            set_up(director, lab, "-p", 300, "--pe", "sip", "-M", "255.255.255.0")
            taken = []
            for port, (client, call, to) in enumerate(asked, 6100):
                wire.clear()
                wire.send(udp((client, port), (VIP, to), sip.message(call)))
                wire.settle()
                taken += wire.took()
            seen.append(taken)
            if director is rvs:
                templates = rvs.json("conn", "templates")["templates"]
                assert sorted(it["call_id"] for it in templates) == sorted(calls)
                assert {it["service"] for it in templates} == {FOUR}
            director.flush()
    assert seen[0] == seen[1] and len(seen[1]) == len(asked)
    # Of each call, both clients of the network and both ports.
    assert all(len(set(seen[1][at::8] + seen[1][at + 1::8])) == 1 for at in (0, 2, 4, 6))
    assert len(set(seen[1])) == 3


@pytest.mark.parametrize("priority", ["raw", "-199", "mangle"])
def test_marks_of_earlier_rules_count(lab, rvs, wire, priority):
    set_up(rvs, lab)
    with marking(lab.director, ports(53), ports(54, mark=8), priority=priority):
        first = asks(wire, CLIENT)
        assert not takers(wire, CLIENT, to=54) and not takers(wire, CLIENT, to=55)
        (conn,) = rvs.connections()
        assert conn["service"] == f"udp/{VIP}:53"
        assert conn["dest"] == f"{lab.addresses[first]}:53"
        # Packets of another flow with the same ports would be balanced, too.
        assert asks(wire, CLIENT, 5001) != first
    # A flow goes on where it is, marked or not.
    assert asks(wire, CLIENT) == first
    assert not takers(wire, CLIENT, 5002)


def test_marks_of_input_count_as_in_ip_vs(lab, ipvs, rvs, wire):
    """Which Docker sets in INPUT for networks whose endpoints answer directly."""
    seen = []
    for director in (ipvs, rvs):
        set_up(director, lab)
        with marking(lab.director, ports(53), hook="input"):
            seen.append([takers(wire, CLIENT, port, to=to) for port in (5200, 5201, 5200) for to in (53, 54)])
            if director is rvs:
                # Known ones do without.
                assert len(rvs.connections()) == 2
        director.flush()
    assert seen[0] == seen[1]
    assert all(len(taken) == 1 for taken in seen[1][::2]) and not any(seen[1][1::2])


def test_marks_go_before_addresses(lab, ipvs, rvs, wire):
    """As in ip_vs, and flows without a mark are those of the address."""
    (one, *_) = lab.addresses.values()
    seen = []
    for director in (ipvs, rvs):
        set_up(director, lab)
        if director is rvs:
            rvs.adm("service", "add", f"udp/{VIP}:0", "-s", "rr")
            rvs.adm("dest", "add", f"udp/{VIP}:0", f"{one}:0")
        else:
            director.host.run("ipvsadm", "-A", "-u", f"{VIP}:0", "-s", "rr", "-p", 300)
            director.host.run("ipvsadm", "-a", "-u", f"{VIP}:0", "-r", f"{one}:0", "-g")
        asked = [(port, to) for port in range(6000, 6004) for to in (53, 54)]
        with marking(lab.director, ports(53)):
            seen.append([asks(wire, CLIENT, port, to=to) for port, to in asked])
        director.flush()
    assert seen[0] == seen[1]
    assert seen[1][1::2] == ["rs1"] * 4 and len(set(seen[1][::2])) == 3


def bypassed(wire, target, port):
    """Whether a datagram to a real server's own address gets there, past the director."""
    wire.clear()
    wire.send(udp((CLIENT, port), (target, 53), b"query"))
    wire.settle()
    return bool(wire.real["rs1"].drain(lambda seen: seen.destination == target))


def test_flows_without_dests_go_where_they_are_to_as_in_ip_vs(lab, ipvs, rvs, wire):
    target = lab.addresses["rs1"]
    with marking(lab.director, ports(53)):
        # ip_vs sees only what is for the director.
        lab.director.ip("rule add fwmark 7 lookup 99", "route add local default dev lo table 99")
        ipvs.host.run("ipvsadm", "-A", "-f", MARK, "-s", "rr")
        assert not bypassed(wire, target, 5100)
        lab.director.sysctl(ipv4__vs__cache_bypass=1)
        assert bypassed(wire, target, 5101)
        lab.director.sysctl(ipv4__vs__cache_bypass=0)
        ipvs.flush()
        lab.director.ip("rule del fwmark 7", "route del local default dev lo table 99")

        rvs.adm("service", "add", FOUR, "-s", "rr")
        assert not bypassed(wire, target, 5102)
        rvs.adm("config", "set", "--cache-bypass", "on")
        assert bypassed(wire, target, 5103)
        assert not rvs.connections()
        # Not so where the director itself is meant.
        before = rvs.counters()["drop_no_dest"]
        assert takers(wire, CLIENT, 5104) == []
        assert rvs.counters()["drop_no_dest"] == before + 1


def test_nobody_waits_for_marks_without_such_a_service(lab, rvs, wire):
    def hooks():
        listed = lab.director.run("nft", "list", "hooks", "ip").stdout
        if "hook" not in listed:
            pytest.skip("this kernel was built without CONFIG_NETFILTER_NETLINK_HOOK")
        return [line for line in listed.splitlines() if "rvs" in line]

    rvs.adm("service", "add", f"udp/{VIP}:53", "-s", "rr")
    rvs.adm("dest", "add", f"udp/{VIP}:53", f"{lab.addresses['rs1']}:53")
    early = hooks()
    assert len(early) == 3 and all("350" in line for line in early)
    set_up(rvs, lab)
    late = [line for line in hooks() if line not in early]
    assert len(late) == 3 and sum("149" in line for line in late) == 2
    assert asks(wire, CLIENT) == "rs1"
    rvs.adm("service", "del", FOUR)
    assert hooks() == early
    assert asks(wire, CLIENT, 5001) == "rs1"


def test_connections_of_a_removed_service_go_on(lab, rvs, wire):
    """Of TCP; here the filter that lets their packets in is what is looked at."""
    set_up(rvs, lab)
    rvs.adm("service", "set", FOUR, "--udp-timeout", 30)
    with marking(lab.director, ports(53)):
        first = asks(wire, CLIENT)
        assert asks(wire, CLIENT) == first
        rvs.adm("service", "add", f"udp/{VIP}:54", "-s", "rr")
        # The configuration was published anew, and what packets said of addresses stays.
        assert asks(wire, CLIENT) == first
        rvs.adm("conn", "flush", FOUR)
        wait_until(lambda: not rvs.connections(), "no connection is left")
        assert asks(wire, CLIENT) != first


def test_programs_on_the_director_are_balanced_by_mark(lab, rvs):
    set_up(rvs, lab)
    with marking(lab.director, ports(53), hook="output", kind="route"), lab.director.inside():
        for port in (53, 54):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as program:
                program.sendto(b"query", (VIP, port))
                program.sendto(b"query", (VIP, port))
    (conn,) = rvs.connections()
    assert conn["service"] == f"udp/{VIP}:53"
    assert rvs.traffic()["in_packets"] == 2


@pytest.mark.parametrize("mode", ["dr", "nat"])
def test_a_dest_that_is_the_director_itself_gets_its_packets_once(lab, rvs, wire, mode):
    """With nat they are to another address by the time they are marked again."""
    rvs.adm("service", "add", FOUR, "-s", "rr")
    rvs.adm("dest", "add", FOUR, f"{DIRECTOR}:0", "--mode", mode)
    before = rvs.counters()
    with marking(lab.director, ports(53)):
        for _ in range(3):
            assert not takers(wire, CLIENT)
    after = rvs.counters()
    assert not [name for name in after if name.startswith("drop_") and after[name] != before[name]]
    (dest,) = rvs.json("dest", "list", FOUR, "--stats")["dests"]
    assert (dest["stats"]["connections"], dest["stats"]["in_packets"]) == (1, 3)


def test_ipv6(lab, rvs):
    """Marks of either version are services of their own."""
    six = Six(lab)
    six.prepare_dr()
    set_up(rvs, lab)
    rvs.adm("service", "add", SIX, "-s", "rr", "-p", 300, "-M", 64)
    for address in six.addresses.values():
        rvs.adm("dest", "add", SIX, f"[{address}]:0")
    with marking(lab.director, ports(53, 54)), lab.client.inside():
        for to in (53, 54, 55):
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
                client.bind((CLIENT6, 5000))
                for _ in range(2):
                    client.sendto(b"query", (VIP6, to))
        wait_until(lambda: rvs.traffic()["in_packets"] == 4, "four packets are balanced")
    conns = rvs.connections()
    assert {conn["service"] for conn in conns} == {f"udp/[{VIP6}]:{to}" for to in (53, 54)}
    assert len({conn["dest"].rpartition(":")[0] for conn in conns}) == 1
    assert rvs.json("service", "show", SIX)["service"]["templates"] == 1
    assert rvs.json("conn", "list", FOUR)["connections"] == []
    assert len(rvs.json("conn", "list", SIX)["connections"]) == 2


def test_networks_of_clients_are_listed(lab, rvs, wire):
    """More of them than fit one message, and of two services."""
    set_up(rvs, lab, "-p", 300)
    rvs.adm("service", "add", f"udp/{VIP}:54", "-s", "rr", "-p", 100, "-M", 24)
    for address in lab.addresses.values():
        rvs.adm("dest", "add", f"udp/{VIP}:54", f"{address}:54")
    clients = [f"14.{i // 250}.{i % 250}.7" for i in range(500)]
    with marking(lab.director, ports(53)):
        for to in (53, 54):
            wire.send(*(udp((client, 5000), (VIP, to), b"query") for client in clients))
        wait_until(lambda: rvs.traffic()["in_packets"] == 1000, "all have come")
    dests = {(c["service"], c["client"].rpartition(":")[0]): c["dest"] for c in rvs.connections()}
    of_mark = rvs.json("conn", "templates", FOUR)["templates"]
    assert sorted(each["network"] for each in of_mark) == sorted(f"{c}/32" for c in clients)
    for each in of_mark:
        address = each["network"].removesuffix("/32")
        assert dests[f"udp/{VIP}:53", address] == each["dest"].replace(":0", ":53")
        assert each["mode"] == "dr" and 200_000 < each["expires_ms"] <= 300_000
    everyone = rvs.json("conn", "templates")["templates"]
    others = [each for each in everyone if each["service"] != FOUR]
    assert len(everyone) == 1000 and {each["service"] for each in others} == {f"udp/{VIP}:54"}
    shown = rvs.json("dest", "list", FOUR)["dests"]
    assert sum(dest["templates"] for dest in shown) == 500
    assert {each["network"] for each in others} == {c.removesuffix("7") + "0/24" for c in clients}
    rvs.adm("service", "set", FOUR, "-p", 0)
    assert rvs.json("conn", "templates", FOUR)["templates"] == []
    refused = rvs.adm("conn", "templates", f"udp/{VIP}:55", check=False)
    assert refused.returncode and "no service" in refused.stderr


def test_services_by_mark_are_shown_saved_and_restored(lab, rvs):
    lines = [
        "-A -f 7 -s rr -p 300 -M 255.255.255.0",
        f"-a -f 7 -r {lab.addresses['rs1']}:0 -g -w 3",
        f"-a -f 7 -r {lab.addresses['rs2']}:8080 -m -w 1",
        "-A -f 4294967295 -6 -s lblc",
        "#rvsadm service fwmark6/4294967295 --slow-start 5",
    ]
    text = "\n".join(lines) + "\n"
    rvs.adm("restore", "-", stdin=text)
    assert rvs.adm("save").stdout.splitlines() == lines
    assert "2 unchanged" in rvs.adm("restore", "-", "--dry-run", stdin=text).stdout
    four, six = rvs.json("service", "list")["services"]
    assert (four["id"], four["mark"], four["address"]) == (FOUR, MARK, None)
    assert (six["id"], six["mark"], six["port"]) == ("fwmark6/4294967295", 2**32 - 1, None)
    assert FOUR in rvs.adm("service", "list").stdout
    rvs.adm("dest", "set", FOUR, f"{lab.addresses['rs1']}:0", "--weight", 0)
    refused = [
        (("service", "add", "fwmark/0"), "mark 0"),
        (("service", "add", FOUR), "service fwmark/7 exists already"),
        (("service", "del", "fwmark6/7"), "no service fwmark6/7"),
        (("dest", "add", FOUR, "192.168.56.103:80"), "mode dr cannot change the port, use 0"),
        (("dest", "add", FOUR, "[2001:db8::1]:0"), "not of the service's family"),
    ]
    for arguments, text in refused:
        done = rvs.adm(*arguments, check=False)
        assert done.returncode and text in done.stderr, done.stderr
