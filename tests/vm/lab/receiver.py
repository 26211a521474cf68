# SPDX-License-Identifier: GPL-2.0
"""A real server with toa.ko, and the wire to a director that is played by hand."""

import contextlib
import socket

import pytest

from . import shell
from .document import content
from .handshake import Hand
from .netns import Host, close_hosts, wire

DIRECTOR, SERVER = "192.0.2.1", "192.0.2.2"
DIRECTOR6, SERVER6 = "2001:db8::1", "2001:db8::2"
CLIENT, CLIENT6 = ("198.51.100.7", 40000), ("2001:db8:7::7", 40001)
PORT = 8080


class Server:
    """A real server, a plain Python program on it, and the wire to a director played by hand."""

    def __init__(self, name="rs"):
        self.host, self.wire = Host(name), Host(f"{name}-wire")
        self.hosts = [self.host, self.wire]
        wire(self.host, self.wire, "eth0", "eth0")
        mac = self.wire.mac("eth0")
        # Nobody answers for the director's addresses but the hand, which knows no ARP.
        self.host.ip(
            f"addr add {SERVER}/24 dev eth0",
            f"addr add {SERVER6}/64 dev eth0 nodad",
            f"neigh replace {DIRECTOR} lladdr {mac} dev eth0 nud permanent",
            f"neigh replace {DIRECTOR6} lladdr {mac} dev eth0 nud permanent",
        )
        self.hand = Hand(self.wire, "eth0", self.host.mac("eth0"))
        self._listeners = []

    def adm(self, *args, **kwargs):
        """Runs rvsadm toa."""
        return self.host.run("rvsadm", "toa", *args, **kwargs)

    def json(self, *args):
        """What rvsadm says to a program."""
        return content(self.host.run("rvsadm", "--json", "toa", *args).stdout)

    def count(self, name):
        """One counter."""
        return self.json("stats")["counters"][name]

    def listen(self, family=socket.AF_INET, port=PORT, **options):
        """A listening socket as a program makes it; options are of IPPROTO_TCP."""
        with self.host.inside():
            listener = socket.socket(family)
        self._listeners.append(listener)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        for name, value in options.items():
            listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        listener.bind(("", port))
        listener.listen(1024)
        listener.settimeout(10)
        return listener

    def connect(self, options=b"", v6=False, **kwargs):
        """A connection from the director with OPTIONS on the handshake's last segment."""
        ends = (DIRECTOR6, SERVER6) if v6 else (DIRECTOR, SERVER)
        return self.hand.connect(ends[0], (ends[1], PORT), options=options, **kwargs)

    def seen(self, listener, options=b"", v6=False, **kwargs):
        """What accept() and getpeername() say of a connection, which must agree."""
        connection = self.connect(options, v6, **kwargs)
        accepted, name = listener.accept()
        with accepted:
            assert accepted.getpeername() == name
            # Its own end is as it is on the wire.
            assert accepted.getsockname()[1] == PORT
            wire_port = connection.source[1]
            connection.finish()
        return name[0], name[1], wire_port

    def close(self):
        """Removes it."""
        for listener in self._listeners:
            listener.close()
        self.hand.close()
        close_hosts(self.hosts)


@pytest.fixture(name="module")
def _module():
    shell.modprobe("toa")


@pytest.fixture(name="distrustful")
def _distrustful(module):
    del module
    with contextlib.closing(Server()) as server:
        yield server


@pytest.fixture(name="server")
def _server(distrustful):
    distrustful.adm("trust", "add", f"{DIRECTOR}/32")
    distrustful.adm("trust", "add", "2001:db8::/64")
    return distrustful
