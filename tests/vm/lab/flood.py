# SPDX-License-Identifier: GPL-2.0
"""A packet flood from a host, for as long as a context lasts."""

import subprocess

from . import shell
from .netns import wait_until

MOST = 3_000_000  # packets, whatever happens


class Flood:
    """pktgen sends UDP from HOST's DEVICE to an address, by way of the MAC of the next hop.

    With `flows`, every packet is of one of that many flows (source ports); `seen` is how many
    packets went out so far.
    """

    def __init__(self, host, device, via, source, destination, port=80, flows=1, delay=0):
        self.host, self.device = host, device
        self._options = [
            f"count {MOST}", "pkt_size 60", f"delay {delay}", "flag !SHARED", f"dst_mac {via}",
            f"src_min {source}", f"src_max {source}", f"dst {destination}",
            f"udp_dst_min {port}", f"udp_dst_max {port}",
            # The last one is not used.
            "udp_src_min 1024", f"udp_src_max {1024 + flows}",
        ]
        self._child = None

    def _write(self, file, line):
        with self.host.inside(), open(f"/proc/net/pktgen/{file}", "w", encoding="ascii") as f:
            f.write(line + "\n")

    def seen(self):
        """Packets sent so far."""
        with self.host.inside(), open(f"/proc/net/pktgen/{self.device}", encoding="ascii") as f:
            return int(f.read().split("pkts-sofar:")[1].split()[0])

    def __enter__(self):
        shell.modprobe("pktgen")
        self._write("kpktgend_0", "rem_device_all")
        self._write("kpktgend_0", f"add_device {self.device}")
        for option in self._options:
            self._write(self.device, option)
        # The writer sleeps until the generator stops.
        self._child = self.host.start(
            "sh", "-c", "echo start >/proc/net/pktgen/pgctrl", stderr=subprocess.DEVNULL
        )
        wait_until(lambda: self.seen() > 100, "the flood runs")
        return self

    def __exit__(self, *_):
        self._write("pgctrl", "stop")
        self._child.wait(timeout=30)
        self._write("kpktgend_0", "rem_device_all")


def flood(lab, destination, **more):
    """From the lab's client, by way of the router."""
    return Flood(
        lab.client, "eth0", lab.router.mac("wan"), "198.51.100.2", destination, **more
    )
