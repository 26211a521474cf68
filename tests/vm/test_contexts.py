# SPDX-License-Identifier: GPL-2.0
"""Rare contexts and orders of events, each of which was wrong once or nearly so."""

import socket
import struct

from lab.director import Rvs, Service
from lab.lone import VIP, LoneDirector
from lab.netns import wait_until


def fragment(offset, more, payload):
    """An IPv4 fragment of a UDP packet to the VIP, for a raw socket with its own header."""
    flags = (offset // 8) | (0x2000 if more else 0)
    header = struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 77, flags, 64, 17, 0,
        socket.inet_aton("10.0.0.1"), socket.inet_aton(VIP),
    )
    return header + payload


def lone_rvs(name):
    """A director whose network is a dummy device."""
    host = LoneDirector(name)
    host.ip(f"addr add {VIP}/32 dev lo")
    rvs = Rvs(host)
    rvs.add(Service([("10.1.1.1", 1)], protocol="udp"))
    return host, rvs


def conns(rvs):
    """Connections now."""
    return rvs.json("stats", "show")["counters"]["conns_now"]


def test_fragments_of_a_local_program():
    """Put together in process context, with locks that softirqs take as well."""
    host, rvs = lone_rvs("fragments")
    try:
        with host.inside():
            s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        with s:
            udp = struct.pack(">HHHH", 4000, 80, 8 + 32, 0) + bytes(32)
            s.sendto(fragment(0, True, udp[:24]), (VIP, 80))
            assert conns(rvs) == 0
            s.sendto(fragment(24, False, udp[24:]), (VIP, 80))
        wait_until(lambda: conns(rvs) == 1, "the whole packet is a connection")
        rvs.flush()
    finally:
        host.close()


def test_device_goes_after_the_route_through_it():
    """A cached way is of no use to packets any more, and none comes; the device may go at once."""
    host, rvs = lone_rvs("routes")
    try:
        with host.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"x", (VIP, 80))
        assert conns(rvs) == 1
        host.ip("route del 10.0.0.0/8 dev d0")
        # The kernel says it is waiting after 10 s; the log is looked at after the test.
        host.run("ip", "link", "del", "d0", timeout=9)
        rvs.flush()
    finally:
        host.close()
