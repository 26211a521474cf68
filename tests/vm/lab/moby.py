# SPDX-License-Identifier: GPL-2.0
"""The family IPVS as Docker and kube-router speak it: each attribute always, IPv4 addresses of 4 bytes, an
empty scheduler's name where a service is only named."""

import contextlib
import socket
import struct

from . import ipvs_messages as ipvs
from .genl import Client, Refused, attributes

MASQ, LOCAL, TUNNEL, ROUTE = range(4)
PERSISTENT, HASHED = 1, 2


def service(mark=None, protocol="tcp", address=None, port=0, scheduler="", flags=0, timeout=0, netmask=0):
    """The nest of a service by mark or by address."""
    if mark:
        which = {5: ipvs.u32(mark)}
    else:
        number = socket.getprotobyname(protocol)
        which = {2: ipvs.u16(number), 3: packed(address), 4: ipvs.be16(port)}
    version = socket.AF_INET6 if address and ":" in address else socket.AF_INET
    return ipvs.service({1: ipvs.u16(version), **which, 6: scheduler.encode() + b"\0",
                         7: ipvs.u32(flags) + ipvs.u32(-1), 8: ipvs.u32(timeout), 9: ipvs.u32(netmask)})


def dest(address, port=0, weight=1, method=MASQ):
    """The nest of a dest."""
    return ipvs.dest({1: packed(address), 2: ipvs.be16(port), 3: ipvs.u32(method), 4: ipvs.u32(weight),
                      5: ipvs.u32(0), 6: ipvs.u32(0)})


def packed(address):
    """As the library has it."""
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


class Handle(contextlib.AbstractContextManager):
    """A client in a host's namespace. What it does says how it went: None, or the error's name."""

    def __init__(self, host):
        with host.inside():
            self._client = Client(family="IPVS")

    def __exit__(self, *_):
        self._client.close()

    def _ask(self, command, data, dump=False):
        self._client.send(command, data, 1 | 4 | (0x300 if dump else 0))
        return self._client.receive()

    def do(self, command, *nests):
        """A command that changes something."""
        try:
            self._ask(command, b"".join(nests))
        except Refused as refused:
            return refused.errno
        return None

    def is_there(self, which):
        """Whether there is such a service."""
        return self.do(ipvs.GET_SERVICE, which) is None

    def services(self):
        """All of them: family, mark or protocol, address and port, scheduler, flags, timeout."""
        keys = (1, 2, 3, 4, 5, 6, 7, 8)
        return sorted(self._told(ipvs.GET_SERVICE, ipvs.service({}), keys))

    def dests(self, which):
        """A service's: address, port, method, weight, active and inactive connections."""
        return sorted(self._told(ipvs.GET_DEST, which, (1, 2, 3, 4, 7, 8)))

    def _told(self, command, data, keys):
        for reply in self._ask(command, data, dump=True):
            (_, _, nest), *_ = attributes(reply.attrs)
            found = {number: payload for number, _, payload in attributes(nest)}
            yield [found.get(key, b"").hex() for key in keys]

    def timeouts(self):
        """The three that are set by `ipvsadm --set`."""
        (reply,) = self._ask(ipvs.GET_CONFIG, b"")
        return [struct.unpack("=I", payload)[0] for _, _, payload in attributes(reply.attrs)]
