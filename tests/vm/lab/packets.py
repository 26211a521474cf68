# SPDX-License-Identifier: GPL-2.0
"""Packets made by hand, so that any byte of them can lie, and taps to send and see them."""

import dataclasses
import select
import socket
import struct
import time

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
ICMP, TCP, UDP = 1, 6, 17
DF, MF = 0x4000, 0x2000

ETH_ALL, ETH_IP, ETH_IPV6 = 0x0003, 0x0800, 0x86DD
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23


def checksum(data):
    """The internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _address(text):
    return socket.inet_aton(text)


def ipv4(source, destination, protocol, payload, *, ttl=64, ident=1, fragment=0,
         options=b"", total_len=None, version=4, ihl=None, tos=0):
    """An IPv4 packet; TOTAL_LEN, VERSION and IHL may lie, the header's checksum is right."""
    assert len(options) % 4 == 0
    words = 5 + len(options) // 4
    head = struct.pack(
        "!BBHHHBBH4s4s",
        version << 4 | (words if ihl is None else ihl), tos,
        words * 4 + len(payload) if total_len is None else total_len,
        ident, fragment, ttl, protocol, 0, _address(source), _address(destination),
    ) + options
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return head + payload


def _with_pseudo(source, destination, protocol, payload):
    return checksum(
        _address(source) + _address(destination) + struct.pack("!BBH", 0, protocol, len(payload))
        + payload
    )


def tcp(source, destination, flags, data=b"", *, seq=1000, ack=0, offset=None, options=b"", **ip):
    """A TCP packet between (address, port) pairs; OFFSET is the header's length in words."""
    assert len(options) % 4 == 0
    words = 5 + len(options) // 4 if offset is None else offset
    head = struct.pack("!HHIIBBHHH", source[1], destination[1], seq, ack, words << 4, flags,
                       65535, 0, 0)
    segment = head + options + data
    total = _with_pseudo(source[0], destination[0], TCP, segment)
    segment = segment[:16] + struct.pack("!H", total) + segment[18:]
    return ipv4(source[0], destination[0], TCP, segment, **ip)


def udp(source, destination, data=b"", *, length=None, **ip):
    """A UDP packet between (address, port) pairs; LENGTH may lie."""
    length = 8 + len(data) if length is None else length
    segment = struct.pack("!HHHH", source[1], destination[1], length, 0) + data
    total = _with_pseudo(source[0], destination[0], UDP, segment) or 0xFFFF
    segment = segment[:6] + struct.pack("!H", total) + segment[8:]
    return ipv4(source[0], destination[0], UDP, segment, **ip)


def icmp(source, destination, kind, code, rest=b"\0\0\0\0", data=b"", **ip):
    """An ICMP message between addresses."""
    message = struct.pack("!BBH", kind, code, 0) + rest + data
    message = message[:2] + struct.pack("!H", checksum(message)) + message[4:]
    return ipv4(source, destination, ICMP, message, **ip)


def fragments(packet, size):
    """PACKET cut into fragments that carry SIZE bytes each (a multiple of eight)."""
    assert size % 8 == 0
    payload = packet[20:]
    source, destination = (socket.inet_ntoa(packet[i : i + 4]) for i in (12, 16))
    ident = struct.unpack("!H", packet[4:6])[0]
    made = []
    for at in range(0, len(payload), size):
        more = MF if at + size < len(payload) else 0
        made.append(ipv4(source, destination, packet[9], payload[at : at + size],
                         ident=ident, fragment=more | at // 8, ttl=packet[8]))
    return made


@dataclasses.dataclass
class Seen:
    """A packet that came by."""

    source_mac: str
    destination_mac: str
    raw: bytes  # from the IP header on

    @property
    def protocol(self):
        return self.raw[9]

    @property
    def ttl(self):
        return self.raw[8]

    @property
    def total_len(self):
        return struct.unpack("!H", self.raw[2:4])[0]

    @property
    def fragment(self):
        return struct.unpack("!H", self.raw[6:8])[0]

    @property
    def source(self):
        return socket.inet_ntoa(self.raw[12:16])

    @property
    def destination(self):
        return socket.inet_ntoa(self.raw[16:20])

    @property
    def payload(self):
        """What follows the IP header."""
        return self.raw[(self.raw[0] & 15) * 4 : self.total_len]

    @property
    def ports(self):
        """Source and destination port of TCP and UDP."""
        return struct.unpack("!HH", self.payload[:4])

    @property
    def icmp(self):
        """Type, code and the MTU field of an ICMP message."""
        kind, code, _, _, mtu = struct.unpack("!BBHHH", self.payload[:8])
        return kind, code, mtu

    @property
    def is_intact(self):
        """Whether the IP header's checksum is right."""
        return checksum(self.raw[: (self.raw[0] & 15) * 4]) == 0


class Tap:
    """One device of a host: frames sent out of it by hand, IPv4 packets that came in or went out.

    Whole packets only: a GSO packet is seen as one.
    """

    def __init__(self, host, device, incoming_only=False):
        self.host, self.device = host, device
        with host.inside():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
            if incoming_only:
                self._socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
            # All protocols: only such taps see what a bridge takes off a port.
            self._socket.bind((device, ETH_ALL))
        self.mac = self._socket.getsockname()[4]

    def send(self, to_mac, *packets):
        """Sends IPv4 packets as they are."""
        head = to_mac + self.mac + struct.pack("!H", ETH_IP)
        for packet in packets:
            self._socket.send(head + packet)

    def send_frame(self, frame):
        """Sends bytes from the Ethernet header on."""
        self._socket.send(frame)

    def see(self, which=lambda seen: True, count=1, seconds=5):
        """Waits for COUNT packets that WHICH takes; returns those that came in time."""
        found = []
        end = time.monotonic() + seconds
        while len(found) < count and (left := end - time.monotonic()) > 0:
            if not select.select([self._socket], [], [], left)[0]:
                break
            seen = self._read()
            if seen and which(seen):
                found.append(seen)
        return found

    def drain(self, which=lambda seen: True):
        """What has come by until now."""
        found = []
        while select.select([self._socket], [], [], 0)[0]:
            seen = self._read()
            if seen and which(seen):
                found.append(seen)
        return found

    def _read(self):
        frame = self._socket.recv(70000)
        if len(frame) < 34 or frame[12:14] != b"\x08\x00":
            return None
        def mac(part):
            return ":".join(f"{byte:02x}" for byte in part)
        return Seen(mac(frame[6:12]), mac(frame[:6]), frame[14:])

    def close(self):
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def mac_bytes(text):
    """aa:bb:cc:dd:ee:ff as bytes."""
    return bytes.fromhex(text.replace(":", ""))
