# SPDX-License-Identifier: GPL-2.0
"""Services and real servers with IPv6 addresses, in every mode."""

import contextlib
import socket

import pytest
from lab import shell
from lab.capture import Capture
from lab.director import Service
from lab.six import CLIENT, DIRECTOR, LOCALS, VIP
from lab.transfer import LONG, UdpEcho, ask, both_ways
from lab.web import get, sequence

MODES = ["dr", "nat", "fullnat"]
MEGABYTE = 1 << 20


def everyone(six, mode, **more):
    """A service with all real servers."""
    return Service([(a, 1) for a in six.addresses.values()], mode=mode, vip=VIP, **more)


def one(six, mode, port, protocol="tcp"):
    """A service whose only dest is rs1."""
    return Service([(six.addresses["rs1"], 1)], mode=mode, vip=VIP, port=port, protocol=protocol)


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize("mode", MODES)
def test_requests_are_served_in_turn(six, rvs, mode):
    six.prepare(mode, rvs)
    rvs.add(everyone(six, mode))
    served = sequence(six.client, VIP, 6)
    assert served[:3] * 2 == served and sorted(served[:3]) == ["rs1", "rs2", "rs3"]
    seen = {line[0] for line in six.web["rs1"].log()}
    assert seen <= set(LOCALS) if mode == "fullnat" else seen == {CLIENT}


@pytest.mark.parametrize("gro", ["on", "off"])
@pytest.mark.parametrize("mode", MODES)
def test_a_long_transfer_each_way(six, rvs, mode, gro):
    six.prepare(mode, rvs)
    for host in (six.director, six.client, six.real["rs1"]):
        host.run("ethtool", "-K", "eth0", "gro", gro, "gso", gro, "tso", gro)
    rvs.add(one(six, mode, 5000))
    seen = both_ways(six.client, six.real["rs1"], VIP, 5000, LONG, "::")
    assert seen in (LOCALS if mode == "fullnat" else [CLIENT])


@pytest.mark.parametrize("mode", ["nat", "fullnat"])
def test_a_transfer_of_summed_packets(six, rvs, mode):
    """Without offload: the real server and the client check every sum that the director mended."""
    six.prepare(mode, rvs)
    for host in (six.client, six.real["rs1"]):
        host.run("ethtool", "-K", "eth0", "tx", "off", "gro", "off")
    rvs.add(one(six, mode, 5000))
    both_ways(six.client, six.real["rs1"], VIP, 5000, MEGABYTE, "::")


@pytest.mark.parametrize("mode", MODES)
def test_udp_goes_and_comes(six, rvs, mode):
    six.prepare(mode, rvs)
    rvs.add(one(six, mode, 5353, "udp"))
    address = VIP if mode == "dr" else "::"
    with contextlib.closing(UdpEcho(six.real["rs1"], 5353, address)) as echo:
        assert ask(six.client, VIP, 5353, b"hello") == b"rs1 hello"
        assert echo.peers[0][0] in (LOCALS if mode == "fullnat" else [CLIENT])


@pytest.mark.parametrize("mode", MODES)
def test_datagrams_in_fragments(six, rvs, mode):
    """They are put together for the look-up and leave in fragments again."""
    six.prepare(mode, rvs)
    rvs.add(one(six, mode, 5353, "udp"))
    address = VIP if mode == "dr" else "::"
    data = bytes(range(256)) * 20
    with contextlib.closing(UdpEcho(six.real["rs1"], 5353, address)):
        assert ask(six.client, VIP, 5353, data) == b"rs1 " + data


@pytest.mark.parametrize("mode", MODES)
def test_a_closed_port_is_told_the_client(six, rvs, mode):
    """An ICMP error of the real server reaches the client as one about its own packet."""
    six.prepare(mode, rvs)
    rvs.add(one(six, mode, 5353, "udp"))
    with pytest.raises(ConnectionRefusedError):
        ask(six.client, VIP, 5353)


@pytest.mark.parametrize("mode", ["nat", "fullnat"])
def test_a_narrow_path_to_the_client(six, rvs, mode):
    """A router's "packet too big" about the dest's packet reaches the dest."""
    six.prepare(mode, rvs)
    rvs.add(one(six, mode, 5000))
    six.router.ip(f"route add {CLIENT}/128 dev wan mtu 1300")
    with Capture(six.real["rs1"], "eth0", "icmp6 and ip6[40]==2") as capture:
        both_ways(six.client, six.real["rs1"], VIP, 5000, MEGABYTE, "::")
    assert any("packet too big, mtu 1300" in line for line in capture.lines), capture.lines


@pytest.mark.parametrize("mode", MODES)
def test_a_narrow_path_to_the_real_servers(six, rvs, mode):
    """The director says "packet too big" itself."""
    six.prepare(mode, rvs)
    rvs.add(one(six, mode, 5353, "udp"))
    six.director.ip("route add 2001:db8:56::101/128 dev eth0 mtu 1300")
    with six.client.inside():
        s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with s, Capture(six.client, "eth0", "icmp6 and ip6[40]==2") as capture:
        s.connect((VIP, 5353))
        s.setsockopt(socket.IPPROTO_IPV6, 23, 2)  # IPV6_MTU_DISCOVER, always
        s.send(bytes(1400))
        with pytest.raises(OSError):
            for _ in range(3):
                s.settimeout(1)
                s.recv(1)
                s.send(bytes(1400))
    assert any("packet too big, mtu 1300" in line for line in capture.lines), capture.lines


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize("mode", ["nat", "fullnat"])
def test_a_program_on_the_director_gets_through(six, rvs, mode):
    six.prepare(mode, rvs)
    rvs.add(one(six, mode, 80))
    assert get(six.director, VIP) == "rs1"


def test_no_dest_is_answered(six, rvs):
    rvs.add(Service([], vip=VIP, port=5353, protocol="udp"))
    with pytest.raises(ConnectionRefusedError):
        ask(six.client, VIP, 5353)


@pytest.mark.usefixtures("web")
def test_connections_are_listed_and_saved(six, rvs):
    six.prepare("fullnat", rvs)
    rvs.add(one(six, "fullnat", 80))
    get(six.client, VIP, source_port=41000)
    listed = [one for one in rvs.json("conn", "list")["connections"] if one["client"].endswith("]:41000")]
    assert [one["client"] for one in listed] == [f"[{CLIENT}]:41000"], listed
    saved = rvs.adm("save").stdout
    assert f"-A -t [{VIP}]:80 -s rr" in saved and f"#rvsadm laddr {LOCALS[0]}" in saved, saved
    rvs.adm("restore", "-", stdin=saved)
    assert get(six.client, VIP) == "rs1"


@pytest.mark.usefixtures("web")
def test_both_families_at_once(six, rvs):
    six.prepare("nat", rvs)
    six.lab.prepare_nat()
    rvs.add(one(six, "nat", 80))
    rvs.add(Service([(six.lab.addresses["rs2"], 1)], mode="nat"))
    assert get(six.client, VIP) == "rs1"
    assert get(six.client, "203.0.113.10") == "rs2"
    assert get(six.client, VIP) == "rs1"


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize("mode", MODES)
def test_the_servers_go_on_when_their_dest_leaves(six, rvs, mode):
    """A dest's removal, and the namespace's end, with connections there."""
    six.prepare(mode, rvs)
    rvs.add(everyone(six, mode))
    for _ in range(3):
        get(six.client, VIP)
    rvs.flush()
    six.director.run("rmmod rvs")


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize("mode, options", [
    ("dr", ("--vip", VIP)), ("nat", ("--director", DIRECTOR)),
])
def test_rvsadm_sets_real_servers_up(six, rvs, mode, options, tmp_path):
    host = six.real["rs1"]
    def state():
        return [host.run("ip", "-6", *what).stdout for what in (
            ("-br", "addr", "show", "dev", "lo"), ("route", "show"))]
    before = state()
    rvs.add(one(six, mode, 80))
    where = ("--state-dir", tmp_path)
    host.run("rvsadm", "rs", "setup", "--mode", mode, *options, *where)
    assert get(six.client, VIP) == "rs1"
    again = host.run("rvsadm", "rs", "setup", "--mode", mode, *options, *where).stdout
    assert "nothing to change" in again
    host.run("rvsadm", "rs", "undo", *where)
    assert state() == before


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize("gro", ["on", "off"])
def test_unmodified_programs_see_the_client(six, rvs, gro):
    """The address goes along in an option of 20 bytes, beside timestamps."""
    shell.modprobe("toa")
    six.prepare("fullnat", rvs)
    for host in (six.director, six.client, six.real["rs1"]):
        host.run("ethtool", "-K", "eth0", "gro", gro, "gso", gro, "tso", gro)
    six.real["rs1"].run("rvsadm", "toa", "trust", "add", "2001:db8:56::200/120")
    rvs.add(one(six, "fullnat", 80))
    for port in range(41000, 41020):
        get(six.client, VIP, source_port=port)
    seen = [line[:2] for line in six.web["rs1"].log()]
    assert seen == [[CLIENT, str(port)] for port in range(41000, 41020)]
    rvs.add(one(six, "fullnat", 5000))
    assert both_ways(six.client, six.real["rs1"], VIP, 5000, MEGABYTE, "::") == CLIENT


def test_the_option_is_with_every_first_segment(six, rvs):
    """Full segments keep their size: the real server's MSS was lowered by 20."""
    shell.modprobe("toa")
    six.prepare("fullnat", rvs)
    six.client.run("ethtool", "-K", "eth0", "gso", "off", "tso", "off")
    six.real["rs1"].run("rvsadm", "toa", "trust", "add", "2001:db8:56::200/120")
    rvs.add(one(six, "fullnat", 5000))
    with Capture(six.client, "eth0", "tcp src port 5000 and ip6[53]&2!=0") as capture:
        seen = both_ways(six.client, six.real["rs1"], VIP, 5000, MEGABYTE, "::")
    assert seen == CLIENT
    assert any("mss 1420" in line for line in capture.lines), capture.lines
