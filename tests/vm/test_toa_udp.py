# SPDX-License-Identifier: GPL-2.0
"""UDP through FullNAT with toa.ko on the real server: datagrams come from the client."""

import contextlib
import json
import socket
import threading

import pytest
from lab import shell
from lab.capture import Capture
from lab.dns import DnsServer, dig
from lab.fullnat import LOCALS, one
from lab.netns import wait_until
from lab.packets import Tap, mac_bytes, udp
from lab.topology import CLIENT, VIP
from lab.transfer import UdpEcho, ask

PORT = 5353
TRUSTED = "192.168.56.200/29"


@pytest.fixture(name="server")
def _server(lab):
    """The real server, whose receiver restores clients' addresses in UDP."""
    shell.modprobe("toa")
    host = lab.real["rs1"]
    host.run("rvsadm", "toa", "trust", "add", TRUSTED)
    host.run("rvsadm", "toa", "udp", "on")
    return host


def count(host, name):
    """One counter of the receiver."""
    return json.loads(host.run("rvsadm", "--json", "toa", "stats").stdout)["counters"][name]


def tell(rvs, lab, port=PORT, toa="on"):
    """A UDP service whose only dest is rs1, which is told the client's address."""
    service = one(lab, port, "udp")
    rvs.add(service)
    rvs.adm("service", "set", service.id, "--toa", toa)
    return service


@contextlib.contextmanager
def client(lab, port=PORT, source_port=0):
    """A client's socket that talks to the virtual address."""
    with lab.client.inside():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with s:
        s.settimeout(5)
        s.bind((CLIENT, source_port))
        s.connect((VIP, port))
        yield s


def test_a_program_sees_the_client_and_answers_it(lab, fullnat, server):
    tell(fullnat, lab)
    with contextlib.closing(UdpEcho(server, PORT)) as echo, client(lab) as s:
        for number in range(5):
            s.send(b"%d" % number)
            assert s.recv(99) == b"rs1 %d" % number
        assert echo.peers == [s.getsockname()] * 5
    assert (count(server, "flows_learned"), count(server, "flows_now")) == (1, 1)


def test_each_of_many_clients(lab, fullnat, server):
    tell(fullnat, lab)
    with contextlib.closing(UdpEcho(server, PORT)) as echo, contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(client(lab)) for _ in range(100)]
        for s in sockets:
            s.send(b"a")
        for s in sockets:
            assert s.recv(99) == b"rs1 a"
        assert sorted(echo.peers) == sorted(s.getsockname() for s in sockets)


def test_a_program_that_connects_to_its_client(lab, fullnat, server):
    tell(fullnat, lab)
    with server.inside():
        listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with listener, own, client(lab) as s:
        for each in (listener, own):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            each.settimeout(5)
        listener.bind((lab.addresses["rs1"], PORT))
        s.send(b"hello")
        data, peer = listener.recvfrom(99)
        assert (data, peer) == (b"hello", s.getsockname())
        own.bind((lab.addresses["rs1"], PORT))
        own.connect(peer)
        own.send(b"from a socket of its own")
        assert s.recv(99) == b"from a socket of its own"
        s.send(b"more")
        assert own.recv(99) == b"more"


def test_dig_and_dnsmasq(lab, fullnat, server):
    """dnsmasq names who asks."""
    tell(fullnat, lab, 53)
    address = lab.addresses["rs1"]
    with contextlib.closing(DnsServer(server, address)) as dns:
        dns.wait()
        assert dig(lab.client, VIP, 3) == [address] * 3
        assert dns.clients() == [CLIENT] * 3


def test_off_unless_told(lab, fullnat, server):
    fullnat.add(one(lab, PORT, "udp"))
    with contextlib.closing(UdpEcho(server, PORT)) as echo:
        assert ask(lab.client, VIP, PORT) == b"rs1 x"
        assert echo.peers[0][0] in LOCALS
        fullnat.adm("service", "set", f"udp/{VIP}:{PORT}", "--toa", "on")
        assert ask(lab.client, VIP, PORT) == b"rs1 x"
        assert echo.peers[1][0] == CLIENT
        server.run("rvsadm", "toa", "udp", "off")
        assert ask(lab.client, VIP, PORT) == b"rs1 x"
        assert echo.peers[2][0] in LOCALS
    wait_until(lambda: count(server, "flows_now") == 0, "flows are forgotten")


def test_nobody_is_believed_who_is_not_trusted(lab, fullnat, server):
    server.run("rvsadm", "toa", "trust", "del", TRUSTED)
    tell(fullnat, lab)
    with contextlib.closing(UdpEcho(server, PORT)) as echo:
        assert ask(lab.client, VIP, PORT) == b"rs1 x"
        assert echo.peers[0][0] in LOCALS
    assert (count(server, "untrusted"), count(server, "flows_learned")) == (1, 0)


def claim(source, destination, address="192.0.2.66", data=b"claim"):
    """A datagram whose sender claims to forward for somebody."""
    option = bytes([31, 8]) + (6666).to_bytes(2, "big") + socket.inet_aton(address)
    return udp(source, destination, data, options=option)


@pytest.mark.parametrize("toa", ["on", "off"])
def test_a_client_cannot_claim_an_address(lab, fullnat, server, toa):
    """Neither where the director tells, nor where it does not."""
    tell(fullnat, lab, toa=toa)
    with contextlib.closing(UdpEcho(server, PORT)) as echo:
        with Tap(lab.router, "to-director") as tap:
            tap.send(mac_bytes(lab.director.mac("eth0")), claim((CLIENT, 4444), (VIP, PORT)))
            wait_until(lambda: echo.peers, "the datagram has come")
    expected = CLIENT if toa == "on" else echo.peers[0][0]
    assert echo.peers[0][0] == expected and echo.peers[0][1] != 6666
    assert count(server, "untrusted") == 0


@pytest.mark.parametrize("mode", ["dr", "nat"])
def test_nor_by_another_mode(lab, fullnat, server, mode):
    """There the source is the client's own, which is not trusted."""
    service = one(lab, PORT, "udp")
    service.mode = mode
    fullnat.add(service)
    if mode == "nat":
        lab.prepare_nat()
    else:
        lab.prepare_dr()
    with contextlib.closing(UdpEcho(server, PORT)) as echo:
        with Tap(lab.router, "to-director") as tap:
            tap.send(mac_bytes(lab.director.mac("eth0")), claim((CLIENT, 4444), (VIP, PORT)))
            wait_until(lambda: echo.peers, "the datagram has come")
    assert echo.peers == [(CLIENT, 4444)]
    assert count(server, "flows_learned") == 0


def test_nor_straight(lab, fullnat, server):
    del fullnat
    with contextlib.closing(UdpEcho(server, PORT)) as echo:
        with Tap(lab.router, "to-rs1") as tap:
            to = (lab.addresses["rs1"], PORT)
            tap.send(mac_bytes(server.mac("eth0")), claim((CLIENT, 4444), to))
            wait_until(lambda: echo.peers, "the datagram has come")
    assert echo.peers == [(CLIENT, 4444)]
    assert count(server, "untrusted") == 1


BAD = {
    "bad-address": [("0.0.0.0", None), ("224.0.0.1", None)],
    "wrong-length": [(None, bytes([31, 6, 0x1a, 0x0a, 1, 2, 0, 0]))],
    "malformed": [(None, bytes([31, 9, 0x1a, 0x0a, 1, 2, 3, 4]))],
}


@pytest.mark.parametrize("counter", BAD)
def test_bad_options_are_ignored_and_counted(lab, fullnat, server, counter):
    """Of a host that is trusted. The kernel itself drops IP options whose length lies."""
    del fullnat
    local = LOCALS[0]
    with contextlib.closing(UdpEcho(server, PORT)) as echo:
        with Tap(lab.director, "eth0") as tap:
            for address, option in BAD[counter]:
                to = (lab.addresses["rs1"], PORT)
                packet = (udp((local, 4444), to, b"x", options=option) if option
                          else claim((local, 4444), to, address))
                tap.send(mac_bytes(server.mac("eth0")), packet)
            tap.send(mac_bytes(server.mac("eth0")), udp((local, 4445), to, b"last"))
            wait_until(lambda: echo.peers and echo.peers[-1][1] == 4445, "all have come")
    assert {peer[0] for peer in echo.peers} == {local}
    if counter != "malformed":
        assert count(server, counter.replace("-", "_")) == len(BAD[counter])
    assert count(server, "flows_learned") == 0


def test_the_option_is_there_until_the_answer(lab, fullnat, server):
    tell(fullnat, lab)
    with contextlib.closing(UdpEcho(server, PORT)):
        with Capture(server, "eth0", f"udp dst port {PORT}", options=("-v",)) as capture:
            with client(lab) as s:
                for _ in range(5):
                    s.send(b"x")
                    assert s.recv(99)
    heads = [line for line in capture.lines if "proto UDP" in line]
    assert len(heads) == 5
    assert ["options" in line for line in heads] == [True] + [False] * 4


def test_datagrams_that_have_no_room(lab, fullnat, server):
    """Fragments where that is allowed; else the sender learns what fits, and sends that."""
    tell(fullnat, lab)
    with contextlib.closing(UdpEcho(server, PORT)) as echo:
        for size, discover in ((4000, 0), (1472, 0), (1472, 2)):
            with client(lab) as s:
                s.setsockopt(socket.IPPROTO_IP, 10, discover)  # IP_MTU_DISCOVER
                data = b"d" * size
                with contextlib.suppress(OSError):
                    s.send(data)
                    assert s.recv(9999) == b"rs1 " + data
                    assert echo.peers[-1] == s.getsockname()
                    continue
                # It was told the MTU; the first datagram that fits tells the address.
                assert discover == 2
                s.send(b"small")
                assert s.recv(99) == b"rs1 small"
                assert echo.peers[-1] == s.getsockname()
                s.send(data[:1464])
                assert s.recv(9999) == b"rs1 " + data[:1464]


def test_a_closed_port_is_said_to_the_client(lab, fullnat, server):
    tell(fullnat, lab)
    with client(lab) as s:
        s.send(b"x")
        with pytest.raises(ConnectionRefusedError):
            s.recv(99)
    assert count(server, "flows_learned") == 1


def test_a_port_that_another_client_gets(lab, fullnat, server):
    """The director gives a port anew; the server's flow is the new client's at once."""
    fullnat.adm("config", "set", "--local-ports", "7000-7000")
    fullnat.adm("laddr", "del", "--default", LOCALS[1])
    tell(fullnat, lab)
    with contextlib.closing(UdpEcho(server, PORT)) as echo:
        for _ in range(3):
            with client(lab) as s:
                s.send(b"x")
                assert s.recv(99) == b"rs1 x"
                assert echo.peers[-1] == s.getsockname()
            fullnat.adm("conn", "flush")
    assert (count(server, "flows_learned"), count(server, "flows_now")) == (3, 1)


def test_unloading_under_traffic(lab, fullnat, server):
    """Answers come, as the director's or as the client's."""
    tell(fullnat, lab)
    stop = threading.Event()
    with contextlib.closing(UdpEcho(server, PORT)) as echo:
        def talk():
            while not stop.is_set():
                with contextlib.suppress(TimeoutError), client(lab) as s:
                    s.settimeout(0.5)
                    s.send(b"x")
                    s.recv(99)
        threads = [threading.Thread(target=talk) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(6):
                shell.rmmod("toa")
                shell.modprobe("toa")
                server.run("rvsadm", "toa", "trust", "add", TRUSTED)
                server.run("rvsadm", "toa", "udp", "on")
                seen = len(echo.peers)
                wait_until(lambda seen=seen: len(echo.peers) > seen + 3, "traffic goes on")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    assert {peer[0] for peer in echo.peers} <= {CLIENT, *LOCALS}
    assert CLIENT in {peer[0] for peer in echo.peers}


def test_what_a_service_is_told(lab, fullnat):
    """Shown, saved and restored; refused where it makes no sense."""
    fullnat.add(one(lab, PORT, "udp"))
    fullnat.add(one(lab, 80))
    fullnat.adm("service", "set", f"udp/{VIP}:{PORT}", "--toa", "on")
    fullnat.adm("service", "set", f"tcp/{VIP}:80", "--toa", "200")
    told = {s["id"]: s["toa"] for s in fullnat.json("service", "list")["services"]}
    assert told == {f"udp/{VIP}:{PORT}": "on", f"tcp/{VIP}:80": "200"}
    saved = fullnat.adm("save").stdout
    fullnat.flush()
    fullnat.adm("restore", "-", stdin=saved)
    assert fullnat.adm("save").stdout == saved
    refused = fullnat.adm("service", "set", f"udp/{VIP}:{PORT}", "--toa", "200", check=False)
    assert refused.returncode and "option kind 200" in refused.stderr
    refused = fullnat.adm("service", "set", f"tcp/{VIP}:80", "--toa", "8", check=False)
    assert refused.returncode and "option kind 8" in refused.stderr
