# SPDX-License-Identifier: GPL-2.0
"""FullNAT with toa.ko on the real servers: unmodified programs see the client."""

import socket
import threading

import pytest
from lab import shell
from lab.capture import Capture
from lab.fullnat import LOCALS, one
from lab.topology import CLIENT, VIP
from lab.transfer import both_ways
from lab.web import get

MEGABYTE = 1 << 20
# Bytes; more than one segment.
ANSWER = 3000


@pytest.fixture(name="told")
def _told(lab, fullnat):
    shell.modprobe("toa")
    lab.real["rs1"].run("rvsadm", "toa", "trust", "add", "192.168.56.200/29")
    return fullnat


def peers(lab, count, ask, port=5000, **options):
    """Addresses and ports of COUNT clients, as each has it itself and as the server was told."""
    with lab.real["rs1"].inside():
        listener = socket.create_server(("0.0.0.0", port), backlog=64)
    for name, value in options.items():
        listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    listener.settimeout(20)
    seen = {}

    def serve():
        for _ in range(count):
            connection, peer = listener.accept()
            with connection:
                assert connection.getpeername() == peer
                seen[connection.recv(4096)[:8]] = peer
                connection.sendall(b"x" * ANSWER)

    thread = threading.Thread(target=serve)
    thread.start()
    own = {}
    for i in range(count):
        with lab.client.inside():
            s = socket.socket()
        with s:
            s.settimeout(20)
            name = f"{i:8}".encode()
            s.connect((VIP, port))
            own[name] = s.getsockname()
            ask(s, name)
            left = ANSWER
            while left:
                left -= len(s.recv(left)) or pytest.fail("the answer is cut")
    thread.join(timeout=30)
    listener.close()
    return own, seen


def send_some(s, name):
    s.sendall(name)


@pytest.mark.usefixtures("web")
def test_nginx_logs_the_client(lab, told):
    told.add(one(lab, 80))
    get(lab.client, VIP, source_port=42000)
    assert lab.web["rs1"].log()[-1][:2] == [CLIENT, "42000"]


@pytest.mark.usefixtures("web")
def test_without_trust_it_logs_the_local_address(lab, told):
    lab.real["rs1"].run("rvsadm", "toa", "trust", "del", "192.168.56.200/29")
    told.add(one(lab, 80))
    get(lab.client, VIP)
    assert lab.web["rs1"].log()[-1][0] in LOCALS


@pytest.mark.usefixtures("web")
def test_off_is_off(lab, told):
    told.adm("config", "set", "--toa", "off")
    told.add(one(lab, 80))
    get(lab.client, VIP)
    assert lab.web["rs1"].log()[-1][0] in LOCALS


@pytest.mark.usefixtures("web")
def test_another_kind(lab, told):
    told.adm("config", "set", "--toa", "200")
    lab.real["rs1"].run("rvsadm", "toa", "kind", "add", "200")
    told.add(one(lab, 80))
    get(lab.client, VIP)
    assert lab.web["rs1"].log()[-1][0] == CLIENT


@pytest.mark.usefixtures("web")
def test_a_service_with_another_kind_than_others(lab, told):
    """What a service says counts for it, what the namespace says for the others."""
    lab.real["rs1"].run("rvsadm", "toa", "kind", "add", "200")
    lab.real["rs1"].run("rvsadm", "toa", "kind", "del", "254")
    told.add(one(lab, 80))
    get(lab.client, VIP)
    assert lab.web["rs1"].log()[-1][0] in LOCALS
    told.adm("service", "set", f"tcp/{VIP}:80", "--toa", "200")
    get(lab.client, VIP)
    assert lab.web["rs1"].log()[-1][0] == CLIENT
    told.adm("service", "set", f"tcp/{VIP}:80", "--toa", "off")
    get(lab.client, VIP)
    assert lab.web["rs1"].log()[-1][0] in LOCALS
    told.adm("service", "set", f"tcp/{VIP}:80", "--toa", "default")
    told.adm("config", "set", "--toa", "200")
    get(lab.client, VIP)
    assert lab.web["rs1"].log()[-1][0] == CLIENT


@pytest.mark.parametrize("size", [8, 20_000], ids=["small", "full-segments"])
@pytest.mark.parametrize("timestamps", [1, 0])
@pytest.mark.parametrize("gso", ["on", "off"])
def test_every_connection_is_told(lab, told, size, timestamps, gso):
    """Whatever is in the first segments: data that fills the MTU has no room for the option."""
    lab.client.sysctl(ipv4__tcp_timestamps=timestamps)
    for host, device in (
        (lab.client, "eth0"), (lab.director, "eth0"), (lab.router, "wan"), (lab.router, "to-director"),
    ):
        host.run("ethtool", "-K", device, "gro", gso, "gso", gso, "tso", gso)
    told.add(one(lab, 5000))
    own, seen = peers(lab, 20, lambda s, name: s.sendall(name.ljust(size)))
    assert seen == own


def test_a_server_that_waits_for_data(lab, told):
    """With TCP_DEFER_ACCEPT it is the data that makes the socket, not the handshake's end."""
    told.add(one(lab, 5000))
    own, seen = peers(lab, 5, send_some, TCP_DEFER_ACCEPT=5)
    assert seen == own


def test_a_server_with_cookies(lab, told):
    lab.real["rs1"].sysctl(ipv4__tcp_syncookies=2)
    told.add(one(lab, 5000))
    own, seen = peers(lab, 5, send_some)
    assert seen == own


def test_loss_of_any_segment(lab, told):
    lab.director.run("modprobe sch_netem")
    lab.director.run("tc qdisc add dev eth0 root netem loss 5% delay 1ms reorder 10%")
    told.add(one(lab, 5000))
    own, seen = peers(lab, 40, send_some)
    assert seen == own


def test_a_transfer_is_whole(lab, told):
    told.add(one(lab, 5000))
    assert both_ways(lab.client, lab.real["rs1"], VIP, 5000, MEGABYTE) == CLIENT


def test_the_option_is_only_on_the_first_segments(lab, told):
    told.add(one(lab, 5000))
    with Capture(lab.real["rs1"], "eth0", "tcp dst port 5000", options=("-v",)) as capture:
        both_ways(lab.client, lab.real["rs1"], VIP, 5000, MEGABYTE)
    with_option = sum("exp-" in line for line in capture.lines)
    assert 0 < with_option < sum("Flags" in line for line in capture.lines)


@pytest.mark.parametrize("timestamps", [1, 0])
def test_few_ports_serve_many_short_connections(lab, told, timestamps):
    """20 one after the other from 10 ports: each finds those of connections that are over, here and
    at the real server."""
    lab.client.sysctl(ipv4__tcp_timestamps=timestamps)
    told.adm("config", "set", "--local-ports", "6000-6009")
    told.adm("laddr", "del", "--default", LOCALS[1])
    told.add(one(lab, 5000))
    own, seen = peers(lab, 20, send_some)
    assert seen == own
    counters = told.json("stats", "show")["counters"]
    assert counters["drop_no_port"] == 0
