# SPDX-License-Identifier: GPL-2.0
"""With conntrack=1 the host tracks what is balanced as it does with ip_vs: rules see it, nat changes it."""

import contextlib
import pathlib
import socket
import struct
from concurrent.futures import ThreadPoolExecutor

import pytest
from lab import sctp, shell, six, topology
from lab.compat import differences
from lab.director import Ipvs, Rvs, Service, run_by
from lab.fixtures import lab_of_file
from lab.netns import wait_until
from lab.tracked import entries, keep, rules
from lab.transfer import LONG, UdpEcho, ask, both_ways

VIP = topology.VIP
SIZE = 100_000
MASQUERADE = "nat -A POSTROUTING -d {rs} -j MASQUERADE"
# Of that protocol alone: the director asks for its neighbours when it likes.
STATES = [f"filter -A {chain} -p {{protocol}} -m conntrack --ctstate {state}" for chain, state in (
    ("INPUT -d {vip}", "NEW"), ("INPUT -d {vip}", "ESTABLISHED"), ("INPUT -d {vip}", "INVALID"),
    ("OUTPUT -d {rs}", "ESTABLISHED"), ("OUTPUT -d {rs}", "UNTRACKED"),
    ("FORWARD -s {rs}", "ESTABLISHED"), ("FORWARD -s {rs}", "INVALID"))]


def prepare(lab):
    lab.six = six.Six(lab)
    lab.names = {4: topology, 6: six}
    lab.prepare_tun()
    lab.six.prepare_dr()
    shell.modprobe("nf_conntrack_netlink")


lab = lab_of_file(real_servers=1, web=False, prepare=prepare)


@pytest.fixture(name="directors", scope="module")
def _directors(lab):
    """Stock's and ours. What stock has no service for it lets pass."""
    made = Ipvs(lab.director), Rvs(lab.director)
    for director in made:
        keep(director)
    yield made
    keep(made[1], False)


def exchange(lab, version, mode, protocol):
    """An exchange with the service, and whom the real server saw."""
    names, rs = lab.names[version], lab.real["rs1"]
    at = names.REAL_SERVERS["rs1"] if mode == "nat" else names.VIP
    if protocol == "tcp":
        return both_ways(lab.client, rs, names.VIP, 5000, SIZE, "::" if version == 6 else "0.0.0.0")
    if protocol == "udp":
        with contextlib.closing(UdpEcho(rs, 5000, at)) as echo:
            for size in (1, 4000):
                assert ask(lab.client, names.VIP, 5000, bytes(size)) == b"rs1 " + bytes(size)
        return echo.peers[0][0]
    server = sctp.Server(rs, 5000)
    with sctp.connect(lab.client, names.VIP, 5000) as association:
        assert sctp.says(association) == b"x"
    server.wait()
    return server.peer[0]


def counts(host, version):
    """Which rules of the states were met."""
    listed = host.run("iptables-save" if version == 4 else "ip6tables-save", "-c").stdout
    return [(line.split("] ")[1], not line.startswith("[0:"))
            for line in listed.splitlines() if "--ctstate" in line]


def seen(lab, director, version, mode, protocol, masquerade):
    """What is seen of an exchange: by the real server, by rules, by connection tracking."""
    names = lab.names[version]
    ends = {"vip": names.VIP, "rs": names.REAL_SERVERS["rs1"]}
    of = {**ends, "protocol": protocol}
    lines = STATES + [MASQUERADE] * masquerade
    service = Service([(ends["rs"], 1)], mode=mode, port=5000, protocol=protocol, vip=names.VIP)
    with rules(lab.director, version, *(line.format(**of) for line in lines)):
        with run_by(director, service):
            peer = exchange(lab, version, mode, protocol)
            known = entries(lab.director, version, protocol, client=names.CLIENT,
                            director=names.DIRECTOR, **ends)
            return peer, counts(lab.director, version), known


CASES = [
    (4, "nat", "tcp", True), (4, "nat", "udp", True), (4, "nat", "sctp", True),
    (6, "nat", "tcp", True), (6, "nat", "udp", True), (4, "nat", "tcp", False),
    (4, "dr", "tcp", False), (4, "dr", "udp", False), (4, "tun", "udp", False), (6, "dr", "udp", False),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)))
def test_as_stock(lab, directors, case):
    version, mode, protocol, masquerade = case
    if protocol == "sctp":
        shell.modprobe("sctp")
        if not pathlib.Path("/proc/sys/net/netfilter/nf_conntrack_sctp_timeout_closed").exists():
            pytest.skip("the kernel's connection tracking knows no SCTP (CONFIG_NF_CT_PROTO_SCTP)")
    names = lab.names[version]
    if mode == "nat" and not masquerade:
        lab.prepare_nat()
    found = [seen(lab, director, version, mode, protocol, masquerade) for director in directors]
    if mode == "nat" and not masquerade:
        lab.real["rs1"].ip(f"route replace default via {topology.ROUTER}")
    stock, ours = found
    assert ours == stock, differences(stock, ours)
    peer, _, known = ours
    assert peer == (names.DIRECTOR if masquerade else names.CLIENT)
    assert known
    if mode == "nat":
        to = "director" if masquerade else "client"
        assert all(entry.ends[:2] == ["client", "vip"] and entry.ends[4:6] == ["rs", to]
                   for entry in known)


class Talk:
    """A connection of TCP through the service that says something now and then."""

    def __init__(self, lab):
        with lab.real["rs1"].inside():
            listener = socket.create_server(("0.0.0.0", 5000))
        with listener:
            with lab.client.inside():
                self.client = socket.create_connection((VIP, 5000), timeout=30)
            listener.settimeout(30)
            self.server = listener.accept()[0]
        self.server.settimeout(30)

    def says(self, data=b"x" * 3000):
        """Both ends."""
        for sender, receiver in ((self.client, self.server), (self.server, self.client)):
            sender.sendall(data)
            left = len(data)
            while left:
                got = receiver.recv(left)
                assert got, "the connection was closed"
                left -= len(got)

    def close(self):
        """Both ends."""
        self.client.close()
        self.server.close()


@pytest.fixture(name="service")
def _service(lab, directors):
    """A service that masquerades, by both in turn: by one at a time."""
    lab.prepare_nat()
    yield Service([(lab.addresses["rs1"], 1)], mode="nat", port=5000)
    lab.real["rs1"].ip(f"route replace default via {topology.ROUTER}")
    keep(directors[1])


HOOKED = "nat -A POSTROUTING -d 192.168.56.101 -j MASQUERADE"


def test_places_change_under_traffic(lab, directors, service):
    """None of those breaks that began before, nor of those that begin in between or never pause."""
    rvs = directors[1]
    other = Service(service.dests, mode="nat", port=5001)
    with (rules(lab.director, 4, HOOKED), run_by(rvs, service), contextlib.ExitStack() as talks,
          ThreadPoolExecutor(1) as pool):
        rvs.add(other)
        transfer = pool.submit(both_ways, lab.client, lab.real["rs1"], VIP, 5001, 2 * LONG)
        open_now = []
        for turn in range(20):
            rvs.adm("config", "set", *[("--conntrack", "on"), ("--conntrack", "off"),
                                       ("--places", "ip_vs"), ("--places", "early")][turn % 4])
            open_now.append(talks.enter_context(contextlib.closing(Talk(lab))))
            for talk in open_now:
                talk.says()
        transfer.result(timeout=60)
        seen_at = {talk.server.getpeername()[0] for talk in open_now}
        # Those that were tracked had their source changed.
        assert seen_at == {topology.CLIENT, topology.DIRECTOR}
    rvs.adm("config", "set", "--places", "early", "--conntrack", "off")


def test_places_are_those_that_are_asked_for(lab, directors, service):
    """Rules of INPUT see packets at ip_vs's places; tracked connections keep them there."""
    rvs = directors[1]

    def sees():
        lab.director.run("iptables", "-w", "-Z", "INPUT")
        talk.says()
        return counts(lab.director, 4) != [(rule, False) for rule, _ in counts(lab.director, 4)]

    rule = "filter -A INPUT -d 203.0.113.10 -m conntrack ! --ctstate INVALID"
    rvs.adm("conn", "flush")
    with rules(lab.director, 4, rule), run_by(rvs, service):
        rvs.adm("config", "set", "--conntrack", "off")
        with contextlib.closing(Talk(lab)) as talk:
            for places, seen_there in (("ip_vs", True), ("early", False), ("ip_vs", True)):
                rvs.adm("config", "set", "--places", places)
                assert sees() == seen_there
            rvs.adm("config", "set", "--places", "early", "--conntrack", "on")
            assert sees()
        with contextlib.closing(Talk(lab)) as talk:
            rvs.adm("config", "set", "--conntrack", "off")
            assert sees(), "it is tracked"
            rvs.adm("conn", "flush")
        with contextlib.closing(Talk(lab)) as talk:
            wait_until(lambda: not sees(), "packets are taken ahead of INPUT again")


def test_entries_end_with_connections(lab, directors, service):
    rvs = directors[1]
    other = Service(service.dests, mode="nat", port=5001, protocol="udp")
    with rules(lab.director, 4, HOOKED), run_by(rvs, other):
        with contextlib.closing(UdpEcho(lab.real["rs1"], 5001)):
            assert ask(lab.client, VIP, 5001) == b"rs1 x"
        assert len(entries(lab.director, 4, "udp")) == 1
        rvs.adm("conn", "flush")
        # By itself it would stay for 30 seconds.
        assert not entries(lab.director, 4, "udp")


def test_a_port_that_is_used_again(lab, directors, service):
    """The host still has the old connection's entry, which says where that went: it goes first."""
    found = []
    for director in directors:
        keep(director)
        with rules(lab.director, 4, HOOKED), run_by(director, service):
            # It ends while the host still takes it for open.
            with contextlib.closing(Talk(lab)) as talk:
                port = talk.client.getsockname()[1]
                talk.says()
                talk.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            lab.director.run("conntrack", "-U", "-p", "tcp", "--dport", "5000", "--state", "ESTABLISHED",
                             "-t", "600", check=False)
            with lab.client.inside():
                again = socket.socket()
            with lab.real["rs1"].inside():
                listener = socket.create_server(("0.0.0.0", 5000))
            with again, listener:
                again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                again.bind(("", port))
                again.settimeout(30)
                again.connect((VIP, 5000))
                listener.settimeout(30)
                peer = listener.accept()[0]
                peer.close()
            found.append([entry.ends for entry in entries(lab.director, 4, "tcp")])
    assert found[0] == found[1] and len(found[1]) == 1
