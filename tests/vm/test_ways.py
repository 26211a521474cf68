# SPDX-License-Identifier: GPL-2.0
"""Ways are found again, shared between equals only, and hold no neighbour that nobody needs."""

import contextlib
import socket

import pytest
from lab import six as ipv6
from lab.director import Service
from lab.netns import wait_until
from lab.topology import DIRECTOR, ROUTER, VIP
from lab.transfer import UdpEcho

IP_TRANSPARENT = 19
PORT = 5353

# On the director's LAN, beside its hosts.
NEAR = [f"10.60.{1 + number // 200}.{1 + number % 200}" for number in range(400)]
NOBODY = [f"192.168.56.{20 + number}" for number in range(40)]


@pytest.fixture(name="echo")
def _echo(lab, rvs):
    """A NAT service of the first real server, which answers to clients on the LAN through it."""
    lab.prepare_nat()
    server = lab.real["rs1"]
    server.ip(f"route add 10.60.0.0/16 via {DIRECTOR}", f"route add 192.168.56.0/26 via {DIRECTOR}")
    lab.director.ip("addr add 10.60.0.1/16 dev eth0")
    rvs.add(Service([(lab.addresses["rs1"], 1)], mode="nat", port=PORT, protocol="udp"))
    with contextlib.closing(UdpEcho(server, PORT)) as echo:
        yield echo


def client_at(host, address):
    """A socket of HOST that asks the service from ADDRESS, which may be nobody's."""
    with host.inside():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_IP, IP_TRANSPARENT, 1)
    s.settimeout(10)
    s.bind((address, 0))
    s.connect((VIP, PORT))
    return s


def count(rvs, name):
    return rvs.json("stats", "show")["counters"][name]


def test_many_clients_on_the_directors_network_keep_their_ways(lab, rvs, echo):
    near = lab.real["rs2"]
    near.ip(*(f"addr add {address}/16 dev eth0" for address in NEAR), f"route add {VIP}/32 via {DIRECTOR}")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(client_at(near, address)) for address in NEAR]

        def round_trip():
            for first in range(0, len(clients), 40):
                some = clients[first : first + 40]
                for client in some:
                    client.send(b"x")
                for client in some:
                    client.recv(100)

        # Neighbours are found in the first round, ways kept in the second.
        round_trip()
        round_trip()
        before = count(rvs, "route_refreshes")
        for _ in range(3):
            round_trip()
        # Some hundred for ever when two clients drive each other out.
        assert count(rvs, "route_refreshes") - before <= len(NEAR) // 40


def test_neighbours_that_do_not_answer_are_not_held(lab, rvs, echo):
    near = lab.real["rs2"]
    near.ip(f"route add {VIP}/32 via {DIRECTOR}")
    lab.director.sysctl(ipv4__neigh__eth0__retrans_time_ms=20, ipv4__neigh__eth0__mcast_solicit=1)
    # Dests too.
    rvs.add(Service([("192.168.56.250", 1)], mode="dr", port=PORT + 1, protocol="udp"))
    with client_at(near, lab.addresses["rs2"]) as dead:
        dead.connect((VIP, PORT + 1))
        for _ in range(3):
            dead.send(b"x")
    for address in NOBODY:
        with client_at(near, address) as client:
            client.send(b"x")
    def asked_for():
        return {line.split()[0] for line in neighbours(lab.director) if "FAILED" in line}

    wait_until(lambda: {*NOBODY, "192.168.56.250"} <= asked_for(), "nobody answers")
    # The connections are still there.
    lab.director.ip("neigh flush nud failed")
    wait_until(lambda: not asked_for(), "neighbours that nobody holds are gone")
    assert len(rvs.json("conn", "list")["connections"]) == len(NOBODY) + 1


def neighbours(host):
    shown = host.run("ip", "-4", "neigh", "show", "dev", "eth0").stdout.splitlines()
    return [line for line in shown if line]


def test_without_connections_no_neighbour_is_held(lab, rvs, echo):
    near = lab.real["rs2"]
    near.ip(f"route add {VIP}/32 via {DIRECTOR}", f"addr add {NEAR[0]}/16 dev eth0")
    with client_at(near, NEAR[0]) as client:
        for _ in range(3):
            client.send(b"x")
            client.recv(100)

    def flushed():
        lab.director.ip("neigh flush dev eth0")
        # Whoever is not flushed is held; such a one has failed.
        return not [line for line in neighbours(lab.director) if "FAILED" in line]

    assert len(neighbours(lab.director)) >= 2
    rvs.adm("conn", "flush")
    wait_until(flushed, "ways are gone with the connections", seconds=10, step=0.3)
    # And are found again.
    with client_at(near, NEAR[0]) as client:
        client.send(b"y")
        assert client.recv(100) == b"rs1 y"


@pytest.mark.parametrize("first", ["narrow", "wide"])
@pytest.mark.parametrize("version", [4, 6])
def test_a_route_of_one_client_is_not_anothers(lab, rvs, version, first, request):
    here, vip, via, addresses = lab, VIP, ROUTER, lab.addresses
    narrow, wide, bits = "198.51.100.2", "198.51.100.3", 32
    if version == 6:
        here = request.getfixturevalue("six")
        vip, via, addresses, bits = ipv6.VIP, ipv6.ROUTER, here.addresses, 128
        narrow, wide = ipv6.CLIENT, "2001:db8:100::3"
    here.prepare_nat()
    mtu = 600 if version == 4 else 1280
    lab.client.ip(f"addr add {wide}/{24 if version == 4 else 64} dev eth0" + (" nodad" if version == 6 else ""))
    lab.director.ip(f"route add {narrow}/{bits} via {via} mtu {mtu}")
    rvs.add(Service([(addresses["rs1"], 1)], mode="nat", port=PORT, protocol="udp", vip=vip))
    family = socket.AF_INET6 if version == 6 else socket.AF_INET

    def client(address):
        with lab.client.inside():
            s = socket.socket(family, socket.SOCK_DGRAM)
        s.settimeout(10)
        s.bind((address, 0))
        s.connect((vip, PORT))
        return s

    def too_big():
        return count(rvs, "drop_too_big")

    with contextlib.closing(UdpEcho(lab.real["rs1"], PORT, "::" if version == 6 else "0.0.0.0")), \
            client(narrow) as small, client(wide) as large:
        for one in (small, large) if first == "narrow" else (large, small):
            one.send(b"x")
            one.recv(100)
        large.send(b"x" * 1400)
        assert len(large.recv(2000)) == 1404
        assert too_big() == 0
        small.send(b"x" * 1400)
        wait_until(lambda: too_big() == 1, "the narrow route refuses what is too big")
