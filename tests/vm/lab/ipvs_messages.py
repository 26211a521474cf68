# SPDX-License-Identifier: GPL-2.0
"""Bare messages of the family IPVS, built from attributes by number."""

import struct

from .genl import Client, Refused, attribute

NEW_SERVICE, SET_SERVICE, DEL_SERVICE, GET_SERVICE = 1, 2, 3, 4
NEW_DEST, SET_DEST, DEL_DEST, GET_DEST = 5, 6, 7, 8
NEW_DAEMON, DEL_DAEMON, GET_DAEMON = 9, 10, 11
SET_CONFIG, GET_CONFIG, SET_INFO, GET_INFO, ZERO, FLUSH = 12, 13, 14, 15, 16, 17
NESTED = 0x8000


def u8(value):
    """A number of 8 bits; below: of 16 and 32, and of 16 in network order."""
    return struct.pack("B", value)


def u16(value):
    return struct.pack("=H", value)


def be16(value):
    return struct.pack(">H", value)


def u32(value):
    return struct.pack("=I", value & 0xFFFFFFFF)


def attrs(values):
    """Attributes by number; bytes are their payloads."""
    return b"".join(attribute(number, payload) for number, payload in values.items())


ADDRESS = bytes([203, 0, 113, 10])
ID = {1: u16(2), 2: u16(6), 3: ADDRESS + bytes(12), 4: be16(80)}
FULL = {**ID, 6: b"rr\0", 7: u32(0) + u32(-1), 8: u32(0), 9: u32(-1)}
DEST = {1: bytes([10, 1, 1, 1]) + bytes(12), 2: be16(80)}
FULL_DEST = {**DEST, 3: u32(3), 4: u32(1), 5: u32(0), 6: u32(0)}


def service(values=None, **more):
    """The nest of a service, as top-level attributes."""
    return _nest(1, FULL if values is None else values, more)


def dest(values=None, **more):
    """The same of a dest."""
    return _nest(2, FULL_DEST if values is None else values, more)


def _nest(number, values, more):
    values = {**values, **{int(k[1:]): v for k, v in more.items()}}
    return attribute(number, attrs({k: v for k, v in values.items() if v is not None}))


def ask(client, command, data=b"", flags=0, dump=False):
    """The error's name, or the bytes of the replies, sorted: ip_vs has an order of its own."""
    try:
        client.send(command, data, 1 | flags | (0x300 if dump else 4))
        return sorted(reply.attrs for reply in client.receive())
    except Refused as refused:
        return refused.errno


def errors_script(requests):
    """A script that sends REQUESTS: (what, command, data) or with flags behind."""
    def script(host):
        with host.inside():
            client = Client(family="IPVS")
        with client:
            return [(what, ask(client, *rest)) for what, *rest in requests]

    return script


def daemon(values=None, **more):
    """The nest of a daemon."""
    return _nest(3, DAEMON if values is None else values, more)


DAEMON = {1: u32(1), 2: b"d0\0", 3: u32(7)}
