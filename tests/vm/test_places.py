# SPDX-License-Identifier: GPL-2.0
"""Clients, dests and the virtual address elsewhere or on the director: the table in README.md."""

import contextlib
import itertools
import socket

import pytest
from lab import six as v6
from lab.director import Rvs, end
from lab.fullnat import LOCALS
from lab.named import Named, who
from lab.places import DESTS, MODES, VIPS, place_of, prepare, server_of
from lab.topology import Lab

CASES = list(itertools.product(MODES, DESTS))
# Refused.
CASES.remove(("local", "remote"))
PORTS = {case: 5000 + n for n, case in enumerate(CASES)}
UNTOUCHED = ("dr", "tun", "local")


def lines():
    """Every mode, dest, virtual address and protocol, as a file for restore."""
    for address in (*LOCALS, *v6.LOCALS):
        yield f"#rvsadm laddr {address}"
    for version, vips in VIPS.items():
        for vip, option, ((mode, dest), port) in itertools.product(vips, ("-t", "-u"), PORTS.items()):
            yield f"-A {option} {end(vip, port)} -s rr"
            place = end(place_of(mode, dest, version), port)
            yield f"-a {option} {end(vip, port)} -r {place} {MODES[mode]} -w 1"


@pytest.fixture(name="lab", scope="module")
def _lab():
    made = Lab(real_servers=2, web=False)
    prepare(made)
    rvs = Rvs(made.director)
    rvs.adm("restore", "-", stdin="\n".join(lines()) + "\n")
    hosts = (made.director, *made.real.values())
    with contextlib.ExitStack() as servers:
        for host in hosts:
            servers.callback(Named(host, PORTS.values()).close)
        yield made
    made.close()


def served_by(client, mode, vip, version):
    """Who should serve, by dest; None for nobody."""
    is_here = vip == VIPS[version][0]
    here = "director" if is_here else None
    expected = {"remote": server_of(mode), "own": "director", "loopback": here}
    if mode in UNTOUCHED:
        # Nobody but the owner of the address takes them.
        expected["own"] = here
        if client == "local" and is_here:
            # The client's address is the virtual one, which is the real server's as well.
            expected["remote"] = None
    return {dest: name for dest, name in expected.items() if (mode, dest) in PORTS}


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("place", ["here", "elsewhere"])
@pytest.mark.parametrize("client", ["remote", "local"])
@pytest.mark.parametrize("mode", MODES)
def test_who_serves(lab, mode, client, place, version):
    host = lab.client if client == "remote" else lab.director
    vip = VIPS[version][place == "elsewhere"]
    expected = served_by(client, mode, vip, version)
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        got = {}
        for dest, wanted in expected.items():
            timeout = 10 if wanted else 0.3
            got[dest] = who(host, kind, vip, PORTS[mode, dest], timeout)
        assert got == expected, kind
