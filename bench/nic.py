# SPDX-License-Identifier: GPL-2.0
"""A director between two cards that are only memory (bench/module/rvs_nic.c): what a frame costs from
the driver's first touch until the driver is told that it has left, by XDP or with an skb."""

import contextlib
import math
import os
import socket
import struct

from lab import shell
from lab.netns import Host

import xdp
from mark import Stopwatch, marked
from path import CLIENT, PORT, SINK, VIP
from setups import DIRECTOR_OUT

FOLDER = "/sys/kernel/debug/rvs_nic"
# A dest, or a client, on the side that the packets come from.
NEAR = "10.1.0.9"
CLIENT_PORT = 1024
MACS = {CLIENT: "02:00:00:00:01:02", NEAR: "02:00:00:00:01:09", SINK: "02:00:00:00:02:02"}
SIZE = 60
REPEATS = 3
WARM_UP = 3_200
PACKETS = 32_000


def _load():
    if not os.path.exists("/sys/kernel/debug/tracing"):
        shell.run("mount -t debugfs debugfs /sys/kernel/debug", check=False)
    if not os.path.exists(FOLDER):
        beside = os.path.dirname(os.environ["RVS_BENCH_MODULE"])
        shell.run("insmod", f"{beside}/rvs_nic.ko")


def _sum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def _octets(mac):
    return bytes(int(octet, 16) for octet in mac.split(":"))


def datagram(source, destination):
    """A UDP packet with whole sums that fills the smallest frame; ends are (address, port)."""
    ends = b"".join(socket.inet_aton(address) for address, _ in (source, destination))
    length = SIZE - 14 - 20
    data = bytes(length - 8)
    ports = struct.pack("!HHH", source[1], destination[1], length)
    total = _sum(ends + struct.pack("!HH", 17, length) + ports + b"\0\0" + data)
    header = struct.pack("!BBHHHBBH", 0x45, 0, SIZE - 14, 7, 0x4000, 64, 17, 0) + ends
    header = header[:10] + struct.pack("!H", _sum(header)) + header[12:]
    return header + ports + struct.pack("!H", total) + data


class NicPath:
    """The director; `in0` and `out0` are its cards. Its only dest is the sink behind `out0`, or NEAR,
    behind the card that the clients are behind."""

    version, vip, director_out = 4, VIP, DIRECTOR_OUT

    def __init__(self, near=False):
        _load()
        self.sink_address = NEAR if near else SINK
        self.out = "in0" if near else "out0"
        self.director = Host("director")
        self.director.sysctl(
            ipv6__conf__all__disable_ipv6=1, ipv6__conf__default__disable_ipv6=1, ipv4__ip_forward=1,
            ipv4__conf__all__send_redirects=0, ipv4__conf__default__send_redirects=0,
        )
        self.director.ip(
            "link add in0 type rvs_nic", "link add out0 type rvs_nic", "link set in0 up", "link set out0 up",
            "addr add 10.1.0.1/24 dev in0", f"addr add {DIRECTOR_OUT}/24 dev out0", f"addr add {VIP}/32 dev lo",
            # Many clients come in many networks, and none is answered.
            "route add 10.0.0.0/8 dev in0",
            *(f"neigh replace {address} lladdr {mac} dev {'out0' if address == SINK else 'in0'} nud permanent"
              for address, mac in MACS.items()),
        )

    def index(self, device):
        """Its number, as the kernel has it."""
        with self.director.inside():
            return socket.if_nametoindex(device)

    def comes(self, device, packet, flows=1):
        """What comes by a card from now on: PACKET, for the director, as one of so many flows."""
        frame = _octets(self.director.mac(device)) + _octets(MACS[CLIENT]) + b"\x08\x00" + packet
        with open(f"{FOLDER}/{device}/frame", "wb") as f:
            f.write(frame)
        _write(device, "flows", flows)

    def run(self, device, count):
        """So many frames come by a card. Nanoseconds of one."""
        with Stopwatch() as watch, marked(count):
            _write(device, "run", count)
        return (watch.nanoseconds or _read(device, "run")[0]) / count

    def left(self, device):
        """How many frames have left by it: with an skb, and without."""
        return _read(device, "sent")

    def first(self, device):
        """The first frame that left by it since the last call."""
        with open(f"{FOLDER}/{device}/frame", "rb") as f:
            return f.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.director.ip("link del in0", "link del out0")
        self.director.close()


def _write(device, file, number):
    with open(f"{FOLDER}/{device}/{file}", "w", encoding="ascii") as f:
        f.write(str(number))


def _read(device, file):
    with open(f"{FOLDER}/{device}/{file}", encoding="ascii") as f:
        return [int(word) for word in f.read().split()]


@contextlib.contextmanager
def no_program(_path):
    """Frames are the stack's."""
    yield


@contextlib.contextmanager
def by_rvs(path):
    """Both cards give their frames to RVS."""
    for device in ("in0", "out0"):
        path.director.run("rvsadm", "xdp", "attach", device)
    try:
        yield
    finally:
        path.director.run("rvsadm", "xdp", "detach", "--all")


@contextlib.contextmanager
def trivial(path):
    """What comes by one card leaves by the other, or by the same, as it is."""
    near = path.out == "in0"
    instructions = xdp.returns(xdp.TX) if near else xdp.redirects(path.index("out0"))
    with path.director.inside(), xdp.attached(path.index("in0"), instructions):
        yield


@contextlib.contextmanager
def called(path):
    """As by_rvs, where the kernel does not compile programs: the cards call what those would."""
    with open("/proc/kallsyms", encoding="ascii") as f:
        address = next(int(line.split()[0], 16) for line in f if " rvs_frame_fate\t" in line)
    assert address, "the kernel does not tell addresses"
    for device in ("in0", "out0"):
        _write(device, "fate", address)
    yield


@contextlib.contextmanager
def called_trivial(path):
    """As trivial, without a program."""
    _write("in0", "fate", path.index("out0"))
    yield


def _measured(path, device, out, by_xdp, flows, packets=PACKETS):
    """The figure of each run; all frames have to leave by OUT, without an skb if BY_XDP."""
    path.run(device, max(WARM_UP, flows))
    figures = []
    for _ in range(REPEATS):
        before = path.left(out)
        figures.append(path.run(device, packets))
        wanted = [packets, 0]
        if by_xdp:
            wanted.reverse()

        gone = [now - then for now, then in zip(path.left(out), before)]
        # Rules that drop make fast numbers, and so does the other way.
        assert gone == wanted, f"{gone} instead of {wanted} left by {out}: with an skb, without"
    return figures


def scattered(flows):
    """A stride with which the next of many flows lies far from the last, and all come as often."""
    stride = int(flows * 0.618) | 1
    while math.gcd(stride, flows) > 1:
        stride += 2
    return stride


def to_dest(setup, program=no_program, near=False, flows=1, to=VIP, by_xdp=None, packets=PACKETS, stride=1):
    """Frames of clients. PROGRAM(path) is what is attached meanwhile."""

    def measure():
        with NicPath(near) as path:
            setup(path)
            path.comes("in0", datagram((CLIENT, CLIENT_PORT), (to, PORT)), flows)
            # Their connections are there, and what they use, before a program is.
            path.run("in0", max(WARM_UP, flows))
            with program(path):
                by_program = program is not no_program if by_xdp is None else by_xdp
                _write("in0", "stride", stride)
                return _measured(path, "in0", path.out, by_program, flows, packets)

    return measure


def to_client(setup, program=no_program, from_address=SINK, to=(CLIENT, CLIENT_PORT)):
    """What the dest answers to a flow that the director knows."""

    def measure():
        with NicPath() as path:
            setup(path)
            path.comes("in0", datagram((CLIENT, CLIENT_PORT), (VIP, PORT)))
            path.comes("out0", datagram((from_address, PORT), to))
            path.run("in0", WARM_UP)
            path.run("out0", WARM_UP)
            with program(path):
                return _measured(path, "out0", "in0", program is not no_program, 1)

    return measure
