# SPDX-License-Identifier: GPL-2.0
"""Two directors, RVS or ip_vs each, that tell each other of connections: whoever takes over loses none."""

import socket

import pytest

from lab import compat, shell, six, topology
from lab.director import Service
from lab.fullnat import LOCALS
from lab.netns import wait_until
from lab.numbered import GROUP, PORT, datagram, entry
from lab.pair import (  # noqa: F401
    ALL, FULLNAT, SERVICES, Pair, _clients, _pair, give, known, services, sync,
)
from lab.sctp import Server, connect, says
from lab.transfer import UdpEcho, family, new_port

KINDS = [("rvs", "rvs"), ("rvs", "ip_vs"), ("ip_vs", "rvs")]
EACH = 4


def counters(rvs):
    """What RVS told and learned."""
    return rvs.json("sync", "show")["counters"]


def are_known(director, ports, states=("established",)):
    """Waits until a director knows the connections from these ports in one of these states."""

    def all_there():
        there = {port for port, state, _ in known(director) if state in states}
        return ports <= there

    # A datagram that nobody heard is made good for after a minute.
    wait_until(all_there, f"{director.name} knows {len(ports)} connections", 150, step=0.3)


@pytest.mark.parametrize("kinds", KINDS, ids="-to-".join)
def test_who_takes_over_loses_no_connection(pair, clients, kinds):
    first, second = pair.directors(*kinds)
    modes = ALL if kinds == ("rvs", "rvs") else SERVICES
    for director in (first, second):
        give(director, modes)
    sync(first, "start", "master")
    sync(second, "start", "backup")
    ports = clients.connect(EACH, modes)
    are_known(second, ports)
    assert {conn for conn in known(first) if conn[0] in ports} == known(second)
    if second.name == "rvs":
        dests = second.json("dest", "list")["dests"]
        assert [dest["active"] for dest in dests] == [EACH] * len(modes)
        # Nobody has scheduled them here.
        assert second.json("stats", "show")["traffic"]["connections"] == 0
    pair.fail_over()
    assert not clients.speak(b"who is there?", 30)
    # They end as others do.
    clients.close()
    over = ("time-wait", "fin-wait", "close", "close-wait", "last-ack")
    are_known(second, ports, over)
    if second.name == "rvs":
        dests = second.json("dest", "list")["dests"]
        assert {(dest["active"], dest["inactive"]) for dest in dests} == {(0, EACH)}


def test_each_may_have_local_addresses_of_its_own(pair, clients):
    first, second = pair.directors("rvs", "rvs")
    for number, director in enumerate((first, second)):
        director.adm("laddr", "add", "--default", LOCALS[number], six.LOCALS[number])
        give(director, FULLNAT, locals_too=False)
        for role in ("backup", "master"):
            sync(director, "start", role)
    are_known(second, clients.connect(EACH, FULLNAT))
    pair.fail_over()
    assert not clients.speak(b"who is there?", 30)
    # The first is told of another connection from the same port, which has another local address.
    pair.first.ip("link set sync up")
    port = clients.again(topology.VIP, ALL[4, "fullnat"][0])

    def local(director):
        conns = director.json("conn", "list")["connections"]
        return {c["local"].split(":")[0] for c in conns
                if c["client"] == f"{topology.CLIENT}:{port}" and c["state"] == "established"}

    assert local(second) == {LOCALS[1]}
    wait_until(lambda: local(first) == {LOCALS[1]}, "the first knows that one, not the old one", 20, step=0.2)
    assert not clients.speak(b"and now?", 30)


def test_without_sync_they_break(pair, clients):
    first, second = pair.directors("rvs", "rvs")
    for director in (first, second):
        give(director, SERVICES)
    clients.connect(1)
    pair.fail_over()
    assert len(clients.speak(b"who is there?", 3)) == len(SERVICES)


def test_connections_wait_for_their_dest(pair, clients):
    """The backup has no services, and gets them while it knows the connections. Then the roles change."""
    first, second = pair.directors("rvs", "rvs")
    give(first, ALL)
    ports = clients.connect(EACH, ALL)
    sync(second, "start", "backup")
    # All that there is is told at once when a master starts.
    sync(first, "start", "master")
    are_known(second, ports)
    assert second.json("service", "list")["services"] == []
    give(second, ALL)
    dests = second.json("dest", "list")["dests"]
    assert [dest["active"] for dest in dests] == [EACH] * len(ALL)
    pair.fail_over()
    # The roles change, as keepalived has it, and nobody has spoken since: the first knows all again.
    sync(first, "stop", "master")
    first.adm("conn", "flush")
    pair.first.ip("link set sync up")
    sync(first, "start", "backup")
    sync(second, "stop", "backup")
    sync(second, "start", "master")
    are_known(first, ports)
    assert not clients.speak(b"who is there?", 30)


@pytest.fixture(name="compat_pair")
def _compat_pair(lab):
    compat.load("rvs")
    made = Pair(lab)
    yield made
    made.close()
    compat.unload()


def origins(director):
    """Who looks after the connections, as ip_vs says it."""
    shown = director.host.run("cat", "/proc/net/ip_vs_conn_sync").stdout.splitlines()[1:]
    return {line.split()[-2] for line in shown}


def test_a_backup_that_starts_late_is_told_all(compat_pair, clients):
    """Started as keepalived and ipvsadm do."""
    first, second = compat_pair.directors("rvs", "rvs")
    for director in (first, second):
        give(director, SERVICES)
    first.host.sysctl(ipv4__vs__sync_refresh_period=2, ipv4__vs__sync_ports=4)
    second.host.sysctl(ipv4__vs__sync_ports=4)
    start = ("ipvsadm", "--start-daemon")
    group = ("--mcast-interface", "sync", "--mcast-group", "ff02::81", "--mcast-port", 9000,
             "--mcast-ttl", 3)
    first.host.run(*start, "master", *group)
    ports = clients.connect(EACH)
    wait_until(lambda: counters(first)["sent"] >= 4, "datagrams")
    second.host.run(*start, "backup", *group)
    are_known(second, ports)
    assert [origins(director) for director in (first, second)] == [{"LOCAL"}, {"SYNC"}]
    shown = second.host.run("ipvsadm", "-l", "--daemon").stdout
    assert "backup sync daemon (mcast=sync, syncid=0" in shown and "port=9000" in shown
    # Their time is that of the master: nobody has spoken since.
    left = {conn["client"]: conn["expires_ms"]
            for conn in second.json("conn", "list")["connections"]}
    for conn in first.json("conn", "list")["connections"]:
        assert abs(left[conn["client"]] - conn["expires_ms"]) < 5000
    second.host.run("ipvsadm", "--stop-daemon", "backup")
    assert "sync" not in second.host.run("ipvsadm", "-l", "--daemon").stdout


@pytest.mark.parametrize("kinds", KINDS, ids="-to-".join)
def test_clients_stay_with_their_dest(pair, clients, kinds):
    first, second = pair.directors(*kinds)
    names = pair.lab.addresses
    by_port = Service([(names[name], 1) for name in ("rs1", "rs2", "rs3")], port=8002,
                      options=("-p", "300"))
    for director in (first, second):
        director.add(by_port)
    sync(first, "start", "master")
    sync(second, "start", "backup")
    clients.connect(2, [(4, "dr")])
    want = known(first)
    assert len({dest for *_, dest in want}) == 1

    def template():
        if second.name == "rvs":
            rows = second.json("conn", "templates")["templates"]
            return [row["dest"] for row in rows if row["network"].startswith(topology.CLIENT)]
        lines = second.host.run("ipvsadm", "-Lnc").stdout.splitlines()
        return [line.split()[5] for line in lines if f"{topology.CLIENT}:0" in line]

    wait_until(template, "the template", 20, step=0.3)
    assert set(template()) == {dest for *_, dest in want}
    are_known(second, {port for port, *_ in want})
    pair.fail_over()
    # With rr others would be next.
    clients.connect(3, [(4, "dr")])
    assert {dest for *_, dest in known(second)} == set(template())


def test_datagrams_are_told_when_they_go_on(pair):
    first, second = pair.directors("rvs", "rvs")
    dest = (pair.lab.addresses["rs1"], 1)
    for director in (first, second):
        director.add(Service([dest], mode="nat", port=5353, protocol="udp"))
    sync(first, "start", "master")
    sync(second, "start", "backup")
    server = UdpEcho(pair.lab.real["rs1"], 5353)
    with pair.lab.client.inside():
        one, many = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    try:
        for s in (one, many):
            s.settimeout(5)
            s.bind(("", new_port()))
            s.connect((topology.VIP, 5353))
            s.send(b"x")
            s.recv(100)
        port = many.getsockname()[1]

        def goes_on():
            many.send(b"x")
            many.recv(100)
            return {port} == {port for port, *_ in known(second)}

        wait_until(goes_on, "the flow that goes on, and no other", 20, step=0.2)
        pair.fail_over()
        many.send(b"y")
        assert many.recv(100).endswith(b"y")
    finally:
        one.close()
        many.close()
        server.close()


def test_flows_of_udp_and_sctp_go_on(pair):
    """By FullNAT and NAT64, whose local addresses and ports the second has to know."""
    shell.modprobe("sctp")
    first, second = pair.directors("rvs", "rvs")
    names = pair.lab.addresses
    flows = [
        Service([(names["rs1"], 1)], mode="fullnat", port=5353, protocol="udp"),
        Service([(names["rs1"], 1)], mode="fullnat", port=5353, protocol="udp", vip=six.VIP),
        Service([(names["rs1"], 1)], mode="nat", port=9000, protocol="sctp"),
    ]
    for director in (first, second):
        director.adm("laddr", "add", "--default", *LOCALS, *six.LOCALS)
        for flow in flows:
            director.add(flow)
    sync(first, "start", "master")
    sync(second, "start", "backup")
    echo = UdpEcho(pair.lab.real["rs1"], 5353)
    served = Server(pair.lab.real["rs1"], 9000, names["rs1"])
    association = connect(pair.lab.client, topology.VIP, 9000)
    open_ = []
    try:
        for client, vip in ((topology.CLIENT, topology.VIP), (six.CLIENT, six.VIP)):
            with pair.lab.client.inside():
                s = socket.socket(family(vip), socket.SOCK_DGRAM)
            s.settimeout(5)
            s.bind((client, new_port()))
            s.connect((vip, 5353))
            open_.append(s)

        def asks(s):
            s.send(b"x")
            return s.recv(100)

        def all_known():
            assert all(asks(s) for s in open_)
            return len(known(second)) == 3

        wait_until(all_known, "both flows and the association", 20, step=0.2)
        assert {(port, dest) for port, _, dest in known(first)} == \
            {(port, dest) for port, _, dest in known(second)}
        peers = set(echo.peers)
        pair.fail_over()
        assert all(asks(s).endswith(b"x") for s in open_)
        # The real server saw nothing of it.
        assert set(echo.peers) == peers
        assert says(association) == b"x"
    finally:
        association.close()
        served.wait()
        for s in open_:
            s.close()
        echo.close()


BAD = {
    "bad_version": [datagram(entry(), version=0), datagram(entry(), version=2)],
    "bad_length": [b"", b"\0\7", datagram(entry(), size=43), datagram(entry()) + b"x", b"\0" * 9000],
    "bad_id": [datagram(entry(), ident=8)],
    "bad_entry": [datagram(entry(), count=2), datagram(entry(size=35)), datagram(entry(size=40))],
    "bad_option": [datagram(entry(options=b"\1\2\0\0")), datagram(entry(options=b"\1"))],
    "unknown_option": [datagram(entry(options=b"\x09\2\0\0")), datagram(entry(options=b"\3\3sip"))],
    "bad_flags": [datagram(entry(flags=0x2000)), datagram(entry(flags=0x800))],
    "bad_protocol": [datagram(entry(protocol=50))],
    "bad_state": [datagram(entry(state=11)), datagram(entry(state=1, protocol=17))],
    "bad_address": [datagram(entry(port=0)), datagram(entry(dest="224.0.0.1"))],
    "bad_mode": [datagram(entry(flags=4))],
}


def test_what_cannot_be_is_counted_and_not_taken(pair):
    _, second = pair.directors("rvs", "rvs")
    for service in services([(4, "dr")]):
        second.add(service)
    sync(second, "start", "backup")
    before = counters(second)
    with pair.first.inside():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with s:
        s.setsockopt(0, socket.IP_MULTICAST_IF, socket.inet_aton("10.9.0.1"))
        sent = 0
        for bad in BAD.values():
            for each in bad:
                s.sendto(each, (GROUP, PORT))
                sent += 1
        wait_until(lambda: counters(second)["received"] >= sent, "all of them")
        after = counters(second)
        grown = {name: after[name] - before[name] for name in BAD}
        assert grown == {name: len(bad) for name, bad in BAD.items()}
        assert known(second) == set()
        # One that cannot be does not take the others along; twice is once; a known one's dest changes.
        good = datagram(entry(port=1), entry(state=11), entry(port=2), entry(port=2),
                        entry(port=1, dest="192.168.56.102"))
        s.sendto(good, (GROUP, PORT))
        wait_until(lambda: len(known(second)) == 2, "two connections")
        assert known(second) == {(1, "established", "192.168.56.102:80"),
                                 (2, "established", "192.168.56.101:80")}
        # The end of one that was replaced meanwhile is not the end of the one that is there.
        s.sendto(datagram(entry(port=1, state=6, flags=0x100)), (GROUP, PORT))
        s.sendto(datagram(entry(port=2, state=6, flags=0x100)), (GROUP, PORT))
        wait_until(lambda: (2, "close", "192.168.56.101:80") in known(second), "its end")
        assert (1, "established", "192.168.56.102:80") in known(second)


def test_refusals_say_why(pair):
    first, _ = pair.directors("rvs", "rvs")

    def refused(*args):
        done = first.adm("sync", *args, check=False)
        assert done.returncode == 1
        return done.stderr

    assert "no device nosuch" in refused("start", "master", "--device", "nosuch")
    assert "10.1.1.1 is no multicast address" in refused(
        "start", "master", "--device", "sync", "--group", "10.1.1.1")
    assert "no backup runs" in refused("stop", "backup")
    sync(first, "start", "master")
    assert "a master runs already" in refused("start", "master", "--device", "sync")
    shown = first.json("sync", "show")["daemons"]
    assert shown == [{"role": "master", "device": "sync", "id": 7, "max_len": 1472, "group": GROUP,
                      "port": PORT, "ttl": 1}]


def test_a_device_is_down_or_has_another_name(pair, clients):
    """What could not be told meanwhile is told when it is as it was."""
    first, second = pair.directors("rvs", "rvs")
    for director in (first, second):
        give(director, FULLNAT)
    sync(first, "start", "master")
    sync(second, "start", "backup")
    ports = clients.connect(1, FULLNAT)
    are_known(second, ports)
    for host in (pair.first, pair.second):
        for gone, back in [(["link set sync down"], ["link set sync up"]),
                           (["link set sync down", "link set sync name other"],
                            ["link set other name sync", "link set sync up"])]:
            before = counters(first)["not_sent"]
            host.ip(*gone)
            more = clients.connect(1, FULLNAT) - ports
            if host is pair.first:
                wait_until(lambda: counters(first)["not_sent"] > before, "datagrams that were not sent")
            assert not more & {port for port, *_ in known(second)}
            host.ip(*back)
            if host is pair.first:
                # It has lost its addresses' route.
                host.ip("addr replace 10.9.0.1/24 dev sync")
            ports |= more
            are_known(second, ports)
    assert first.json("sync", "show")["daemons"][0]["device"] == "sync"


def test_devices_and_namespaces_go_at_any_moment(pair, clients):
    first, second = pair.directors("rvs", "rvs")
    for director in (first, second):
        give(director, FULLNAT)
        for role in ("master", "backup"):
            sync(director, "start", role)
    ports = clients.connect(EACH, FULLNAT)
    are_known(second, ports)
    # It goes, and comes back: what could not be told is told then.
    pair.second.ip("link del sync")
    more = clients.connect(EACH, FULLNAT)
    wait_until(lambda: counters(first)["not_sent"] > 0, "datagrams that were not sent")
    pair.first.ip("link add sync type veth peer name sync netns second", "link set sync up",
                  "addr add 10.9.0.1/24 dev sync")
    pair.second.ip("link set sync up", "addr add 10.9.0.2/24 dev sync")
    wait_until(lambda: "224.0.0.81" in pair.second.run("ip", "maddr", "show", "dev", "sync").stdout,
               "the backup listens again")
    last = clients.connect(EACH, FULLNAT) - ports - more
    are_known(second, last)
    # Both are master and backup: nobody tells the other what it has from it.
    assert counters(second)["told"] == 0
    # In the middle of traffic, which goes on: a stop, and the end of a namespace.
    sync(first, "stop", "backup")
    sync(first, "stop", "master")
    sync(first, "start", "master")
    pair.second.stop_all()
    shell.run("ip", "netns", "del", "second")
    assert not clients.speak(b"still there?", 30)
    # And of the module: everything with it.
    first.adm("unload")
    shell.modprobe("rvs")
    shell.run("ip", "netns", "add", "second")
