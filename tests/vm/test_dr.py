# SPDX-License-Identifier: GPL-2.0
"""Direct routing: only the Ethernet destination changes; the reply goes past the director."""

import socket

import pytest
from lab.capture import Capture
from lab.director import Service
from lab.topology import CLIENT, DIRECTOR, VIP
from lab.web import get


@pytest.mark.usefixtures("web")
def test_server_sees_the_client_and_the_virtual_address(lab, rvs):
    lab.prepare_dr()
    rvs.add(Service([(lab.addresses["rs1"], 1)]))
    assert get(lab.client, VIP, path="/here") == "rs1"
    client, _port, server, path = lab.web["rs1"].log()[-1]
    assert (client, server, path) == (CLIENT, VIP, "/here")


@pytest.mark.usefixtures("web")
def test_packet_is_the_same_but_for_its_ethernet_header(lab, rvs):
    lab.prepare_dr()
    rvs.add(Service([(lab.addresses["rs1"], 1)]))
    options = ("-e", "-v", "-x", "-t")
    expression = f"tcp and src {CLIENT} and tcp[tcpflags] & tcp-syn != 0"
    director, server = lab.director, lab.real["rs1"]
    to_director = f"{expression} and ether dst {director.mac('eth0')}"
    with Capture(director, "eth0", to_director, options) as came:
        with Capture(server, "eth0", expression, options) as went:
            get(lab.client, VIP)
    macs = [lines[0].split(", ")[0] for lines in (came.lines, went.lines)]
    assert macs[0].endswith(director.mac("eth0"))
    assert macs[1] == f"{director.mac('eth0')} > {server.mac('eth0')}"
    # All of the packet but the time to live and its checksum.
    packets = [
        " ".join(line.split(":", 1)[1] for line in lines if line.startswith("\t0x")).split()
        for lines in (came.lines, went.lines)
    ]
    for packet in packets:
        packet[4] = packet[5] = "-"
    assert packets[0] == packets[1]


@pytest.mark.usefixtures("web")
def test_reply_does_not_pass_the_director(lab, rvs):
    lab.prepare_dr()
    rvs.add(Service([(lab.addresses["rs1"], 1)]))
    with Capture(lab.director, "eth0", f"tcp and src {VIP}") as seen:
        assert get(lab.client, VIP) == "rs1"
    assert seen.lines == []


def test_udp_datagram_arrives(lab, rvs):
    lab.prepare_dr()
    rvs.add(Service([(lab.addresses["rs2"], 1)], protocol="udp", port=5353))
    with lab.real["rs2"].inside():
        server = socket.socket(type=socket.SOCK_DGRAM)
    with lab.client.inside():
        client = socket.socket(type=socket.SOCK_DGRAM)
    with server, client:
        server.bind((VIP, 5353))
        server.settimeout(10)
        client.settimeout(10)
        client.sendto(b"ping", (VIP, 5353))
        data, source = server.recvfrom(100)
        assert (data, source[0]) == (b"ping", CLIENT)
        server.sendto(b"pong", source)
        assert client.recvfrom(100) == (b"pong", (VIP, 5353))


def test_large_upload_and_download(lab, rvs):
    """Full segments, not only what fits one packet."""
    lab.prepare_dr()
    rvs.add(Service([(lab.addresses["rs1"], 1)], port=5001))
    lab.real["rs1"].start("iperf3", "-s", "-p", 5001, "-1", "-B", VIP, "-D")
    report = None
    for _ in range(20):
        done = lab.client.run(
            "iperf3", "-c", VIP, "-p", 5001, "-n", "2M", "--connect-timeout", 2000, check=False
        )
        if done.returncode == 0:
            report = done.stdout
            break
    assert report and "2.00 MBytes" in report, done.stderr + done.stdout


@pytest.mark.usefixtures("web")
def test_client_on_the_director_itself(lab, rvs):
    """A program on the director asks the virtual address: its packets are balanced too.

    It needs another source address than the virtual one, and the reply comes from an address
    that the director has itself, which it takes only with accept_local.
    """
    lab.prepare_dr()
    rvs.add(Service([(lab.addresses["rs1"], 1), (lab.addresses["rs2"], 1)]))
    lab.director.sysctl(ipv4__conf__all__accept_local=1)
    seen = {get(lab.director, VIP, source=DIRECTOR) for _ in range(4)}
    assert seen == {"rs1", "rs2"}
