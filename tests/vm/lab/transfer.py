# SPDX-License-Identifier: GPL-2.0
"""Data through a service: TCP streams checked by their digest, UDP echoes."""

import hashlib
import itertools
import os
import socket
import threading

# Bytes of a long transfer, each way: `make test-long` has more.
LONG = int(os.environ.get("RVS_MEGABYTES") or 4) << 20
CHUNK = bytes(range(256)) * 256


def family(address):
    """The socket family of an address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _listen(host, address, port):
    with host.inside():
        s = socket.create_server((address, port), family=family(address), backlog=64)
    s.settimeout(60)
    return s


def _feed(connection, size):
    """Sends SIZE bytes and returns their digest."""
    digest, left = hashlib.sha256(), size
    while left:
        part = CHUNK[: min(left, len(CHUNK))]
        connection.sendall(part)
        digest.update(part)
        left -= len(part)
    connection.shutdown(socket.SHUT_WR)
    return digest.hexdigest()


def _drain(connection):
    """Receives to the end; the number of bytes and their digest."""
    digest, size = hashlib.sha256(), 0
    while part := connection.recv(1 << 18):
        digest.update(part)
        size += len(part)
    return size, digest.hexdigest()


def both_ways(client, server, address, port, size, server_address="0.0.0.0", server_port=None):
    """One connection from CLIENT to ADDRESS that SERVER answers: SIZE bytes up, then down.

    Returns the client's address as the server saw it. Fails when a byte is lost or changed.
    """
    listener = _listen(server, server_address, server_port or port)
    seen = {}

    def serve():
        with listener:
            connection, seen["peer"] = listener.accept()
        with connection:
            connection.settimeout(60)
            seen["up"] = _drain(connection)
            seen["down"] = _feed(connection, size)

    thread = threading.Thread(target=serve)
    thread.start()
    with client.inside():
        s = socket.socket(family(address))
    with s:
        s.settimeout(60)
        s.connect((address, port))
        sent = _feed(s, size)
        received = _drain(s)
    thread.join(timeout=60)
    assert seen["up"] == (size, sent), "what the server received is not what the client sent"
    assert received == (size, seen["down"]), "what the client received is not what was sent"
    return seen["peer"][0]


class UdpEcho:
    """Answers every datagram on PORT of HOST with its name and what it received."""

    def __init__(self, host, port, address="0.0.0.0"):
        with host.inside():
            self._socket = socket.socket(family(address), socket.SOCK_DGRAM)
        self._socket.bind((address, port))
        self._socket.settimeout(0.2)
        self.name, self.peers, self._ends = host.name, [], False
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while not self._ends:
            try:
                data, peer = self._socket.recvfrom(65535)
            except TimeoutError:
                continue
            self.peers.append(peer)
            self._socket.sendto(self.name.encode() + b" " + data, peer)

    def close(self):
        """Stops answering."""
        self._ends = True
        self._thread.join()
        self._socket.close()


_NEW_PORTS = itertools.cycle(range(20_000, 32_000))


def new_port():
    """A source port that no flow had before: that would bring its connection back."""
    return next(_NEW_PORTS)


def ask(host, address, port, data=b"x", timeout=5, checksum=True, options=b""):
    """One datagram from a new port, and the answer to it."""
    with host.inside():
        s = socket.socket(family(address), socket.SOCK_DGRAM)
    with s:
        if not checksum:
            s.setsockopt(socket.SOL_SOCKET, 11, 1)  # SO_NO_CHECK
        if options:
            s.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, options)
        s.settimeout(timeout)
        s.bind(("", new_port()))
        s.connect((address, port))
        s.send(data)
        return s.recv(65535)

