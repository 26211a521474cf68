# SPDX-License-Identifier: GPL-2.0
"""Packets whose headers are short or lie: dropped and counted, never logged, never more."""

import random

import pytest
from lab.director import Service
from lab.kernel_log import KernelLog
from lab.packets import (DF, MF, ICMP, TCP, UDP, checksum, fragments, icmp, ipv4, tcp, udp)
from lab.raw import _director_rvs, _lab, _rvs, _wire, counted  # noqa: F401
from lab.topology import CLIENT, ROUTER, VIP

WEB, DNS = (VIP, 80), (VIP, 53)
SOURCE = (CLIENT, 4000)
SYN = tcp(SOURCE, WEB, 2)[20:]
QUERY = udp(SOURCE, DNS, b"query")[20:]


def add_services(rvs):
    for protocol, port in (("tcp", 80), ("udp", 53)):
        rvs.add(Service([("192.168.56.101", 1), ("192.168.56.102", 1)],
                        protocol=protocol, port=port))


def error_about(inner):
    return icmp(ROUTER, VIP, 3, 4, b"\0\0\5\0", inner)


# Their headers pass the kernel's own checks, so RVS has to find out.
OURS = {
    "tcp-of-0-bytes": ipv4(CLIENT, VIP, TCP, b""),
    "tcp-of-4-bytes": ipv4(CLIENT, VIP, TCP, SYN[:4]),
    "tcp-of-13-bytes": ipv4(CLIENT, VIP, TCP, SYN[:13]),
    "tcp-of-19-bytes": ipv4(CLIENT, VIP, TCP, SYN[:19]),
    "tcp-cut-by-total-length": ipv4(CLIENT, VIP, TCP, SYN, total_len=39),
    "tcp-doff-0": tcp(SOURCE, WEB, 2, offset=0),
    "tcp-doff-4": tcp(SOURCE, WEB, 2, offset=4),
    "tcp-doff-6-of-5": tcp(SOURCE, WEB, 2, offset=6),
    "tcp-doff-15": tcp(SOURCE, WEB, 2, b"x" * 39, offset=15),
    "udp-of-0-bytes": ipv4(CLIENT, VIP, UDP, b""),
    "udp-of-7-bytes": ipv4(CLIENT, VIP, UDP, QUERY[:7]),
    "udp-length-0": udp(SOURCE, DNS, b"query", length=0),
    "udp-length-7": udp(SOURCE, DNS, b"query", length=7),
    "udp-length-1-over": udp(SOURCE, DNS, b"query", length=14),
    "udp-length-65535": udp(SOURCE, DNS, b"query", length=65535),
    "icmp-of-4-bytes": ipv4(CLIENT, VIP, ICMP, b"\3\4\0\0"),
    "icmp-without-inner": error_about(b""),
    "icmp-inner-of-19-bytes": error_about(ipv4(VIP, CLIENT, UDP, QUERY)[:19]),
    "icmp-inner-without-ports": error_about(ipv4(VIP, CLIENT, UDP, QUERY)[:27]),
    "icmp-inner-version-6": error_about(ipv4(VIP, CLIENT, UDP, QUERY, version=6)),
    "icmp-inner-ihl-4": error_about(ipv4(VIP, CLIENT, UDP, QUERY, ihl=4)),
    "icmp-inner-ihl-15": error_about(ipv4(VIP, CLIENT, UDP, QUERY, ihl=15)),
}

# The kernel drops these before any hook.
KERNELS = {
    "ip-version-5": ipv4(CLIENT, VIP, UDP, QUERY, version=5),
    "ip-ihl-4": ipv4(CLIENT, VIP, UDP, QUERY, ihl=4),
    "ip-ihl-15": ipv4(CLIENT, VIP, UDP, QUERY, ihl=15),
    "ip-total-length-19": ipv4(CLIENT, VIP, UDP, QUERY, total_len=19),
    "ip-total-length-over": ipv4(CLIENT, VIP, UDP, QUERY, total_len=600),
    "ip-checksum": ipv4(CLIENT, VIP, UDP, QUERY)[:10] + b"\0\0" + ipv4(CLIENT, VIP, UDP, QUERY)[12:],
}

# Odd, but nothing in them lies.
FINE = {
    "udp-padded": udp(SOURCE, DNS, b"query") + b"\0" * 18,
    "udp-with-a-trailer": ipv4(CLIENT, VIP, UDP, QUERY + b"trailer"),
    "udp-of-8-bytes": udp(SOURCE, DNS),
    "tcp-doff-15-complete": tcp(SOURCE, WEB, 2, options=b"\1" * 40),
    "tcp-all-flags-but-rst": tcp(SOURCE, WEB, 0xFB),
}


def has_reached(wire):
    return [name for name, tap in wire.real.items()
            for _ in tap.drain(lambda seen: seen.destination == VIP)]


@pytest.mark.parametrize("name", OURS)
def test_a_lie_is_dropped_and_counted(rvs, wire, name):
    add_services(rvs)
    before = rvs.counters()
    wire.clear()
    wire.send(OURS[name])
    wire.settle()
    assert has_reached(wire) == []
    counted(rvs, before, drop_malformed=1)
    assert rvs.counters()["conns_now"] == 0


def test_what_the_kernel_drops_itself_goes_nowhere(rvs, wire):
    add_services(rvs)
    before = rvs.counters()
    wire.clear()
    wire.send(*KERNELS.values())
    wire.settle()
    assert has_reached(wire) == []
    counted(rvs, before)
    assert rvs.counters()["conns_now"] == 0


@pytest.mark.parametrize("name", FINE)
def test_an_odd_packet_goes_through(rvs, wire, name):
    add_services(rvs)
    before = rvs.counters()
    wire.clear()
    wire.send(FINE[name])
    wire.settle()
    assert len(has_reached(wire)) == 1
    counted(rvs, before)


def test_lies_to_an_address_without_services_are_not_ours(rvs, wire):
    rvs.add(Service([("192.168.56.101", 1)], protocol="udp", port=53, vip="203.0.113.99"))
    before = rvs.counters()
    wire.send(*OURS.values())
    wire.settle()
    counted(rvs, before)


def test_nothing_is_logged_per_packet(rvs, wire):
    add_services(rvs)
    rvs.adm("config", "set", "--conn-max", 1)
    log = KernelLog()
    for _ in range(20):
        wire.send(*OURS.values())
        wire.send(*(udp((CLIENT, 4100 + i), DNS) for i in range(5)))
    wire.settle()
    assert rvs.counters()["drop_malformed"] == 20 * len(OURS)
    assert log.read() == []
    log.close()


@pytest.mark.parametrize("size", [8, 16])
def test_a_tcp_header_in_two_fragments_is_read(rvs, wire, size):
    """The header is not in the linear part after reassembly."""
    add_services(rvs)
    packet = tcp(SOURCE, WEB, 2, options=b"\2\4\5\xb4", data=b"", ident=31 + size)
    wire.clear()
    wire.send(*fragments(packet, size))
    wire.settle()
    seen = [s for tap in wire.real.values() for s in tap.drain(lambda s: s.destination == VIP)]
    assert [s.payload for s in seen] == [packet[20:]]
    assert [c["state"] for c in rvs.connections()] == ["syn-recv"]


def test_a_lie_in_fragments_is_found_behind_them(rvs, wire):
    add_services(rvs)
    before = rvs.counters()
    wire.clear()
    wire.send(*fragments(tcp(SOURCE, WEB, 2, b"x" * 20, offset=15, ident=91), 16))
    wire.settle()
    assert has_reached(wire) == []
    counted(rvs, before, drop_malformed=1)


def _mended(packet):
    """PACKET with its IP header's checksum right, if it has a header."""
    length = (packet[0] & 15) * 4 if packet else 0
    if length < 20 or len(packet) < length:
        return packet
    head = packet[:10] + b"\0\0" + packet[12:length]
    return packet[:10] + checksum(head).to_bytes(2, "big") + packet[12:]


def _fuzzed(random_):
    """One packet to the virtual address, wrong in a few places."""
    base = random_.choice([
        lambda: tcp((CLIENT, random_.randrange(65536)), WEB, random_.randrange(256),
                    random_.randbytes(random_.randrange(60))),
        lambda: udp((CLIENT, random_.randrange(65536)), DNS,
                    random_.randbytes(random_.randrange(60))),
        lambda: error_about(udp(DNS, (CLIENT, random_.randrange(65536)), b"12345678")),
        lambda: ipv4(CLIENT, VIP, random_.randrange(256),
                     random_.randbytes(random_.randrange(80))),
        lambda: udp(SOURCE, DNS, random_.randbytes(64), ident=random_.randrange(8),
                    fragment=random_.choice([MF, MF | 1, 1, 9, 8191, DF | MF]),
                    options=random_.choice([b"", random_.randbytes(4), random_.randbytes(40)])),
    ])()
    packet = bytearray(base)
    for _ in range(random_.randrange(4)):
        at = random_.randrange(len(packet))
        # The destination stays, or the packet is not for us at all.
        if not 16 <= at < 20:
            packet[at] = random_.randrange(256)
    if random_.random() < 0.2:
        del packet[random_.randrange(20, len(packet) + 1):]
    if random_.random() < 0.3:
        # As short as it says, so that the kernel lets it pass.
        packet[2:4] = len(packet).to_bytes(2, "big")
    return _mended(bytes(packet))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_packets_do_no_harm(rvs, wire, seed):
    add_services(rvs)
    random_ = random.Random(seed)
    for _ in range(20):
        wire.send(*(_fuzzed(random_) for _ in range(100)))
        wire.settle()
        wire.clear()
    now = rvs.counters()
    # The fuzz is worth something: packets of all sorts came through to us.
    assert now["drop_malformed"] > 50 and now["conns_now"] > 50, now
    flow = udp((CLIENT, 4242), DNS, b"still there?")
    wire.send(flow, flow)
    wire.settle()
    assert len(has_reached(wire)) == 2
