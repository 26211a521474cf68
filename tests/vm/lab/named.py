# SPDX-License-Identifier: GPL-2.0
"""Hosts that say who they are, on many ports, by TCP and UDP and both IP versions."""

import contextlib
import os
import selectors
import socket
import struct
import threading

from .transfer import family

_ON = 1


class Named:
    """Answers on PORTS of all addresses of HOST with its name, from the address that was asked."""

    def __init__(self, host, ports):
        self.name = host.name.encode()
        self._events = selectors.DefaultSelector()
        with host.inside():
            for port in ports:
                for version, every in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
                    self._listen(version, every, port)
        self._ended, self._end = os.pipe()
        self._events.register(self._ended, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _listen(self, version, every, port):
        listener = socket.create_server((every, port), family=version, backlog=64)
        # Who has connected may be gone by the time of the call.
        listener.setblocking(False)
        self._events.register(listener, selectors.EVENT_READ, self._accept)
        s = socket.socket(version, socket.SOCK_DGRAM)
        if version == socket.AF_INET:
            s.setsockopt(socket.IPPROTO_IP, socket.IP_PKTINFO, _ON)
        else:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, _ON)
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, _ON)
        s.bind((every, port))
        self._events.register(s, selectors.EVENT_READ, self._answer)

    def _accept(self, listener):
        # Its client may be gone.
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                connection.sendall(self.name)

    def _answer(self, s):
        _, said, _, peer = s.recvmsg(2048, 128)
        (level, kind, info), *_ = said
        if level == socket.IPPROTO_IP:
            info = struct.pack("i4s4s", 0, info[8:12], bytes(4))
        else:
            info = info[:16] + bytes(4)
        # Its client may be gone, or the address not be this host's.
        with contextlib.suppress(OSError):
            s.sendmsg([self.name], [(level, kind, info)], 0, peer)

    def _serve(self):
        while True:
            for key, _ in self._events.select():
                if key.data is None:
                    return
                key.data(key.fileobj)

    def close(self):
        """Stops answering."""
        os.write(self._end, b"x")
        self._thread.join()
        for key in list(self._events.get_map().values()):
            if key.data:
                key.fileobj.close()
        self._events.close()
        os.close(self._ended)
        os.close(self._end)


def who(host, kind, address, port, timeout=10):
    """Who answers a program of HOST there, by SOCK_STREAM or SOCK_DGRAM; None for nobody."""
    with host.inside():
        s = socket.socket(family(address), kind)
    with s:
        s.settimeout(timeout)
        try:
            s.connect((address, port))
            if kind == socket.SOCK_DGRAM:
                s.send(b"who")
            return s.recv(2048).decode()
        except OSError:
            return None
