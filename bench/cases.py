# SPDX-License-Identifier: GPL-2.0
"""The cases, by name. A name is WHO/CASE[/VARIANT]; a later case is one more line."""

import dataclasses
import typing

import nic
from pktgen import to_clients
from packets import (
    established,
    established_v6,
    first_packets,
    floor_of_replies,
    replies,
    replies_v6,
    to_director,
    to_local_address,
)
from path import SINK
from real import control, tcp
from receiver import OPTION, accept, getpeername
from scale import stall
from setups import (
    CONNTRACK,
    DNAT,
    FLOWTABLE,
    LOCAL_ADDRESSES,
    MASQUERADE,
    among,
    balanced,
    both,
    floor,
    fullnat_on_one_port,
    ip_forward,
    nft,
    other_service,
    tc_redirect,
)
from synced import bytes_of_it, opened
from table import bytes_per_connection, expiry


@dataclasses.dataclass
class Case:
    """One line of the table. MEASURE returns one figure a run."""

    name: str
    measure: typing.Callable
    unit: str = "instructions/packet"
    # The case whose figure is subtracted for the column "above floor".
    base: str = "floor"
    # Only run when it is named: it takes minutes, or gigabytes.
    slow: bool = False


def _name(*parts):
    return "/".join(str(part) for part in parts if part)


MODES = {"ip_vs": ("dr", "nat", "tun"), "rvs": ("dr", "nat", "tun", "fullnat")}

DIRECTORS = {
    f"{who}/{mode}": balanced(who, mode) for who, modes in MODES.items() for mode in modes
}

# The same for many flows, which one address of FullNAT has no ports for.
FOR_MANY = {**DIRECTORS, "rvs/fullnat": balanced("rvs", "fullnat", local=LOCAL_ADDRESSES)}

ROUTERS = {
    "tc_redirect": tc_redirect,
    "ip_forward": ip_forward,
    "nft_flowtable": nft(FLOWTABLE),
    "nft_dnat": nft(DNAT),
    "nft_flowtable_dnat": nft(DNAT + FLOWTABLE),
}


def _towards(name):
    """Who does not translate gets packets for the sink."""
    return {"destination": SINK} if name in ("ip_forward", "nft_flowtable") else {}


def _one_flow():
    yield Case("floor", established(floor))
    for name, setup in {**ROUTERS, **DIRECTORS}.items():
        yield Case(name, established(setup, **_towards(name)))


def _replies():
    yield Case("ip_forward-reply", floor_of_replies(ip_forward))
    yield Case("nft_dnat-reply", replies(nft(DNAT)))
    yield Case("ip_vs/nat-reply", replies(balanced("ip_vs", "nat")))
    yield Case("rvs/nat-reply", replies(balanced("rvs", "nat")))
    yield Case("rvs/fullnat-reply", replies(fullnat_on_one_port, to=to_local_address))


def _strangers():
    for who in MODES:
        yield Case(f"stranger/{who}", established(other_service(who), destination=SINK))


def _version_6():
    yield Case("floor/v6", established_v6(floor))
    yield Case("ip_forward/v6", established_v6(ip_forward, to_sink=True), base="floor/v6")
    for name, setup in DIRECTORS.items():
        if not name.endswith("/tun"):
            yield Case(f"{name}/v6", established_v6(setup), base="floor/v6")
    for who in MODES:
        yield Case(f"{who}/nat-reply/v6", replies_v6(balanced(who, "nat")), base="floor/v6")
        yield Case(f"stranger/{who}/v6", established_v6(other_service(who), to_sink=True),
                   base="floor/v6")


def _big():
    yield Case("floor/1400", established(floor, size=1400))
    for name, setup in {"ip_forward": ip_forward, **DIRECTORS}.items():
        yield Case(
            f"{name}/1400", established(setup, size=1400, **_towards(name)), base="floor/1400"
        )
    for who in MODES:
        yield Case(f"{who}/nat-reply/1400", replies(balanced(who, "nat"), size=1400),
                   base="floor/1400")


def _conntrack():
    rule = nft(CONNTRACK)
    for name, setup in {"ip_forward": ip_forward, **DIRECTORS}.items():
        yield Case(f"{name}/conntrack", established(both(rule, setup), **_towards(name)))
    for who in MODES:
        yield Case(f"{who}/nat-reply/conntrack", replies(both(rule, balanced(who, "nat"))))
    yield Case("stranger/rvs/conntrack",
               established(both(rule, other_service("rvs")), destination=SINK))


def _tracked():
    """The host tracks what is balanced, as it does with ip_vs where conntrack is 1."""
    rule = nft(CONNTRACK)
    for who, how in (("ip_vs", "on"), ("rvs", "on"), ("rvs", "fast")):
        case = "conntrack-fast" if how == "fast" else "conntrack-mode"
        for mode in MODES[who]:
            setup = both(rule, balanced(who, mode, conntrack=how))
            answers = to_clients if mode == "nat" else None
            yield Case(f"{who}/{mode}/{case}", established(setup, answers=answers))
        setup = both(rule, balanced(who, "nat", conntrack=how))
        yield Case(f"{who}/nat-reply/{case}", replies(setup))
        setup = both(nft(MASQUERADE), balanced(who, "nat", conntrack=how))
        yield Case(f"{who}/nat-masquerade/{case}", established(setup, answers=to_director))
        yield Case(f"{who}/nat-masquerade-reply/{case}", replies(setup, to=to_director))


def _many_flows():
    for flows in (1_000, 100_000):
        yield Case(f"nft_dnat/{flows}-flows", established(nft(DNAT), flows))
        for name, setup in FOR_MANY.items():
            yield Case(f"{name}/{flows}-flows", established(setup, flows))
        for who in MODES:
            yield Case(f"{who}/nat-reply/{flows}-flows", replies(balanced(who, "nat"), flows))
    for flows in (10_000, 1_000_000, 4_000_000, 10_000_000):
        for who in MODES:
            yield Case(f"{who}/dr/{flows}-flows", established(balanced(who), flows),
                       slow=flows > 1_000_000)


SCHEDULERS = (
    "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos",
)


def _new_flows():
    for name in ("ip_vs/dr", "rvs/dr", "ip_vs/nat", "rvs/nat", "rvs/fullnat"):
        who, mode = name.split("/")
        yield Case(_name(who, "new-flow", "" if mode == "dr" else mode),
                   first_packets(DIRECTORS[name]), "instructions/flow")
    for scheduler in SCHEDULERS:
        for dests in (2, 16, 256, 1_000, 10_000):
            for who in MODES:
                # ip_vs walks through a list of them: one more figure says nothing new.
                if who == "rvs" or dests <= 1_000:
                    yield Case(f"{who}/new-flow/{scheduler}/{dests}",
                               first_packets(among(who, scheduler, dests), dests),
                               "instructions/flow")


def _table():
    for name, setup in FOR_MANY.items():
        who, mode = name.split("/")
        yield Case(f"{who}/bytes-per-connection/{mode}", bytes_per_connection(who, setup),
                   "bytes", "")
    for who in MODES:
        yield Case(f"{who}/expiry", expiry(balanced(who)), "instructions/connection", "")
    yield Case("rvs/expiry/nat", expiry(balanced("rvs", "nat")), "instructions/connection", "")


def _synced():
    for name in DIRECTORS:
        if not name.endswith("/tun"):
            who, mode = name.split("/")
            # One address of FullNAT has no ports for so many.
            setup = balanced(who, mode, protocol="tcp", local=LOCAL_ADDRESSES if mode == "fullnat" else ())
            per = "instructions/connection"
            yield Case(f"{who}/opened/{mode}", opened(who, setup, False), per, "")
            yield Case(f"{who}/synced/{mode}", opened(who, setup, True), per, f"{who}/opened/{mode}")
            yield Case(f"{who}/synced-bytes/{mode}", bytes_of_it(who, setup), "bytes", "")


def _scale():
    for flows in (1_000_000, 4_000_000, 10_000_000):
        yield Case(f"rvs/stall/{flows}", stall(balanced("rvs"), flows),
                   "ns", "", slow=flows > 1_000_000)


def _real():
    per = "instructions/connection"
    yield Case("ip_forward/tcp", tcp(ip_forward, SINK), per, "")
    yield Case("ip_forward/tcp-direct-reply", tcp(ip_forward, SINK, direct=True), per, "")
    for name in DIRECTORS:
        who, mode = name.split("/")
        if mode == "tun":
            continue
        base = "ip_forward/tcp-direct-reply" if mode == "dr" else "ip_forward/tcp"
        yield Case(f"{name}/tcp", tcp(balanced(who, mode, "rr", "tcp"), direct=mode == "dr"),
                   per, base)
    for who in MODES:
        for command in ("restore", "list", "flush"):
            yield Case(f"{who}/{command}/1000x10", control(who, command), "instructions", "")
            # What a service and a dest cost must not grow with how many there are.
            for shape in ((10_000, 1), (1, 20_000)):
                name = f"{who}/{command}/{shape[0]}x{shape[1]}"
                yield Case(name, control(who, command, shape), "instructions", "", slow=True)


def _nic():
    """Between two cards of memory: with an skb, and at the device."""
    stack, floors = "nic/floor/skb", {"redirect": "nic/floor/redirect", "tx": "nic/floor/tx"}
    yield Case(stack, nic.to_dest(floor), base="")
    for how, name in floors.items():
        yield Case(name, nic.to_dest(ip_forward, nic.trivial, near=how == "tx"), base="")
    for name, setup in DIRECTORS.items():
        yield Case(f"nic/{name}", nic.to_dest(setup), base=stack)
    for mode in MODES["rvs"]:
        for how, base in floors.items():
            setup = DIRECTORS[f"rvs/{mode}"]
            yield Case(f"nic/rvs-xdp/{mode}/{how}", nic.to_dest(setup, nic.by_rvs, near=how == "tx"), base=base)
    setup = DIRECTORS["rvs/nat"]
    yield Case("nic/ip_vs/nat-reply", nic.to_client(DIRECTORS["ip_vs/nat"]), base=stack)
    yield Case("nic/rvs/nat-reply", nic.to_client(setup), base=stack)
    yield Case("nic/rvs-xdp/nat-reply/redirect", nic.to_client(setup, nic.by_rvs), base=floors["redirect"])
    none = "nic/stranger/none"
    yield Case(none, nic.to_dest(ip_forward, to=SINK), base="")
    for who in MODES:
        yield Case(f"nic/stranger/{who}", nic.to_dest(other_service(who), to=SINK), base=none)
    yield Case("nic/stranger/rvs-xdp", nic.to_dest(other_service("rvs"), nic.by_rvs, to=SINK, by_xdp=False),
               base=none)
    for flows in (100_000,):
        many = nic.to_dest(ip_forward, nic.trivial, flows=flows)
        yield Case(f"{floors['redirect']}/{flows}-flows", many, base="")
        for who, program in (("ip_vs", nic.no_program), ("rvs", nic.no_program), ("rvs-xdp", nic.by_rvs)):
            is_xdp = program is nic.by_rvs
            setup = DIRECTORS[f"{who.removesuffix('-xdp')}/dr"]
            yield Case(_name(f"nic/{who}/dr", "redirect" if is_xdp else "", f"{flows}-flows"),
                       nic.to_dest(setup, program, flows=flows),
                       base=f"{floors['redirect']}/{flows}-flows" if is_xdp else stack)


def _receiver():
    for name, measure, what in (("getpeername", getpeername, "client"), ("accept", accept, "option")):
        kernel = f"kernel/{name}"
        per = "instructions/call" if name == "getpeername" else "instructions/connection"
        yield Case(kernel, measure(module=False), per, "")
        yield Case(f"toa/{name}/no-{what}", measure(), per, kernel)
        yield Case(f"toa/{name}/{what}", measure(OPTION), per, kernel)


CASES = [
    case
    for group in (_one_flow, _replies, _strangers, _version_6, _big, _conntrack, _tracked, _many_flows, _new_flows,
                  _table, _synced, _scale, _real, _nic, _receiver)
    for case in group()
]
