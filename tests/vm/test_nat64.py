# SPDX-License-Identifier: GPL-2.0
"""IPv6 clients of real servers that have IPv4 addresses only."""

import contextlib
import socket

import pytest
from lab.capture import Capture
from lab.director import Service
from lab.fullnat import LOCALS
from lab.six import CLIENT, VIP
from lab.transfer import LONG, UdpEcho, ask, both_ways
from lab.web import get, sequence

MEGABYTE = 1 << 20


@pytest.fixture(name="director")
def _director(six, fullnat):  # pylint: disable=unused-argument
    return fullnat


def one(six, port, protocol="tcp"):
    """An IPv6 service whose only dest is rs1's IPv4 address."""
    dests = [(six.lab.addresses["rs1"], 1)]
    return Service(dests, mode="fullnat", vip=VIP, port=port, protocol=protocol)


@pytest.mark.usefixtures("web")
def test_requests_are_served_in_turn(six, director):
    dests = [(address, 1) for address in six.lab.addresses.values()]
    director.add(Service(dests, mode="fullnat", vip=VIP))
    served = sequence(six.client, VIP, 6)
    assert served[:3] * 2 == served and sorted(served[:3]) == ["rs1", "rs2", "rs3"]
    assert {line[0] for line in six.web["rs1"].log()} <= set(LOCALS)


@pytest.mark.usefixtures("web")
def test_both_families_share_a_real_server(six, director):
    dests = [(six.addresses["rs1"], 1), (six.lab.addresses["rs2"], 1)]
    director.adm("laddr", "del", "--default", *LOCALS)
    six.prepare_fullnat(director)
    director.adm("laddr", "add", "--default", *LOCALS)
    service = Service(dests, mode="fullnat", vip=VIP)
    director.add(service)
    served = sequence(six.client, VIP, 4)
    assert sorted(served) == ["rs1", "rs1", "rs2", "rs2"]


@pytest.mark.parametrize("gro", ["on", "off"])
def test_a_long_transfer_each_way(six, director, gro):
    for host in (six.director, six.client, six.real["rs1"]):
        host.run("ethtool", "-K", "eth0", "gro", gro, "gso", gro, "tso", gro)
    director.add(one(six, 5000))
    assert both_ways(six.client, six.real["rs1"], VIP, 5000, LONG) in LOCALS


def test_a_transfer_of_summed_packets(six, director):
    """Without offload: the real server and the client check every sum that the director mended."""
    for host in (six.client, six.real["rs1"]):
        host.run("ethtool", "-K", "eth0", "tx", "off", "gro", "off")
    director.add(one(six, 5000))
    both_ways(six.client, six.real["rs1"], VIP, 5000, MEGABYTE)


@pytest.mark.parametrize("timestamps", [1, 0])
def test_a_transfer_with_loss_and_reordering(six, director, timestamps):
    six.client.sysctl(ipv4__tcp_timestamps=timestamps)
    for host in (six.client, six.real["rs1"]):
        host.run("ethtool", "-K", "eth0", "gro", "off", "gso", "off", "tso", "off")
    six.director.run("modprobe sch_netem")
    six.director.run("tc qdisc add dev eth0 root netem loss 1% delay 1ms reorder 5%")
    director.add(one(six, 5000))
    both_ways(six.client, six.real["rs1"], VIP, 5000, MEGABYTE)


def test_udp_goes_and_comes(six, director):
    director.add(one(six, 5353, "udp"))
    with contextlib.closing(UdpEcho(six.real["rs1"], 5353)) as echo:
        assert ask(six.client, VIP, 5353, b"hello") == b"rs1 hello"
        assert echo.peers[0][0] in LOCALS


@pytest.mark.parametrize("tx", ["on", "off"])
def test_an_unsummed_answer_gets_a_checksum(six, director, tx):
    """IPv6 takes no datagrams without."""
    six.director.run("ethtool", "-K", "eth0", "tx", tx)
    director.add(one(six, 5353, "udp"))
    with six.real["rs1"].inside():
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.setsockopt(socket.SOL_SOCKET, 11, 1)  # SO_NO_CHECK
    server.bind(("0.0.0.0", 5353))
    server.settimeout(10)
    with six.client.inside():
        client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    client.settimeout(10)
    with server, client:
        client.sendto(b"hello", (VIP, 5353))
        _, peer = server.recvfrom(100)
        server.sendto(b"an odd number", peer)
        assert client.recv(100) == b"an odd number"


def test_datagrams_in_fragments(six, director):
    director.add(one(six, 5353, "udp"))
    data = bytes(range(256)) * 20
    with contextlib.closing(UdpEcho(six.real["rs1"], 5353)):
        assert ask(six.client, VIP, 5353, data) == b"rs1 " + data


def test_a_closed_port_is_told_the_client(six, director):
    director.add(one(six, 5353, "udp"))
    with pytest.raises(ConnectionRefusedError):
        ask(six.client, VIP, 5353)


def test_a_narrow_path_to_the_client(six, director):
    """A router's "packet too big" reaches the dest as an IPv4 error about its own packet."""
    director.add(one(six, 5000))
    six.router.ip(f"route add {CLIENT}/128 dev wan mtu 1300")
    with Capture(six.real["rs1"], "eth0", "icmp") as capture:
        both_ways(six.client, six.real["rs1"], VIP, 5000, MEGABYTE)
    assert any("need to frag (mtu 1280)" in line for line in capture.lines), capture.lines


def test_a_narrow_path_to_the_real_server(six, director):
    """The director says "packet too big" itself."""
    director.add(one(six, 5353, "udp"))
    six.director.ip("route add 192.168.56.101/32 dev eth0 mtu 1320")
    with six.client.inside():
        s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with s, Capture(six.client, "eth0", "icmp6 and ip6[40]==2") as capture:
        s.connect((VIP, 5353))
        s.setsockopt(socket.IPPROTO_IPV6, 23, 2)  # IPV6_MTU_DISCOVER, always
        s.settimeout(1)
        s.send(bytes(1400))
        with pytest.raises(OSError):
            for _ in range(3):
                s.recv(1)
    assert any("packet too big, mtu 1320" in line for line in capture.lines), capture.lines


@pytest.mark.usefixtures("web")
def test_the_option_carries_the_ipv6_address(six, director):
    """What toa.ko makes of it, test_toa tells."""
    director.add(one(six, 80))
    expression = "tcp dst port 80 and tcp[12]&0xf0>0x50"
    with Capture(six.real["rs1"], "eth0", expression, options=("-x",)) as capture:
        get(six.client, VIP, source_port=41000)
    packets = "".join(line.split(":", 1)[1] for line in capture.lines if "0x" in line)
    address = socket.inet_pton(socket.AF_INET6, CLIENT).hex()
    assert "fe14a028" + address in packets.replace(" ", ""), capture.lines


@pytest.mark.usefixtures("web")
def test_connections_are_listed_and_ended(six, director):
    director.add(one(six, 80))
    get(six.client, VIP, source_port=41000)
    listed = director.json("conn", "list")["connections"]
    assert [one["client"] for one in listed] == [f"[{CLIENT}]:41000"], listed
    assert listed[0]["dest"] == "192.168.56.101:80"
    director.flush()
    six.director.run("rmmod rvs")
