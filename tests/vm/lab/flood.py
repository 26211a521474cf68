# SPDX-License-Identifier: GPL-2.0
"""The kernel's packet generator: floods, and many flows fast."""

import errno
import re
import threading

from . import shell
from .netns import wait_until


class Pktgen:
    """UDP packets out of DEVICE of HOST with the given Ethernet destination.

    OPTIONS are pktgen's own words, one a line of /proc/net/pktgen/DEVICE.
    """

    def __init__(self, host, device, to_mac, destination, port, *options, cpu=0):
        shell.modprobe("pktgen")
        self.host, self.device, self._thread = host, device, f"kpktgend_{cpu}"
        self._options = [
            "pkt_size 60", "delay 0", "flag NO_TIMESTAMP", f"dst_mac {to_mac}",
            f"dst {destination}", f"udp_dst_min {port}", f"udp_dst_max {port}",
            "src_min 198.51.100.2", "src_max 198.51.100.2", "udp_src_min 9", "udp_src_max 9",
            *options,
        ]
        self._running = None

    def _write(self, file, line):
        # The file shows the namespace of the thread that opens it.
        with self.host.inside(), open(f"/proc/thread-self/net/pktgen/{file}", "w",
                                      encoding="ascii") as f:
            f.write(line + "\n")

    def _prepare(self, count):
        self._write(self._thread, "rem_device_all")
        wait_until(self._add_device, f"pktgen takes {self.device}", seconds=20)
        for option in [*self._options, f"count {count}"]:
            self._write(self.device, option)

    def _add_device(self):
        # On a busy host it is still being removed.
        try:
            self._write(self._thread, f"add_device {self.device}")
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            return False
        return True

    def send(self, count):
        """Sends COUNT packets; returns how many went out."""
        self._prepare(count)
        self._write("pgctrl", "start")
        # On a busy host the line returns before pktgen's thread has begun.
        wait_until(self._is_over, f"pktgen has sent {count} packets", seconds=100)
        return self.sent()

    def _state(self):
        with self.host.inside(), open(f"/proc/thread-self/net/pktgen/{self.device}",
                                      encoding="ascii") as f:
            return f.read()

    def _is_over(self):
        try:
            return "Result: OK" in self._state()
        except FileNotFoundError:
            # The device has gone.
            return True

    def sent(self):
        """Packets of the last run, finished or not."""
        return int(re.search(r"pkts-sofar: (\d+)", self._state()).group(1))

    seen = sent

    def __enter__(self):
        """Floods, no more than a minute's worth, until the context ends."""
        self._prepare(20_000_000)
        self._running = threading.Thread(target=self._write, args=("pgctrl", "start"))
        self._running.start()
        return self

    def __exit__(self, *_):
        def stopped():
            # Again and again: a stop ahead of the start is lost.
            self._write("pgctrl", "stop")
            self._running.join(timeout=1)
            return not self._running.is_alive() and self._is_over()
        wait_until(stopped, "pktgen stopped", seconds=60)


def flood(lab, destination, port=80, flows=1, delay=0):
    """From the lab's client, by way of the router; one source port after the other."""
    return Pktgen(
        lab.client, "eth0", lab.router.mac("wan"), destination, port,
        # The last port is not used.
        f"delay {delay}", "udp_src_min 1024", f"udp_src_max {1024 + flows}",
    )
