# SPDX-License-Identifier: GPL-2.0
"""The cases of `make bench-native`, called as those of `make bench` are."""

import nic
from cases import DIRECTORS, FOR_MANY, MODES, Case
from packets import Runs, established, replies, to_local_address
from setups import balanced, floor, fullnat_on_one_port, ip_forward

UNIT = "ns/packet"
FLOWS = (1, 100_000, 1_000_000)
# Each time; some 30 ms or more.
PACKETS = 160_000
# A table that has to grow does so within this many seconds.
PAUSE = 1

# What a packet through RVS may take of one through ip_vs, floor included.
TARGETS = {"rvs/dr": 0.55, "rvs/dr/100000-flows": 0.6}


def peer(name):
    """The case that an RVS case is compared with."""
    if name.startswith("nic/rvs-xdp/"):
        return name.replace("rvs-xdp/", "ip_vs/").replace("/redirect", "")
    return name.replace("rvs/", "ip_vs/", 1)


def _of(flows):
    """Those with so many flows. Many come at random: in turn they would come as their connections
    lie in memory, and the processor would fetch these ahead."""
    many = flows > 1
    runs = Runs(PACKETS, at_random=many, pause=PAUSE if many else 0)
    tail = f"/{flows}-flows" if many else ""
    directors = FOR_MANY if many else DIRECTORS

    def case(name, measure):
        return Case(name + tail, measure, UNIT, f"floor{tail}")

    yield case("floor", established(floor, flows, runs=runs))
    for mode in MODES["rvs"]:
        for who in MODES:
            if mode in MODES[who]:
                name = f"{who}/{mode}"
                yield case(name, established(directors[name], flows, runs=runs))
    for who in MODES:
        yield case(f"{who}/nat-reply", replies(balanced(who, "nat"), flows, runs=runs))
    if not many:
        yield case("rvs/fullnat-reply",
                   replies(fullnat_on_one_port, to=to_local_address, runs=runs))


def _at_the_device(flows):
    """Between two cards of memory, DR, with an skb and at the device; many come scattered."""
    tail, stride = (f"/{flows}-flows", nic.scattered(flows)) if flows > 1 else ("", 1)
    directors = FOR_MANY if flows > 1 else DIRECTORS
    floor_at_the_device = f"nic/floor/redirect{tail}"
    for name, setup, program in (("floor/skb", floor, nic.no_program),
                                 ("floor/redirect", ip_forward, nic.called_trivial),
                                 ("ip_vs/dr", directors["ip_vs/dr"], nic.no_program),
                                 ("rvs/dr", directors["rvs/dr"], nic.no_program),
                                 ("rvs-xdp/dr/redirect", directors["rvs/dr"], nic.called)):
        base = floor_at_the_device if "redirect" in name else f"nic/floor/skb{tail}"
        yield Case(f"nic/{name}{tail}", nic.to_dest(setup, program, flows=flows, packets=PACKETS, stride=stride),
                   UNIT, base)


CASES = [case for group in (_of, _at_the_device) for flows in FLOWS for case in group(flows)]
