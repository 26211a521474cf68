# SPDX-License-Identifier: GPL-2.0
"""TCP connections that stay open."""

import collections
import contextlib
import itertools
import socket


class Clients:
    """Connections of one client to one address, held open."""

    ports = itertools.count(20000)

    def __init__(self, host, vip):
        self.host, self.vip = host, vip
        self.sockets = collections.deque()

    def open(self, source="198.51.100.2"):
        """One more connection, from a port that nobody had before; returns who answers, or none."""
        with self.host.inside():
            s = socket.socket()
        s.settimeout(10)
        s.bind((source, next(self.ports)))
        try:
            s.connect((self.vip, 80))
            # Under load the refusal of a SYN comes as late as this; a connection that is there is
            # not refused any more.
            s.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n")
        except ConnectionRefusedError:
            s.close()
            return None
        self.sockets.append(s)
        answer = s.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200"), answer
        return answer.split()[-1].decode()

    def close(self, count):
        """Ends the oldest connections. What they send passes the director before later ones."""
        for _ in range(min(count, len(self.sockets))):
            self.sockets.popleft().close()


@contextlib.contextmanager
def clients(lab, svc):
    """Connections to a service that end with the test."""
    made = Clients(lab.client, svc.vip)
    try:
        yield made
    finally:
        made.close(len(made.sockets))
