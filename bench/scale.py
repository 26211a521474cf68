# SPDX-License-Identifier: GPL-2.0
"""How long the packet path is held up while a large table grows, is listed and shrinks."""

import json
import subprocess

from lab.netns import wait_until

from packets import whole_bursts
from path import Path
from pktgen import MANY, Pktgen, to_service

PROBE = "/sys/module/rvs_bench/parameters/probe"
SMALLEST = 256


class Late:
    """How late timers in softirq context come in a phase: packets wait as long."""

    def __init__(self):
        self.phases = {}

    def during(self, name, work):
        """Does WORK; returns what it returns."""
        self._write("1")
        try:
            return work()
        finally:
            with open(PROBE, encoding="ascii") as f:
                self.phases[name] = float(f.read())
            self._write("0")

    @staticmethod
    def _write(value):
        with open(PROBE, "w", encoding="ascii") as f:
            f.write(value)


def _counters(path):
    return json.loads(path.director.run("rvsadm", "stats", "show", "-j").stdout)["counters"]


def stall(setup, flows):
    """The longest wait, in nanoseconds of guest time, of any phase."""

    def measure():
        late = Late()
        with Path() as path:
            director = setup(path)
            generator = Pktgen(path.forward)
            words = to_service(MANY[flows])
            generator.send(3_200, words)
            late.during("no change", lambda: generator.send(32_000, words))
            late.during("grow", lambda: generator.send(whole_bursts(flows), words))
            # The last resize ends after the last packet.
            buckets = 1 << (flows - 1).bit_length()
            late.during("grow more", lambda: wait_until(
                lambda: _counters(path)["table_buckets"] == buckets, "the table has grown", 600, 1))
            assert _counters(path)["conns_now"] >= flows * 0.99
            argv = ["nsenter", f"--net={path.director.path}", "rvsadm", "conn", "list"]
            with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as dump:
                late.during("list", lambda: generator.send(320_000, words))
                dump.terminate()
            director.udp_timeout(1)
            late.during("shrink", lambda: wait_until(
                lambda: _counters(path)["table_buckets"] == SMALLEST, "the table shrinks", 600, 1))
        for phase, nanoseconds in late.phases.items():
            print(f"    longest wait, {phase}: {nanoseconds:,.0f} ns", flush=True)
        return [max(late.phases.values())]

    return measure
