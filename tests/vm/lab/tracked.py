# SPDX-License-Identifier: GPL-2.0
"""Directors that keep the host's connection tracking, and what that has."""

import contextlib
import dataclasses
import re

FIELD = re.compile(r"(src|dst|sport|dport)=(\S+)")
FLAGS = re.compile(r"\[(ASSURED|UNREPLIED|UNTRACKED)\]")


def keep(director, is_on=True):
    """Has a director, stock's or ours, keep connection tracking."""
    if director.name == "rvs":
        director.adm("config", "set", "--conntrack", "on" if is_on else "off")
    else:
        director.host.sysctl(ipv4__vs__conntrack=int(is_on))


PROGRAMS = {4: "iptables", 6: "ip6tables"}


@contextlib.contextmanager
def rules(host, version, *lines, kind=""):
    """Rules of iptables, each from its table on, while the block runs; nothing is tracked before.
    KIND is that of the program: -nft or -legacy."""
    restore = f"{PROGRAMS[version]}{kind}-restore"
    host.run(restore, "-w", "-n", stdin=_by_table(lines))
    forget(host)
    try:
        yield
    finally:
        host.run(restore, "-w", "-n", stdin=_by_table(_taken_back(lines)))


def _by_table(lines):
    """What iptables-restore reads."""
    tables = {}
    for line in lines:
        table, rule = line.split(" ", 1)
        tables.setdefault(table, []).append(rule)
    return "".join("\n".join([f"*{table}", *found, "COMMIT", ""]) for table, found in tables.items())


def _taken_back(lines):
    return [re.sub(r" -A ", " -D ", line, count=1) for line in reversed(lines)]


def forget(host):
    """No entries."""
    host.run("conntrack", "-F", check=False)


@dataclasses.dataclass(order=True)
class Entry:
    """One of connection tracking's: its state, its ends and ports each way, its flags."""

    state: str
    ends: list
    flags: list


def entries(host, version, protocol, **names):
    """The entries of a protocol, without numbers that differ from run to run. NAMES stand for
    addresses."""
    family = "ipv6" if version == 6 else "ipv4"
    listed = host.run("conntrack", "-L", "-f", family, "-p", protocol, check=False).stdout
    known = {address: name for name, address in names.items()}
    found = []
    for line in listed.splitlines():
        ends = [known.get(value, value) for _, value in FIELD.findall(line)]
        ends = ["port" if end.isdigit() and int(end) > 10_000 else end for end in ends]
        state = next((word for word in line.split() if word.isupper()), "")
        found.append(Entry(state, ends, FLAGS.findall(line)))
    return sorted(found)
