# SPDX-License-Identifier: GPL-2.0
"""Thousands of TCP clients made by hand, no two segments with the same options, over bad wires.

Some are hostile: they acknowledge what nobody has sent, with wrong checksums too, and write an
address of their own into options of every kind. Some open fast, with a cookie or without.

Each client has an address and a port of its own. It says a number and its length in the first bytes,
fills them up, and waits for an answer; whatever gets lost it sends again. No kernel has sockets
there, so any option can be on any segment.
"""

import dataclasses
import ipaddress
import random
import select
import socket
import struct
import threading
import time

from .handshake import toa
from .many import allow_descriptors
from .netns import Host
from .packets import ACK, ETH_ALL, FIN, PSH, RST, SYN, mac_bytes

HEADER = struct.Struct("!II")  # number, bytes in all
ANSWER = b"answer" * 300  # two segments
MTU = 1500
NETWORK = ipaddress.ip_network("100.64.0.0/10")
SYN_OPTIONS_MSS = b"\2\4\5\264"  # 1460
AGAIN = 0.3  # seconds until it is sent again
PATIENCE = 120  # seconds without a word until a client is given up
FAST_OPEN = 34
# Those that TCP itself uses are no claims.
CLAIMED = sorted(set(range(2, 255)) - {2, 3, 4, 5, 8, 19, 29, 30, FAST_OPEN, 69, 172, 174})


def _sum(data):
    """The ones' complement sum of DATA, of even length."""
    return int.from_bytes(data, "big") % 0xFFFF


def _option(segment, kind):
    """The value of a segment's option of KIND; none is empty."""
    at, end = 20, (segment[12] >> 4) * 4
    while at < end and segment[at]:
        size = 1 if segment[at] == 1 else segment[at + 1]
        if segment[at] == kind:
            return segment[at + 2 : at + size]
        at += size
    return b""


class Acceptor:
    """A plain program on a real server: answers, and notes whom accept() and getpeername() name."""

    def __init__(self, host, port, **options):
        # Of a client whose last segments got lost the program never hears again.
        allow_descriptors()
        with host.inside():
            self._listener = socket.create_server(("0.0.0.0", port), backlog=4096)
        for name, value in options.items():
            self._listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        self._listener.setblocking(False)
        self._epoll = select.epoll()
        self._epoll.register(self._listener, select.EPOLLIN)
        self._open, self._got, self.peers, self._ends = {}, {}, {}, False
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while not self._ends:
            for fd, _ in self._epoll.poll(0.1):
                if fd == self._listener.fileno():
                    self._accept()
                else:
                    self._read(fd)

    def _accept(self):
        try:
            connection, peer = self._listener.accept()
        except BlockingIOError:
            return
        try:
            asked = connection.getpeername()
        except OSError:  # it has gone again
            asked = peer
        if asked != peer:
            peer = f"accept() says {peer}, getpeername() {asked}"
        connection.setblocking(False)
        fd = connection.fileno()
        self._open[fd], self._got[fd] = (connection, peer), b""
        self._epoll.register(fd, select.EPOLLIN)

    def _read(self, fd):
        connection, peer = self._open[fd]
        try:
            data = connection.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(fd)
            return
        got = self._got[fd] = self._got[fd] + data
        if len(got) < HEADER.size:
            return
        number, size = HEADER.unpack_from(got)
        if len(got) >= size:
            self.peers.setdefault(number, peer)
            connection.send(ANSWER)

    def _close(self, fd):
        self._epoll.unregister(fd)
        del self._got[fd]
        self._open.pop(fd)[0].close()

    def close(self):
        """Ends it."""
        self._ends = True
        self._thread.join()
        for connection, _ in self._open.values():
            connection.close()
        self._epoll.close()
        self._listener.close()


@dataclasses.dataclass
class Client:
    """One of them, and how far it is."""

    # pylint: disable=too-many-instance-attributes
    number: int
    source: tuple
    to: tuple
    data: bytes
    stamps: bool
    sack: bool
    first: int  # bytes in its first segment
    acknowledges: bool  # its handshake ends with a segment of its own
    hostile: bool
    fast: bool
    seq: int
    ack: int = 0
    echo: int = 0
    got: int = 0
    due: float = 0.0
    tries: int = 0
    taken: int = 0  # bytes that its SYN brought
    heard: float = 0.0


class Crowd:
    """Makes COUNT connections from HOST by way of ROUTER_MAC, some at a time."""

    def __init__(self, host: Host, router_mac, seed, cookies):
        """COOKIES are ends behind which a server has them."""
        self._cookies = cookies
        with host.inside():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_ALL))
            self._socket.bind(("eth0", ETH_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, 33, 1 << 25)  # SO_RCVBUFFORCE
        self._socket.setblocking(False)
        self._head = mac_bytes(router_mac) + mac_bytes(host.mac("eth0")) + b"\x08\x00"
        self._random = random.Random(seed)
        self._clients, self.sources, self._ident = {}, {}, 0
        self._used, self._tickets = set(), {}
        self.full = self.segments = self.resets = self.denials = self.wrong = self.fast = 0

    def close(self):
        """Ends it."""
        self._socket.close()

    def run(self, count, ends, at_once=150, seconds=1000):
        """Connects COUNT clients to ENDS, (address, port) pairs, and waits for every answer."""
        until = time.monotonic() + seconds
        number = 0
        while number - self.resets < count or self._clients:
            assert time.monotonic() < until, (
                f"{len(self._clients)} clients of {number} have no answer: "
                + "; ".join(map(self._told, list(self._clients.values())[:9])))
            while number - self.resets < count and len(self._clients) < at_once:
                self._begin(number, self._random.choice(ends))
                number += 1
            select.select([self._socket], [], [], 0.02)
            self._receive()
            now = time.monotonic()
            for client in list(self._clients.values()):
                if client.due <= now:
                    self._again(client, now)

    def _begin(self, number, to):
        rand = self._random
        while True:
            source = (str(NETWORK[rand.randrange(1, NETWORK.num_addresses)]),
                      rand.randrange(1024, 65536))
            if source not in self._used:
                break
        self._used.add(source)
        # A short question, one segment that fills the MTU, or more.
        size = rand.choice((HEADER.size, 700, MTU, 3000, 4000))
        data = HEADER.pack(number, size).ljust(size, b"q")
        client = Client(number, source, to, data, rand.random() < 0.6, rand.random() < 0.7,
                        rand.choice((HEADER.size, MTU)), rand.random() < 0.7,
                        rand.random() < 0.3, rand.random() < 0.2, rand.getrandbits(32))
        self._clients[source] = client
        self.sources[number] = source
        self._again(client, time.monotonic())

    def _again(self, client, now):
        """Sends what is not acknowledged."""
        client.due = now + AGAIN * min(1 << client.tries, 16)
        client.tries += 1
        if not client.ack:
            self._open(client, now)
            return
        if client.got == 0:
            self._ask(client, now)
        elif now - client.heard > PATIENCE:
            # The reset that a server answers a wrong acknowledgment with ends the connection for the
            # director, as for ip_vs: it is forgotten when neither side speaks for ten seconds.
            assert client.hostile, f"client {client.number} hears no more: {self._told(client)}"
            self._replace(client)

    def _open(self, client, now):
        """A SYN."""
        rand = self._random
        options = SYN_OPTIONS_MSS + (b"\4\2" if client.sack else b"")
        options += self._stamps(client, now) + b"\3\3\7"
        data = b""
        if client.fast:
            ticket = self._tickets.get(client.to, b"")
            options += bytes([FAST_OPEN, 2 + len(ticket)]) + ticket
            data = client.data[:400] if ticket else b""
        elif rand.random() < 0.3:
            options += rand.choice((b"\x1e\x0c\x01\x01" + b"k" * 8, b"\x1e\x04\x01\x01"))
        elif client.hostile:
            options += self._claim(8)
        self._send(client, SYN, client.seq, data, options)
        if rand.random() < 0.1:  # with a copy from before, which is overtaken
            options = SYN_OPTIONS_MSS + self._stamps(client, now - AGAIN) + b"\3\3\7"
            self._send(client, SYN, client.seq, b"", options)

    def _claim(self, room):
        """An address that is not the client's, of a kind that a receiver may be set to."""
        kind = self._random.choice((254, 254, 99, self._random.choice(CLAIMED)))
        v6 = room >= 20 and self._random.random() < 0.3
        return toa("2001:db8::66" if v6 else "192.0.2.66", 6666, kind)

    def _bother(self, client, now):
        """Acknowledges what the server has not sent, so far from it that it never will have, unless
        the checksum is wrong, too."""
        rand = self._random
        for _ in range(rand.randrange(1, 4)):
            is_broken = rand.random() < 0.5
            near = (1, 2, 1448, -1) if is_broken else (1 << 20, 1 << 30, 0x7FFFFFFF)
            self._send(client, ACK, client.seq + 1 + client.taken, b"", self._options(client, now),
                       ack=client.ack + rand.choice(near), is_broken=is_broken)
            self.wrong += 1

    def _ask(self, client, now):
        """What the server has not had of the question, in segments as long as they can be."""
        at, size = client.taken, client.first
        if at == len(client.data):
            self._acknowledge(client, now)
        while at < len(client.data):
            options = self._options(client, now)
            part = client.data[at : at + min(size, MTU - 40 - len(options))]
            self._send(client, ACK | PSH, client.seq + 1 + at, part, options)
            at, size = at + len(part), MTU

    def _stamps(self, client, now):
        if not client.stamps:
            return b""
        return b"\x08\x0a" + struct.pack("!II", int(now * 1000) & 0xFFFFFFFF, client.echo)

    def _options(self, client, now):
        """Timestamps where they were agreed on, and whatever else the header has room for."""
        rand = self._random
        parts = [self._stamps(client, now)]
        kind = rand.choice(("plain", "sack", "full", "mptcp", "both", "claim", "unknown"))
        if kind in ("mptcp", "both"):
            parts.append(b"\x1e\x14\x00\x01" + b"k" * 16)
        if kind == "claim":
            parts.append(self._claim(40 - len(parts[0]) - 2))
        if kind == "unknown":
            size = 40 - len(parts[0])
            parts.append(bytes([rand.choice(CLAIMED), size]) + b"u" * (size - 2))
        if kind in ("sack", "full", "both") and client.sack:
            room = (40 - len(b"".join(parts)) - 2) // 8
            blocks = room if kind == "full" else rand.randrange(min(room, 1), room + 1)
            edges = [client.ack + 5000 * (n + 1) + 1000 * e & 0xFFFFFFFF
                     for n in range(blocks) for e in (0, 1)]
            if blocks:
                parts.append(struct.pack(f"!BB{len(edges)}I", 5, 2 + 8 * blocks, *edges))
        rand.shuffle(parts)
        options = b"".join(parts)
        padding = -len(options) % 4
        if kind == "full":
            padding = 40 - len(options)
        elif len(options) + padding < 40 and rand.random() < 0.2:
            padding += 4
        before = rand.randrange(padding + 1)
        options = b"\1" * before + options + b"\1" * (padding - before)
        self.full += len(options) > 32
        return options

    def _send(self, client, flags, seq, data, options, ack=None, is_broken=False):
        ack = client.ack if ack is None else ack & 0xFFFFFFFF
        options += b"\1" * (-len(options) % 4)
        source, to = client.source, client.to
        head = struct.pack("!HHIIBBHHH", source[1], to[1], seq & 0xFFFFFFFF, ack,
                           5 + len(options) // 4 << 4, flags, 65535, 0, 0)
        segment = head + options + data
        ends = socket.inet_aton(source[0]) + socket.inet_aton(to[0])
        pseudo = _sum(ends) + 6 + len(segment)
        total = -(pseudo + _sum(segment + b"\0" * (len(segment) % 2))) % 0xFFFF ^ is_broken
        segment = segment[:16] + struct.pack("!H", total) + segment[18:]
        self._ident = self._ident + 1 & 0xFFFF
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), self._ident, 0x4000, 64, 6, 0)
        ip += ends
        ip = ip[:10] + struct.pack("!H", -_sum(ip) % 0xFFFF) + ip[12:]
        self.segments += 1
        try:
            self._socket.send(self._head + ip + segment)
        except (BlockingIOError, OSError):
            pass  # lost as any other

    def _receive(self):
        """Reads what has come."""
        now = time.monotonic()
        while True:
            try:
                frame = self._socket.recv(1 << 16)
            except BlockingIOError:
                return
            if frame[12:14] != b"\x08\x00" or frame[23] != 6 or frame[:6] == self._head[:6]:
                continue
            packet = frame[14 : 14 + struct.unpack("!H", frame[16:18])[0]]
            at = (packet[0] & 15) * 4
            end = (socket.inet_ntoa(packet[16:20]), struct.unpack_from("!H", packet, at + 2)[0])
            client = self._clients.get(end)
            if client:
                self._take(client, packet[at:], now)

    @staticmethod
    def _told(client):
        return (f"{client.source} to {client.to}, {'open' if client.ack else 'opening'}, has {client.got}, "
                f"{'hostile' if client.hostile else 'honest'}, heard {client.heard:.0f}")

    def _replace(self, client):
        """Another one takes its place."""
        self.resets += 1
        del self._clients[client.source], self.sources[client.number]

    def _take(self, client, segment, now):
        """One segment for a client."""
        client.heard = now
        seq, ack = struct.unpack_from("!II", segment, 4)
        flags, data = segment[13], segment[(segment[12] >> 4) * 4 :]
        if flags & RST:
            if client.ack and seq != client.ack:
                return  # what a wrong acknowledgment gets
            # A server with SYN cookies resets whose first segment is overtaken by the second: it
            # has no other way to know the first one's number. And who acknowledges what was never
            # sent gets resets, after which a late copy of its SYN begins another connection. Another
            # client takes its place.
            assert client.to in self._cookies or client.hostile, (
                f"client {client.number} was reset: {self._told(client)}")
            self._replace(client)
            return
        if client.stamps:
            stamps = _option(segment, 8)
            client.echo = struct.unpack("!I", stamps[:4])[0] if stamps else client.echo
        taken = ack - client.seq - 1 & 0xFFFFFFFF
        # A server that was opened fast has what its SYN brought as well.
        is_its_own = taken <= (400 if client.fast else 0)
        if flags & SYN:
            if is_its_own and not client.ack:
                client.ack, client.tries, client.taken = seq + 1 & 0xFFFFFFFF, 0, taken
                client.due = now + AGAIN
                self.fast += taken > 0
                ticket = _option(segment, FAST_OPEN)
                if ticket:
                    self._tickets[client.to] = ticket
                if client.hostile:
                    self._bother(client, now)
                if client.acknowledges:
                    self._send(client, ACK, client.seq + 1 + taken, b"", self._options(client, now))
                self._ask(client, now)
            return
        if not client.ack:
            # Of its own SYN when an older copy comes late. With other numbers the server still has
            # the last connection from this local port and asks whether this is it: a client that is
            # opening one says no (RFC 9293, 3.10.7.3).
            if not is_its_own:
                self._send(client, RST, ack, b"", b"")
                self.denials += 1
                client.due = now
            return
        if not data or seq != client.ack:
            if data:
                self._acknowledge(client, now)
            return
        client.got += len(data)
        client.ack = client.ack + len(data) & 0xFFFFFFFF
        if client.got < len(ANSWER):
            self._acknowledge(client, now)
            return
        end = client.seq + 1 + len(client.data)
        self._send(client, FIN | ACK, end, b"", self._stamps(client, now))
        self._send(client, RST | ACK, end + 1, b"", b"")
        del self._clients[client.source]

    def _acknowledge(self, client, now):
        self._send(client, ACK, client.seq + 1 + len(client.data), b"", self._options(client, now))
