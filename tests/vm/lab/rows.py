# SPDX-License-Identifier: GPL-2.0
"""Rows of a client's story: what who asks gets, whom the server sees, which rules are met."""

import contextlib
import select
import socket

from .compat import load, unload
from .netns import wait_until
from .shell import run
from .tracked import PROGRAMS
from .transfer import ask, family

# How long a client waits that shall get nothing.
SHORT = 2


def listen(host, port, version=4):
    """A socket of HOST that takes connections."""
    any_address = "::" if version == 6 else "0.0.0.0"
    with host.inside():
        return socket.create_server((any_address, port), family=family(any_address))


def connect(host, address, port, timeout=10):
    """A connection of HOST."""
    with host.inside():
        return socket.create_connection((address, port), timeout=timeout)


def accept(listeners):
    """Which of LISTENERS gets a connection, that, and whose; nothing if none does."""
    ready, _, _ = select.select(listeners, [], [], 10)
    if not ready:
        return None
    accepted, peer = ready[0].accept()
    return listeners.index(ready[0]), accepted, peer[0]


def seen(host, address, port, *listeners, timeout=10, names=()):
    """Which of LISTENERS gets a connection of HOST, and as whose; or what HOST gets instead. NAMES
    stand for addresses."""
    try:
        with connect(host, address, port, timeout):
            if not (found := accept(listeners)):
                return "nobody"
            which, accepted, peer = found
            accepted.close()
            return which, dict(names).get(peer, peer)
    except OSError as error:
        return type(error).__name__


def read_by(accepted, client, timeout=10):
    """What a connection's server reads of a byte that its client sends, or the error."""
    client.sendall(b"x")
    accepted.settimeout(timeout)
    try:
        return accepted.recv(1)
    except OSError as error:
        return type(error).__name__


def met(host, what, version=4):
    """Whether rules were met that have WHAT in them."""
    listed = host.run(f"{PROGRAMS[version]}-save", "-c").stdout
    return {not line.startswith("[0:0]") for line in listed.splitlines() if what in line}


def answer(host, address, port, data=b"x", timeout=10):
    """The beginning of what answers a datagram of HOST, or what HOST gets instead."""
    try:
        return ask(host, address, port, data, timeout=timeout)[:8]
    except OSError as error:
        return type(error).__name__


def begun(host, total):
    """Connections that services and dests count, as ipvsadm shows them: TOTAL of all services. ip_vs adds up
    every two seconds."""
    def counts():
        lines = host.run("ipvsadm", "-Ln", "--stats", "--exact").stdout.splitlines()[3:]
        found[:] = [line.replace("->", "").split()[:-4] for line in lines]
        return sum(int(row[-1]) for row in found if len(row) == 3) >= total

    found = []
    with contextlib.suppress(AssertionError):
        wait_until(counts, "all are counted", 30, 0.2)
    return sorted(found)


def beside_stock(host, story):
    """What STORY() gives, a dict of rows: with stock's module, then with ours in its place. HOST has
    what keeps the modules."""
    found = {}
    for name in ("ip_vs", "rvs"):
        load(name)
        run("modprobe", "xt_rvs" if name == "rvs" else "xt_ipvs")
        try:
            found[name] = dict(story())
        finally:
            host.run("ipvsadm", "-C")
            unload()
    stock, ours = found["ip_vs"], found["rvs"]
    unlike = {row: (stock.get(row), ours.get(row)) for row in {**stock, **ours} if stock.get(row) != ours.get(row)}
    assert not unlike, "ip_vs, RVS:\n" + "\n".join(f"{row}: {a!r}, {b!r}" for row, (a, b) in unlike.items())
    return ours
