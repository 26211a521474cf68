# SPDX-License-Identifier: GPL-2.0
"""What toa.ko adds to getpeername() and to a connection, in instructions.

Run it in a guest whose clock counts them: see docs/bench.md.
"""

import contextlib
import os
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tests", "vm"))

# pylint: disable=wrong-import-position
from lab import shell  # noqa: E402
from lab.handshake import Connection, toa  # noqa: E402
from lab.packets import ACK  # noqa: E402
from lab.receiver import DIRECTOR, PORT, SERVER, Server  # noqa: E402

# As long in letters as the director's address, which Python writes out.
CLIENT = ("198.5.1.7", 40000)
CALLS, CONNECTIONS, ROUNDS = 5000, 200, 5


def asked(accepted):
    """Nanoseconds, which are instructions, of a getpeername() in Python."""
    ask, rounds = accepted.getpeername, []
    for _ in range(ROUNDS):
        began = time.perf_counter_ns()
        for _ in range(CALLS):
            ask()
        rounds.append((time.perf_counter_ns() - began) / CALLS)
    return statistics.median(rounds)


def opened(server, listener, option):
    """The same of the segment that makes a connection, sent by hand, until it is accepted."""
    taken = []
    for _ in range(CONNECTIONS):
        connection = Connection(server.hand, DIRECTOR, (SERVER, PORT))
        connection.open(acknowledge=False)
        began = time.perf_counter_ns()
        connection.send(ACK, options=option)
        accepted, _ = listener.accept()
        taken.append(time.perf_counter_ns() - began)
        accepted.close()
        connection.finish()
    return statistics.median(taken)


def pair(server, listener, option):
    """A connection and its accepted socket."""
    connection = server.connect(option)
    accepted, name = listener.accept()
    return connection, accepted, name


def main():
    """Prints a table."""
    option, plain = toa(*CLIENT), b"\1" * 8
    rows = []
    shell.rmmod("toa")
    shell.modprobe("toa")
    with contextlib.closing(Server()) as server:
        listener = server.listen()
        server.adm("trust", "add", DIRECTOR)
        tagged = pair(server, listener, option)
        assert tagged[2] == CLIENT, tagged[2]
        untagged = pair(server, listener, plain)
        with_tag, without_tag = asked(tagged[1]), asked(untagged[1])
        conn_tag, conn_plain = (opened(server, listener, o) for o in (option, plain))
        shell.rmmod("toa")
        none = asked(untagged[1])
        assert tagged[1].getpeername()[0] == DIRECTOR
        conn_none = opened(server, listener, plain)
        rows = [
            ("getpeername, no client known", none, without_tag),
            ("getpeername, client known", none, with_tag),
            ("connection without the option", conn_none, conn_plain),
            ("connection with the option", conn_none, conn_tag),
        ]
    print(f"{'call':<32}{'without':>10}{'with':>10}{'toa.ko':>10}")
    for name, without, with_module in rows:
        print(f"{name:<32}{without:>10,.0f}{with_module:>10,.0f}{with_module - without:>+10,.0f}")


if __name__ == "__main__":
    main()
