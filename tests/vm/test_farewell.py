# SPDX-License-Identifier: GPL-2.0
"""At a dest's deadline both ends of its connections are told, also those that only wait."""

import contextlib
import itertools
import socket
import threading

import pytest
from lab import six as v6
from lab.director import Rvs, end
from lab.fixtures import lab_of_file
from lab.fullnat import LOCALS
from lab.places import MODES, VIPS, place_of, prepare, server_of
from lab.transfer import family

# How packets travel, where the dest is, and the IP versions of client and dest.
CASES = [
    *itertools.product(("dr", "nat", "tun", "fullnat"), ("remote",), (4, 6)),
    ("nat64", "remote", 6), *itertools.product(("nat", "fullnat", "local"), ("own",), (4, 6)),
]
PORTS = {case: 6000 + n for n, case in enumerate(CASES)}
# Who does not answer a question is asked no more after some seconds.
SOON = 12


def place(mode, where, version):
    return place_of(mode, where, 4 if mode == "nat64" else version)


def lines():
    for address in (*LOCALS, *v6.LOCALS):
        yield f"#rvsadm laddr {address}"
    for (mode, where, version), port in PORTS.items():
        option = MODES["fullnat" if mode == "nat64" else mode]
        yield f"-A -t {end(VIPS[version][0], port)} -s rr"
        dest = end(place(mode, where, version), port)
        yield f"-a -t {end(VIPS[version][0], port)} -r {dest} {option} -w 1"


_lab = lab_of_file(real_servers=2, web=False, prepare=prepare)


@pytest.fixture(name="rvs")
def _rvs(lab):
    rvs = Rvs(lab.director)
    rvs.adm("restore", "-", stdin="\n".join(lines()) + "\n")
    yield rvs
    rvs.flush()
    rvs.adm("conn", "flush")


class Pair:
    """Both ends of a connection over a service."""

    def __init__(self, lab, case, host=None):
        mode, where, version = case
        server = lab.director if where == "own" else lab.real[server_of(mode)]
        every = "::" if ":" in place(mode, where, version) else "0.0.0.0"
        with server.inside():
            listener = socket.create_server((every, PORTS[case]), family=family(every))
        with listener:
            listener.settimeout(SOON)
            vip = VIPS[version][0]
            with (host or lab.client).inside():
                self.client = socket.socket(family(vip))
            self.client.settimeout(SOON)
            self.client.connect((vip, PORTS[case]))
            self.server, _ = listener.accept()
        self.server.settimeout(SOON)
        for one, other in ((self.client, self.server), (self.server, self.client)):
            one.sendall(b"x")
            assert other.recv(1) == b"x"

    def close(self):
        self.client.close()
        self.server.close()


def drain(rvs, case, seconds=1):
    mode, where, version = case
    service = f"tcp/{end(VIPS[version][0], PORTS[case])}"
    dest = end(place(mode, where, version), PORTS[case])
    out = rvs.json("dest", "drain", service, dest, "--deadline", seconds, "--wait")
    return out["drained"]["drain_ended"]


def heard(s):
    """What an end that waits hears."""
    try:
        return s.recv(1)
    except OSError as error:
        return type(error).__name__


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)))
def test_ends_that_only_wait(lab, rvs, case):
    with contextlib.closing(Pair(lab, case)) as pair:
        assert drain(rvs, case) == 1
        said = heard(pair.client), heard(pair.server)
        assert said == ("ConnectionResetError", "ConnectionResetError")
        assert not rvs.json("conn", "list")["connections"]


@pytest.mark.parametrize("case", [("nat", "remote", 4), ("fullnat", "own", 6)],
                         ids=lambda case: "-".join(map(str, case)))
def test_a_program_on_the_director_that_only_waits(lab, rvs, case):
    with contextlib.closing(Pair(lab, case, lab.director)) as pair:
        assert drain(rvs, case) == 1
        assert heard(pair.client) == heard(pair.server) == "ConnectionResetError"


@pytest.mark.parametrize("case", [("dr", "remote", 4), ("fullnat", "remote", 6)],
                         ids=lambda case: "-".join(map(str, case)))
def test_ends_that_speak(lab, rvs, case):
    """A transfer that is in full swing when its time is over."""
    with contextlib.closing(Pair(lab, case)) as pair:
        ends = {}

        def run(name, step):
            try:
                while step():
                    pass
                ends[name] = "end"
            except OSError as error:
                ends[name] = type(error).__name__

        threads = [
            threading.Thread(target=run, args=("client", lambda: pair.client.send(bytes(9000)))),
            threading.Thread(target=run, args=("server", lambda: pair.server.recv(1 << 16))),
        ]
        for thread in threads:
            thread.start()
        assert drain(rvs, case) == 1
        for thread in threads:
            thread.join()
        assert ends["client"] in ("ConnectionResetError", "BrokenPipeError")
        assert ends["server"] == "ConnectionResetError"


def test_many_at_one_deadline(lab, rvs):
    case = ("fullnat", "remote", 4)
    with contextlib.ExitStack() as pairs:
        made = [pairs.enter_context(contextlib.closing(Pair(lab, case))) for _ in range(40)]
        assert drain(rvs, case) == 40
        for pair in made:
            assert heard(pair.client) == heard(pair.server) == "ConnectionResetError"
