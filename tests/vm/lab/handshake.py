# SPDX-License-Identifier: GPL-2.0
"""TCP connections made by hand from behind a wire, with any bytes in their options.

The hand stands where a director would: it has an address of its own on the wire, answers ARP and
neighbour solicitations for it, and no kernel has sockets there that would answer.
"""

import ipaddress
import itertools
import select
import socket
import struct
import time

from .packets import ACK, ETH_ALL, FIN, PSH, RST, SYN, checksum, mac_bytes

TCP = 6
ETH = {4: 0x0800, 6: 0x86DD}
DATA_OFFSET = 12


def toa(address, port, kind=254):
    """The option that carries an address."""
    packed = ipaddress.ip_address(address).packed
    return struct.pack("!BBH", kind, 4 + len(packed), port) + packed


def padded(options):
    """Options filled up to words with padding in front."""
    return b"\1" * (-len(options) % 4) + options


class Hand:
    """Makes connections from addresses of its own to a host on a device's other end."""

    _ports = itertools.count(20000)

    def __init__(self, host, device, to_mac):
        with host.inside():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_ALL))
            self._socket.bind((device, ETH_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, 33, 1 << 22)  # SO_RCVBUFFORCE
        self._to, self._from = mac_bytes(to_mac), mac_bytes(host.mac(device))

    def close(self):
        """Ends it."""
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, version, packet):
        """Sends one packet."""
        self._socket.send(self._to + self._from + struct.pack("!H", ETH[version]) + packet)

    def receive(self, connection, seconds=10):
        """The next segment for CONNECTION: (flags, seq, ack, data)."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not select.select([self._socket], [], [], left)[0]:
                break
            frame = self._socket.recv(1 << 16)
            segment = connection.segment_of(frame)
            if segment:
                return segment
        return None

    def connect(self, source, destination, **kwargs):
        """A connection whose handshake is done; see Connection."""
        connection = Connection(self, source, destination)
        connection.open(**kwargs)
        return connection


class Connection:
    """One connection; options of each segment are the caller's."""

    def __init__(self, hand, source, destination):
        self.hand = hand
        self.source = (source, next(Hand._ports))
        self.destination = destination
        self.seq, self.ack = 1000, 0
        self.version = ipaddress.ip_address(source).version

    def open(self, options=b"", syn_options=b"\2\4\5\264", acknowledge=True):
        """SYN, and after the answer the ACK with OPTIONS."""
        self.send(SYN, options=syn_options)
        self.seq += 1
        flags, seq, _, _ = self._expect()
        assert flags & (SYN | ACK) == SYN | ACK, f"no handshake: flags {flags:#x}"
        self.ack = seq + 1 & 0xFFFFFFFF
        if acknowledge:
            self.send(ACK, options=options)

    def send(self, flags, data=b"", options=b"", is_broken=False):
        """One segment with OPTIONS as they are; a length that is no word's is filled up. A broken
        one has a wrong checksum."""
        options = padded(options)
        source, destination = self.source, self.destination
        head = struct.pack("!HHIIBBHHH", source[1], destination[1], self.seq, self.ack,
                           5 + len(options) // 4 << 4, flags, 65535, 0, 0)
        segment = head + options + data
        a, b = (ipaddress.ip_address(end[0]).packed for end in (source, destination))
        pseudo = a + b + struct.pack("!II", len(segment), TCP)
        total = struct.pack("!H", checksum(pseudo + segment) ^ is_broken)
        segment = segment[:16] + total + segment[18:]
        self.hand.send(self.version, self._ip(a, b, len(segment)) + segment)

    def data(self, payload, options=b""):
        """Bytes for the program."""
        self.send(PSH | ACK, payload, options)
        self.seq += len(payload)

    def finish(self):
        """Ends it, so that its socket goes at once."""
        self.send(FIN | ACK)
        self.seq += 1
        self.send(RST | ACK)

    def read(self, seconds=10):
        """The next bytes of the program."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            flags, seq, _, data = self._expect()
            if data:
                self.ack = seq + len(data) & 0xFFFFFFFF
                self.send(ACK)
                return data
        raise AssertionError("no data")

    def _expect(self):
        segment = self.hand.receive(self)
        assert segment, f"no answer from {self.destination}"
        return segment

    def _ip(self, source, destination, length):
        if self.version == 6:
            return struct.pack("!IHBB", 6 << 28, length, TCP, 64) + source + destination
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 1, 0x4000, 64, TCP, 0)
        head += source + destination
        return head[:10] + struct.pack("!H", checksum(head)) + head[12:]

    def segment_of(self, frame):
        """(flags, seq, ack, data) if the frame is for this connection."""
        if struct.unpack("!H", frame[12:14])[0] != ETH[self.version]:
            return None
        packet = frame[14:]
        if self.version == 4:
            start, kind, at = (packet[0] & 15) * 4, packet[9], 12
            end, size = struct.unpack("!H", packet[2:4])[0], 4
        else:
            start, kind, at, size = 40, packet[6], 8, 16
            end = 40 + struct.unpack("!H", packet[4:6])[0]
        if kind != TCP:
            return None
        source = packet[at : at + size]
        segment = packet[start:end]
        ports = struct.unpack("!HH", segment[:4])
        wanted = (self.destination[1], self.source[1])
        if ports != wanted or source != ipaddress.ip_address(self.destination[0]).packed:
            return None
        seq, ack = struct.unpack("!II", segment[4:12])
        return segment[13], seq, ack, segment[(segment[DATA_OFFSET] >> 4) * 4 :]
