# SPDX-License-Identifier: GPL-2.0
"""What only the debug kernel has: leaked memory, the state of lockdep, allocations that fail."""

import contextlib
import errno
import os
import re
import socket
import time

from . import shell

DEBUGFS = "/sys/kernel/debug"
KMEMLEAK = f"{DEBUGFS}/kmemleak"
FAILSLAB = f"{DEBUGFS}/failslab"
LOCKDEP = "/proc/lockdep_stats"

# A frame of ours by name, or of a module that is not there any more.
OURS = re.compile(r"\[(rvs|toa)\]|\] 0xffffffff[a-f]")


def is_debug_kernel():
    """Whether this is the kernel of `make test-debug`."""
    if not os.path.ismount(DEBUGFS):
        shell.run("mount", "-t", "debugfs", "debugfs", DEBUGFS, check=False)
    return os.path.exists(KMEMLEAK)


def _write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(str(text))


def forget_leaks():
    """Those of the past are nobody's fault."""
    _write(KMEMLEAK, "clear")


def leaks():
    """Reports of memory that RVS has lost."""
    for _ in range(2):
        # An object younger than 5 s is not reported, and what is on the move not in one scan.
        time.sleep(6)
        _write(KMEMLEAK, "scan")
    with open(KMEMLEAK, encoding="ascii", errors="replace") as f:
        reports = re.split(r"^(?=unreferenced object)", f.read(), flags=re.M)
    return [report for report in reports if OURS.search(report)]


def lockdep_is_on():
    """It stops at its first complaint, and then says nothing about what follows."""
    with open(LOCKDEP, encoding="ascii") as f:
        return re.search(r"debug_locks:\s+1", f.read()) is not None


def text_of(module):
    """Where the code of a loaded module is: start and end."""
    with open("/proc/kallsyms", encoding="ascii") as f:
        fields = [line.split() for line in f if line.rstrip().endswith(f"[{module}]")]
    code = [int(address, 16) for address, kind, *_ in fields if kind in "tT"]
    # The size of the last function is not told.
    return min(code), max(code) + 4096


def failing(module, **settings):
    """Lets allocations fail that are made by code of MODULE or below it; see failing_in."""
    return failing_in(*text_of(module), **settings)


@contextlib.contextmanager
def failing_in(start, end, **settings):
    """Lets allocations fail that are made by code from START to END or below it.

    SETTINGS are those of failslab; without any, only allocations of tasks whose fail-nth is set.
    """
    where = {
        "stacktrace-depth": 32, "require-start": hex(start), "require-end": hex(end),
        "reject-start": 0, "reject-end": 0,
    }
    values = {
        **where,
        # The point is that callers do without a word what they have to.
        "verbose": 0,
        "ignore-gfp-wait": "N",
        "task-filter": "N",
        "interval": 1,
        "times": -1,
        **{key.replace("_", "-"): value for key, value in settings.items()},
    }
    # Last: before it is known where, everything would fail, this program as well.
    values["probability"] = values.pop("probability", 0)
    try:
        for key, value in values.items():
            _write(f"{FAILSLAB}/{key}", value)
        # fail-nth counts pages as well.
        for key, value in where.items():
            _write(f"{DEBUGFS}/fail_page_alloc/{key}", value)
        yield
    finally:
        _write(f"{FAILSLAB}/probability", 0)


def has_mptcp6():
    """Whether the kernel has several paths for IPv6: the debug kernel has not, distributions have."""
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_MPTCP).close()
    except OSError as error:
        assert error.errno == errno.EPROTONOSUPPORT and is_debug_kernel()
        return False
    return True
