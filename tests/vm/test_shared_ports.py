# SPDX-License-Identifier: GPL-2.0
"""Local addresses that programs on the director use as well."""

import contextlib
import socket

import pytest
from lab import six as v6
from lab.director import Rvs, Service
from lab.fullnat import LOCALS
from lab.named import Named, who
from lab.topology import DIRECTOR, VIP, Lab
from lab.transfer import family

PORT = 5000
# By IP version: virtual address, real server, local address.
ADDRESSES = {4: (VIP, "192.168.56.101", LOCALS[0]), 6: (v6.VIP, "2001:db8:56::101", v6.LOCALS[0])}


@pytest.fixture(name="lab", scope="module")
def _lab():
    made = Lab(real_servers=1, web=False)
    v6.Six(made)
    made.director.ip(f"addr add {LOCALS[0]}/32 dev eth0", f"addr add {v6.LOCALS[0]}/128 dev eth0 nodad")
    yield made
    made.close()


@pytest.fixture(name="rvs")
def _rvs(lab):
    rvs = Rvs(lab.director)
    rvs.adm("config", "set", "--local-ports", "6000-6001")
    yield rvs
    rvs.adm("restore", "--empty", "-", stdin="")
    rvs.adm("conn", "flush")


def dropped(rvs):
    return rvs.json("stats", "show")["counters"]["drop_no_port"]


def held(lab, kind, own, server):
    """A program's socket from a port that clients might get, and the server's end of it."""
    with lab.director.inside():
        mine = socket.socket(family(own), kind)
    mine.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    mine.bind((own, 6000))
    mine.settimeout(10)
    if kind == socket.SOCK_STREAM:
        with lab.real["rs1"].inside():
            listener = socket.create_server((server, 5001), family=family(server))
        listener.settimeout(10)
        mine.connect((server, 5001))
        theirs, _ = listener.accept()
        return mine, theirs, listener
    return mine, None, None


@pytest.mark.parametrize("version", [4, 6])
def test_datagrams_of_programs_come_home(lab, rvs, version):
    vip, server, own = ADDRESSES[version]
    rvs.adm("laddr", "add", "--default", own)
    rvs.add(Service([(server, 1)], mode="fullnat", vip=vip, port=PORT, protocol="udp"))
    mine, *_ = held(lab, socket.SOCK_DGRAM, own, server)
    with mine, contextlib.closing(Named(lab.real["rs1"], [PORT])):
        before = dropped(rvs)
        # One finds the other port, and the second none.
        answers = [who(lab.client, socket.SOCK_DGRAM, vip, PORT, 1) for _ in range(2)]
        assert sorted(answers, key=str) == [None, "rs1"]
        assert dropped(rvs) > before
        mine.sendto(b"who", (server, PORT))
        assert mine.recv(100) == b"rs1"


@pytest.mark.parametrize("version", [4, 6])
def test_connections_of_programs_stay(lab, rvs, version):
    vip, server, own = ADDRESSES[version]
    rvs.adm("laddr", "add", "--default", own)
    rvs.add(Service([(server, 1)], mode="fullnat", vip=vip, port=5001))
    mine, theirs, listener = held(lab, socket.SOCK_STREAM, own, server)
    with mine, theirs, listener, contextlib.ExitStack() as clients:
        before, errors = dropped(rvs), 0
        for _ in range(2):
            with lab.client.inside():
                s = clients.enter_context(socket.socket(family(vip)))
            s.settimeout(10)
            errors += s.connect_ex((vip, 5001)) != 0
        assert (errors, dropped(rvs) > before) == (1, True)
        theirs.sendall(b"health")
        assert mine.recv(100) == b"health"


def test_rvsadm_warns(lab, rvs):
    rvs.adm("config", "set", "--local-ports", "5000-65535")
    host, reserved = lab.director, "ipv4__ip_local_reserved_ports"
    said = lambda address: (rvs.adm("laddr", "add", "--default", address).stderr,
                            rvs.adm("laddr", "del", "--default", address))[0]
    # Of IPv6 addresses of a device the host takes the one that is most like the other end.
    for address in (DIRECTOR, v6.LOCALS[0]):
        told = said(address)
        assert f"warning: this host's own connections come from {address} too" in told
        assert "hint: " in told and "--local-ports 5000-32767" in told
    assert said(LOCALS[0]) == ""
    host.sysctl(**{reserved: "32768-60999"})
    try:
        assert said(DIRECTOR) == ""
    finally:
        host.sysctl(**{reserved: ""})
    rvs.adm("config", "set", "--local-ports", "5000-32767")
    assert said(DIRECTOR) == ""
