# SPDX-License-Identifier: GPL-2.0
"""What directors tell each other, made and read by hand: datagrams, entries, and the tail of RVS."""

import dataclasses
import hashlib
import hmac
import socket
import struct

from .topology import VIP

GROUP, PORT, IDENT = "224.0.0.81", 8848, 7
ENTRIES, HEARSAY, BEAT, ASK = 1, 2, 3, 4
MAGIC = b"RVS\1"


def entry(state=1, protocol=6, flags=0, port=1000, size=36, dest="192.168.56.101", options=b""):
    """An entry as bytes."""
    ends = b"".join(socket.inet_aton(a) for a in ("198.51.100.2", VIP, dest))
    head = struct.pack("!BBHIHHHHII", 0, protocol, size + len(options), flags, state, port, 80, 80, 0, 60)
    return head + ends + options


def datagram(*entries, ident=IDENT, version=1, size=None, count=None, tail=b""):
    """A datagram as bytes."""
    # Whatever follows an entry is aligned; the last one is as long as it is.
    parts = [*entries, tail] if tail else entries
    body = b"".join(part + bytes(-len(part) % 4) for part in parts[:-1]) + b"".join(parts[-1:])
    size = 8 + len(body) if size is None else size
    count = len(entries) if count is None else count
    return struct.pack("!BBHBBH", 0, ident, size, count, version, 0) + body


@dataclasses.dataclass
class Tail:
    """What RVS adds behind the entries."""

    kind: int
    stream: int
    number: int = 0
    beat: int = 0
    nonce: int = 0
    ranges: tuple = ()

    def bytes(self, signed=False):
        """As it is sent, but for the signature, of which the bytes are 0."""
        head = MAGIC + struct.pack("!BBBBQQIQ", self.kind, len(self.ranges), signed, 0, self.stream,
                                   self.number, self.beat, self.nonce)
        ranges = b"".join(struct.pack("!QQ", *each) for each in self.ranges)
        return head + ranges + (bytes(32) if signed else b"")

    @staticmethod
    def of(data):
        """That of a datagram that is only a tail, or has entries without options; else None."""
        at = data.find(MAGIC)
        if at < 0:
            return None
        kind, count, _, _, *rest = struct.unpack_from("!BBBBQQIQ", data, at + 4)
        ranges = struct.iter_unpack("!QQ", data[at + 36:at + 36 + 16 * count])
        return Tail(kind, *rest, tuple(ranges))


def signed(data, key):
    """A datagram whose last 32 bytes are to be its signature."""
    return data[:-32] + hmac.new(key, data[:-32], hashlib.sha256).digest()


class Peer:
    """Another director, by hand: it sends to the group, and hears it and whoever answers."""

    def __init__(self, host, address, ident=IDENT):
        self.ident = ident
        with host.inside():
            self.own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.group = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.own.setsockopt(0, socket.IP_MULTICAST_IF, socket.inet_aton(address))
        self.own.setsockopt(0, socket.IP_MULTICAST_LOOP, 0)
        self.own.bind((address, 0))
        self.group.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.group.bind((GROUP, PORT))
        self.group.setsockopt(0, socket.IP_ADD_MEMBERSHIP,
                              socket.inet_aton(GROUP) + socket.inet_aton(address))

    def tell(self, tail, *entries, to=(GROUP, PORT), key=None):
        """Sends a datagram."""
        data = datagram(*entries, ident=self.ident, tail=tail.bytes(key is not None))
        self.own.sendto(signed(data, key) if key is not None else data, to)

    def hear(self, seconds, group=False):
        """The next datagram's tail and sender; None where none comes."""
        got = self.take(seconds, group)
        return got and (Tail.of(got[0]), got[1])

    def take(self, seconds, group=False):
        """The next datagram as bytes, and its sender; None where none comes."""
        s = self.group if group else self.own
        s.settimeout(seconds)
        try:
            return s.recvfrom(65536)
        except TimeoutError:
            return None

    def close(self):
        """Ends it."""
        self.own.close()
        self.group.close()
