# SPDX-License-Identifier: GPL-2.0
"""toa.ko behind FullNAT of IPv6: TCP's option of 20 bytes, UDP's destination option."""

import contextlib
import json
import socket

import pytest
from lab import shell
from lab.director import Service
from lab.netns import wait_until
from lab.six import CLIENT, LOCALS, VIP
from lab.transfer import UdpEcho, both_ways
from lab.web import get

PORT = 5353
IPV6_DSTOPTS = 59


@pytest.fixture(name="server")
def _server(six, rvs):
    six.prepare_fullnat(rvs)
    shell.modprobe("toa")
    host = six.real["rs1"]
    for address in LOCALS:
        host.run("rvsadm", "toa", "trust", "add", address)
    host.run("rvsadm", "toa", "udp", "on")
    return host


def count(host, name):
    """One counter of the receiver."""
    return json.loads(host.run("rvsadm", "--json", "toa", "stats").stdout)["counters"][name]


def tell(six, rvs, toa="on"):
    """A UDP service whose only dest is rs1."""
    service = Service([(six.addresses["rs1"], 1)], mode="fullnat", vip=VIP, port=PORT,
                      protocol="udp")
    rvs.add(service)
    rvs.adm("service", "set", service.id, "--toa", toa)


@contextlib.contextmanager
def client(six):
    """A client's socket that talks to the virtual address."""
    with six.client.inside():
        s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with s:
        s.settimeout(5)
        s.connect((VIP, PORT))
        yield s


@pytest.mark.usefixtures("web")
def test_nginx_logs_the_client(six, rvs, server):
    del server
    rvs.add(Service([(six.addresses["rs1"], 1)], mode="fullnat", vip=VIP))
    get(six.client, VIP)
    assert six.web["rs1"].log()[-1][0] == CLIENT


def test_a_transfer_is_whole(six, rvs, server):
    rvs.add(Service([(six.addresses["rs1"], 1)], mode="fullnat", vip=VIP, port=5000))
    assert both_ways(six.client, server, VIP, 5000, 1 << 20, "::") == CLIENT


def test_a_program_sees_the_client_and_answers_it(six, rvs, server):
    tell(six, rvs)
    with contextlib.closing(UdpEcho(server, PORT, "::")) as echo, contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(client(six)) for _ in range(20)]
        for _ in range(3):
            for s in sockets:
                s.send(b"hello")
            for s in sockets:
                assert s.recv(99) == b"rs1 hello"
        assert {p[:2] for p in echo.peers} == {s.getsockname()[:2] for s in sockets}
    assert count(server, "flows_now") == 20


def test_a_closed_port_is_said_to_the_client(six, rvs, server):
    del server
    tell(six, rvs)
    with client(six) as s:
        s.send(b"x")
        with pytest.raises(ConnectionRefusedError):
            s.recv(99)


@pytest.mark.parametrize("toa", ["on", "off"])
def test_a_client_cannot_claim_an_address(six, rvs, server, toa):
    tell(six, rvs, toa)
    claim = bytes([0, 2, 31, 20, 0x1a, 0x0a]) + socket.inet_pton(socket.AF_INET6, "2001:db8::66")
    with contextlib.closing(UdpEcho(server, PORT, "::")) as echo, client(six) as s:
        s.setsockopt(socket.IPPROTO_IPV6, IPV6_DSTOPTS, claim + bytes(2))
        s.send(b"claim")
        wait_until(lambda: echo.peers, "the datagram has come")
        seen = echo.peers[0]
    assert seen[1] != 0x1A0A and seen[0] in LOCALS + [CLIENT]
    assert count(server, "untrusted") == 0


def test_nobody_is_believed_who_is_not_trusted(six, rvs, server):
    for address in LOCALS:
        server.run("rvsadm", "toa", "trust", "del", address)
    tell(six, rvs)
    with contextlib.closing(UdpEcho(server, PORT, "::")) as echo, client(six) as s:
        s.send(b"x")
        assert s.recv(99) == b"rs1 x"
        assert echo.peers[0][0] in LOCALS
    assert count(server, "untrusted") == 1
