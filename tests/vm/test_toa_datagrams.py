# SPDX-License-Identifier: GPL-2.0
"""UDP that is not one small datagram after the other: every size, segments, direct questions,
receivers that are loaded anew or full."""

import contextlib
import json
import socket

import pytest
from lab import shell
from lab.director import Service
from lab.fullnat import LOCALS
from lab.netns import wait_until
from lab.packets import Tap, mac_bytes, udp
from lab.six import CLIENT as CLIENT6
from lab.six import LOCALS as LOCALS6
from lab.six import VIP as VIP6
from lab.topology import CLIENT, VIP
from lab.transfer import UdpEcho

PORT = 5353
ENDS = {"v4": (VIP, CLIENT, 1472), "v6": (VIP6, CLIENT6, 1452)}
UDP_SEGMENT = 103
IP_MTU_DISCOVER, IP_PMTUDISC_DO = 10, 2


def prepare(host):
    """Loads the receiver's settings."""
    for address in [*LOCALS, *LOCALS6]:
        host.run("rvsadm", "toa", "trust", "add", address)
    host.run("rvsadm", "toa", "udp", "on")


@pytest.fixture(name="server")
def _server(six, fullnat):
    six.prepare_fullnat(fullnat)
    shell.modprobe("toa")
    prepare(six.real["rs1"])
    for vip, address in ((VIP, six.lab.addresses["rs1"]), (VIP6, six.addresses["rs1"])):
        service = Service([(address, 1)], mode="fullnat", vip=vip, port=PORT, protocol="udp")
        fullnat.add(service)
        fullnat.adm("service", "set", service.id, "--toa", "on")
    return six.real["rs1"]


def count(host, name):
    """One counter of the receiver."""
    return json.loads(host.run("rvsadm", "--json", "toa", "stats").stdout)["counters"][name]


@contextlib.contextmanager
def client(six, to, source_port=0):
    """A client's socket that talks to an address."""
    with six.client.inside():
        s = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM)
    with s:
        s.settimeout(10)
        s.bind(("", source_port))
        s.connect((to, PORT))
        yield s


@pytest.mark.parametrize("version", ENDS)
def test_a_first_datagram_of_any_size(six, server, version):
    """Empty, of all the MTU has room for, in fragments: one datagram, of the client."""
    vip, _, full = ENDS[version]
    with contextlib.closing(UdpEcho(server, PORT, "::")) as echo:
        for size in (0, 1, full - 24, full - 8, full, 4000):
            with client(six, vip) as s:
                if version == "v4" and size <= full:
                    s.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
                # With "rs1 " the echo has fragments of its own.
                for number in (1, 2):
                    s.send(b"d" * size)
                    assert s.recv(9999) == b"rs1 " + b"d" * size, size
                    seen = [(peer[0].removeprefix("::ffff:"), peer[1]) for peer in echo.peers]
                    assert seen == [s.getsockname()[:2]] * number, size
                echo.peers.clear()


@pytest.mark.parametrize("version", ENDS)
def test_first_segments_that_fill_the_mtu(six, server, version):
    vip, address, size = ENDS[version]
    with server.inside():
        listener = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with listener, client(six, vip) as s:
        listener.bind(("::", PORT))
        listener.settimeout(10)
        s.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, size)
        s.send(b"".join(bytes([65 + n]) * size for n in range(5)) + b"last")
        for data in [bytes([65 + n]) * size for n in range(5)] + [b"last"]:
            came, peer = listener.recvfrom(9999)
            assert (came, peer[0].removeprefix("::ffff:")) == (data, address)
            assert peer[1] == s.getsockname()[1]


@pytest.mark.parametrize("version", ENDS)
def test_a_client_that_asks_the_server_itself_too(six, server, version):
    """From one port, as SIP, NTP and resolvers do: each question is answered by whom it was put to."""
    vip, _, _ = ENDS[version]
    itself = six.addresses["rs1"] if version == "v6" else six.lab.addresses["rs1"]
    with contextlib.closing(UdpEcho(server, PORT, "::")), client(six, vip) as s:
        port = s.getsockname()[1]
        for to in (vip, itself, vip, itself, itself, vip, vip):
            s.connect((to, PORT))
            s.send(to.encode())
            assert s.recv(99) == b"rs1 " + to.encode()
            assert s.getsockname()[1] == port


@pytest.mark.parametrize("version", ENDS)
def test_a_receiver_that_is_loaded_anew(six, server, version):
    """A flow that goes on is the client's again after a while."""
    vip, address, _ = ENDS[version]
    with contextlib.closing(UdpEcho(server, PORT, "::")) as echo, client(six, vip) as s:

        def seen():
            s.send(b"x")
            s.recv(99)
            return echo.peers[-1][0].removeprefix("::ffff:")

        assert [seen(), seen()] == [address] * 2
        shell.rmmod("toa")
        shell.modprobe("toa")
        prepare(server)
        # Until the director tells of it again, which it may just have to.
        assert count(server, "flows_now") == 0
        assert seen() in [*LOCALS, *LOCALS6, address]
        wait_until(lambda: seen() == address, "the client is seen again", seconds=120, step=0.5)
        assert s.getsockname()[1] == echo.peers[-1][1]


def told(number, to):
    """A datagram of a director for a client that nobody knows."""
    option = bytes([31, 8]) + (1000 + number).to_bytes(2, "big") + bytes([198, 18, 0, 1])
    return udp((LOCALS[0], 2000 + number), to, b"spoofed", options=option)


def test_a_table_full_of_flows_without_answers(six, server):
    """Flows of senders that lie about where they are go before those of clients."""
    shell.rmmod("toa")
    shell.run("modprobe", "toa", "max_flows=50")
    try:
        prepare(server)
        with server.inside():
            silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with silent, contextlib.closing(UdpEcho(server, PORT, "::")) as echo:
            silent.bind(("", PORT + 1))
            with client(six, VIP) as lively, Tap(six.director, "eth0") as tap:

                def seen(s):
                    s.send(b"x")
                    assert s.recv(99)
                    return echo.peers[-1][:2] == (f"::ffff:{CLIENT}", s.getsockname()[1])

                assert seen(lively) and seen(lively)
                to = (six.lab.addresses["rs1"], PORT + 1)
                tap.send(mac_bytes(server.mac("eth0")), *(told(n, to) for n in range(300)))
                wait_until(lambda: count(server, "flows_learned") == 301, "all have come")
                assert (count(server, "flows_now"), count(server, "flows_evicted")) == (50, 251)
                assert seen(lively)
                for _ in range(10):
                    with client(six, VIP) as s:
                        assert seen(s) and seen(s)
                assert count(server, "flows_now") == 50
                assert seen(lively)
    finally:
        shell.rmmod("toa")
