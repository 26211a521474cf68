# SPDX-License-Identifier: GPL-2.0
"""Cases about toa.ko: a program that asks for a connection's peer, and the making of a connection.

Connections come from a director that is played by hand. What toa.ko adds is the difference to the
case without it.
"""

import contextlib
import statistics
import time

from lab import shell
from lab.handshake import Connection, toa
from lab.packets import ACK
from lab.receiver import DIRECTOR, PORT, SERVER, Server

from mark import marked

# As long in letters as the director's address, which Python writes out.
CLIENT = ("198.5.1.7", 40000)
# What the handshake's last segment may carry: the client, or as many bytes that say nothing.
OPTION, PLAIN = toa(*CLIENT), b"\1" * 8
CALLS, CONNECTIONS, ROUNDS = 5_000, 200, 3


@contextlib.contextmanager
def _server(module):
    """A real server that believes the director if it has MODULE, its listener, and sockets of
    connections that were made with OPTION and with PLAIN."""
    shell.rmmod("toa")
    if module:
        # It stays: the profiler wants the names of its functions.
        shell.modprobe("toa")
    with contextlib.closing(Server()) as server, contextlib.ExitStack() as sockets:
        if module:
            server.adm("trust", "add", DIRECTOR)
        listener, accepted = server.listen(), {}
        for option in (OPTION, PLAIN):
            server.connect(option)
            accepted[option], name = listener.accept()
            sockets.enter_context(accepted[option])
            assert (name == CLIENT) == (module and option == OPTION), name
        yield server, listener, accepted


def getpeername(option=PLAIN, module=True):
    """Instructions of getpeername() in Python, of a connection that was made with OPTION."""

    def measure():
        with _server(module) as (_, _, accepted):
            return [_asked(accepted[option].getpeername) for _ in range(ROUNDS)]

    return measure


def _asked(ask):
    with marked(CALLS):
        began = time.perf_counter_ns()
        for _ in range(CALLS):
            ask()
        return (time.perf_counter_ns() - began) / CALLS


def accept(option=PLAIN, module=True):
    """Instructions of the segment that makes a connection, with OPTION, until it is accepted."""

    def measure():
        with _server(module) as (server, listener, _):
            return [
                statistics.median(_opened(server, listener, option) for _ in range(CONNECTIONS))
                for _ in range(ROUNDS)
            ]

    return measure


def _opened(server, listener, option):
    connection = Connection(server.hand, DIRECTOR, (SERVER, PORT))
    connection.open(acknowledge=False)
    with marked(1):
        began = time.perf_counter_ns()
        connection.send(ACK, options=option)
        accepted, _ = listener.accept()
        taken = time.perf_counter_ns() - began
    accepted.close()
    connection.finish()
    return taken
