# SPDX-License-Identifier: GPL-2.0
"""NAT: the dest sees its own address, the client the virtual one, both ways through the director."""

import contextlib
import socket

import pytest
from lab.capture import Capture
from lab.director import Service
from lab.netns import wait_until
from lab.topology import CLIENT, DIRECTOR, VIP
from lab.transfer import UdpEcho, ask, both_ways
from lab.web import get, sequence

MEGABYTE = 1 << 20


@pytest.fixture(name="nat")
def _nat(lab, rvs):
    lab.prepare_nat()
    return rvs


def web(lab, **kwargs):
    return Service([(address, 1) for address in lab.addresses.values()], mode="nat", **kwargs)


def one(lab, port, protocol="tcp"):
    return Service([(lab.addresses["rs1"], 1)], mode="nat", port=port, protocol=protocol)


@pytest.mark.usefixtures("web")
def test_requests_are_served_in_ip_vs_s_order(lab, ipvs, nat):
    ipvs.add(web(lab))
    expected = sequence(lab.client, VIP, 9)
    ipvs.flush()
    nat.add(web(lab))
    assert sequence(lab.client, VIP, 9, first_source_port=41000) == expected


@pytest.mark.usefixtures("web")
def test_the_server_sees_the_client(lab, nat):
    nat.add(one(lab, 80))
    get(lab.client, VIP, source_port=42000)
    assert lab.web["rs1"].log()[-1][:3] == [CLIENT, "42000", lab.addresses["rs1"]]


@pytest.mark.usefixtures("web")
def test_the_port_is_translated(lab, nat):
    nat.adm("service", "add", f"tcp/{VIP}:8000", "--scheduler", "rr")
    nat.adm("dest", "add", f"tcp/{VIP}:8000", f"{lab.addresses['rs2']}:80", "--mode", "nat")
    assert get(lab.client, VIP, port=8000) == "rs2"


def test_a_transfer_with_loss_and_reordering(lab, nat):
    lab.director.run("modprobe sch_netem")
    lab.director.run("tc qdisc add dev eth0 root netem loss 1% delay 1ms reorder 5%")
    nat.add(one(lab, 5000))
    both_ways(lab.client, lab.real["rs1"], VIP, 5000, MEGABYTE)


@pytest.mark.parametrize("checksum", [True, False], ids=["summed", "unsummed"])
def test_udp_goes_and_comes(lab, nat, checksum):
    nat.add(one(lab, 5353, "udp"))
    with contextlib.closing(UdpEcho(lab.real["rs1"], 5353)) as echo:
        assert ask(lab.client, VIP, 5353, b"hello", checksum=checksum) == b"rs1 hello"
        assert echo.peers[0][0] == CLIENT


def test_both_directions_are_counted(lab, nat):
    nat.add(one(lab, 5353, "udp"))
    with contextlib.closing(UdpEcho(lab.real["rs1"], 5353)):
        ask(lab.client, VIP, 5353, b"x" * 72)
    stats = nat.json("service", "list")["services"][0]["stats"]
    assert (stats["in_packets"], stats["in_bytes"]) == (1, 100)
    assert (stats["out_packets"], stats["out_bytes"]) == (1, 104)


@pytest.mark.usefixtures("web")
def test_states_follow_both_directions(lab, ipvs, nat):
    """A held connection and a closed one end up in the states ip_vs puts them in."""
    def exchange(base):
        get(lab.client, VIP, source_port=base)
        with lab.client.inside():
            held = socket.socket()
        held.bind(("", base + 1))
        held.connect((VIP, 80))
        return held

    def of_ipvs():
        listed = lab.director.run("ipvsadm", "-Lnc").stdout.splitlines()[2:]
        return sorted(line.split()[2].lower().replace("_", "-") for line in listed)

    def of_rvs():
        return sorted(conn["state"] for conn in nat.json("conn", "list")["connections"])

    expected = ["established", "time-wait"]
    ipvs.add(one(lab, 80))
    with exchange(43000):
        # The last packets of the closed one may still be on their way.
        wait_until(lambda: of_ipvs() == expected, "ip_vs has the states")
    ipvs.flush()
    nat.add(one(lab, 80))
    with exchange(44000):
        wait_until(lambda: of_rvs() == expected, "RVS has the states")


@pytest.mark.usefixtures("web")
def test_what_is_not_a_reply_is_left_alone(lab, nat):
    nat.add(one(lab, 80))
    get(lab.client, VIP)
    with contextlib.closing(UdpEcho(lab.client, 7000)) as echo:
        assert ask(lab.real["rs1"], CLIENT, 7000) == b"client x"
        assert echo.peers[0][0] == lab.addresses["rs1"]


@pytest.mark.usefixtures("web")
def test_a_program_on_the_director_gets_through(lab, nat):
    nat.add(one(lab, 80))
    assert get(lab.director, VIP) == "rs1"


def test_a_dest_on_the_director_itself(lab, nat):
    nat.adm("service", "add", f"udp/{VIP}:5353", "--scheduler", "rr")
    nat.adm("dest", "add", f"udp/{VIP}:5353", f"{DIRECTOR}:6000", "--mode", "nat")
    with contextlib.closing(UdpEcho(lab.director, 6000, address=DIRECTOR)) as echo:
        assert ask(lab.client, VIP, 5353) == b"director x"
        assert echo.peers[0][0] == CLIENT


def test_the_server_learns_the_clients_path_mtu(lab, nat):
    """The router's error about a reply reaches the real server as one about its own packet."""
    lab.router.ip(f"route add {CLIENT}/32 dev wan mtu lock 1280")
    nat.add(one(lab, 5000))
    both_ways(lab.client, lab.real["rs1"], VIP, 5000, MEGABYTE)
    cached = lab.real["rs1"].run("ip", "route", "get", CLIENT).stdout
    assert "mtu 1280" in cached


def test_the_client_learns_that_a_port_is_closed(lab, nat):
    """The real server's error comes from the virtual address, about the client's own packet."""
    nat.add(one(lab, 5353, "udp"))
    with Capture(lab.client, "eth0", "icmp", options=("-v",)) as capture:
        with pytest.raises(ConnectionRefusedError):
            ask(lab.client, VIP, 5353)
    text = "\n".join(capture.lines)
    assert f"{VIP} > {CLIENT}: ICMP {VIP} udp port 5353 unreachable" in text
    assert "bad cksum" not in text and "wrong icmp cksum" not in text


def test_large_datagrams_are_put_together_and_cut_again(lab, nat):
    nat.add(one(lab, 5353, "udp"))
    data = bytes(range(250)) * 16
    with contextlib.closing(UdpEcho(lab.real["rs1"], 5353)):
        assert ask(lab.client, VIP, 5353, data) == b"rs1 " + data


def test_the_time_to_live_goes_down_both_ways(lab, nat):
    nat.add(one(lab, 5353, "udp"))
    with (
        contextlib.closing(UdpEcho(lab.real["rs1"], 5353)),
        Capture(lab.real["rs1"], "eth0", "udp", options=("-v",)) as capture,
        Capture(lab.client, "eth0", "udp", options=("-v",)) as at_client,
    ):
        ask(lab.client, VIP, 5353)
    # Router and director on the way.
    assert "ttl 62," in capture.lines[0]
    assert any("ttl 62," in line for line in at_client.lines)
