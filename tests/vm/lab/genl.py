# SPDX-License-Identifier: GPL-2.0
"""The family `rvs` spoken over a raw socket, with the names of rust/netlink/rvs.yaml.

Messages are built from values or from bytes, so that a test can also send what no client would.
"""

import dataclasses
import errno
import functools
import ipaddress
import os
import pathlib
import select
import socket
import struct

import yaml

SPEC = pathlib.Path(__file__).resolve().parents[3] / "rust" / "netlink" / "rvs.yaml"

NETLINK_GENERIC = 16
SOL_NETLINK = 270
# Options of SOL_NETLINK and SOL_SOCKET that the module `socket` lacks.
ADD_MEMBERSHIP, CAP_ACK, EXT_ACK, STRICT_CHK = 1, 10, 11, 12
SNDBUFFORCE, RCVBUFFORCE = 32, 33

ERROR, DONE = 2, 3
F_REQUEST, F_ACK, F_DUMP = 1, 4, 0x300
F_DUMP_INTR, F_CAPPED, F_ACK_TLVS = 0x10, 0x100, 0x200
F_NESTED, KIND = 0x8000, 0x3FFF
HEADERS = 16 + 4

# The controller's numbers (include/uapi/linux/genetlink.h).
CONTROLLER, GETFAMILY, FAMILY_ID, FAMILY_NAME, MCAST_GROUPS = 16, 3, 1, 2, 7
EXTACK_MSG, EXTACK_OFFS, EXTACK_MISS_TYPE, EXTACK_MISS_NEST = 1, 2, 5, 6


class Raw(bytes):
    """A payload as it is, whatever the spec says."""


@dataclasses.dataclass
class Kind:
    """What the spec says of an attribute."""

    number: int
    type: str
    nested: str = None


class Spec:
    """rvs.yaml, or another of its kind: attributes and commands by name."""

    def __init__(self, path=SPEC):
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        spec = yaml.load(path.read_text(encoding="utf-8"), loader)
        self.commands, number = {}, 0
        for op in spec["operations"]["list"]:
            number = op.get("value", number + 1)
            self.commands[op["name"]] = number
        self.names = {number: name for name, number in self.commands.items()}
        self.dumps = [op["name"] for op in spec["operations"]["list"] if "dump" in op]
        self.dos = [op["name"] for op in spec["operations"]["list"] if "do" in op]
        self.sets = {
            each["name"]: {
                a["name"]: Kind(i, a["type"], a.get("nested-attributes"))
                for i, a in enumerate(each["attributes"], 1)
            }
            for each in spec["attribute-sets"]
        }

        self._numbered = {
            (of, kind.number): (name, kind)
            for of, kinds in self.sets.items()
            for name, kind in kinds.items()
        }

    def find(self, of, number):
        """Name and kind of an attribute; `?N` for what the spec lacks."""
        return self._numbered.get((of, number), (f"?{number}", Kind(number, "binary")))


@functools.cache
def spec():
    """Read once a run: YAML is slow under emulation."""
    return Spec()


def attribute(number, payload):
    """One attribute, padded."""
    length = 4 + len(payload)
    return struct.pack("HH", length, number) + payload + bytes(-length % 4)


def encode(of, values):
    """Attributes of the set OF: a dict, or (name, value) pairs where one comes twice.

    A name may be a number that the spec lacks; Raw bytes as a value are the payload, Raw bytes as
    VALUES the whole.
    """
    if isinstance(values, Raw):
        return bytes(values)
    pairs = values.items() if isinstance(values, dict) else values
    return b"".join(_encode_one(of, name, value) for name, value in pairs)


def _encode_one(of, name, value):
    kind = Kind(name, "binary") if isinstance(name, int) else spec().sets[of][name]
    if isinstance(value, Raw):
        return attribute(kind.number, value)
    if kind.type == "nest":
        return attribute(kind.number | F_NESTED, encode(kind.nested, value))
    return attribute(kind.number, _payload(kind.type, value))


def _payload(kind, value):
    if isinstance(value, bytes):
        return value
    if kind == "string":
        return value.encode() + b"\0"
    if kind == "binary":
        return ipaddress.ip_address(value).packed
    if kind == "u16":
        return struct.pack(">H", value)
    return struct.pack({"u8": "B", "u32": "I", "uint": "Q"}[kind], value)


def attributes(data):
    """(number, flags, payload) of each attribute in DATA."""
    while len(data) >= 4:
        length, number = struct.unpack_from("HH", data)
        if length < 4:
            return
        yield number & KIND, number & ~KIND, data[4:length]
        data = data[(length + 3) & ~3 :]


def decode(data, of="main"):
    """Attributes as a dict of names; numbers, texts and addresses as values."""
    out = {}
    for number, _, payload in attributes(data):
        name, kind = spec().find(of, number)
        if kind.type == "nest":
            out[name] = decode(payload, kind.nested)
        elif kind.type == "string":
            out[name] = payload.rstrip(b"\0").decode()
        elif kind.type == "binary":
            out[name] = str(ipaddress.ip_address(payload))
        else:
            order = "big" if kind.type == "u16" else "little"
            out[name] = int.from_bytes(payload, order)
    return out


def place(request, offset):
    """Name of the attribute at OFFSET of a whole message: `change[1].dest.weight`."""

    def descend(data, of, start, path):
        seen = {}
        for number, _, payload in attributes(data):
            name, kind = spec().find(of, number)
            if name == "change":
                seen[name] = seen.get(name, -1) + 1
                name = f"change[{seen['change']}]"
            here = f"{path}.{name}" if path else name
            if start == offset:
                return here
            end = start + 4 + (len(payload) + 3 & ~3)
            if offset < end and kind.nested:
                return descend(payload, kind.nested, start + 4, here)
            start = end
        return f"offset {offset}"

    return descend(request[HEADERS:], "main", HEADERS, "")


@dataclasses.dataclass
class Refused(Exception):
    """The kernel's refusal: error name, text, and the attribute to blame (or `missing X`)."""

    errno: str
    text: str = ""
    where: str = ""

    def __str__(self):
        return f"{self.errno} {self.text!r} ({self.where or 'no attribute'})"


@dataclasses.dataclass
class Message:
    """A message of the family, and its bytes."""

    command: str
    flags: int
    attrs: bytes

    @property
    def content(self):
        """Its attributes by name."""
        return decode(self.attrs)


class Replies(list):
    """Messages of an answer; `interrupted` when a dump says that it is not consistent."""

    interrupted = False


class Client:
    """A socket to the family in the network namespace of the calling thread."""

    def __init__(self, privileged=True, family="rvs"):
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC)
        self._socket.bind((0, 0))
        self._sequence = 0
        self.note = ""  # what the kernel said to a request that it granted
        for option in (CAP_ACK, EXT_ACK, STRICT_CHK):
            self._socket.setsockopt(SOL_NETLINK, option, 1)
        if privileged:
            self._socket.setsockopt(socket.SOL_SOCKET, SNDBUFFORCE, 1 << 24)
            self._socket.setsockopt(socket.SOL_SOCKET, RCVBUFFORCE, 1 << 24)
        self._socket.settimeout(30)
        self._family = CONTROLLER
        name = attribute(FAMILY_NAME, family.encode() + b"\0")
        self.send(GETFAMILY, name, F_REQUEST | F_ACK)
        (answer,) = self.receive()
        found = {number: payload for number, _, payload in attributes(answer.attrs)}
        self._family = int.from_bytes(found[FAMILY_ID], "little")
        self._groups = dict(map(_group, attributes(found.get(MCAST_GROUPS, b""))))

    def close(self):
        """Closes the socket."""
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, command, attrs=b"", flags=F_REQUEST | F_ACK, length=None):
        """Sends one request; LENGTH lies about its size."""
        self._sequence += 1
        number = spec().commands.get(command, command)
        body = struct.pack("BBH", number, 1, 0) + attrs
        size = 16 + len(body) if length is None else length
        header = struct.pack("IHHII", size, self._family, flags, self._sequence, 0)
        self._request = header + body
        self._socket.send(self._request)

    def receive_some(self):
        """One datagram of an answer: its messages, and whether it was the last."""
        replies, data, last = Replies(), self._socket.recv(1 << 18), False
        while data:
            length, kind, flags, sequence, _ = struct.unpack_from("IHHII", data)
            body, data = data[16:length], data[(length + 3) & ~3 :]
            assert sequence == self._sequence, "an answer to another request"
            replies.interrupted |= bool(flags & F_DUMP_INTR)
            if kind in (ERROR, DONE):
                last = True
                self._check(kind, flags, body)
            else:
                name = spec().names.get(body[0], body[0])
                replies.append(Message(name, flags, body[4:]))
        return replies, last

    def receive(self):
        """The whole answer; raises Refused."""
        replies, last = Replies(), False
        while not last:
            some, last = self.receive_some()
            replies.extend(some)
            replies.interrupted |= some.interrupted
        return replies

    def _check(self, kind, flags, body):
        (error,) = struct.unpack_from("i", body)
        self.note = ""
        if error >= 0:
            if flags & F_ACK_TLVS and kind == ERROR:
                told = {number: payload for number, _, payload in attributes(body[20:])}
                self.note = told.get(EXTACK_MSG, b"").rstrip(b"\0").decode()
            return
        refused = Refused(_error_name(-error))
        if flags & F_ACK_TLVS:
            nest = missing = None
            for number, _, payload in attributes(body[4 if kind == DONE else 20 :]):
                if number == EXTACK_MSG:
                    refused.text = payload.rstrip(b"\0").decode()
                elif number == EXTACK_OFFS:
                    refused.where = place(self._request, *struct.unpack("I", payload))
                elif number == EXTACK_MISS_TYPE:
                    (missing,) = struct.unpack("I", payload)
                elif number == EXTACK_MISS_NEST:
                    nest = place(self._request, *struct.unpack("I", payload))
            if missing is not None:
                of = nest.split(".")[-1].split("[")[0] if nest else "main"
                name = spec().find(of, missing)[0]
                refused.where = f"missing {nest}.{name}" if nest else f"missing {name}"
        raise refused

    def do(self, command, values=(), **attrs):
        """One request; its replies, or Refused is raised."""
        self.send(command, encode("main", values) + encode("main", attrs))
        return self.receive()

    def dump(self, command, values=(), **attrs):
        """One dump; its messages, or Refused is raised."""
        self.start_dump(command, values, **attrs)
        return self.receive()

    def start_dump(self, command, values=(), **attrs):
        """Asks for a dump, to be read by `receive_some`."""
        self.send(command, encode("main", values) + encode("main", attrs), F_REQUEST | F_DUMP)

    def one(self, command, **attrs):
        """The content of the only reply."""
        (reply,) = self.do(command, **attrs)
        return reply.content

    def shrink(self, size):
        """Lets at most about SIZE bytes wait to be read."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)

    def grow(self, size):
        """Lets a request have SIZE bytes."""
        self._socket.setsockopt(socket.SOL_SOCKET, SNDBUFFORCE, size)

    def listen(self):
        """Joins the group of events."""
        self._socket.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, self._groups["events"])

    def events(self):
        """Events that have come: (name, content), in order. A change's are there with its ack."""
        found = []
        while select.select([self._socket], [], [], 0)[0]:
            data = self._socket.recv(1 << 16)
            while data:
                (length,) = struct.unpack_from("I", data)
                body, data = data[16:length], data[(length + 3) & ~3 :]
                found.append((spec().names[body[0]], decode(body[4:])))
        return found


def _group(entry):
    parts = {number: payload for number, _, payload in attributes(entry[2])}
    return parts[1].rstrip(b"\0").decode(), int.from_bytes(parts[2], "little")


def _error_name(number):
    # Python calls it ENOTSUP, which Linux has not.
    if number == errno.EOPNOTSUPP:
        return "EOPNOTSUPP"
    return errno.errorcode.get(number, os.strerror(number))
