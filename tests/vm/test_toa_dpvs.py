# SPDX-License-Identifier: GPL-2.0
"""What DPVS sends of UDP, and how programs made for its receivers ask."""

import contextlib
import ctypes
import json
import os
import socket
import struct

import pytest
from lab import shell
from lab.fullnat import LOCALS, one
from lab.handshake import toa
from lab.netns import wait_until
from lab.packets import Tap, checksum, ipv4, mac_bytes, udp
from lab.receiver import CLIENT, CLIENT6, PORT
from lab.six import LOCALS as LOCALS6
from lab.topology import CLIENT as ASKER
from lab.topology import VIP
from lab.transfer import UdpEcho, ask

OPP = 248
UOA_LOOKUP, TOA_LOOKUP = 2048, 4096
NOBODY = "192.0.2.66"


def header(client, version=None):
    """DPVS's header with the client's address."""
    option = toa(*client, kind=31)
    version = version or (2 if ":" in client[0] else 1)
    return struct.pack("!BBH", version << 4, 17, 4 + len(option)) + option


def wrapped(source, to, data, client=CLIENT):
    """A datagram as DPVS sends it for CLIENT."""
    return ipv4(source[0], to[0], OPP, header(client) + udp(source, to, data)[20:])


def wrapped6(source, to, data, client=CLIENT6):
    """The same of IPv6."""
    a, b = (socket.inet_pton(socket.AF_INET6, end[0]) for end in (source, to))
    segment = struct.pack("!HHHH", source[1], to[1], 8 + len(data), 0) + data
    total = checksum(a + b + struct.pack("!II", len(segment), 17) + segment)
    payload = header(client) + segment[:6] + struct.pack("!H", total) + segment[8:]
    return struct.pack("!IHBB", 6 << 28, len(payload), OPP, 64) + a + b + payload


@pytest.fixture(name="server")
def _receiver(six, fullnat):
    six.prepare_fullnat(fullnat)
    shell.modprobe("toa")
    host = six.real["rs1"]
    for address in [*LOCALS, *LOCALS6]:
        host.run("rvsadm", "toa", "trust", "add", address)
    host.run("rvsadm", "toa", "udp", "on")
    return host


def count(host, name):
    """One counter of the receiver."""
    return json.loads(host.run("rvsadm", "--json", "toa", "stats").stdout)["counters"][name]


@pytest.mark.parametrize("version", ["v4", "v6"])
def test_datagrams_behind_a_header_of_their_own(six, server, version):
    local, itself, client = {
        "v4": (LOCALS[0], six.lab.addresses["rs1"], CLIENT),
        "v6": (LOCALS6[0], six.addresses["rs1"], CLIENT6),
    }[version]
    wrap, kind = (wrapped, 0x0800) if version == "v4" else (wrapped6, 0x86DD)
    with server.inside():
        listener = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with six.director.inside():
        plain = socket.socket(socket.AF_INET6 if version == "v6" else socket.AF_INET,
                              socket.SOCK_DGRAM)
    with listener, plain, Tap(six.director, "eth0") as tap:
        listener.bind(("::", PORT))
        listener.settimeout(10)
        plain.bind((local, 4444))
        plain.settimeout(10)

        def send(data):
            head = mac_bytes(server.mac("eth0")) + tap.mac + struct.pack("!H", kind)
            tap.send_frame(head + wrap((local, 4444), (itself, PORT), data))

        def seen():
            data, peer = listener.recvfrom(99)
            assert (peer[0].removeprefix("::ffff:"), peer[1]) == client
            listener.sendto(b"answer to " + data, peer)
            # It goes to the director.
            assert plain.recv(99) == b"answer to " + data

        send(b"first")
        seen()
        plain.sendto(b"second", (itself, PORT))
        # Alone it is not for the program.
        send(b"")
        send(b"third")
        for _ in range(2):
            seen()
    assert (count(server, "flows_learned"), count(server, "untrusted")) == (1, 0)


def test_nobody_else_is_understood(six, server):
    """Headers of who is not trusted, or that lie, are a protocol that the host does not know."""
    itself = six.lab.addresses["rs1"]
    bare = udp((LOCALS[0], 4444), (itself, PORT), b"x")[20:]
    with contextlib.closing(UdpEcho(server, PORT)) as echo, Tap(six.director, "eth0") as tap:
        to = mac_bytes(server.mac("eth0"))
        tap.send(to, wrapped((NOBODY, 4444), (itself, PORT), b"x"))
        for lie in (header(CLIENT, version=3), b"\x10\x06" + header(CLIENT)[2:],
                    b"\x10\x11\0\x40" + header(CLIENT)[4:], b"\x10\x11\0\x02", b"\x10"):
            tap.send(to, ipv4(LOCALS[0], itself, OPP, lie + bare))
        tap.send(to, ipv4(LOCALS[0], itself, OPP, b"\x10\x11\0\x0c\x1f"))
        tap.send(to, udp((LOCALS[1], 4445), (itself, PORT), b"last"))
        wait_until(lambda: echo.peers, "all have come")
        assert echo.peers == [(LOCALS[1], 4445)]
    assert (count(server, "untrusted"), count(server, "flows_learned")) == (1, 0)


LIBC = ctypes.CDLL(None, use_errno=True)


def looked_up(s, option, buffer):
    """What getsockopt() makes of BUFFER."""
    raw = ctypes.create_string_buffer(bytes(buffer), len(buffer))
    size = ctypes.c_uint32(len(buffer))
    if LIBC.getsockopt(s.fileno(), socket.IPPROTO_IP, option, raw, ctypes.byref(size)):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return raw.raw[: size.value]


def test_programs_ask_for_a_datagrams_client(six, fullnat, server):
    """In each of the layouts that there were, with and without the own address."""
    fullnat.add(one(six.lab, PORT, "udp"))
    fullnat.adm("service", "set", f"udp/{VIP}:{PORT}", "--toa", "on")
    itself = six.lab.addresses["rs1"]
    with contextlib.closing(UdpEcho(server, PORT)) as echo:
        assert ask(six.client, VIP, PORT) == b"rs1 x"
        (peer,) = echo.peers
    with server.inside():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    def mapped(address):
        return socket.inet_aton(address) + bytes(12)
    assert peer[0] == ASKER
    source, port = socket.inet_aton(peer[0]), struct.pack("!H", peer[1])
    with s:
        for own in (itself, "0.0.0.0"):
            ports = port + struct.pack("!H", PORT)
            oldest = source + socket.inet_aton(own) + ports
            assert looked_up(s, UOA_LOOKUP, oldest + bytes(6)) == oldest + source + port
            asked = struct.pack("H", socket.AF_INET) + mapped(peer[0]) + mapped(own) + ports
            said = looked_up(s, UOA_LOOKUP, asked + bytes(18))
            assert said == asked + mapped(peer[0]) + port
            said = looked_up(s, UOA_LOOKUP, asked + bytes(20))
            assert said == asked + struct.pack("H", socket.AF_INET) + mapped(peer[0]) + port
        other = struct.pack("!H", peer[1] ^ 1)
        for buffer in (source + bytes(4) + other + ports[2:] + bytes(6), b"short"):
            with pytest.raises(OSError):
                looked_up(s, UOA_LOOKUP, buffer)


@pytest.fixture(name="played")
def _played(distrustful):
    distrustful.adm("trust", "add", "192.0.2.1")
    return distrustful


def test_programs_ask_for_a_connections_client(played):
    """An IPv6 client of an IPv4 socket; anyone else getpeername() has room for."""
    listener = played.listen()
    for client in (CLIENT6, CLIENT):
        played.connect(toa(*client))
        accepted, _ = listener.accept()
        with accepted:
            if client == CLIENT6:
                said = looked_up(accepted, TOA_LOOKUP, bytes(20))
                assert said[:16] == socket.inet_pton(socket.AF_INET6, client[0])
                assert struct.unpack("!H", said[16:18])[0] == client[1]
                continue
            with pytest.raises(OSError):
                looked_up(accepted, TOA_LOOKUP, bytes(20))
    with pytest.raises(OSError):
        looked_up(listener, TOA_LOOKUP, bytes(20))
