# SPDX-License-Identifier: GPL-2.0
"""Tunnels made by ipvsadm: its lists, and the bytes that reach the real server, from ip_vs and from RVS."""

import contextlib
import itertools
import socket

import pytest
from lab import six as v6
from lab import topology
from lab.capture import Capture
from lab.compat import STOCK, differences, ipvsadm, load, unload
from lab.netns import wait_until

GUE = "--tun-type gue --tun-port 6080"
KINDS = {
    "ipip": "", "gre": "--tun-type gre", "gre-csum": "--tun-type gre --tun-csum", "gue": GUE,
    "gue-nocsum": f"{GUE} --tun-nocsum", "gue-csum": f"{GUE} --tun-csum",
    "gue-remcsum": f"{GUE} --tun-remcsum",
}
# Each has a service of its own: address family of the packet, of the tunnel, and its kind.
TUNNELS = [(inner, outer, kind) for inner in "46" for outer in "46" for kind in KINDS]
LISTS = ["-Ln", "-Ln --tun-info", "-Sn"]


@pytest.fixture(name="quiet")
def _quiet(six):
    """The lab; rs1 takes nothing out of tunnels, and says nothing of what it does not take."""
    six.lab.real["rs1"].run(
        "nft", "add table inet quiet; add chain inet quiet in "
        "{ type filter hook input priority 0; policy drop; }; "
        "add rule inet quiet in meta l4proto { icmp, ipv6-icmp } accept")
    # With one, what only the first packet does is done: neighbours are known.
    for address in (six.lab.addresses["rs1"], six.addresses["rs1"]):
        six.director.run("ping", "-c", "1", address)
    for address in (topology.DIRECTOR, v6.DIRECTOR):
        six.client.run("ping", "-c", "1", address)
    yield six
    six.director.run("ipvsadm", "-C", check=False)
    unload()


def service(number, inner):
    """Of the tunnel with that number."""
    return f"-u {topology.VIP}:{7000 + number}" if inner == "4" else f"-u [{v6.VIP}]:{7000 + number}"


def send(six, number, inner, summed):
    """One datagram into that tunnel, from a port that does not change."""
    kind, vip = (socket.AF_INET, topology.VIP) if inner == "4" else (socket.AF_INET6, v6.VIP)
    with six.client.inside(), socket.socket(kind, socket.SOCK_DGRAM) as udp:
        if not summed:
            udp.setsockopt(socket.SOL_SOCKET, 11, 1)  # SO_NO_CHECK
        udp.bind(("", 33_000))
        udp.sendto(f"datagram {number}".encode() * (number + 1), (vip, 7000 + number))


def send_until_seen(six, capture, datagram):
    """One packet more is seen. On a busy host one may get lost while neighbours are looked for."""
    before = capture.count()
    for _ in range(5):
        send(six, *datagram)
        with contextlib.suppress(AssertionError):
            return wait_until(lambda: capture.count() > before, "it came", seconds=3, step=0.05)
    raise AssertionError(f"nothing came of {datagram}")


def packets(capture):
    """Bytes of each packet from the IP header on, in the order of their services."""
    found, lines = [], capture.lines
    for line in lines:
        if line.startswith("\t"):
            found[-1] += bytes.fromhex("".join(line.split(":", 1)[1].split()))
        else:
            found.append(b"")
    return found


def masked(packet):
    """What two directors need not share: ids, sums over those, and the source port of GUE."""
    hidden, at = set(), 0

    def ip(at):
        """Hides what is free in an IP header; where its payload is, and of what kind."""
        if packet[at] >> 4 == 6:
            return at + 40, packet[at + 6]
        hidden.update(range(at + 4, at + 6), range(at + 10, at + 12))
        return at + 4 * (packet[at] & 15), packet[at + 9]

    at, protocol = ip(0)
    if protocol == 47:
        summed = packet[at] & 0x80
        if summed:
            hidden.update(range(at + 4, at + 6))
        at += 8 if summed else 4
    elif protocol == 17:
        hidden.update(range(at, at + 2))
        if packet[at + 6:at + 8] != b"\0\0":
            hidden.update(range(at + 6, at + 8))
        at += 8 + 4 + 4 * (packet[at + 8] & 31)
    ip(at)
    return bytes(0xEE if i in hidden else byte for i, byte in enumerate(packet)).hex(" ", 2)


def script(six, name):
    """Services and dests, the packets that rs1 saw, all lists."""
    load(name)
    said = []
    for number, (inner, outer, kind) in enumerate(TUNNELS):
        of = service(number, inner)
        dest = six.lab.addresses["rs1"] if outer == "4" else f"[{six.addresses['rs1']}]"
        said.append(ipvsadm(six.director, f"-A {of} -s rr"))
        said.append(ipvsadm(six.director, f"-a {of} -r {dest}:{7000 + number} -i {KINDS[kind]}"))
    own = f"(ip dst {six.lab.addresses['rs1']} or ip6 dst {six.addresses['rs1']}) and not icmp and not icmp6"
    with Capture(six.real["rs1"], "eth0", own, options=("-x",)) as capture:
        for number, (inner, *_) in enumerate(TUNNELS):
            for summed in (True, False) if inner == "4" else (True,):
                send_until_seen(six, capture, (number, inner, summed))
    said += [ipvsadm(six.director, line) for line in LISTS]
    six.director.run("ipvsadm", "-C")
    unload()
    seen = [packet for packet, _ in itertools.groupby(map(masked, packets(capture)))]
    assert len(seen) == sum(2 if inner == "4" else 1 for inner, *_ in TUNNELS)
    return [(line, status, sorted(out.splitlines()), err) for line, status, out, err in said], \
        seen


def test_lists_and_packets_are_those_of_ip_vs(quiet):
    (expected, theirs), (found, ours) = script(quiet, STOCK), script(quiet, "rvs")
    unlike = differences(expected, found)
    assert not unlike, "\n".join(f"ip_vs: {a}\nRVS:   {b}" for a, b in unlike)
    unlike = [(a, b) for a, b in zip(theirs, ours) if a != b]
    assert not unlike, "\n".join(f"ip_vs: {a}\nRVS:   {b}" for a, b in unlike)
