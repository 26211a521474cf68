# SPDX-License-Identifier: GPL-2.0
"""Cases about what a director tells another one: instructions and bytes of a connection."""

import json
import os

from lab import shell

from mark import marked
from path import PORT, VIP, Path

REPEATS = 3
COUNT = 50_000
# Begun ahead of them, and not measured: by then memory is there, and what is kept of datagrams that were sent is
# as much as it will be.
AHEAD = 40_000
# A loop takes ten instructions; together longer than a full datagram waits to be sent.
SPIN = 30
# The device of the other director; nobody is there.
DEVICE = "peer"
DAEMON = {
    "rvs": ("rvsadm", "sync", "start", "master", "--device", DEVICE, "--id", 1),
    "ip_vs": ("ipvsadm", "--start-daemon", "master", "--mcast-interface", DEVICE, "--syncid", 1),
}


def _sent(path):
    """Bytes that have left for the other director, Ethernet's headers included."""
    shown = json.loads(path.director.run("ip", "-s", "-j", "link", "show", "dev", DEVICE).stdout)
    return shown[0]["stats64"]["tx"]["bytes"]


def _begin(path):
    """Nanoseconds that it takes to begin all connections, and to tell of them."""
    program = os.path.join(os.environ["RVS_BENCH_TOOLS"], "open")
    mac = path.director.mac("in0")
    begin = (program, "eth0", mac, VIP, PORT)
    path.client.run(*begin, 0, AHEAD, SPIN, timeout=600)
    with marked(COUNT):
        done = path.client.run(*begin, AHEAD, COUNT, SPIN, timeout=600)
    return float(done.stdout)


def _known(who, path):
    """How many connections a director knows that are established."""
    if who == "rvs":
        rows = path.director.run("rvsadm", "conn", "list", "--json", timeout=600).stdout
        return rows.count('"established"')
    return path.director.run("ipvsadm", "-Lnc", timeout=600).stdout.count("ESTABLISHED")


def _run(who, setup, tells):
    """Instructions and bytes of all connections, with a daemon that tells or without."""
    # What khugepaged does now and then is as much as what is looked for.
    shell.run("sh", "-c", "echo never > /sys/kernel/mm/transparent_hugepage/enabled")
    with Path() as path:
        setup(path)
        path.director.ip(f"link add {DEVICE} type dummy", f"addr add 10.9.0.1/24 dev {DEVICE}",
                         f"link set {DEVICE} up multicast on")
        if who == "ip_vs":
            # Each is told once, with its second packet, as RVS does it.
            path.director.sysctl(ipv4__vs__sync_threshold="2 1000")
        if tells:
            path.director.run(*DAEMON[who])
        before = _sent(path)
        took = _begin(path)
        sent = _sent(path) - before
        count, all_of_them = _known(who, path), AHEAD + COUNT
        assert count == all_of_them, f"{count} of {all_of_them} are established"
        if tells:
            path.director.run(*[DAEMON[who][0], *_stop(who)])
        return took, sent


def _stop(who):
    return ("sync", "stop", "master") if who == "rvs" else ("--stop-daemon", "master")


def opened(who, setup, tells):
    """What it costs a director that a connection begins, and with TELLS that another one is told of it."""

    def measure():
        return [_run(who, setup, tells)[0] / COUNT for _ in range(REPEATS)]

    return measure


def bytes_of_it(who, setup):
    """What goes over the wire for it, all headers included."""

    def measure():
        return [_run(who, setup, True)[1] / (AHEAD + COUNT)]

    return measure
