# SPDX-License-Identifier: GPL-2.0
"""Rates of traffic: those of ip_vs, under the same load at the same time."""

import contextlib
import json
import os
import re
import socket
import threading
import time

import pytest
from lab import shell
from lab.compat import VIP, balancer, load, unload
from lab.netns import Host, wait_until

PACKETS, CONNECTIONS, PAYLOAD = 100, 10, 72  # a second; bytes
SERVICE = f"-u {VIP}:53"


@pytest.fixture(name="pair")
def _pair():
    """Two directors of one service each: one for ip_vs, the other for RVS beside it."""
    unload()
    hosts = [Host("rate-a"), Host("rate-b")]
    for host in hosts:
        host.ip("link add d0 type dummy", "link set d0 up", "addr add 10.0.0.1/8 dev d0",
                f"addr add {VIP}/32 dev lo")
    yield hosts
    for host in hosts:
        host.run("ipvsadm", "-C", check=False)
    unload()
    for host in hosts:
        host.close()


class Load:
    """The same packets into each host, until the context ends: one in ten opens a flow."""

    def __init__(self, hosts):
        self._hosts, self._over = hosts, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._sockets = []
        self._ports = 20_000

    def _open(self):
        """A fresh socket in each host; the one before goes."""
        for old in self._sockets:
            old.close()
        self._sockets = []
        self._ports += 1
        for host in self._hosts:
            with host.inside():
                made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            made.bind(("10.0.0.1", self._ports))
            self._sockets.append(made)

    def _run(self):
        start, sent = time.monotonic(), 0
        while not self._over.is_set():
            if sent % (PACKETS // CONNECTIONS) == 0:
                self._open()
            for each in self._sockets:
                with contextlib.suppress(OSError):
                    each.sendto(bytes(PAYLOAD), (VIP, 53))
            sent += 1
            time.sleep(max(0, start + sent / PACKETS - time.monotonic()))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()


def ipvsadm_rates(host):
    """Connections, packets and bytes a second of the service and of its dest."""
    lines = host.run("ipvsadm", "-Ln", "--rate", "--exact").stdout.splitlines()
    return [[int(n) for n in line.split()[-5:]] for line in lines if re.search(r"\d+:\d+ ", line)]


# Those that ip_vs has, in its order.
RATES = ("connections", "in_packets", "out_packets", "in_bytes", "out_bytes")


def rvs_rates(host):
    """The same as RVS tells them."""
    said = json.loads(host.run("rvsadm", "dest", "list", "--rate", "-j").stdout)["dests"]
    service = json.loads(host.run("rvsadm", "service", "list", "-j").stdout)["services"]
    return [[each["rates"][name] for name in RATES] for each in (*service, *said)]


def agree(found, expected, least):
    """Within 5 % of each other, and as high as they will be soon."""
    pairs = [(a, b) for one, two in zip(found, expected) for a, b in zip(one, two)]
    return expected[0][1] >= least and all(abs(a - b) <= max(1, b * 0.05) for a, b in pairs)


@pytest.mark.seconds(200)
def test_rates_are_those_of_ip_vs(pair):
    stock, rvs = pair
    load("ip_vs")
    shell.modprobe("rvs")
    stock.run("ipvsadm", "-A", *SERVICE.split(), "-s", "rr")
    stock.run("ipvsadm", "-a", *SERVICE.split(), "-r", "10.1.1.1:53", "-m")
    rvs.run("rvsadm", "service", "add", f"udp/{VIP}:53", "--scheduler", "rr")
    rvs.run("rvsadm", "dest", "add", f"udp/{VIP}:53", "10.1.1.1:53", "--mode", "nat")
    seen = []

    def met():
        seen.append((ipvsadm_rates(stock), rvs_rates(rvs)))
        expected, found = seen[-1]
        return len(expected) == len(found) == 2 and agree(found, expected, PACKETS * 0.8)

    with Load(pair):
        wait_until(met, f"rates agree within 5 %: {seen[-3:]}", seconds=120, step=1)
    print("ip_vs, RVS:", seen[-1])
    # Nothing comes any more: both go to zero.
    before = rvs_rates(rvs)[0][1]
    wait_until(lambda: rvs_rates(rvs)[0][1] < before / 2, "rates sink", step=0.5)
    rvs.run("rvsadm", "stats", "zero")
    assert set(sum(rvs_rates(rvs), [])) == {0}


def test_rates_in_ipvsadm_and_in_proc(host):
    with balancer(host, "rvs"):
        host.ip(f"addr replace {VIP}/32 dev lo", "link set lo up")
        host.run("ipvsadm", "-A", *SERVICE.split(), "-s", "rr")
        host.run("ipvsadm", "-a", *SERVICE.split(), "-r", "10.1.1.1:53", "-m")
        with Load([host]):
            wait_until(lambda: ipvsadm_rates(host)[0][1] >= 20, "a rate is shown")
            # Frozen rates stay.
            with host.inside(), open("/proc/sys/net/ipv4/vs/run_estimation", "w",
                                     encoding="ascii") as f:
                f.write("0")
            first = ipvsadm_rates(host)
            wait_until(lambda: counted(host) > 400, "packets go on")
            assert ipvsadm_rates(host) == first == rvs_rates(host)
        shown = host.run("cat", "/proc/net/ip_vs_stats").stdout.splitlines()
        assert [int(n, 16) for n in shown[5].split()] == first[0]
        by_cpu = host.run("cat", "/proc/net/ip_vs_stats_percpu").stdout.splitlines()
        cpus = [[int(n, 16) for n in line.split()] for line in by_cpu[2:2 + os.cpu_count()]]
        assert [cpu[0] for cpu in cpus] == list(range(os.cpu_count()))
        assert by_cpu[2 + os.cpu_count()].startswith("  ~ ")
        # All CPUs together have carried what the whole has.
        total = [int(n, 16) for n in by_cpu[2 + os.cpu_count()].split()[1:]]
        assert [sum(column) for column in list(zip(*cpus))[1:]] == total and total[1] > 400
        # A removed dest is not forgotten, and zero is no matter of CPUs.
        host.run("ipvsadm", "-D", *SERVICE.split())
        host.run("ipvsadm", "-Z")
        again = host.run("cat", "/proc/net/ip_vs_stats_percpu").stdout.splitlines()
        assert again[2:2 + os.cpu_count()] == by_cpu[2:2 + os.cpu_count()]
        assert int(again[2 + os.cpu_count()].split()[2], 16) == 0


def counted(host):
    """Packets that came for the service."""
    said = json.loads(host.run("rvsadm", "service", "list", "-j").stdout)
    return said["services"][0]["stats"]["in_packets"]
