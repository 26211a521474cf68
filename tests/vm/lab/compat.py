# SPDX-License-Identifier: GPL-2.0
"""RVS in ip_vs's place, beside stock ip_vs: the same script in the same namespace, one after the other."""

import contextlib
import glob
import os
import re

import pytest

from . import shell
from .netns import Host

STOCK = "ip_vs"
VIP = "203.0.113.10"
TCP, UDP = f"-t {VIP}:80", f"-u {VIP}:53"


def unload():
    """Neither RVS nor ip_vs is loaded."""
    schedulers = [os.path.basename(p) for p in glob.glob("/sys/module/ip_vs_*")]
    shell.rmmod("rvs", "xt_ipvs", *schedulers, "ip_vs")


@pytest.fixture(name="host")
def _host():
    """A namespace that plays a director; 10.0.0.0/8 is routable there, nothing answers."""
    unload()
    made = Host("compat")
    made.ip("link add d0 type dummy", "link set d0 up", "addr add 10.0.0.1/8 dev d0")
    yield made
    unload()
    made.close()


def load(name):
    """Loads ip_vs, or RVS in its place."""
    unload()
    if name == STOCK:
        shell.modprobe("ip_vs")
    else:
        shell.run("modprobe", "rvs", "ipvs=1")


@contextlib.contextmanager
def balancer(host, name):
    """ip_vs, or RVS in its place."""
    load(name)
    try:
        yield
    finally:
        # Services keep ip_vs and its schedulers from going.
        host.run("ipvsadm", "-C", check=False)
        unload()


def same(host, script):
    """What SCRIPT(host) gives with RVS, which has to be what it gives with ip_vs."""
    with balancer(host, STOCK):
        expected = script(host)
    with balancer(host, "rvs"):
        found = script(host)
    unlike = differences(expected, found)
    assert not unlike, "ip_vs, RVS:\n" + "\n".join(f"{a!r}\n{b!r}" for a, b in unlike[:20])
    return found


def differences(one, two):
    """The smallest parts of two answers that differ, in pairs; a row of an answer is one part."""
    if one == two:
        return []
    if isinstance(one, dict) and isinstance(two, dict) and one.keys() == two.keys():
        one, two = list(one.items()), list(two.items())
    rows = isinstance(one, (list, tuple)) and any(isinstance(e, (list, tuple, dict)) for e in one)
    if rows and type(one) is type(two) and len(one) == len(two):
        return [pair for a, b in zip(one, two) for pair in differences(a, b)]
    return [(one, two)]


def ipvsadm(host, line, stdin=None):
    """Status, output and errors of one ipvsadm; the table's size is not compared."""
    done = host.run("ipvsadm", *line.split(), check=False, stdin=stdin)
    return line, done.returncode, re.sub(r"size=\d+", "size=N", done.stdout), done.stderr


def commands(*lines):
    """A script of ipvsadm's command lines."""
    return lambda host: [ipvsadm(host, line) for line in lines]
