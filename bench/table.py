# SPDX-License-Identifier: GPL-2.0
"""Cases about the table of connections: memory and expiry."""

import json
import os
import time

from lab import shell

from mark import marked
from packets import whole_bursts
from path import Path
from pktgen import MANY, Pktgen, to_service

FLOWS = 100_000
SLABS = {"rvs": ("rvs_conn", "rvs_conn_nat"), "ip_vs": ("ip_vs_conn",)}
TIMEOUT = 3
# A loop takes ten instructions; together more than the flows live.
SPIN = 450


def _slab(name):
    """Bytes of a slab, what is left of it included."""

    def value(file):
        with open(f"/sys/kernel/slab/{name}/{file}", encoding="ascii") as f:
            return int(f.read().split()[0])

    if not os.path.isdir(f"/sys/kernel/slab/{name}"):
        return 0
    return value("slabs") * (os.sysconf("SC_PAGE_SIZE") << value("order"))


def _memory(who, path):
    """Bytes that the connections take. ip_vs's table has a fixed size and counts as one pointer a
    connection, which is the least that it needs to be fast."""
    slabs = sum(_slab(name) for name in SLABS[who])
    if who == "ip_vs":
        return slabs + 8 * FLOWS
    stats = json.loads(path.director.run("rvsadm", "stats", "show", "-j").stdout)
    return slabs + 8 * stats["counters"]["table_buckets"]


def bytes_per_connection(who, setup):
    """Memory of 100,000 connections, buckets included."""

    def measure():
        with Path() as path:
            setup(path)
            for name in SLABS[who]:
                with open(f"/sys/kernel/slab/{name}/shrink", "w", encoding="ascii") as f:
                    f.write("1")
            before = sum(_slab(name) for name in SLABS[who])
            Pktgen(path.forward).send(FLOWS, to_service(MANY[FLOWS]))
            # The table grows within a second.
            time.sleep(3)
            return [(_memory(who, path) - before) / FLOWS]

    return measure


def expiry(setup):
    """Instructions that the end of a silent UDP flow takes."""

    def measure():
        with Path() as path:
            director = setup(path)
            idle = _spin()
            director.udp_timeout(TIMEOUT)
            # All flows, and the first of them again, within the time that they live.
            Pktgen(path.forward).send(whole_bursts(FLOWS), to_service(MANY[FLOWS]))
            busy = _spin()
            return [(busy - idle) / FLOWS]

    return measure


def _spin():
    program = os.path.join(os.environ["RVS_BENCH_TOOLS"], "spin")
    with marked(FLOWS):
        return float(shell.run(program, SPIN, timeout=600).stdout)
