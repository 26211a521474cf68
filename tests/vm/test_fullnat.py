# SPDX-License-Identifier: GPL-2.0
"""FullNAT: the dest sees a local address of the director, the client the virtual one."""

import contextlib
import socket
import time

import pytest
from lab import shell
from lab.capture import Capture
from lab.director import Service
from lab.fullnat import LOCALS, one
from lab.netns import wait_until
from lab.topology import CLIENT, VIP
from lab.transfer import UdpEcho, ask, both_ways
from lab.web import get, sequence

MEGABYTE = 1 << 20


@pytest.mark.usefixtures("web")
def test_requests_are_served_in_turn(lab, fullnat):
    dests = [(address, 1) for address in lab.addresses.values()]
    fullnat.add(Service(dests, mode="fullnat"))
    served = sequence(lab.client, VIP, 9)
    assert served[:3] * 3 == served and sorted(served[:3]) == ["rs1", "rs2", "rs3"]


@pytest.mark.usefixtures("web")
def test_the_server_sees_a_local_address_and_port(lab, fullnat):
    fullnat.add(one(lab, 80))
    for source in range(42000, 42016):
        get(lab.client, VIP, source_port=source)
    seen = [(line[0], int(line[1])) for line in lab.web["rs1"].log()[-16:]]
    assert {address for address, _ in seen} == set(LOCALS)
    assert len(set(seen)) == 16 and all(port >= 5000 for _, port in seen)
    ports = [port for _, port in seen]
    assert sorted(ports) != ports, "whoever sees one port could tell the next"


def test_a_transfer_of_summed_packets(lab, fullnat):
    """Without offload: the real server and the client check every sum that the director mended."""
    for host in (lab.client, lab.real["rs1"]):
        host.run("ethtool", "-K", "eth0", "tx", "off", "gro", "off")
    fullnat.add(one(lab, 5000))
    both_ways(lab.client, lab.real["rs1"], VIP, 5000, MEGABYTE)


@pytest.mark.parametrize("timestamps", [1, 0])
def test_a_transfer_with_loss_and_reordering(lab, fullnat, timestamps):
    """Selective acknowledgments, with and without timestamps beside them."""
    lab.client.sysctl(ipv4__tcp_timestamps=timestamps)
    for host in (lab.client, lab.real["rs1"]):
        host.run("ethtool", "-K", "eth0", "gro", "off", "gso", "off", "tso", "off")
    lab.director.run("modprobe sch_netem")
    lab.director.run("tc qdisc add dev eth0 root netem loss 1% delay 1ms reorder 5%")
    fullnat.add(one(lab, 5000))
    both_ways(lab.client, lab.real["rs1"], VIP, 5000, MEGABYTE)
    retransmitted = lab.client.run("nstat", "-asz", "TcpRetransSegs").stdout
    assert int(retransmitted.split()[-2]) > 0, "nothing was lost: the test shows nothing"


@pytest.mark.parametrize("checksum", [True, False], ids=["summed", "unsummed"])
def test_udp_goes_and_comes(lab, fullnat, checksum):
    fullnat.add(one(lab, 5353, "udp"))
    with contextlib.closing(UdpEcho(lab.real["rs1"], 5353)) as echo:
        assert ask(lab.client, VIP, 5353, b"hello", checksum=checksum) == b"rs1 hello"
        assert echo.peers[0][0] in LOCALS


@pytest.mark.usefixtures("web")
def test_a_program_on_the_director_gets_through(lab, fullnat):
    fullnat.add(one(lab, 80))
    assert get(lab.director, VIP) == "rs1"


@pytest.mark.usefixtures("web")
def test_a_real_server_is_a_client_of_its_own_service(lab, fullnat):
    fullnat.add(one(lab, 80))
    assert get(lab.real["rs1"], VIP) == "rs1"


@pytest.mark.usefixtures("web")
def test_what_is_for_the_local_address_itself_stays_here(lab, fullnat):
    fullnat.add(one(lab, 80))
    get(lab.client, VIP)
    with contextlib.closing(UdpEcho(lab.director, 7000, address=LOCALS[0])):
        assert ask(lab.real["rs1"], LOCALS[0], 7000) == b"director x"


@pytest.mark.usefixtures("web")
def test_sequence_numbers_and_timestamps_are_moved(lab, fullnat):
    """Two clients' worth of clocks become one: each connection's first is later than the last's."""
    fullnat.add(one(lab, 80))
    options = ("-S", "-v")
    match = "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn and port 80"
    with (
        Capture(lab.client, "eth0", match, options=options) as sent,
        Capture(lab.real["rs1"], "eth0", match, options=options) as seen,
    ):
        for source in range(43000, 43006):
            get(lab.client, VIP, source_port=source)

    def numbers(lines, after):
        words = " ".join(lines).replace(",", " ").split()
        return [int(words[i + 1]) for i, word in enumerate(words) if word == after]

    assert len(numbers(seen.lines, "seq")) == 6
    assert not set(numbers(sent.lines, "seq")) & set(numbers(seen.lines, "seq"))
    assert not set(numbers(sent.lines, "val")) & set(numbers(seen.lines, "val"))


@pytest.mark.parametrize("timestamps", [1, 0])
def test_a_port_in_time_wait_at_the_server_is_taken_again(lab, fullnat, timestamps):
    """One local port: each connection finds the last one's TIME_WAIT at the real server."""
    lab.client.sysctl(ipv4__tcp_timestamps=timestamps)
    fullnat.adm("config", "set", "--local-ports", "6000-6000")
    fullnat.adm("laddr", "del", "--default", LOCALS[1])
    fullnat.add(one(lab, 5000))
    server = lab.real["rs1"]
    with server.inside():
        listener = socket.create_server(("0.0.0.0", 5000))
    with listener:
        for _ in range(20):
            with lab.client.inside():
                s = socket.socket()
            s.settimeout(5)
            begun = time.monotonic()
            s.connect((VIP, 5000))
            # A SYN that is refused or taken for an old one is sent again after a second.
            assert time.monotonic() - begun < 0.9
            connection, _peer = listener.accept()
            connection.sendall(b"x" * 1000)
            # Who closes first is in TIME_WAIT: the real server.
            connection.close()
            with s:
                while s.recv(4096):
                    pass
            wait_until(lambda: "TIME-WAIT" in server.run("ss", "-tan").stdout, "TIME_WAIT")
            fullnat.adm("conn", "flush")


def dropped(rvs):
    return rvs.json("stats", "show")["counters"]["drop_no_port"]


def test_no_port_left(lab, fullnat):
    fullnat.adm("config", "set", "--local-ports", "6000-6003")
    fullnat.add(one(lab, 5353, "udp"))
    with contextlib.closing(UdpEcho(lab.real["rs1"], 5353)):
        for _ in range(8):
            ask(lab.client, VIP, 5353)
        before = dropped(fullnat)
        with pytest.raises(ConnectionRefusedError):
            ask(lab.client, VIP, 5353)
        assert dropped(fullnat) == before + 1
        assert fullnat.json("dest", "list")["dests"][0]["no_port"] == 1
        where = f"udp/{VIP}:5353: no local port is free toward {lab.addresses['rs1']}:5353"
        wait_until(lambda: where in shell.run("dmesg").stdout, "the log says so")
        fullnat.adm("conn", "flush")
        ask(lab.client, VIP, 5353)


def test_the_server_learns_the_clients_path_mtu(lab, fullnat):
    """The router's error about a reply reaches the real server as one about its own packet."""
    lab.router.ip(f"route add {CLIENT}/32 dev wan mtu lock 1280")
    fullnat.add(one(lab, 5000))
    local = both_ways(lab.client, lab.real["rs1"], VIP, 5000, MEGABYTE)
    cached = lab.real["rs1"].run("ip", "route", "get", local).stdout
    assert "mtu 1280" in cached


def test_the_client_learns_the_servers_path_mtu(lab, fullnat):
    """An error about a moved segment reaches the client with its own sequence number."""
    lab.director.ip(f"route add {lab.addresses['rs1']}/32 dev eth0 mtu lock 1280")
    fullnat.add(one(lab, 5000))
    both_ways(lab.client, lab.real["rs1"], VIP, 5000, MEGABYTE)
    # What the option's 8 bytes leave of it: the segment was to have them.
    assert "mtu 1272" in lab.client.run("ip", "route", "get", VIP).stdout


def test_the_client_learns_that_a_port_is_closed(lab, fullnat):
    """The real server's error comes from the virtual address, about the client's own packet."""
    fullnat.add(one(lab, 5353, "udp"))
    with Capture(lab.client, "eth0", "icmp", options=("-v",)) as capture:
        with pytest.raises(ConnectionRefusedError):
            ask(lab.client, VIP, 5353)
    text = "\n".join(capture.lines)
    assert f"{VIP} > {CLIENT}: ICMP {VIP} udp port 5353 unreachable" in text
    assert "bad cksum" not in text and "wrong icmp cksum" not in text
