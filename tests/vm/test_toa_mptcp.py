# SPDX-License-Identifier: GPL-2.0
"""Clients of several paths and listeners of such: they are seen as any other."""

import contextlib
import json
import socket
import threading

import pytest
from lab import debug, shell
from lab.director import Service
from lab.fullnat import LOCALS
from lab.netns import wait_until
from lab.six import CLIENT as CLIENT6
from lab.six import LOCALS as LOCALS6
from lab.six import VIP as VIP6
from lab.topology import CLIENT, VIP

PORT = 8080
SOL_MPTCP, MPTCP_INFO = 284, 1
# Whom the client asks, whom the director, what listens, and who is seen.
CASES = {
    "v4": (VIP, "v4", "0.0.0.0", CLIENT),
    "v4-stamps": (VIP, "v4", "0.0.0.0", CLIENT),
    "dual": (VIP, "v4", "::", f"::ffff:{CLIENT}"),
    "v6": (VIP6, "v6", "::", CLIENT6),
    "nat64-dual": (VIP6, "v4", "::", CLIENT6),
}


@pytest.fixture(name="server")
def _server(six, fullnat):
    six.prepare_fullnat(fullnat)
    shell.modprobe("toa")
    host = six.real["rs1"]
    for address in [*LOCALS, *LOCALS6]:
        host.run("rvsadm", "toa", "trust", "add", address)
    for each in (host, six.client):
        each.sysctl(mptcp__enabled=1)
    return host


def balance(six, rvs, case):
    """A service of one dest; where the client is to go, and what listens."""
    vip, family, listens, expected = CASES[case]
    # Beside timestamps there is no room for the address and several paths.
    six.client.sysctl(ipv4__tcp_timestamps=int(case == "v4-stamps"))
    address = six.addresses["rs1"] if family == "v6" else six.lab.addresses["rs1"]
    rvs.add(Service([(address, 1)], mode="fullnat", vip=vip, port=PORT))
    return vip, listens, expected


@contextlib.contextmanager
def client(six, vip):
    """A client's connection that has, or had, more paths to offer."""
    with six.client.inside():
        s = socket.socket(socket.AF_INET6 if ":" in vip else socket.AF_INET, socket.SOCK_STREAM,
                          socket.IPPROTO_MPTCP)
    with s:
        s.settimeout(20)
        s.connect((vip, PORT))
        yield s


def count(host, name):
    """One counter of the receiver."""
    return json.loads(host.run("rvsadm", "--json", "toa", "stats").stdout)["counters"][name]


def is_multipath(s):
    """Whether a socket is of several paths, not one that fell back."""
    try:
        return bool(s.getsockopt(SOL_MPTCP, MPTCP_INFO, 64))
    except OSError:
        return False


@pytest.mark.parametrize("case", CASES)
def test_a_listener_of_several_paths(six, fullnat, server, case):
    vip, listens, expected = balance(six, fullnat, case)
    family = socket.AF_INET6 if ":" in listens else socket.AF_INET
    if family == socket.AF_INET6 and not debug.has_mptcp6():
        pytest.skip("no MPTCP over IPv6 in the debug kernel")
    with server.inside():
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_MPTCP)
    seen = {}

    def serve():
        connection, seen["accepted"] = listener.accept()
        with connection:
            seen["asked"] = connection.getpeername()
            seen["multipath"] = is_multipath(connection)
            data = b""
            while len(data) < 300_000:
                data += connection.recv(1 << 16)
            connection.sendall(data[::-1])
            seen["late"] = connection.getpeername()

    with listener:
        listener.bind((listens, PORT))
        listener.listen(8)
        listener.settimeout(20)
        thread = threading.Thread(target=serve)
        thread.start()
        with client(six, vip) as s:
            name, sent = s.getsockname(), bytes(range(250)) * 1200
            s.sendall(sent)
            received = b""
            while len(received) < len(sent) and (part := s.recv(1 << 16)):
                received += part
            assert received == sent[::-1]
            thread.join()
    assert [seen[key][:2] for key in ("accepted", "asked", "late")] == [(expected, name[1])] * 3
    # The director takes several paths out of the SYN where the address would have no room.
    assert seen["multipath"] == (case in ("v4", "dual"))
    assert count(server, "learned") == 1
    wait_until(lambda: count(server, "sockets_now") == 0, "every socket is forgotten")


@pytest.mark.parametrize("program", ["go", "mptcpize"])
def test_programs(six, fullnat, server, program):
    """One that listens so by itself, and one that is made to."""
    if program == "go" and not debug.has_mptcp6():
        pytest.skip("Go listens over IPv6, and the debug kernel has no MPTCP there")
    vip, _, expected = balance(six, fullnat, "v4")
    command = {
        "go": ["/rvs/target/listen", f":{PORT}"],
        "mptcpize": ["mptcpize", "run", "socat", f"TCP4-LISTEN:{PORT},fork,reuseaddr",
                     "SYSTEM:echo $SOCAT_PEERADDR $SOCAT_PEERPORT true"],
    }[program]
    child = server.start(*command)
    wait_until(lambda: f":{PORT} " in server.run("ss", "-HltnM").stdout, f"{program} listens")
    with client(six, vip) as s:
        said, name = s.makefile().read(), s.getsockname()
    assert said.replace(":", " ") == f"{expected} {name[1]} true\n"
    server.stop(child)
