#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Packets of every mode, family, protocol and direction, and what a director makes of them.

An implementation of its own: both packets of a case are built from a description, with every sum
computed over the whole. `forwarded.py` prints the table `forwarded.txt`; guest tests take the same
cases by import, with the numbers that a director has moved a connection by.
"""

import dataclasses
import ipaddress
import struct

TCP, UDP, SCTP = 6, 17, 132
SYN, PSH, ACK = 2, 8, 16
TTL = 64

CLIENT = {4: "198.51.100.2", 6: "2001:db8:100::2"}
ROUTER = {4: "198.51.100.1", 6: "2001:db8:100::1"}
VIP = {4: "203.0.113.10", 6: "2001:db8:113::10"}
DIRECTOR = {4: "192.168.56.118", 6: "2001:db8:56::118"}
LOCAL = {4: "192.168.56.201", 6: "2001:db8:56::201"}
DEST = {4: "192.168.56.101", 6: "2001:db8:56::101"}
CLIENT_PORT, PORT, DEST_PORT, LOCAL_PORT, GUE_PORT = 40000, 5353, 8053, 6000, 6080

# What a director adds to a client's sequence numbers and timestamps, where nobody says otherwise.
MOVED = (0x1234_5678, 0xFFFF_0000)

PAIRS = [(4, 4), (6, 6), (4, 6), (6, 4)]
# Of gue-remcsum: where no device is to fill in the inner sum, the option is not there.
KINDS = ["ipip", "gre", "gre-csum", "gue", "gue-csum", "gue-remcsum"]
SCENES = [
    *[f"{mode} {family}" for mode in ("dr", "nat", "fullnat") for family in (4, 6)], "fullnat 6 4",
    *[f"tun {inner} {outer} {kind}" for inner, outer in PAIRS for kind in KINDS],
]


@dataclasses.dataclass
class Case:
    """A packet, and what leaves for it."""

    scene: str
    name: str
    opens: bool  # it is the client's first of its protocol
    to_dest: bool
    ends: str  # of what leaves, as Rust reads socket addresses
    before: bytes
    after: bytes


def ones_sum(data):
    """The sum of RFC 1071, not inverted."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def inverted(data):
    """The sum that goes into a header."""
    return ones_sum(data) ^ 0xFFFF


def crc32c(data):
    """SCTP's sum (RFC 9260, appendix A), bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def raw(address):
    """An address as bytes."""
    return ipaddress.ip_address(address).packed


def ip(source, destination, protocol, payload, ttl=TTL, tos=0, ident=0, options=b"", df=True):
    """An IP packet of the addresses' version."""
    if ":" in source:
        payload, protocol = options + payload, 60 if options else protocol
        head = struct.pack("!IHBB", 6 << 28 | tos << 20, len(payload), protocol, ttl)
        return head + raw(source) + raw(destination) + payload
    words = 5 + len(options) // 4
    head = struct.pack("!BBHHHBBH", 4 << 4 | words, tos, words * 4 + len(payload), ident,
                       0x4000 if df else 0, ttl, protocol, 0)
    head += raw(source) + raw(destination) + options
    return head[:10] + struct.pack("!H", inverted(head)) + head[12:] + payload


def pseudo(source, destination, protocol, payload):
    """PAYLOAD behind its pseudo header."""
    size = len(payload)
    middle = struct.pack("!II", size, protocol) if ":" in source else struct.pack("!HH", protocol,
                                                                                size)
    return raw(source) + raw(destination) + middle + payload


@dataclasses.dataclass(frozen=True)
class Segment:
    """A transport header and payload, without addresses and ports."""

    protocol: int
    data: bytes = b""
    flags: int = 0
    seq: int = 0
    ack: int = 0
    stamps: tuple = ()
    sack: tuple = ()
    mss: int = 0
    sum: str = "right"  # or "none", "broken"

    def moved(self, sequence, timestamps, by_client):
        """The segment with its numbers moved, as the other side sees it."""
        if self.protocol != TCP or not (sequence or timestamps):
            return self
        add = lambda number, more: (number + more) & 0xFFFFFFFF  # noqa: E731
        if by_client:
            stamps = self.stamps and (add(self.stamps[0], timestamps), self.stamps[1])
            return dataclasses.replace(self, seq=add(self.seq, sequence), stamps=stamps)
        stamps = self.stamps and (self.stamps[0], add(self.stamps[1], -timestamps))
        sack = tuple(add(edge, -sequence) for edge in self.sack)
        return dataclasses.replace(self, ack=add(self.ack, -sequence), stamps=stamps, sack=sack)

    def build(self, source, destination):
        """The bytes between two (address, port) pairs."""
        ports = struct.pack("!HH", source[1], destination[1])
        wrong = self.sum == "broken"
        if self.protocol == SCTP:
            crc = crc32c(ports + b"\0\0\0\7" + bytes(4) + self.data) ^ wrong
            return ports + b"\0\0\0\7" + struct.pack("<I", crc) + self.data
        if self.protocol == UDP:
            head, at = ports + struct.pack("!HH", 8 + len(self.data), 0), 6
        else:
            options = struct.pack("!BBH", 2, 4, self.mss) if self.mss else b""
            if self.stamps:
                options += b"\1\1\x08\x0a" + struct.pack("!II", *self.stamps)
            if self.sack:
                edges = struct.pack(f"!{len(self.sack)}I", *self.sack)
                options += struct.pack("!BBBB", 1, 1, 5, 2 + len(edges)) + edges
            words = 5 + len(options) // 4
            head = ports + struct.pack("!IIBBHHH", self.seq, self.ack, words << 4, self.flags,
                                       65535, 0, 0) + options
            at = 16
        if self.sum == "none":
            return head + self.data
        payload = head + self.data
        total = inverted(pseudo(source[0], destination[0], self.protocol, payload))
        if wrong:
            # What was added stays added.
            total = ones_sum(struct.pack("!HH", total, 0x0101))
        if self.protocol == UDP:
            total = total or 0xFFFF
        return payload[:at] + struct.pack("!H", total) + payload[at + 2:]

    def packet(self, source, destination, **more):
        """The whole packet."""
        segment = self.build(source, destination)
        return ip(source[0], destination[0], self.protocol, segment, **more)


def icmp(source, destination, kind, code, rest, quote, ttl=TTL):
    """An ICMP error of the addresses' version."""
    message = struct.pack("!BBHI", kind, code, 0, rest) + quote
    if ":" in source:
        total, protocol = inverted(pseudo(source, destination, 58, message)), 58
    else:
        total, protocol = inverted(message), 1
    message = message[:2] + struct.pack("!H", total) + message[4:]
    return ip(source, destination, protocol, message, ttl)


SYN_SEGMENT = Segment(TCP, flags=SYN, seq=1000, stamps=(500, 0), mss=1460)
ANSWER = Segment(TCP, flags=SYN | ACK, seq=7000, ack=1001, stamps=(900, 500), mss=1460)
DATA = Segment(TCP, b"GET /", flags=PSH | ACK, seq=1001, ack=7001, stamps=(501, 900))
REPLY = Segment(TCP, b"200 OK", flags=PSH | ACK, seq=7001, ack=1006, stamps=(902, 501))
HOLE = Segment(TCP, flags=ACK, seq=7007, ack=1006, stamps=(903, 501), sack=(1100, 1200))
QUERY = Segment(UDP, b"query")
INIT = Segment(SCTP, struct.pack("!BBHIIHHI", 1, 0, 20, 1, 65535, 10, 10, 1))
INIT_ACK = Segment(SCTP, struct.pack("!BBHIIHHI", 2, 0, 20, 2, 65535, 10, 10, 2))
CHUNK = Segment(SCTP, struct.pack("!BBHIHHI", 0, 3, 20, 2, 0, 0, 0) + b"odd!")

NAMES = {TCP: "TCP", UDP: "UDP", SCTP: "SCTP"}
OPENING = {TCP: SYN_SEGMENT, UDP: QUERY, SCTP: INIT}


def told(address, port):
    """A pair as Rust's SocketAddr reads it."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class Scene:
    """What a director does to the packets of one service."""

    def __init__(self, text, moved=MOVED):
        self.text = text
        words = text.split()
        self.mode, self.family = words[0], int(words[1])
        self.outer = int(words[2]) if len(words) > 2 else self.family
        self.kind = words[3] if len(words) > 3 else ""
        self.sequence, self.timestamps = moved if self.mode == "fullnat" else (0, 0)
        self.crosses = self.mode == "fullnat" and self.outer != self.family
        family, outer = self.family, self.outer
        self.client, self.virtual = (CLIENT[family], CLIENT_PORT), (VIP[family], PORT)
        self.dest = (DEST[outer], DEST_PORT)
        self.peer = (LOCAL[outer], LOCAL_PORT) if self.mode == "fullnat" else self.client
        self.translates = self.mode in ("nat", "fullnat")

    @property
    def protocols(self):
        """Those that this service can have."""
        no_sctp = self.crosses or self.kind.endswith("csum")
        return [TCP, UDP] if no_sctp else [TCP, UDP, SCTP]

    def cases(self):
        """All of them, those that open connections ahead of the others."""
        to_dest = [("TCP SYN", SYN_SEGMENT, True), ("UDP", QUERY, True), ("SCTP INIT", INIT, True)]
        more = [("TCP data", DATA), ("UDP of an odd length", Segment(UDP, b"q!\1")),
                ("TCP with a broken sum", dataclasses.replace(DATA, sum="broken")),
                ("UDP with a broken sum", dataclasses.replace(QUERY, sum="broken")),
                ("SCTP with a broken sum", dataclasses.replace(INIT, sum="broken"))]
        if self.family == 4:
            more.append(("UDP that nobody has summed", dataclasses.replace(QUERY, sum="none")))
        if self.translates:
            more.append(("UDP whose sum becomes 0, sent as its other form", self.zero()))
        to_dest += [(*row, False) for row in more]
        for name, segment, opens in to_dest:
            if segment.protocol in self.protocols:
                yield self.inbound(name, segment, opens)
        yield self.inbound("TCP with a service type", DATA, False, tos=0xB8)
        options = {4: b"\1\1\1\0", 6: struct.pack("!BBBBI", UDP, 0, 1, 4, 0)}[self.family]
        yield self.inbound("UDP behind options", QUERY, False, options=options)
        yield from self.errors_inbound()
        if not self.translates:
            return
        back = [("TCP SYN and ACK", ANSWER), ("TCP data", REPLY), ("TCP selective ACK", HOLE),
                ("UDP", Segment(UDP, b"answer")), ("SCTP INIT ACK", INIT_ACK),
                ("SCTP DATA", CHUNK)]
        if self.outer == 4:
            unsummed = dataclasses.replace(QUERY, sum="none")
            back.append(("UDP that nobody has summed", unsummed))
        for name, segment in back:
            if segment.protocol in self.protocols:
                yield self.outbound(name, segment)
        yield from self.errors_outbound()

    def zero(self):
        """A query for which the dest's sum is 0."""
        total = Segment(UDP, b"\0\0more").build(self.peer, self.dest)
        return Segment(UDP, total[6:8] + b"more")

    def inbound(self, name, segment, opens, tos=0, options=b""):
        """A packet of the client."""
        more = {"tos": tos, "options": options}
        before = segment.packet(self.client, self.virtual, **more)
        if self.translates:
            moved = segment.moved(self.sequence, self.timestamps, True)
            if self.crosses:
                # Those of one family are not for the other.
                more["options"] = b""
                # What an IPv6 client cannot make smaller routers may fragment.
                more["df"] = len(before) > 1280
            after = moved.packet(self.peer, self.dest, ttl=TTL - 1, **more)
            ends = f"{told(*self.peer)} > {told(*self.dest)}"
        else:
            whole = segment.packet(self.client, self.virtual, ttl=TTL - 1, **more)
            after, ends = self.carried(whole, tos)
        return Case(self.text, f"to the dest: {name}", opens, True, ends, before, after)

    def carried(self, packet, tos=0):
        """A packet as it travels to the dest whole, and the outer ends."""
        if self.mode == "dr":
            return packet, "-"
        source, target = DIRECTOR[self.outer], DEST[self.outer]
        inner = 4 if self.family == 4 else 41
        protocol, head = self.tunnel(source, target, inner, packet)
        # Routers may fragment what IPv6 travels in, as nobody would tell its sender.
        whole = ip(source, target, protocol, head + packet, TTL - 1, tos, df=inner == 4)
        return whole, f"{told(source, 0)} > {told(target, 0)}"

    def tunnel(self, source, target, inner, packet):
        """What is between the outer header and the packet; GUE's source port is 0 here."""
        if self.kind == "ipip":
            return inner, b""
        if self.kind.startswith("gre"):
            kind = 0x0800 if inner == 4 else 0x86DD
            if self.kind == "gre":
                return 47, struct.pack("!HH", 0, kind)
            head = struct.pack("!HHI", 0x8000, kind, 0)
            return 47, head[:4] + struct.pack("!HH", inverted(head + packet), 0)
        gue = struct.pack("!BBH", 0, inner, 0)
        head = struct.pack("!HHHH", 0, GUE_PORT, 12 + len(packet), 0)
        if self.kind == "gue":
            return 17, head + gue
        total = inverted(pseudo(source, target, 17, head + gue + packet)) or 0xFFFF
        return 17, head[:6] + struct.pack("!H", total) + gue

    def outbound(self, name, segment):
        """A packet of the dest."""
        before = self.seen_by_dest(segment).packet(self.dest, self.peer)
        if self.crosses and segment.sum == "none":
            # IPv6 has no datagrams without a sum.
            segment = dataclasses.replace(segment, sum="right")
        after = segment.packet(self.virtual, self.client, ttl=TTL - 1)
        ends = f"{told(*self.virtual)} > {told(*self.client)}"
        return Case(self.text, f"to the client: {name}", False, False, ends, before, after)

    def seen_by_dest(self, segment):
        """A segment toward the client with the numbers that the dest has for it."""
        return segment.moved(-self.sequence, -self.timestamps, False)

    def errors_inbound(self):
        """Errors of the client and of a router about packets to the client."""
        family = self.family
        about = [("a closed port", ERRORS[family][0], Segment(UDP, b"answer"), self.client[0]),
                 ("a narrow path", ERRORS[family][1], REPLY, ROUTER[family]),
                 ("too many hops", ERRORS[family][2], Segment(UDP, b"answer"), ROUTER[family])]
        if SCTP in self.protocols:
            about.append(("a narrow path, of SCTP", ERRORS[family][1], CHUNK, ROUTER[family]))
        for name, (kind, code, rest), segment, sender in about:
            quote = segment.packet(self.virtual, self.client, ttl=9)
            before = icmp(sender, VIP[family], kind, code, rest, quote)
            ends = "-"
            if self.crosses:
                ends = f"{told(*self.peer)} > {told(*self.dest)}"
                quote = self.seen_by_dest(segment).packet(self.dest, self.peer, ttl=9)
                translated = ACROSS[6][(kind, code)]
                rest = rest - 20 if rest else 0
                after = icmp(self.peer[0], self.dest[0], *translated, rest, quote)
            elif self.translates:
                ends = f"{told(*self.peer)} > {told(*self.dest)}"
                quote = self.seen_by_dest(segment).packet(self.dest, self.peer, ttl=9)
                # A router may be the dest's as well, and would not take its own address as a source.
                source = self.peer[0] if self.mode == "fullnat" else sender
                after = icmp(source, self.dest[0], kind, code, rest, quote, TTL - 1)
            else:
                after, ends = self.carried(icmp(sender, VIP[family], kind, code, rest, quote,
                                                TTL - 1))
            protocol = NAMES[segment.protocol]
            yield Case(self.text, f"to the dest: an error about {protocol}: {name}", False, True,
                       ends, before, after)

    def errors_outbound(self):
        """Errors of the dest about packets to it."""
        family = self.outer
        about = [("a closed port", ERRORS[family][0], QUERY),
                 ("a narrow path", ERRORS[family][1], DATA)]
        if SCTP in self.protocols:
            about.append(("a closed port, of SCTP", ERRORS[family][0], INIT))
        for name, (kind, code, rest), segment in about:
            moved = segment.moved(self.sequence, self.timestamps, True)
            quote = moved.packet(self.peer, self.dest, ttl=9)
            before = icmp(self.dest[0], self.peer[0], kind, code, rest, quote)
            quote = segment.packet(self.client, self.virtual, ttl=9)
            if self.crosses:
                translated = ACROSS[4][(kind, code)]
                rest = rest + 20 if rest else 0
                after = icmp(VIP[6], CLIENT[6], *translated, rest, quote)
            else:
                after = icmp(VIP[family], CLIENT[family], kind, code, rest, quote, TTL - 1)
            ends = f"{told(*self.virtual)} > {told(*self.client)}"
            protocol = NAMES[segment.protocol]
            yield Case(self.text, f"to the client: an error about {protocol}: {name}", False,
                       False, ends, before, after)


# Type, code and the rest of the header by family: a closed port, a narrow path, too many hops.
ERRORS = {4: [(3, 3, 0), (3, 4, 1400), (11, 0, 0)], 6: [(1, 4, 0), (2, 0, 1400), (3, 0, 0)]}
# What becomes of them in the other family, by RFC 7915; the key is where they come from.
ACROSS = {6: {(1, 4): (3, 3), (2, 0): (3, 4), (3, 0): (11, 0)},
          4: {(3, 3): (1, 4), (3, 4): (2, 0), (11, 0): (3, 0)}}


def table():
    """The table as text."""
    lines = ["# SPDX-License-Identifier: GPL-2.0",
             "# Printed by forwarded.py, which says what it is; see README.md for the form."]
    for text in SCENES:
        for case in Scene(text).cases():
            lines += ["", case.name, f"{case.scene}: {case.ends}", *dump(case.before), "=",
                      *dump(case.after)]
    return "\n".join(lines) + "\n"


def dump(packet):
    """Bytes as lines."""
    return [f"  {packet[at:at + 32].hex(' ')}" for at in range(0, len(packet), 32)]


if __name__ == "__main__":
    print(table(), end="")
