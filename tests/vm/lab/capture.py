# SPDX-License-Identifier: GPL-2.0
"""tcpdump on a device of a host."""

import os
import subprocess
import time

from .netns import wait_until


class Capture:
    """Packets that FILTER matches on DEVICE of HOST, as tcpdump prints them, one a line.

    Used as a context: the lines are complete after it.
    """

    def __init__(self, host, device, expression="", options=("-e",)):
        self.host, self.device = host, device
        self.expression, self.options = expression, options
        self.lines = []

    def __enter__(self):
        self._out = open(f"/run/capture-{time.monotonic_ns()}", "w+", encoding="ascii")
        self._process = self.host.start(
            "tcpdump", "-i", self.device, "-n", "-l", "-U", "--immediate-mode", *self.options,
            *self.expression.split(), stdout=self._out, stderr=subprocess.PIPE, text=True,
        )
        # It says so once it listens; packets before that would be missed.
        for line in self._process.stderr:
            if "listening on" in line:
                return self
        raise AssertionError(f"tcpdump does not start: status {self._process.wait()}")

    def count(self):
        """Packets that it has printed so far."""
        # Not by the file's own offset, which is where tcpdump writes.
        printed = os.pread(self._out.fileno(), 1 << 24, 0).splitlines()
        return sum(1 for line in printed if line and not line.startswith(b"\t"))

    def __exit__(self, *_):
        # Everything sent is in the socket by now; give tcpdump time to print it.
        size = -1
        def settled():
            nonlocal size
            last, size = size, self._out.seek(0, 2)
            return last == size
        wait_until(settled, "tcpdump printed what it saw", step=0.2)
        self._process.send_signal(2)
        self._process.wait(timeout=10)
        self._process.stderr.close()
        self._out.seek(0)
        self.lines = [line for line in self._out.read().splitlines() if line]
        self._out.close()
