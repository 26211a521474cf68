# SPDX-License-Identifier: GPL-2.0
"""Associations of SCTP with a real server, by the kernel's sockets."""

import socket
import threading

from .topology import CLIENT

SCTP = 132


class Server:
    """Takes one association on PORT, receives all of it and sends it back."""

    def __init__(self, host, port, address="0.0.0.0"):
        with host.inside():
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, SCTP)
        self._socket.bind((address, port))
        self._socket.listen()
        self._socket.settimeout(30)
        self.peer = None
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        with self._socket:
            association, self.peer = self._socket.accept()
        with association:
            association.settimeout(30)
            length = int.from_bytes(association.recv(4), "big")
            data = b""
            while len(data) < length:
                data += association.recv(65536)
            for at in range(0, length, 8192):
                association.sendall(data[at:at + 8192])
            # Until the client has gone.
            association.recv(1)

    def wait(self):
        """Until its client has gone."""
        self._thread.join(timeout=60)


def connect(host, address, port, from_port=0):
    """An association of HOST, which is the lab's client."""
    with host.inside():
        s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, SCTP)
    s.settimeout(30)
    # One address: the others are not known to the director.
    s.bind((CLIENT, from_port))
    s.connect((address, port))
    return s


def says(association):
    """What a Server sends back of one byte."""
    association.sendall((1).to_bytes(4, "big"))
    association.sendall(b"x")
    return association.recv(10)
