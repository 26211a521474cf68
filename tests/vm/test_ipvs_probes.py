# SPDX-License-Identifier: GPL-2.0
"""Every command of the family IPVS with attributes missing, short, long and unknown: RVS answers as ip_vs.

And messages of random bytes, which must do no harm.
"""

import random

import pytest
from lab.compat import TCP, VIP, balancer, ipvsadm, same
from lab.genl import Client, attribute
from lab.ipvs_messages import (
    DAEMON, DEL_DAEMON, DEL_DEST, DEL_SERVICE, FLUSH, FULL, FULL_DEST, GET_CONFIG, GET_DAEMON,
    GET_DEST, GET_SERVICE, ID, NEW_DAEMON, NEW_DEST, NEW_SERVICE, SET_CONFIG, SET_DEST, SET_SERVICE,
    ZERO, ask, attrs, u32,
)

SERVICE, DEST, DAEMON_NEST = 1, 2, 3


def variants(values):
    """(what, attributes) of a nest's attributes, each of them spoilt in turn."""
    yield "whole", attrs(values)
    yield "unknown", attrs({**values, 60: b"abc", 0x1FF: b""})
    yield "cut", attrs(values)[:-5]
    yield "garbage behind", attrs(values) + b"\1\0\0"
    for number, payload in values.items():
        for what, spoilt in {
            "missing": None, "empty": b"", "short": payload[:-1], "a byte more": payload + b"\0",
            "long": payload + bytes(20), "all ones": b"\xff" * len(payload),
        }.items():
            rest = {k: v for k, v in values.items() if k != number}
            yield f"{number} {what}", attrs(rest if spoilt is None else {**rest, number: spoilt})
        yield f"{number} twice", attrs(values) + attribute(number, bytes(len(payload)))


NESTS = {
    "services": (SERVICE, {**FULL, 8: u32(0)}, [NEW_SERVICE, SET_SERVICE, GET_SERVICE, ZERO,
                                               DEL_SERVICE]),
    "marks": (SERVICE, {1: FULL[1], 5: u32(7), **{kind: FULL[kind] for kind in (6, 7, 9)}, 8: u32(0)},
              [NEW_SERVICE, SET_SERVICE, GET_SERVICE, ZERO, DEL_SERVICE]),
    "dests": (DEST, {**FULL_DEST, 11: b"\2\0", 13: b"\0", 14: b"\0\0", 15: b"\0\0"},
              [NEW_DEST, SET_DEST, DEL_DEST]),
    "daemons": (DAEMON_NEST, DAEMON, [NEW_DAEMON, DEL_DAEMON]),
}
# Not compared: what only ip_vs takes, or keeps without a use for it.
UNLIKE = {
    # Any protocol, address or port; timeout and netmask without persistence, masks that are no prefix.
    "services": {"2 all ones", "2 twice", "3 all ones", "3 empty", "3 twice", "4 twice",
                 "7 all ones", "8 all ones", "9 twice"},
    # Mark 0, as above, and the address 0.0.0.0 with it.
    "marks": {"5 twice", "7 all ones", "8 all ones", "9 twice"},
    # Methods and tunnels that are none.
    "dests": {"3 all ones", "13 all ones"},
    # What starts one: ip_vs takes its time to stop it, and test_ipvs_dialect.py has some.
    "daemons": {"whole", "unknown", "cut", "garbage behind", "3 all ones", "3 twice"}
    | {f"{number} {what}" for number in (1, 2, 3) for what in ("a byte more", "long")},
}


@pytest.mark.parametrize("name", NESTS)
def test_spoilt_attributes(host, name):
    number, values, every = NESTS[name]
    before = attribute(SERVICE, attrs(FULL)) if number == DEST else b""

    def script(host):
        with host.inside():
            client = Client(family="IPVS")
        said = []
        with client:
            for what, body in variants(values):
                if what in UNLIKE[name]:
                    continue
                if number == DEST:
                    ask(client, NEW_SERVICE, attribute(SERVICE, attrs(FULL)))
                data = before + attribute(number, body)
                said += [(what, command, ask(client, command, data)) for command in every]
                said.append((what, "dests", ask(client, GET_DEST, attribute(1, attrs(ID)), 0, True)))
                said.append((what, "all", ask(client, GET_SERVICE, b"", 0, True)))
                said.append((what, "daemons", ask(client, GET_DAEMON, b"", 0, True)))
                ask(client, FLUSH)
                for state in (1, 2):
                    ask(client, DEL_DAEMON, attribute(3, attrs({1: u32(state)})))
        return said

    found = same(host, script)
    assert len(found) > 40 and any(answer == "EINVAL" for _, _, answer in found)


def test_spoilt_timeouts(host):
    def script(host):
        with host.inside():
            client = Client(family="IPVS")
        with client:
            said = [(what, ask(client, SET_CONFIG, body), ask(client, GET_CONFIG))
                    for what, body in variants({4: u32(10), 5: u32(20), 6: u32(30)})]
            ask(client, SET_CONFIG, attrs({4: u32(900), 5: u32(120), 6: u32(300)}))
        return said

    assert any(answer == "EINVAL" for _, answer, _ in same(host, script))


def scrambled(rng, depth=0):
    """Attributes with any numbers, lengths that lie at times, nests in nests."""
    out = b""
    for _ in range(rng.randrange(6)):
        body = scrambled(rng, depth + 1) if depth < 3 and rng.random() < 0.4 \
            else rng.randbytes(rng.choice([0, 1, 2, 3, 4, 8, 16, 20, rng.randrange(300)]))
        made = bytearray(attribute(rng.choice([*range(17), rng.randrange(1 << 16)]), body))
        if rng.random() < 0.1:
            made[0:2] = rng.randbytes(2)
        out += bytes(made)
    return out


def near(rng):
    """A good message with some bytes changed."""
    number, values, _ = NESTS[rng.choice(list(NESTS))]
    data = bytearray(attribute(SERVICE, attrs(FULL)) if number == DEST else b"")
    data += attribute(number, attrs(values))
    for _ in range(rng.randrange(6)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


@pytest.mark.seconds(200)
def test_random_messages_do_no_harm(host):
    """The same ones each time; what the kernel complains of fails the test."""
    rng = random.Random(7)
    with balancer(host, "rvs"):
        with host.inside():
            client = Client(family="IPVS")
        answers = set()
        with client:
            for _ in range(4000):
                data = near(rng) if rng.random() < 0.6 else scrambled(rng)
                dump = rng.random() < 0.2
                said = ask(client, rng.randrange(20), data, rng.choice([0, 0x100, 0x600]), dump)
                answers.add(said if isinstance(said, str) else "done")
        assert {"done", "EINVAL", "EOPNOTSUPP", "ESRCH"} <= answers
        # It works as before.
        assert ipvsadm(host, "-C")[1] == 0 and ipvsadm(host, f"-A {TCP} -s rr")[1] == 0
        assert VIP in ipvsadm(host, "-Ln")[2]
