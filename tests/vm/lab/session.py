# SPDX-License-Identifier: GPL-2.0
"""A client's connection to nginx that stays open over several requests."""

import re
import socket


class Session:
    """One TCP connection from HOST to ADDRESS, HTTP/1.1 kept alive."""

    def __init__(self, host, address, port=80, source_port=0, timeout=10):
        with host.inside():
            self.socket = socket.socket()
        self.socket.settimeout(timeout)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source_port:
            self.socket.bind(("", source_port))
        self.socket.connect((address, port))
        self.source_port = self.socket.getsockname()[1]

    def ask(self, timeout=10):
        """One request; returns the answer's text."""
        self.socket.settimeout(timeout)
        self.socket.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n")
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._receive()
        head, _, body = answer.partition(b"\r\n\r\n")
        length = int(re.search(rb"Content-Length: (\d+)", head).group(1))
        while len(body) < length:
            body += self._receive()
        return body.decode().strip()

    def _receive(self):
        chunk = self.socket.recv(65536)
        if not chunk:
            raise ConnectionResetError("the other end closed")
        return chunk

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
