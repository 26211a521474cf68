# SPDX-License-Identifier: GPL-2.0
"""Where what is measured begins and ends: marks for the profiler, and the host's clock."""

import contextlib
import os

MARK = "/sys/module/rvs_bench/parameters/mark"
CPU_TIME = "/sys/module/rvs_bench/parameters/cpu_time"


def _mark(value):
    with open(MARK, "w", encoding="ascii") as f:
        f.write(value)


class Counted:
    """How many packets, or whatever a case is about, there were between the last marks."""

    last = 0


@contextlib.contextmanager
def marked(count):
    """What runs inside is what `make profile` counts; the last such run of a case is shown."""
    Counted.last = count
    _mark("1")
    try:
        yield
    finally:
        _mark("0")


class Stopwatch:
    """How long what runs inside takes, in nanoseconds of the host's processor time.

    Only where the kernel is a process of its host, User-Mode Linux; else `nanoseconds` stays None.
    """

    def __init__(self):
        self.nanoseconds, self._began = None, None

    @staticmethod
    def _read():
        with open(CPU_TIME, encoding="ascii") as f:
            return int(f.read())

    def __enter__(self):
        self._began = self._read() if os.path.exists(CPU_TIME) else None
        return self

    def __exit__(self, *_):
        if self._began is not None:
            self.nanoseconds = self._read() - self._began
