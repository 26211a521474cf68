# SPDX-License-Identifier: GPL-2.0
"""The kernel's packet generator: floods, and many flows fast."""

import re
import threading

from . import shell


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
        self._write(self._thread, f"add_device {self.device}")
        for option in [*self._options, f"count {count}"]:
            self._write(self.device, option)

    def send(self, count):
        """Sends COUNT packets; returns how many went out."""
        self._prepare(count)
        self._write("pgctrl", "start")
        return self.sent()

    def sent(self):
        """Packets of the last run, finished or not."""
        with self.host.inside(), open(f"/proc/thread-self/net/pktgen/{self.device}",
                                      encoding="ascii") as f:
            return int(re.search(r"pkts-sofar: (\d+)", f.read()).group(1))

    seen = sent

    def __enter__(self):
        """Floods, no more than a minute's worth, until the context ends."""
        self._prepare(20_000_000)
        self._running = threading.Thread(target=self._write, args=("pgctrl", "start"))
        self._running.start()
        return self

    def __exit__(self, *_):
        self._write("pgctrl", "stop")
        self._running.join(timeout=20)
        assert not self._running.is_alive(), "pktgen did not stop"


def flood(lab, destination, port=80, flows=1, delay=0):
    """From the lab's client, by way of the router; one source port after the other."""
    return Pktgen(
        lab.client, "eth0", lab.router.mac("wan"), destination, port,
        # The last port is not used.
        f"delay {delay}", "udp_src_min 1024", f"udp_src_max {1024 + flows}",
    )
