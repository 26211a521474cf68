# SPDX-License-Identifier: GPL-2.0
"""Cases with real programs: TCP connections to nginx, and the control plane's tools."""

import contextlib
import os
import subprocess

from lab import shell
from lab.netns import wire
from lab.web import WebServer

from mark import marked
from path import PORT, SINK, VIP, Path
from setups import DIRECTORS

REPEATS = 3
ASKS = 500

# Services and dests of each.
MANY = (1_000, 10)


def _tool(name):
    return os.path.join(os.environ["RVS_BENCH_TOOLS"], name)


def tcp(setup, address=VIP, direct=False):
    """Instructions of a whole connection of HTTP: connect, request, 1 KiB, close. With DIRECT the
    server's packets do not pass the director."""

    def measure():
        with Path(drops=False) as path:
            path.sink.ip("route add default via 10.2.0.1")
            path.client.ip("route add default via 10.1.0.1")
            if direct:
                wire(path.client, path.sink, "back", "back")
                path.client.ip("addr add 10.3.0.2/24 dev back")
                path.sink.ip(f"addr add {VIP}/32 dev lo", "addr add 10.3.0.1/24 dev back",
                             "route add 10.1.0.0/24 via 10.3.0.2")
            setup(path)
            web = WebServer(path.sink, "sink", PORT)
            web.wait()
            ask = (_tool("ask"), address, PORT)
            path.client.run(*ask, 100)
            return [float(path.client.run(*ask, ASKS).stdout) for _ in range(REPEATS)]

    return measure


def _cpu(host, *args, stdin=None):
    """Nanoseconds of processor time that a program takes in HOST."""
    with host.inside(), subprocess.Popen(
            args, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
        child.stdin.write((stdin or "").encode())
        child.stdin.close()
        said = child.stderr.read().decode()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, f"{' '.join(args)}: {said}"
    return (usage.ru_utime + usage.ru_stime) * 1e9


def many_services(services, dests):
    """The lines of so many services with so many dests each."""
    for number in range(services):
        which = f"-t 203.0.{113 + number // 250}.{1 + number % 250}:{PORT}"
        yield f"-A {which} -s wlc"
        for dest in range(dests):
            third = 4 + number // 250 + dest // 250
            yield f"-a {which} -r 10.2.{third}.{1 + dest % 250}:{PORT} -g -w 1"


COMMANDS = {
    "rvs": {
        "restore": ("rvsadm", "restore", "-"),
        "list": ("rvsadm", "dest", "list"),
        "flush": ("rvsadm", "service", "flush"),
    },
    "ip_vs": {
        "restore": ("ipvsadm", "-R"),
        "list": ("ipvsadm", "-Ln"),
        "flush": ("ipvsadm", "-C"),
    },
}


def control(who, command, shape=MANY):
    """Instructions of one command of the control plane with services and dests of that SHAPE."""
    services, dests = shape

    def run():
        with Path(drops=False) as path:
            path.director.ip(f"neigh replace {SINK} dev out0 nud permanent "
                             f"lladdr {path.sink.mac('eth0')}", "route add 10.2.0.0/16 dev out0")
            DIRECTORS[who](path.director)
            shell.modprobe(*(["ip_vs_wlc"] if who == "ip_vs" else []))
            lines = "\n".join(many_services(services, dests)) + "\n"
            for name, argv in COMMANDS[who].items():
                is_meant = name == command
                with marked(services * (1 + dests)) if is_meant else contextlib.nullcontext():
                    cost = _cpu(path.director, *argv, stdin=lines if name == "restore" else None)
                if is_meant:
                    break
        return cost

    def measure():
        # A namespace of its own for each: after a flush RVS takes the same dests back for less.
        return [run() for _ in range(REPEATS)]

    return measure
