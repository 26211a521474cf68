# SPDX-License-Identifier: GPL-2.0
"""Random messages to all netlink families: the same ones each time, of which none may do harm.

Some are made by the spec and then spoilt, some of nothing but bytes. What the kernel complains of fails
the test; with the debug kernel there are more of them, and more that it complains of.
"""

import pathlib
import random

import pytest
from lab import debug, shell
from lab.compat import TCP, VIP, balancer, ipvsadm
from lab.genl import F_NESTED, SPEC, Client, Spec, attribute
from lab.ipvs_messages import DAEMON, FULL, FULL_DEST, ask, attrs

ROUNDS = 20_000 if debug.is_debug_kernel() else 2_500
TOA = pathlib.Path(__file__).resolve().parents[2] / "toa" / "toa.yaml"
TEXTS = ["rr", "wlc", "mh", "d0", "", "nosuch", "x" * 40]
ADDRESSES = [bytes([203, 0, 113, 10]), bytes([10, 1, 1, 1]), bytes([0x20, 1]) + bytes(13) + b"\1", bytes(4)]
NUMBERS = [0, 1, 2, 3, 4, 6, 17, 80, 300, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF]


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


def spoilt(rng, data):
    """The message with some bytes changed, or none."""
    data = bytearray(data)
    for _ in range(rng.randrange(4) if data else 0):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def by_spec(rng, spec, of, depth=0):
    """Attributes of the set OF with values of their kinds."""
    out = b""
    for kind in rng.sample(list(spec.sets[of].values()), rng.randrange(1 + min(8, len(spec.sets[of])))):
        if kind.type == "nest":
            if depth < 5:
                out += attribute(kind.number | F_NESTED, by_spec(rng, spec, kind.nested, depth + 1))
            continue
        value = {
            "string": lambda: rng.choice(TEXTS).encode() + b"\0",
            "binary": lambda: rng.choice(ADDRESSES),
            "flag": lambda: b"",
        }.get(kind.type)
        size = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "uint": rng.choice([4, 8])}.get(kind.type, 4)
        number = rng.choice(NUMBERS) & ((1 << 8 * size) - 1)
        order = "big" if kind.type == "u16" else "little"
        out += attribute(kind.number, value() if value else number.to_bytes(size, order))
    return out


def near_ipvs(rng):
    """A good message of ip_vs's clients."""
    return rng.choice([
        attribute(1, attrs(FULL)), attribute(1, attrs({1: FULL[1], 5: b"\7\0\0\0", 6: FULL[6], 7: FULL[7]})),
        attribute(1, attrs(FULL)) + attribute(2, attrs(FULL_DEST)), attribute(3, attrs(DAEMON)),
    ])


def pelt(host, family, near, commands):
    """Sends them; the names of the errors that came, with `done` for those that were obeyed."""
    rng, answers = random.Random(7), set()
    with host.inside():
        client = Client(family=family)
    with client:
        for _ in range(ROUNDS):
            data = spoilt(rng, near(rng)) if rng.random() < 0.7 else scrambled(rng)
            dump = rng.random() < 0.2
            said = ask(client, rng.randrange(commands), data, rng.choice([0, 0x100, 0x600]), dump)
            answers.add(said if isinstance(said, str) else "done")
    return answers


@pytest.mark.seconds(400)
def test_family_ipvs(host):
    with balancer(host, "rvs"):
        assert {"done", "EINVAL", "EOPNOTSUPP", "ESRCH"} <= pelt(host, "IPVS", near_ipvs, 20)
        # It works as before.
        assert ipvsadm(host, "-C")[1] == 0 and ipvsadm(host, f"-A {TCP} -s rr")[1] == 0
        assert VIP in ipvsadm(host, "-Ln")[2]


@pytest.mark.seconds(400)
@pytest.mark.parametrize("family, spec", [("rvs", SPEC), ("toa", TOA)])
def test_families_of_our_own(host, family, spec):
    shell.modprobe(family)
    spec = Spec(spec)
    top = next(iter(spec.sets))
    commands = 3 + max(spec.commands.values())
    answers = pelt(host, family, lambda rng: by_spec(rng, spec, top), commands)
    assert {"done", "EINVAL", "EOPNOTSUPP"} <= answers
    if family == "rvs":
        host.run("rvsadm", "service", "flush")
        host.run("rvsadm", "service", "add", f"tcp/{VIP}:80")
        assert VIP in host.run("rvsadm", "service", "list").stdout
    shell.rmmod(family)
