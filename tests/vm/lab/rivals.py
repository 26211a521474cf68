# SPDX-License-Identifier: GPL-2.0
"""Packets of the same flow from several CPUs at the same moment; rivals.c sends them."""

import contextlib
import os
import socket
import subprocess

from .packets import ETH_IP, ETH_IPV6, mac_bytes

PROGRAM = "/rvs/target/rivals"  # rivals.c; scripts/tools builds it


class Sender:
    """One of them: a packet, where in it the round's port is, and the socket it leaves by."""

    def __init__(self, link, packet, offset, cpu=0):
        self.socket, self.cpu = link, cpu
        self.packet, self.offset = packet, offset

    @classmethod
    def frames(cls, host, device, to_mac, packet, port, cpu=0):
        """Frames out of DEVICE of HOST. The port is the packet's source or destination PORT (0, 1)."""
        with host.inside():
            link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            link.bind((device, 0))
        is_ipv6 = packet[0] >> 4 == 6
        kind = (ETH_IPV6 if is_ipv6 else ETH_IP).to_bytes(2, "big")
        head = mac_bytes(to_mac) + link.getsockname()[4] + kind
        return cls(link, head + packet, len(head) + (40 if is_ipv6 else 20) + 2 * port, cpu)

    @classmethod
    def local(cls, host, packet, port, cpu=0):
        """Packets that HOST itself sends."""
        is_ipv6 = packet[0] >> 4 == 6
        with host.inside():
            if is_ipv6:
                link = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
                link.connect((socket.inet_ntop(socket.AF_INET6, packet[24:40]), 0))
            else:
                link = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
                link.connect((socket.inet_ntoa(packet[16:20]), 0))
        return cls(link, packet, (40 if is_ipv6 else 20) + 2 * port, cpu)

    def argument(self):
        """As the program has it."""
        return f"{self.cpu % os.cpu_count()}:{self.socket.fileno()}:{self.offset}:{self.packet.hex()}"


class Rivals:
    """Senders that send together, one packet each a round, for ports FIRST to FIRST + RANGE - 1."""

    def __init__(self, *senders, first=10_000, range_=40_000):
        self._senders, self._ports = senders, [first, range_]
        self._process = None

    def start(self, rounds, seconds=3600):
        """Until so many rounds or seconds are over."""
        words = [*self._ports, rounds, seconds, *(s.argument() for s in self._senders)]
        self._process = subprocess.Popen(
            [PROGRAM, *map(str, words)], stdout=subprocess.PIPE, text=True,
            pass_fds=[s.socket.fileno() for s in self._senders],
        )
        return self

    def wait(self):
        """Their end; how many rounds there were."""
        out, _ = self._process.communicate()
        assert self._process.returncode == 0
        return int(out)

    def run(self, rounds, seconds=3600):
        """From start to end."""
        return self.start(rounds, seconds).wait()

    @property
    def running(self):
        """Whether they still send."""
        return self._process.poll() is None

    def close(self):
        """Ends them."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()
        for sender in self._senders:
            sender.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
