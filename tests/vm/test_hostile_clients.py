# SPDX-License-Identifier: GPL-2.0
"""Clients that want a server behind a director to believe another address, or not to learn theirs.

They are made by hand, so each sends what it likes. The server's program says whom it sees.
"""

import contextlib
import socket
import struct

import pytest
from lab import debug, shell
from lab.director import Service
from lab.fullnat import LOCALS
from lab.handshake import Connection, Hand, toa
from lab.packets import ACK, PSH, RST
from lab.six import LOCALS as LOCALS6, VIP as VIP6
from lab.topology import CLIENT, VIP

CROWD = "100.64.0.0/10"
FORGED = ("192.0.2.66", 6666)
STAMPS = b"\x08\x0a" + struct.pack("!II", 1, 0)
FULL = b"\x4d\x28" + b"k" * 38  # 40 bytes of an option that nobody knows
MPTCP = socket.IPPROTO_MPTCP
MSG_FASTOPEN = 0x20000000


class Clients:
    """Clients by hand behind the router, and a server's program whose peers are looked at."""

    def __init__(self, lab, rvs):
        self.lab, self.rvs = lab, rvs
        self.server = lab.real["rs1"]
        self._stack = contextlib.ExitStack()
        self._numbers = iter(range(1, 250))
        self.hand = self._stack.enter_context(Hand(lab.client, "eth0", lab.router.mac("wan")))
        lab.router.ip(f"route add {CROWD} via {CLIENT}")

    def close(self):
        """Ends them."""
        self._stack.close()

    def serve(self, mode="fullnat", port=5000, tell=None, vip=VIP, to=None, protocol=0,
              **options):
        """A service with one dest, and the listener there; OPTIONS are of IPPROTO_TCP."""
        to = to or self.lab.addresses["rs1"]
        service = Service([(to, 1)], mode=mode, port=port, vip=vip)
        self.rvs.add(service)
        if tell:
            self.rvs.adm("service", "set", service.id, "--toa", tell)
        return self.listen(port, protocol, **options)

    def listen(self, port, protocol=0, **options):
        """A listener on the server."""
        with self.server.inside():
            listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, protocol)
        self._stack.enter_context(listener)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for name, value in options.items():
            listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        listener.bind(("::", port))
        listener.listen(64)
        listener.settimeout(10)
        return listener

    def new(self, port=5000):
        """A client that has sent nothing."""
        number = next(self._numbers)
        return Connection(self.hand, f"100.64.0.{number}", (VIP, port))


@pytest.fixture(name="clients")
def _clients(lab, fullnat):
    shell.modprobe("toa")
    lab.real["rs1"].run("rvsadm", "toa", "trust", "add", "192.168.56.200/29")
    with contextlib.closing(Clients(lab, fullnat)) as made:
        yield made


def seen(listener):
    """Whom the program sees next."""
    accepted, name = listener.accept()
    with accepted:
        assert accepted.getpeername() == name
    return name[0].removeprefix("::ffff:"), name[1]


@contextlib.contextmanager
def acknowledging(client, number):
    """Acknowledges NUMBER meanwhile."""
    before, client.ack = client.ack, number & 0xFFFFFFFF
    yield
    client.ack = before


@pytest.mark.parametrize("is_broken", [False, True], ids=["", "wrong-checksum"])
def test_wrong_acknowledgments(clients, is_broken):
    """Of more than the server has sent, and of any number."""
    listener = clients.serve()
    for more in (1, 2, 1448, 0x7FFFFFFF, 0x80000001, -1):
        client = clients.new()
        client.open(acknowledge=False)
        with acknowledging(client, client.ack + more):
            client.send(ACK, is_broken=is_broken)
        client.send(ACK)
        assert seen(listener) == client.source, more
        client.finish()


@pytest.mark.parametrize("mode", ["nat", "fullnat"])
def test_what_is_taken_up_in_the_middle(clients, mode):
    """sloppy-tcp makes a connection of anything; the client's own option is not for the server."""
    if mode == "nat":
        clients.lab.prepare_nat()
    # For NAT: somebody trusts clients.
    clients.server.run("rvsadm", "toa", "trust", "add", CROWD)
    clients.rvs.adm("config", "set", "--sloppy-tcp", "on")
    # Or the director would see that there is no connection.
    clients.server.run("nft", "add table ip quiet; "
                       "add chain ip quiet out { type filter hook output priority 0; }; "
                       "add rule ip quiet out tcp flags & rst == rst drop")
    listener = clients.serve(mode)
    claim = toa(*FORGED)
    client = clients.new()
    client.send(ACK, options=claim)
    client.open(options=claim)
    client.data(b"x", options=claim)
    clients.server.run("nft", "delete table ip quiet")
    assert seen(listener) == client.source


def test_services_beside_each_other(clients):
    """One tells in kind 99, others of the same servers do not tell, or in kind 254."""
    clients.server.run("rvsadm", "toa", "kind", "add", "99")
    telling = clients.serve(port=5000, tell="99")
    silent = clients.serve(port=5001, tell="off")
    other = clients.serve(port=5002, tell="254")
    claim = toa(*FORGED, kind=99)
    for port, listener in ((5000, telling), (5002, other)):
        client = clients.new(port)
        client.open(options=claim)
        assert seen(listener) == client.source, port
    client = clients.new(5001)
    client.open(options=claim)
    assert seen(silent)[0] in LOCALS


@pytest.mark.parametrize("options", [
    FULL, b"\1\1" + STAMPS + b"\x4d\x1c" + b"k" * 26, b"\1\1" + STAMPS + b"\x1e\x1c" + b"k" * 26,
    b"\1\1" + STAMPS + b"\1\1\5\x1a" + b"k" * 24, b"\1\1\1\x1e\x60" + b"k" * 35,
    b"\0" + b"k" * 39,
], ids=["unknown", "stamps", "mptcp", "sack", "lies", "behind-the-end"])
def test_full_headers_where_the_handshake_is_not_its_end(clients, options):
    """The server takes no notice of the handshake's end; the first data makes the socket."""
    listener = clients.serve(TCP_DEFER_ACCEPT=30)
    client = clients.new()
    client.open(options=options, syn_options=b"\2\4\5\264\1\1" + STAMPS)
    client.data(b"question", options=options)
    assert seen(listener) == client.source


def test_a_cookie_that_is_used_twice(clients):
    """The first socket has gone when the same segment makes another."""
    clients.server.sysctl(ipv4__tcp_syncookies=2)
    listener = clients.serve()
    client = clients.new()
    client.open()
    accepted, name = listener.accept()
    with accepted:
        assert name[1] == client.source[1]
        accepted.sendall(b"hello")
        begin, end = client.seq, client.ack
        assert client.read() == b"hello"
        client.send(RST | ACK)
    for payload in (b"", b"data"):
        client.seq, client.ack = begin, end
        client.send(ACK | PSH, payload)
        assert seen(listener) == client.source
        client.send(RST | ACK)


def test_other_kinds_than_those_of_tcp(clients):
    """28 is in use; what TCP itself has is refused, by both sides."""
    clients.server.run("rvsadm", "toa", "kind", "add", "28")
    listener = clients.serve(tell="28")
    client = clients.new()
    client.open(options=toa(*FORGED, kind=28))
    assert seen(listener) == client.source
    for args in (("config", "set", "--toa", "8"), ("service", "set", f"tcp/{VIP}:5000", "--toa", "30")):
        refused = clients.rvs.adm(*args, check=False)
        assert refused.returncode and "TCP itself uses" in refused.stderr
    refused = clients.server.run("rvsadm", "toa", "kind", "add", "34", check=False)
    assert refused.returncode and "TCP itself uses" in refused.stderr


def ask_by(clients, listener, vip, protocol=0, fast=True, question=b"question"):
    """The client's address as it is, and as the server's program sees it."""
    family = socket.AF_INET6 if ":" in vip else socket.AF_INET
    with clients.lab.client.inside():
        s = socket.socket(family, socket.SOCK_STREAM, protocol)
    with s:
        if fast:
            s.sendto(question, MSG_FASTOPEN, (vip, 5000))
            s.settimeout(10)
        else:
            s.settimeout(10)
            s.connect((vip, 5000))
            s.sendall(question)
        accepted, name = listener.accept()
        with accepted:
            left = len(question)
            while left:
                left -= len(accepted.recv(left))
            accepted.sendall(b"answer")
            assert s.recv(99) == b"answer"
        own = s.getsockname()[:2]
    return own, (name[0].removeprefix("::ffff:"), name[1])


@pytest.fixture(name="way", params=["v4", "v6", "nat64"])
def _way(clients, request):
    """A virtual address and its dest."""
    if request.param == "v4":
        return VIP, None
    six = request.getfixturevalue("six")
    if request.param == "nat64":
        return VIP6, clients.lab.addresses["rs1"]
    six.prepare_fullnat(clients.rvs)
    for address in LOCALS6:
        clients.server.run("rvsadm", "toa", "trust", "add", address)
    return VIP6, six.addresses["rs1"]


def test_fast_open(clients, way):
    """The first segment makes the socket, if it has room for cookie and address."""
    vip, to = way
    clients.lab.client.sysctl(ipv4__tcp_fastopen=1)
    clients.server.sysctl(ipv4__tcp_fastopen=2)
    # Cookies are for an address.
    clients.rvs.adm("laddr", "del", "--default", LOCALS[0])
    listener = clients.serve(vip=vip, to=to, TCP_FASTOPEN=16)
    for _ in range(3):
        own, peer = ask_by(clients, listener, vip)
        assert own == peer
    counts = clients.server.run("nstat", "-asz", "TcpExtTCPFastOpenPassive").stdout
    assert counts.split()[-2] == ("2" if vip == VIP else "0"), counts


@pytest.mark.parametrize("deferred", [0, 30])
def test_multipath(clients, way, deferred):
    """Clients and programs of Multipath TCP talk plain TCP where its options leave no room."""
    if not debug.has_mptcp6():
        pytest.skip("the listener is of both families, and the debug kernel has no MPTCP over IPv6")
    vip, to = way
    options = {"TCP_DEFER_ACCEPT": deferred} if deferred else {}
    listener = clients.serve(vip=vip, to=to, protocol=MPTCP, **options)
    for size in (8, 6000):
        own, peer = ask_by(clients, listener, vip, MPTCP, fast=False, question=b"q" * size)
        assert own == peer
