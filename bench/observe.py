#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What a scrape of `rvsadm exporter` costs, and how much memory the exporter and `rvsadm top` take.

usage, in a guest:  make vm CMD='$$RVS_REPO/bench/observe.py [SERVICES DESTS]...'
  Each case has that many services with so many dests each; 1000 10 unless said.
"""

import os
import resource
import subprocess
import sys
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "vm"))

# pylint: disable=wrong-import-position
from lab.lone import LoneDirector  # noqa: E402

SCRAPES = 3
TICKS = os.sysconf("SC_CLK_TCK")


def lines(services, dests):
    """A configuration in restore's language."""
    for s in range(services):
        service = f"203.0.{113 + s // 250}.{1 + s % 250}:80"
        yield f"-A -t {service} -s wrr"
        for d in range(dests):
            yield f"-a -t {service} -r 10.{2 + d // 62500}.{d // 250 % 250}.{1 + d % 250}:80 -g -w 1"


def status(pid, name):
    """A figure of /proc/PID/status, in kB."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(name))


def seconds(pid):
    """Time that a process has used: its own, the kernel's."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return int(fields[11]) / TICKS, int(fields[12]) / TICKS


def scrape(host):
    with host.inside():
        began = time.monotonic()
        with urllib.request.urlopen("http://127.0.0.1:9757/metrics", timeout=600) as got:
            length = len(got.read())
    return length, time.monotonic() - began


def exporter(host, most):
    """Bytes, seconds of the client, of the exporter, of the kernel for it, kB at most."""
    child = host.start("rvsadm", "exporter", "--max-dests", most, stderr=subprocess.PIPE, text=True)
    while "metrics are at" not in child.stderr.readline():
        pass
    best = None
    for _ in range(SCRAPES):
        before = seconds(child.pid)
        length, took = scrape(host)
        own, kernel = (b - a for a, b in zip(before, seconds(child.pid)))
        best = min(filter(None, (best, (took, own, kernel, length))))
    most = status(child.pid, "VmHWM")
    host.stop(child)
    child.stderr.close()
    return *best, most


def top(host):
    """Seconds and kB at most of `rvsadm top --once -j`."""
    began = time.monotonic()
    with host.inside():
        # pylint: disable=consider-using-with
        child = subprocess.Popen(["rvsadm", "top", "--once", "-j"], stdout=subprocess.DEVNULL)
    _, code, used = os.wait4(child.pid, 0)
    assert code == 0
    return time.monotonic() - began, used.ru_maxrss


def main():
    numbers = [int(word) for word in sys.argv[1:]] or [1000, 10]
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    host = LoneDirector("bench")
    print("services  dests  each scrape: s  exporter s  kernel s     bytes  exporter kB   top s  top kB")
    for services, dests in zip(numbers[::2], numbers[1::2]):
        host.run("rvsadm", "restore", stdin="\n".join(lines(services, dests)) + "\n", timeout=1200)
        took, own, kernel, length, most = exporter(host, services * dests)
        once, memory = top(host)
        print(f"{services:8,} {services * dests:6,} {took:15.2f} {own:11.2f} {kernel:9.2f} {length:11,}"
              f" {most:10,} {once:8.2f} {memory:7,}", flush=True)
    host.close()


if __name__ == "__main__":
    main()
