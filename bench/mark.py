# SPDX-License-Identifier: GPL-2.0
"""Marks for the profiler where what is measured begins and ends."""

import contextlib

MARK = "/sys/module/rvs_bench/parameters/mark"


def _mark(value):
    with open(MARK, "w", encoding="ascii") as f:
        f.write(value)


@contextlib.contextmanager
def marked():
    """What runs inside is what `make profile` counts; the last such run of a case is shown."""
    _mark("1")
    try:
        yield
    finally:
        _mark("0")
