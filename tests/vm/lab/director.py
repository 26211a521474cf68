# SPDX-License-Identifier: GPL-2.0
"""One description of a service, configured through ip_vs or through RVS."""

import contextlib
import dataclasses

from . import shell
from .document import content
from .topology import VIP


@dataclasses.dataclass
class Service:
    """A service and its dests: (address, weight) pairs.

    The options of the service and of each dest are as ipvsadm has them; rvsadm has the same.
    """

    dests: list
    scheduler: str = "rr"
    mode: str = "dr"
    protocol: str = "tcp"
    vip: str = VIP
    port: int = 80
    options: tuple = ()
    dest_options: tuple = ()

    @property
    def id(self):
        """As RVS prints it: tcp/203.0.113.10:80."""
        return f"{self.protocol}/{end(self.vip, self.port)}"

    @property
    def which(self):
        """As ipvsadm names it: -t 203.0.113.10:80."""
        option = "--sctp-service" if self.protocol == "sctp" else f"-{self.protocol[0]}"
        return option, end(self.vip, self.port)


@dataclasses.dataclass
class MarkedService(Service):
    """A service of the flows whose packets have a mark, to any port."""

    mark: int = 7
    port: int = 0

    @property
    def id(self):
        return f"fwmark/{self.mark}"

    @property
    def which(self):
        return "-f", self.mark


def end(address, port):
    """ADDRESS:PORT, or [ADDRESS]:PORT."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class Ipvs:
    """The stock peer, through ipvsadm."""

    name = "ip_vs"
    MODE = {"dr": "-g", "tun": "-i", "nat": "-m"}

    def __init__(self, host):
        self.host = host
        shell.modprobe("ip_vs")

    def add(self, service):
        """Adds a service with its dests."""
        shell.modprobe(f"ip_vs_{service.scheduler}")
        self.host.run("ipvsadm", "-A", *service.which, "-s", service.scheduler, *service.options)
        for address, weight in service.dests:
            self.host.run(
                "ipvsadm", "-a", *service.which, "-r", end(address, service.port),
                self.MODE[service.mode], "-w", weight, *service.dest_options,
            )

    def flush(self):
        """Removes all services."""
        self.host.run("ipvsadm", "-C")


class Rvs:
    """RVS, through rvsadm."""

    name = "rvs"

    def __init__(self, host):
        self.host = host
        shell.modprobe("rvs")

    def adm(self, *args, **kwargs):
        """Runs rvsadm on the director; see shell.run."""
        return self.host.run("rvsadm", *args, **kwargs)

    def json(self, *args):
        """What `rvsadm ARGS -j` says."""
        return content(self.adm(*args, "-j").stdout)

    def add(self, service):
        """Adds a service with its dests."""
        self.adm("service", "add", service.id, "-s", service.scheduler, *service.options)
        for address, weight in service.dests:
            self.adm(
                "dest", "add", service.id, end(address, service.port),
                "--mode", service.mode, "--weight", weight, *service.dest_options,
            )

    def flush(self):
        """Removes all services."""
        self.adm("service", "flush")

    def restore(self, *services):
        """Makes these services the whole configuration, with one program start."""
        lines = []
        for service in services:
            which = " ".join(map(str, service.which))
            lines.append(f"-A {which} -s {service.scheduler}")
            for address, weight in service.dests:
                lines.append(f"-a {which} -r {end(address, service.port)} -g -w {weight}")
        return self.adm("restore", "-", stdin="\n".join(lines) + "\n")


@contextlib.contextmanager
def run_by(director, svc):
    """The service on a director that has nothing else before and after."""
    director.add(svc)
    try:
        yield director
    finally:
        director.flush()
