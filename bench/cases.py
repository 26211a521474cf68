# SPDX-License-Identifier: GPL-2.0
"""The cases: what is set up on the director, and where the packets go.

A later case is one more line of CASES.
"""

import dataclasses
import typing

from lab import shell
from lab.director import Ipvs, Rvs, Service
from path import PORT, SINK, VIP

# The director, on the side of the sink.
DIRECTOR_OUT = "10.2.0.1"


def floor(path):
    """Received and sent again, nothing in between."""
    path.director.ip(
        "link add floor link out0 type rvs_bench", "link set floor up",
        "link set in0 master floor",
    )


def tc_redirect(path):
    """The shortest way that tc knows."""
    path.director.run("tc qdisc add dev in0 clsact")
    path.director.run(
        "tc filter add dev in0 ingress matchall action mirred egress redirect dev out0"
    )


def ip_forward(_path):
    """Plain routing."""


def balanced(director, mode="dr", scheduler="rr"):
    """A service whose only dest is the sink, run by Ipvs or Rvs."""

    def setup(path):
        director(path.director).add(
            Service([(SINK, 1)], scheduler, mode, "udp", VIP, PORT)
        )

    return setup


def fullnat(path):
    """A service whose only dest is the sink, with the director's own address in the client's place."""
    rvs = Rvs(path.director)
    rvs.adm("laddr", "add", "--default", DIRECTOR_OUT)
    rvs.add(Service([(SINK, 1)], "rr", "fullnat", "udp", VIP, PORT))


def other_service(director):
    """A service that the packets are not for."""

    def setup(path):
        director(path.director).add(
            Service([(SINK, 1)], "rr", "dr", "udp", "203.0.113.99", PORT)
        )

    return setup


def ipvs_big_table(host):
    """ip_vs as a fair peer: its stock table has only 4,096 buckets."""
    shell.run("modprobe ip_vs conn_tab_bits=20")
    return Ipvs(host)


@dataclasses.dataclass
class Case:
    """One line of the table."""

    name: str
    setup: typing.Callable
    destination: str = VIP
    new_flows: bool = False


CASES = [
    Case("floor", floor),
    Case("tc_redirect", tc_redirect),
    Case("ip_forward", ip_forward, SINK),
    Case("ip_vs/dr", balanced(ipvs_big_table)),
    Case("ip_vs/nat", balanced(ipvs_big_table, "nat")),
    Case("ip_vs/tun", balanced(ipvs_big_table, "tun")),
    Case("stranger/ip_vs", other_service(ipvs_big_table), SINK),
    Case("rvs/dr", balanced(Rvs)),
    Case("rvs/nat", balanced(Rvs, "nat")),
    Case("rvs/tun", balanced(Rvs, "tun")),
    Case("rvs/fullnat", fullnat),
    Case("stranger/rvs", other_service(Rvs), SINK),
    Case("ip_vs/new-flow/rr", balanced(ipvs_big_table), new_flows=True),
    Case("rvs/new-flow/rr", balanced(Rvs), new_flows=True),
]
