# SPDX-License-Identifier: GPL-2.0
"""rvsadm toa require on: nobody is taken for a client whom a director has not told of."""

import contextlib
import json
import socket

import pytest
from lab import shell
from lab.fullnat import one
from lab.handshake import Connection, toa
from lab.packets import ACK, RST, SYN
from lab.receiver import CLIENT, CLIENT6, DIRECTOR, PORT, SERVER
from lab.topology import VIP
from lab.transfer import UdpEcho, ask


def refused(server, listener, connection):
    """A connection's last segment was answered by a reset, and no program sees it."""
    flags, seq, _, _ = server.hand.receive(connection)
    assert (flags & RST, seq) == (RST, connection.ack)
    listener.settimeout(0.2)
    with pytest.raises(TimeoutError):
        listener.accept()
    listener.settimeout(10)


@pytest.mark.parametrize("cookies", [1, 2])
@pytest.mark.parametrize("v6", [False, True], ids=["v4", "v6"])
def test_a_connection_without_the_option_is_reset(server, v6, cookies):
    server.host.sysctl(ipv4__tcp_syncookies=cookies)
    listener = server.listen(socket.AF_INET6 if v6 else socket.AF_INET)
    client = CLIENT6 if v6 else CLIENT
    before = server.connect(v6=v6)
    accepted, _ = listener.accept()
    server.adm("require", "on")
    assert server.json("show")["require"]
    refused(server, listener, server.connect(v6=v6))
    refused(server, listener, server.connect(v6=v6, options=b"\xfe\x06\0\1\2\3"))
    assert server.count("without_option") == 2
    assert server.seen(listener, toa(*client), v6=v6)[:2] == client
    # What there was goes on, and so do segments behind the first.
    with accepted:
        before.data(b"question")
        assert accepted.recv(99) == b"question"
    connection = server.connect(toa(*client), v6=v6)
    later, name = listener.accept()
    with later:
        assert name[:2] == client
        connection.data(b"question")
        assert later.recv(99) == b"question"
    server.adm("require", "off")
    name = server.seen(listener, v6=v6)
    assert name[1] == name[2]


def test_data_that_would_make_a_socket_at_once(server):
    """Fast Open without the option: nothing comes of it, and the client opens as usual."""
    server.host.sysctl(ipv4__tcp_fastopen=0x602)
    listener = server.listen(TCP_FASTOPEN=16)
    server.adm("require", "on")
    connection = Connection(server.hand, DIRECTOR, (SERVER, PORT))
    connection.send(SYN, b"hello", b"\2\4\5\264")
    assert server.hand.receive(connection, 0.5) is None
    connection.open(toa(*CLIENT))
    accepted, name = listener.accept()
    accepted.close()
    assert name == CLIENT and server.count("without_option") == 1


def test_who_is_not_trusted_is_nobody_to_demand_of(distrustful):
    distrustful.adm("require", "on")
    listener = distrustful.listen()
    name = distrustful.seen(listener)
    assert name[:2] == (DIRECTOR, name[2])
    # No socket at all: the host's own answer.
    connection = Connection(distrustful.hand, DIRECTOR, (SERVER, PORT + 1))
    connection.send(ACK)
    assert distrustful.hand.receive(connection)[0] & RST


def test_a_datagram_without_the_option_is_dropped(lab, fullnat):
    shell.modprobe("toa")
    host = lab.real["rs1"]
    for args in (("trust", "add", "192.168.56.200/29"), ("udp", "on"), ("require", "on")):
        host.run("rvsadm", "toa", *args)
    fullnat.add(one(lab, PORT, "udp"))
    with contextlib.closing(UdpEcho(host, PORT)) as echo:
        with pytest.raises(TimeoutError):
            ask(lab.client, VIP, PORT, timeout=0.5)
        fullnat.adm("service", "set", f"udp/{VIP}:{PORT}", "--toa", "on")
        assert ask(lab.client, VIP, PORT) == b"rs1 x"
        assert len(echo.peers) == 1
    counters = json.loads(host.run("rvsadm", "--json", "toa", "stats").stdout)["counters"]
    assert counters["without_option"] == 1
