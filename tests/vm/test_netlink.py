# SPDX-License-Identifier: GPL-2.0
"""The netlink family refuses what it should, says why, and takes any bytes."""

import random

import pytest
from lab.genl import Raw, Refused, attribute, encode
from lab.lone import DEST, SERVICE, changes, host_fixture, nl_fixture, state, step, web_fixture

__all__ = ["host_fixture", "nl_fixture", "web_fixture"]


def with_(base, values):
    """BASE with VALUES in it; None takes one out."""
    out = {**base, **values}
    return {name: value for name, value in out.items() if value is not None}


def service(**values):
    """Names the service that is there, or one with something else."""
    return {"service": with_(SERVICE, values)}


def new(**values):
    """Adds a service that is not there, with something else."""
    return service(**{"port": 81, "scheduler": "rr", **values})


def dest(**values):
    """Adds a dest that is not there, with something else."""
    base = {**DEST, "address": "10.1.1.2", "mode": 1, "weight": 1}
    return {"service": SERVICE, "dest": with_(base, values)}


def config(**values):
    """Sets settings; `_` stands for `-`."""
    return {"config": {name.replace("_", "-"): value for name, value in values.items()}}


def add(port, **values):
    """The step of a batch that adds a service."""
    return step("service-add", dict(SERVICE, port=port), scheduler="rr", **values)


LOCAL = {"address": "10.0.0.1"}

NEW = new()["service"]
NEW_BYTES = encode("service", NEW)
OTHER = service(port=82)
NO_OTHER = "no service tcp/203.0.113.10:82"
NO_DEST = "no dest 10.1.1.2:80 in the service"

NOT_PART = "this attribute is not part of the request"
TWICE = "this attribute is there twice"
# Texts of the kernel's own checks.
UNKNOWN = "Unknown attribute type"
UNSUPPORTED = "Unsupported attribute"
POLICY = "Attribute failed policy validation"
LENGTH = "invalid attribute length"
RANGE = "integer out of range"
LEFTOVER = "bytes leftover after parsing attributes"

# Requests by what is wrong with them: command, attributes, and the refusal's errno, text and
# attribute; `missing X` is an attribute that should be there. There is the service SERVICE with
# the dest DEST.
SERVICES = {
    "no service": ("service-add", {}, "EINVAL", "service is missing", "missing service"),
    "empty service": (
        "service-add", {"service": {}}, "EINVAL", "service protocol is missing",
        "missing service.protocol",
    ),
    "no address": (
        "service-add", new(address=None), "EINVAL", "service address is missing",
        "missing service.address",
    ),
    "no port": (
        "service-add", new(port=None), "EINVAL", "service port is missing", "missing service.port",
    ),
    "no scheduler": (
        "service-add", new(scheduler=None), "EINVAL", "scheduler is missing",
        "missing service.scheduler",
    ),
    "protocol 47": (
        "service-add", new(protocol=47), "EPROTONOSUPPORT",
        "protocol 47 is not balanced, use 6 (tcp), 17 (udp) or 132 (sctp)", "service.protocol",
    ),
    "protocol of 2 bytes": (
        "service-add", new(protocol=b"\6\0"), "EINVAL", LENGTH, "service.protocol",
    ),
    "address of 5 bytes": (
        "service-add", new(address=b"12345"), "EINVAL",
        "service address of 5 bytes, it takes 4 (IPv4) or 16 (IPv6)", "service.address",
    ),
    "address of 17 bytes": (
        "service-add", new(address=bytes(17)), "ERANGE", POLICY, "service.address",
    ),
    "link-local address": (
        "service-add", new(address="fe80::1"), "EINVAL",
        "fe80::1 cannot be a virtual address", "service.address",
    ),
    **{
        f"address {address}": (
            "service-add", new(address=address), "EINVAL",
            f"{address} cannot be a virtual address", "service.address",
        )
        for address in ("0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255")
    },
    "port of 1 byte": ("service-add", new(port=b"\1"), "EINVAL", LENGTH, "service.port"),
    "port of 4 bytes": ("service-add", new(port=b"\0\0\0\1"), "EINVAL", LENGTH, "service.port"),
    "unknown scheduler": (
        "service-add", new(scheduler="nope"), "ENOENT", 'no scheduler is called "nope"',
        "service.scheduler",
    ),
    "scheduler with control bytes": (
        "service-add", new(scheduler="a\nb\x1b"), "ENOENT", 'no scheduler is called "a?b?"',
        "service.scheduler",
    ),
    "empty scheduler": (
        "service-add", new(scheduler=""), "ENOENT", 'no scheduler is called ""',
        "service.scheduler",
    ),
    "scheduler of 15 letters": (
        "service-add", new(scheduler="a" * 15), "ENOENT",
        f'no scheduler is called "{"a" * 15}"', "service.scheduler",
    ),
    "scheduler of 16 letters": (
        "service-add", new(scheduler="a" * 16), "EINVAL", POLICY, "service.scheduler",
    ),
    "scheduler without end": (
        "service-add", new(scheduler=b"rr"), "EINVAL", POLICY, "service.scheduler",
    ),
    "scheduler not UTF-8": (
        "service-add", new(scheduler=b"\xff\xfe\0"), "EINVAL", "scheduler is malformed",
        "service.scheduler",
    ),
    "service exists": (
        "service-add", new(port=80), "EEXIST", "service tcp/203.0.113.10:80 exists already",
        "service",
    ),
    "number for replies only": ("service-add", new(dests=1), "EINVAL", NOT_PART, "service.dests"),
    "nest for replies only": ("service-add", new(stats={}), "EINVAL", UNSUPPORTED, "service.stats"),
    "unknown attribute in the nest": (
        "service-add", {"service": {**NEW, 99: b"\1\0\0\0"}}, "EINVAL", UNKNOWN, "service.?99",
    ),
    "unknown attribute": ("service-add", {**new(), 40: b""}, "EINVAL", UNKNOWN, "?40"),
    "attribute number 0": ("service-add", {**new(), 0: b""}, "EINVAL", UNKNOWN, "?0"),
    "service with a dest": ("service-add", {**new(), "dest": DEST}, "EINVAL", UNSUPPORTED, "dest"),
    "service with a generation": (
        "service-add", {**new(), "generation": 1}, "EINVAL", NOT_PART, "generation",
    ),
    "two services": ("service-add", [("service", NEW)] * 2, "EINVAL", TWICE, "service"),
    "two ports": (
        "service-add", {"service": [*NEW.items(), ("port", 81)]}, "EINVAL", TWICE, "service.port",
    ),
    "nest without its flag": (
        "service-add", Raw(attribute(1, NEW_BYTES)), "EINVAL", "NLA_F_NESTED is missing", "service",
    ),
    "bytes behind": (
        "service-add", Raw(encode("main", new()) + b"\1\2"), "EINVAL", LEFTOVER, "",
    ),
    "nest longer than the message": (
        "service-add", Raw(b"\xff\0\1\x80" + NEW_BYTES), "EINVAL", LEFTOVER, "",
    ),
    "attribute shorter than its header": (
        "service-add", Raw(b"\3\0\1\x80" + NEW_BYTES), "EINVAL", LEFTOVER, "",
    ),
    "set: no such service": (
        "service-set", service(port=82, scheduler="wrr"), "ESRCH", NO_OTHER, "service",
    ),
    "set: unknown scheduler": (
        "service-set", service(scheduler="nope"), "ENOENT", 'no scheduler is called "nope"',
        "service.scheduler",
    ),
    "del: no such service": ("service-del", OTHER, "ESRCH", NO_OTHER, "service"),
    "del: with a scheduler": (
        "service-del", service(scheduler="rr"), "EINVAL",
        "scheduler is not part of this request", "service.scheduler",
    ),
    "get: no such service": ("service-get", OTHER, "ESRCH", NO_OTHER, "service"),
    "get: no service": ("service-get", {}, "EINVAL", "service is missing", "missing service"),
    "dump: of one service": ("dump service-get", service(), "EINVAL", UNSUPPORTED, "service"),
    "flush: of one service": ("service-flush", service(), "EINVAL", UNSUPPORTED, "service"),
}

DESTS = {
    "nothing": ("dest-add", {}, "EINVAL", "service is missing", "missing service"),
    "no dest": ("dest-add", service(), "EINVAL", "dest is missing", "missing dest"),
    "no service": (
        "dest-add", {"dest": dest()["dest"]}, "EINVAL", "service is missing", "missing service",
    ),
    **{
        f"no {part}": ("dest-add", dest(**{part: None}), "EINVAL", text, f"missing dest.{part}")
        for part, text in {
            "address": "dest address is missing", "port": "dest port is missing",
            "mode": "mode is missing", "weight": "weight is missing",
        }.items()
    },
    "mode local elsewhere": (
        "dest-add", dest(mode=5), "EADDRNOTAVAIL",
        "10.1.1.2 is not an address of this host", "dest.address",
    ),
    "a tunnel with mode dr": (
        "dest-add", dest(**{"tunnel-kind": 2}), "EINVAL",
        "mode dr has no tunnel; that is for mode tun", "dest.tunnel-kind",
    ),
    "a tunnel without its kind": (
        "dest-add", dest(mode=3, **{"tunnel-port": 6080}), "EINVAL",
        "tunnel-kind is missing", "missing dest.tunnel-kind",
    ),
    "gue without a port": (
        "dest-add", dest(mode=3, **{"tunnel-kind": 1}), "EINVAL",
        "tunnel gue needs a port, 1 to 65535", "dest",
    ),
    "tunnel 3": ("dest-add", dest(mode=3, **{"tunnel-kind": 3}), "ERANGE", RANGE, "dest.tunnel-kind"),
    "mode 0": ("dest-add", dest(mode=0), "ERANGE", RANGE, "dest.mode"),
    "mode 6": ("dest-add", dest(mode=6), "ERANGE", RANGE, "dest.mode"),
    **{
        f"weight {weight}": (
            "dest-add", dest(weight=weight), "ERANGE",
            f"weight {weight} is out of range, 0 to 2147483647", "dest.weight",
        )
        for weight in (2147483648, 0xFFFFFFFF)
    },
    "weight of 2 bytes": ("dest-add", dest(weight=b"\1\0"), "EINVAL", LENGTH, "dest.weight"),
    **{
        f"address {address}": (
            "dest-add", dest(address=address), "EINVAL", f"{address} cannot be a real server",
            "dest.address",
        )
        for address in ("0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255")
    },
    "the virtual address": (
        "dest-add", dest(address="203.0.113.10"), "EINVAL",
        "203.0.113.10 is the virtual address itself", "dest.address",
    ),
    "IPv6 address": (
        "dest-add", dest(address="2001:db8::1"), "EINVAL",
        "2001:db8::1 is not of the service's family", "dest.address",
    ),
    "no route": (
        "dest-add", dest(address="172.31.0.1"), "ENETUNREACH", "no route to 172.31.0.1",
        "dest.address",
    ),
    "broadcast of a network": (
        "dest-add", dest(address="10.255.255.255"), "ENETUNREACH", "no route to 10.255.255.255",
        "dest.address",
    ),
    "port 0": (
        "dest-add", dest(port=0), "EINVAL", "port 0: a dest needs a port, 1 to 65535", "dest.port",
    ),
    "another port than the service": (
        "dest-add", dest(port=81), "EINVAL", "port 81: mode dr cannot change the port, use 80",
        "dest.port",
    ),
    "dest exists": (
        "dest-add", dest(address="10.1.1.1"), "EEXIST", "dest 10.1.1.1:80 exists already", "dest",
    ),
    "no such service": ("dest-add", {**dest(), **OTHER}, "ESRCH", NO_OTHER, "service"),
    "with a scheduler": (
        "dest-add", {**dest(), **service(scheduler="rr")}, "EINVAL",
        "scheduler is not part of this request", "service.scheduler",
    ),
    "number for replies only": ("dest-add", dest(active=1), "EINVAL", NOT_PART, "dest.active"),
    "set: no such dest": ("dest-set", dest(mode=None), "ENOENT", NO_DEST, "dest"),
    "set: no such service": ("dest-set", {**dest(), **OTHER}, "ESRCH", NO_OTHER, "service"),
    "set: weight out of range": (
        "dest-set", dest(address="10.1.1.1", mode=None, weight=2147483648), "ERANGE",
        "weight 2147483648 is out of range, 0 to 2147483647", "dest.weight",
    ),
    "set: mode local": (
        "dest-set", dest(address="10.1.1.1", mode=5, weight=None), "EADDRNOTAVAIL",
        "10.1.1.1 is not an address of this host", "dest.address",
    ),
    "del: no such dest": ("dest-del", dest(mode=None, weight=None), "ENOENT", NO_DEST, "dest"),
    "del: with a weight": (
        "dest-del", dest(address="10.1.1.1", mode=None), "EINVAL",
        "weight is not part of this request", "dest.weight",
    ),
    "del: with a mode": (
        "dest-del", dest(address="10.1.1.1", weight=None), "EINVAL",
        "mode is not part of this request", "dest.mode",
    ),
    "get: no such dest": ("dest-get", dest(mode=None, weight=None), "ENOENT", NO_DEST, "dest"),
    "get: no such service": ("dest-get", {**OTHER, "dest": DEST}, "ESRCH", NO_OTHER, "service"),
    "get: no dest": ("dest-get", service(), "EINVAL", "dest is missing", "missing dest"),
    "dump: no such service": ("dump dest-get", OTHER, "ESRCH", NO_OTHER, "service"),
    "dump: of one dest": (
        "dump dest-get", {**service(), "dest": DEST}, "EINVAL", UNSUPPORTED, "dest",
    ),
    "dump: with a scheduler": (
        "dump dest-get", service(scheduler="rr"), "EINVAL",
        "scheduler is not part of this request", "service.scheduler",
    ),
}

LOCALS = {
    "no laddr": ("laddr-add", service(), "EINVAL", "laddr is missing", "missing laddr"),
    "no address": (
        "laddr-add", {"laddr": {}}, "EINVAL", "local address is missing", "missing laddr.address",
    ),
    "address of 5 bytes": (
        "laddr-add", {"laddr": {"address": b"12345"}}, "EINVAL",
        "local address of 5 bytes, it takes 4 (IPv4) or 16 (IPv6)", "laddr.address",
    ),
    "foreign IPv6 address": (
        "laddr-add", {"laddr": {"address": "2001:db8::1"}}, "EADDRNOTAVAIL",
        "2001:db8::1 is not an address of this host", "laddr.address",
    ),
    **{
        f"address {address}": (
            "laddr-add", {**service(), "laddr": {"address": address}}, "EINVAL",
            f"{address} cannot be a local address", "laddr.address",
        )
        for address in (
            "0.1.2.3", "127.0.0.1", "224.0.0.1", "255.255.255.255", "::1", "ff02::1", "fe80::1",
        )
    },
    **{
        f"of another host, {address}": (
            "laddr-add", {**service(), "laddr": {"address": address}}, "EADDRNOTAVAIL",
            f"{address} is not an address of this host", "laddr.address",
        )
        # On the LAN, its broadcast address, and nowhere.
        for address in ("10.1.1.1", "10.255.255.255", "192.0.2.7")
    },
    "no such service": (
        "laddr-add", {**OTHER, "laddr": LOCAL}, "ESRCH", NO_OTHER, "service",
    ),
    "service with a scheduler": (
        "laddr-add", {**service(scheduler="rr"), "laddr": LOCAL}, "EINVAL",
        "scheduler is not part of this request", "service.scheduler",
    ),
    "a dest too": (
        "laddr-add", {"laddr": LOCAL, "dest": DEST}, "EINVAL", UNSUPPORTED, "dest",
    ),
    "not there": (
        "laddr-del", {**service(), "laddr": LOCAL}, "ENOENT",
        "no local address 10.0.0.1 in the pool", "laddr.address",
    ),
    "not there by default": (
        "laddr-del", {"laddr": LOCAL}, "ENOENT", "no local address 10.0.0.1 in the pool",
        "laddr.address",
    ),
    "dump of no such service": ("dump laddr-get", OTHER, "ESRCH", NO_OTHER, "service"),
    "get as do": ("laddr-get", {}, "EOPNOTSUPP", "", ""),
}

REST = {
    "conn-get: no such service": ("dump conn-get", OTHER, "ESRCH", NO_OTHER, "service"),
    "conn-flush: no such service": ("conn-flush", OTHER, "ESRCH", NO_OTHER, "service"),
    "stats-get: of one service": ("stats-get", service(), "EINVAL", UNSUPPORTED, "service"),
    "stats-zero: no such service": ("stats-zero", OTHER, "ESRCH", NO_OTHER, "service"),
    "stats-zero: half a service": (
        "stats-zero", {"service": {"protocol": 6}}, "EINVAL", "service address is missing",
        "missing service.address",
    ),
    "config: nothing": ("config-set", {}, "EINVAL", "config is missing", "missing config"),
    "config: timeout 0": (
        "config-set", config(tcp_timeouts={"established": 0}), "ERANGE",
        "timeout 0 s is out of range, 1 to 2678400", "config.tcp-timeouts.established",
    ),
    "config: second timeout too long": (
        "config-set", config(tcp_timeouts={"close": 99, "fin-wait": 2678401}), "ERANGE",
        "timeout 2678401 s is out of range, 1 to 2678400", "config.tcp-timeouts.fin-wait",
    ),
    "config: UDP timeout 0 behind a good one": (
        "config-set", config(tcp_timeouts={"close": 99}, udp_timeout=0), "ERANGE",
        "timeout 0 s is out of range, 1 to 2678400", "config.udp-timeout",
    ),
    "config: conn-max of 2 bytes": (
        "config-set", config(conn_max=b"\0\1"), "EINVAL", LENGTH, "config.conn-max",
    ),
    "config: expire-nodest 2": (
        "config-set", config(expire_nodest=2), "ERANGE", RANGE, "config.expire-nodest",
    ),
    "config: generation": (
        "config-set", {**config(udp_timeout=9), "generation": 1}, "EINVAL", NOT_PART, "generation",
    ),
    "config: unknown state": (
        "config-set", config(tcp_timeouts={12: b"\1\0\0\0"}), "EINVAL", UNKNOWN,
        "config.tcp-timeouts.?12",
    ),
    "config: one setting twice": (
        "config-set", {"config": [("udp-timeout", 5), ("udp-timeout", 6)]}, "EINVAL", TWICE,
        "config.udp-timeout",
    ),
    # Of these the core knows nothing but that there is no such operation.
    "conn-get as do": ("conn-get", {}, "EOPNOTSUPP", "", ""),
    "stats-get as dump": ("dump stats-get", {}, "EOPNOTSUPP", "", ""),
    "command 0": (0, {}, "EOPNOTSUPP", "", ""),
    "command 200": (200, {}, "EOPNOTSUPP", "", ""),
    "an event as request": ("service-add-ntf", {}, "EOPNOTSUPP", "", ""),
}

BATCHES = {
    "nothing": ({}, "EINVAL", "change is missing", "missing change"),
    "no op": (
        [("change", {"service": SERVICE})], "EINVAL", "change 1: op is missing",
        "missing change[0].op",
    ),
    **{
        f"op {op}": (
            [("change", {"op": op, "service": SERVICE})], "EINVAL",
            f"change 1: op {op} does not change a service, dest or laddr", "change[0].op",
        )
        for op in (0, 9, 16, 257)
    },
    "no service": (
        [("change", {"op": 3})], "EINVAL", "change 1: service is missing",
        "missing change[0].service",
    ),
    "service with a dest": (
        changes([("service-del", {"service": SERVICE, "dest": DEST})]), "EINVAL",
        "change 1: a change of a service takes no dest", "change[0].dest",
    ),
    "no dest": (
        changes([("dest-del", {"service": SERVICE})]), "EINVAL", "change 1: dest is missing",
        "missing change[0].dest",
    ),
    "second lacks a weight": (
        changes([add(81), step("dest-add", to={**DEST, "address": "10.1.1.2"}, mode=1)]), "EINVAL",
        "change 2: weight is missing", "missing change[1].dest.weight",
    ),
    "third is out of range": (
        changes([
            add(81), step("service-set", scheduler="wrr"), step("dest-set", to=DEST, weight=3000000000),
        ]),
        "ERANGE", "change 3: weight 3000000000 is out of range, 0 to 2147483647", "change[2].dest.weight",
    ),
    "second names no service": (
        changes([add(81), step("service-del", OTHER["service"])]), "ESRCH",
        f"change 2: {NO_OTHER}", "change[1].service",
    ),
    "adds one twice": (
        changes([add(81), add(81)]), "EEXIST",
        "change 2: service tcp/203.0.113.10:81 exists already", "change[1].service",
    ),
    "dest with a laddr": (
        changes([("dest-del", {"service": SERVICE, "dest": DEST, "laddr": LOCAL})]), "EINVAL",
        "change 1: a change of a dest takes no laddr", "change[0].laddr",
    ),
    "laddr with a dest": (
        changes([("laddr-add", {"dest": DEST, "laddr": LOCAL})]), "EINVAL",
        "change 1: a change of a local address takes no dest", "change[0].dest",
    ),
    "adds one laddr twice": (
        changes([("laddr-add", {"service": SERVICE, "laddr": LOCAL})] * 2), "EEXIST",
        "change 2: local address 10.0.0.1 is in the pool already", "change[1].laddr.address",
    ),
    "two services in a change": (
        [("change", [("op", 3), ("service", SERVICE), ("service", SERVICE)])], "EINVAL",
        f"change 1: {TWICE}", "change[0].service",
    ),
    "service beside the changes": (
        [*changes([add(81)]), ("service", SERVICE)], "EINVAL", UNSUPPORTED, "service",
    ),
    "settings twice": (
        [*changes([add(81)]), *[("config", {"udp-timeout": 5})] * 2], "EINVAL", TWICE, "config",
    ),
    "setting out of range behind good changes": (
        [*changes([add(81)]), ("config", {"udp-timeout": 0})], "ERANGE",
        "timeout 0 s is out of range, 1 to 2678400", "config.udp-timeout",
    ),
    "settings only for replies": (
        [*changes([add(81)]), ("stats", {})], "EINVAL", UNSUPPORTED, "stats",
    ),
    "bad change behind good settings": (
        [("config", {"udp-timeout": 5}), *changes([add(80)])], "EEXIST",
        "change 1: service tcp/203.0.113.10:80 exists already", "change[0].service",
    ),
    "longest text": (
        changes([add(81), step("service-set", dict(SERVICE, address="2001:db8:" + "1111:" * 5 + "1"))]),
        "ESRCH", "change 2: no service tcp/[2001:db8:1111:1111:1111:1111:1111:1]:80",
        "change[1].service",
    ),
}

ALL = {
    **{f"service, {name}": case for name, case in SERVICES.items()},
    **{f"dest, {name}": case for name, case in DESTS.items()},
    **{f"laddr, {name}": case for name, case in LOCALS.items()},
    **REST,
    **{f"batch, {name}": ("batch", *case) for name, case in BATCHES.items()},
}


@pytest.mark.parametrize(
    "command, attrs, errno, text, where", [pytest.param(*case, id=name) for name, case in ALL.items()]
)
def test_refusal(web, command, attrs, errno, text, where):
    before = state(web)
    request = web.do
    if str(command).startswith("dump "):
        request, command = web.dump, command.removeprefix("dump ")
    with pytest.raises(Refused) as refused:
        request(command, attrs)
    assert refused.value == Refused(errno, text, where)
    assert state(web) == before


# Each cut anywhere is not the request any more.
WHOLE = {
    "service-add": new(),
    "service-set": service(scheduler="wrr"),
    "dest-add": dest(),
    "dest-set": dest(address="10.1.1.1", mode=None, weight=2),
    "config-set": config(tcp_timeouts={"close": 99}, udp_timeout=33, conn_max=1 << 40),
    "laddr-add": {"service": SERVICE, "laddr": LOCAL},
    "batch": changes([step("dest-add", to={**DEST, "address": "10.1.1.2"}, mode=1, weight=1)]),
}


@pytest.mark.parametrize("command", WHOLE)
def test_cut_anywhere_it_is_refused(web, command):
    whole = encode("main", WHOLE[command])
    before = state(web)
    for length in range(len(whole)):
        with pytest.raises(Refused) as refused:
            web.do(command, Raw(whole[:length]))
        assert (refused.value.errno, bool(refused.value.text)) == ("EINVAL", True), length
    assert state(web) == before
    # Whole it is none of that.
    web.do(command, Raw(whole))
    assert state(web) != before


@pytest.mark.parametrize("length", [0, 15, 1000])
def test_datagram_shorter_than_its_header_says_is_ignored(web, length):
    before = state(web)
    web.send("service-del", encode("main", service()), length=length)
    # The answer to this is the next that comes.
    assert state(web) == before


@pytest.mark.parametrize("length", [16, 19])
def test_message_without_a_whole_header_is_refused(web, length):
    web.send("service-flush", length=length)
    with pytest.raises(Refused) as refused:
        web.receive()
    assert refused.value.errno == "EINVAL"


# What may come of any bytes; ENOMEM, a warning or a hang may not.
ERRORS = {
    "EINVAL", "ERANGE", "ENOENT", "EEXIST", "ESRCH", "EOPNOTSUPP", "EPROTONOSUPPORT",
    "ENETUNREACH", "EHOSTUNREACH", "EADDRNOTAVAIL",
}


@pytest.mark.parametrize("seed", range(4))
def test_random_messages(web, seed):
    dice = random.Random(seed)
    bases = [(command, encode("main", attrs)) for command, attrs in WHOLE.items()]
    bases.append(("batch", encode("main", changes([add(90), add(91), add(92)]))))
    answered = refused = 0
    for _ in range(1500):
        command, message = dice.choice(bases)
        message = bytearray(message)
        for _ in range(dice.randint(0, 4)):
            message[dice.randrange(len(message))] = dice.choice([0, 1, 2, 4, 8, 0x80, 255])
        if dice.random() < 0.3:
            del message[dice.randrange(len(message)) :]
        if dice.random() < 0.4:
            command = dice.randrange(30)
        try:
            dice.choice([web.do, web.do, web.dump])(command, Raw(message))
            answered += 1
        except Refused as error:
            refused += 1
            assert error.errno in ERRORS, error
            assert error.text or error.errno == "EOPNOTSUPP", error
    # Both kinds, or these bytes test nothing.
    assert answered > 20 and refused > 500
    web.do("service-flush")
    assert web.dump("service-get") == []
