# SPDX-License-Identifier: GPL-2.0
"""The kernel's packet generator, on a burst device."""

import dataclasses
import re

from lab.netns import wait_until

from mark import Stopwatch, marked
from path import CLIENT, CLIENTS, FIRST_CLIENT, MAX_CLIENTS, PORT, SINK, VIP

BURST = 32  # as in bench/module
FIRST_PORT = 1024


@dataclasses.dataclass(frozen=True)
class Clients:
    """Addresses and ports that pktgen goes through side by side, one step a packet.

    The numbers of both have no common divisor, so `addresses * ports` packets are as many flows.
    AT_RANDOM any address comes with any port, all but the last address.
    """

    first: str
    addresses: int
    ports: int
    at_random: bool = False

    def words(self, side):
        """pktgen's words for these as "src" or "dst"."""
        head, _, low = self.first.rpartition(".")
        last = f"{head}.{int(low) + self.addresses - 1}"
        flags = [f"flag IP{side.upper()}_RND", f"flag UDP{side.upper()}_RND"] if self.at_random else []
        # The last port is not used.
        return [
            f"{side}_min {self.first}", f"{side}_max {last}",
            f"udp_{side}_min {FIRST_PORT}", f"udp_{side}_max {FIRST_PORT + self.ports}", *flags,
        ]


ONE = Clients(CLIENT, 1, 1)

MANY = {
    1: ONE,
    1_000: Clients(CLIENT, 1, 1_000),
    10_000: Clients(CLIENTS.format(FIRST_CLIENT), 16, 625),
    100_000: Clients(CLIENTS.format(FIRST_CLIENT), 32, 3_125),
    1_000_000: Clients(CLIENTS.format(FIRST_CLIENT), 64, 15_625),
    4_000_000: Clients(CLIENTS.format(FIRST_CLIENT), 128, 31_250 + 1),
    10_000_000: Clients(CLIENTS.format(FIRST_CLIENT), 160, 62_501),
}


def new_clients(run, count):
    """COUNT flows that no other RUN has."""
    assert run < MAX_CLIENTS and FIRST_PORT + count < 65536
    return Clients(CLIENTS.format(FIRST_CLIENT + run), 1, count)


def between(source, destination, from_port, to_port):
    """Packets of one IPv6 flow; pktgen has no ranges of such addresses."""
    return [f"src6 {source}", f"dst6 {destination}", "flag UDPCSUM",
            f"udp_src_min {from_port}", f"udp_src_max {from_port}",
            f"udp_dst_min {to_port}", f"udp_dst_max {to_port}"]


def to_service(clients=ONE, destination=VIP):
    """What clients send."""
    return [f"dst_min {destination}", f"dst_max {destination}",
            f"udp_dst_min {PORT}", f"udp_dst_max {PORT}", *clients.words("src")]


def to_clients(clients=ONE, source=SINK):
    """What the dest answers."""
    return [f"src_min {source}", f"src_max {source}",
            f"udp_src_min {PORT}", f"udp_src_max {PORT}", *clients.words("dst")]


class Pktgen:
    """UDP packets of SIZE bytes on the wire, one WAY of the path."""

    def __init__(self, way, size=64):
        self.way = way
        # The size counts without the checksum. Without !SHARED every packet would be a clone,
        # and each director would copy its header.
        self._options = [
            f"pkt_size {size - 4}", "delay 0", "flag !SHARED", "flag NO_TIMESTAMP",
            f"dst_mac {way.to_mac}",
        ]

    def _write(self, file, line):
        with open(f"/proc/net/pktgen/{file}", "w", encoding="ascii") as f:
            f.write(line + "\n")

    def _take(self, cpu, device):
        """Gives the thread of a CPU this device and no other."""
        thread = f"kpktgend_{cpu}"
        self._write(thread, "rem_device_all")
        # On a busy host that comes back before the thread has got to it.
        wait_until(lambda: not self._devices(thread), "pktgen has let go of its devices")
        self._write(thread, f"add_device {device}")

    @staticmethod
    def _devices(thread):
        """Names of the devices that a thread has."""
        with open(f"/proc/net/pktgen/{thread}", encoding="ascii") as f:
            found = re.findall(r"^(?:Running|Stopped):(.*)", f.read(), re.M)
        return " ".join(found).split()

    @staticmethod
    def _took():
        """Microseconds of the last run; None until it is over."""
        with open("/proc/net/pktgen/burst", encoding="ascii") as f:
            found = re.search(r"Result: OK: (\d+)", f.read())
        return found and int(found.group(1))

    def _delivered(self):
        out = self.way.receiver.run("tc -s filter show dev eth0 ingress").stdout
        return int(out.split("Sent ")[1].split()[2])

    def send_from(self, cpus):
        """Sends without bursts from several CPUs at a time: {cpu: (count, words)}."""
        before = self._delivered()
        with self.way.sender.inside():
            for cpu, (count, words) in cpus.items():
                self._take(cpu, f"eth0@{cpu}")
                for option in [f"count {count}", *self._options, *words]:
                    self._write(f"eth0@{cpu}", option)
            self._write("pgctrl", "start")
            for cpu in cpus:
                self._write(f"kpktgend_{cpu}", "rem_device_all")
        arrived = self._delivered() - before
        count = sum(count for count, _ in cpus.values())
        assert arrived == count, f"{arrived} of {count} packets delivered"

    def send(self, count, words):
        """Sends COUNT packets; returns nanoseconds a packet: of the guest's clock, or where it
        can be asked of the host's."""
        assert count % BURST == 0
        before = self._delivered()
        with self.way.sender.inside():
            self._take(0, "burst")
            for option in [f"count {count}", *self._options, *words]:
                self._write("burst", option)
            with Stopwatch() as watch:
                with marked(count):
                    self._write("pgctrl", "start")
                # On a host that is busy for a moment this comes back before pktgen has begun.
                took = wait_until(self._took, "pktgen is done")
        arrived = self._delivered() - before
        # A rule that drops makes a fast number.
        assert 0 <= arrived - count <= self.way.strays, f"{arrived} of {count} packets delivered"
        return (watch.nanoseconds or took * 1000) / count
