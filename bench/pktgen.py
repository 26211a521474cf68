# SPDX-License-Identifier: GPL-2.0
"""The kernel's packet generator, on the client's burst device."""

import re

from path import CLIENT, PORT, VIP

BURST = 32  # as in bench/module
FIRST_PORT = 1024


class Pktgen:
    """64-byte UDP packets, all of one flow, or with NEW_FLOWS each the first of its flow."""

    def __init__(self, path, destination=VIP, new_flows=False):
        self.path, self.new_flows = path, new_flows
        self._runs = 0
        # 60 and the checksum make 64. Without !SHARED every packet would be a
        # clone, and each director would copy its header.
        self._options = [
            "pkt_size 60", "delay 0", "flag !SHARED", "flag NO_TIMESTAMP",
            f"dst_mac {path.director.mac('in0')}", f"dst {destination}",
            f"udp_dst_min {PORT}", f"udp_dst_max {PORT}",
        ]

    def _source(self, count):
        """Who sends: a run with new flows has an address that no run before had."""
        self._runs += 1
        address = f"10.1.0.{10 + self._runs}" if self.new_flows else CLIENT
        # The last port is not used.
        last = FIRST_PORT + (count if self.new_flows else 1)
        assert last <= 65536
        return [
            f"src_min {address}", f"src_max {address}",
            f"udp_src_min {FIRST_PORT}", f"udp_src_max {last}",
        ]

    def _write(self, file, line):
        with open(f"/proc/net/pktgen/{file}", "w", encoding="ascii") as f:
            f.write(line + "\n")

    def send(self, count):
        """Sends COUNT packets; returns nanoseconds of guest time a packet."""
        assert count % BURST == 0
        before = self.path.delivered()
        with self.path.client.inside():
            self._write("kpktgend_0", "rem_device_all")
            self._write("kpktgend_0", "add_device burst")
            for option in [f"count {count}", *self._options, *self._source(count)]:
                self._write("burst", option)
            self._write("pgctrl", "start")
            with open("/proc/net/pktgen/burst", encoding="ascii") as f:
                result = f.read()
        arrived = self.path.delivered() - before
        # A rule that drops makes a fast number.
        assert arrived == count, f"{arrived} of {count} packets delivered"
        found = re.search(r"Result: OK: (\d+)", result)
        assert found, f"pktgen: {result}"
        return int(found.group(1)) * 1000 / count
