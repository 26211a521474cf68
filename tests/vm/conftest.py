# SPDX-License-Identifier: GPL-2.0
"""Fixtures, a limit of time for each test, and the kernel's log checked after each."""

import json
import os
import signal
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

# pylint: disable=wrong-import-position
from lab import debug, shell  # noqa: E402
from lab import director as directors  # noqa: E402
from lab.kernel_log import KernelLog  # noqa: E402
from lab.topology import Lab  # noqa: E402

pytest_plugins = ["lab.share_out", "lab.fullnat", "lab.receiver", "lab.six", "lab.compat"]

DEBUG_KERNEL = debug.is_debug_kernel()
TEST_SECONDS = 300  # more with @pytest.mark.seconds(N)
# The debug kernel's tests take several times as long.
SLOWNESS = 4 if DEBUG_KERNEL else 1


def pytest_configure(config):
    """Marks of our own."""
    config.addinivalue_line("markers", "seconds(n): may take so long")


@pytest.fixture(name="lab")
def _lab():
    """The lab of topology.py, fresh for each test."""
    made = Lab(web=False)
    yield made
    made.close()


@pytest.fixture(name="web")
def _web(lab):
    """nginx on every real server. It takes as long to start as all the rest of the lab."""
    lab.start_web()
    return lab.web


@pytest.fixture(name="ipvs")
def _ipvs(lab):
    """The lab's director run by stock ip_vs."""
    return directors.Ipvs(lab.director)


@pytest.fixture(name="rvs")
def _rvs(lab):
    """The lab's director run by RVS."""
    return directors.Rvs(lab.director)


@pytest.fixture(name="unloaded")
def _unloaded():
    """No module of RVS loaded at the start nor at the end."""
    shell.rmmod("rvs", "toa")
    yield
    shell.rmmod("rvs", "toa")


class TooLong(AssertionError):
    """A test took longer than any test may."""


def _too_long(_signal, _frame):
    raise TooLong("the test took longer than it may")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    """Starts the clock and the log of one test, set-up and teardown included."""
    item.kernel_log = KernelLog()
    signal.signal(signal.SIGALRM, _too_long)
    mark = item.get_closest_marker("seconds")
    signal.alarm(SLOWNESS * (mark.args[0] if mark else TEST_SECONDS))
    try:
        return (yield)
    finally:
        signal.alarm(0)
        item.kernel_log.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A complaint of the kernel fails the phase in which it is first seen."""
    report = yield
    complaints = item.kernel_log.complaints()
    if complaints and not getattr(item, "complained", False):
        item.complained = True
        said = "the kernel complained during this test:\n" + "\n".join(complaints)
        report.outcome = "failed"
        report.longrepr = f"{report.longrepr or ''}\n{said}"
    return report


OUTCOMES = {}


def pytest_runtest_logreport(report):
    """One outcome a test: the worst of its set-up, call and teardown."""
    rank = {"skipped": 0, "passed": 1, "failed": 2}
    if report.when != "call" and report.outcome == "passed":
        return
    old = OUTCOMES.get(report.nodeid, "skipped")
    OUTCOMES[report.nodeid] = max(old, report.outcome, key=rank.get)


def pytest_sessionstart():
    """Of leaks only those of the tests count."""
    shell.keep("ip")
    if DEBUG_KERNEL:
        debug.forget_leaks()


def _last_checks():
    """What the debug kernel knows only at the end: problems by name."""
    stopped = "it has stopped: it has complained, maybe before the first test"
    yield "lockdep", "" if debug.lockdep_is_on() else stopped
    log = KernelLog()
    for state in ("loaded", "unloaded"):
        if state == "unloaded":
            shell.rmmod("rvs", "toa")
        yield f"kmemleak, modules {state}", "".join(debug.leaks())
    yield "kernel log at the end", "\n".join(log.complaints())
    log.close()


def pytest_sessionfinish(session):
    """The last checks, and the totals for `make test` where a share is there to take them."""
    if DEBUG_KERNEL and OUTCOMES:
        for name, problem in _last_checks():
            OUTCOMES[name] = "failed" if problem else "passed"
            print(f"\n{name}: {problem or 'ok'}", flush=True)
            if problem:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
    path = os.environ.get("RVS_TOTALS")
    if path:
        counts = {k: list(OUTCOMES.values()).count(k) for k in ("passed", "failed", "skipped")}
        with open(path, "w", encoding="ascii") as f:
            json.dump(counts, f)
