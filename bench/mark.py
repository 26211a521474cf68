# SPDX-License-Identifier: GPL-2.0
"""Marks for the profiler where what is measured begins and ends."""

import contextlib

MARK = "/sys/module/rvs_bench/parameters/mark"


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
