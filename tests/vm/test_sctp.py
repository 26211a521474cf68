# SPDX-License-Identifier: GPL-2.0
"""SCTP, by real sockets: every mode, checksums, ports, states as ip_vs has them."""

import hashlib
import socket

import pytest
from lab import shell
from lab.capture import Capture
from lab.director import Service
from lab.fullnat import LOCALS
from lab.netns import wait_until
from lab.sctp import SCTP, Server, connect, says
from lab.topology import CLIENT, VIP

MODES = ["dr", "nat", "tun", "fullnat"]
DATA = bytes(range(256)) * 4096


@pytest.fixture(name="sctp", autouse=True)
def _sctp():
    shell.modprobe("sctp")


def prepare(lab, rvs, mode):
    if mode == "fullnat":
        lab.director.ip(*(f"addr add {address}/32 dev eth0" for address in LOCALS))
        rvs.adm("laddr", "add", "--default", *LOCALS)
    else:
        getattr(lab, f"prepare_{mode}")()


def exchange(host, address, port, data=DATA):
    with connect(host, address, port) as s:
        s.sendall(len(data).to_bytes(4, "big"))
        for at in range(0, len(data), 8192):
            s.sendall(data[at:at + 8192])
        back = b""
        while len(back) < len(data):
            back += s.recv(65536)
    return hashlib.sha256(back).digest() == hashlib.sha256(data).digest()


def service(lab, mode, port=9000):
    return Service([(lab.addresses["rs1"], 1)], mode=mode, port=port, protocol="sctp")


def listens_on(lab, mode):
    """The one address that the server's association is to have."""
    return VIP if mode in ("dr", "tun") else lab.addresses["rs1"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("offload", ["on", "off"])
def test_a_megabyte_there_and_back(lab, rvs, mode, offload):
    for host in (lab.client, lab.director, lab.real["rs1"]):
        host.run("ethtool", "-K", "eth0", "tx-checksum-sctp", offload, "gso", offload, "gro", offload)
    prepare(lab, rvs, mode)
    rvs.add(service(lab, mode))
    server = Server(lab.real["rs1"], 9000, listens_on(lab, mode))
    assert exchange(lab.client, VIP, 9000)
    server.wait()
    assert server.peer[0] in (LOCALS if mode == "fullnat" else [CLIENT])


@pytest.mark.parametrize("mode", ["nat", "fullnat"])
@pytest.mark.parametrize("offload", ["on", "off"])
def test_the_port_is_translated_and_the_checksum_right(lab, rvs, mode, offload):
    for host in (lab.client, lab.director, lab.real["rs1"]):
        host.run("ethtool", "-K", "eth0", "tx-checksum-sctp", offload, "gso", offload)
    prepare(lab, rvs, mode)
    rvs.adm("service", "add", f"sctp/{VIP}:9000", "--scheduler", "rr")
    rvs.adm("dest", "add", f"sctp/{VIP}:9000", f"{lab.addresses['rs1']}:9001", "--mode", mode)
    server = Server(lab.real["rs1"], 9001, listens_on(lab, mode))
    with Capture(lab.real["rs1"], "eth0", "sctp", options=("-v",)) as capture:
        assert exchange(lab.client, VIP, 9000, DATA[:100_000])
    server.wait()
    assert capture.lines
    bad = lab.real["rs1"].run("cat", "/proc/net/sctp/snmp").stdout
    assert "SctpChecksumErrors" in bad
    errors = [line.split()[1] for line in bad.splitlines() if "SctpChecksumErrors" in line]
    assert errors == ["0"]


@pytest.mark.parametrize("mode", MODES)
def test_the_states_are_those_of_ip_vs(lab, ipvs, rvs, mode):
    """While it is established, and after it was closed."""
    prepare(lab, rvs, mode)
    other = "nat" if mode == "fullnat" else mode
    if mode == "fullnat":
        lab.prepare_nat()

    def of_ipvs():
        listed = lab.director.run("ipvsadm", "-Lnc").stdout.splitlines()[2:]
        return [line.split()[2].lower() for line in listed]

    def of_rvs():
        names = [conn["state"] for conn in rvs.json("conn", "list")["connections"]]
        short = {"shutdown": "s", "cookie": "c"}
        return ["-".join(short.get(part, part) for part in name.split("-")[1:]) for name in names]

    def seen(director, states):
        server = Server(lab.real["rs1"], 9000, listens_on(lab, mode))
        with connect(lab.client, VIP, 9000) as s:
            assert says(s) == b"x"
            wait_until(lambda: states() == ["established"], f"{director} has it established")
        server.wait()
        # The last packets may still be on their way.
        last = None
        for _ in range(20):
            now = states()
            if now == last:
                break
            last = now
            shell.run("sleep", "0.3")
        return last

    ipvs.add(service(lab, other))
    expected = seen("ip_vs", of_ipvs)
    ipvs.flush()
    rvs.add(service(lab, mode))
    assert seen("RVS", of_rvs) == expected


def test_what_opens_nothing_is_left_to_the_host(lab, rvs):
    """DATA of no association: the director answers for itself, nothing is balanced."""
    rvs.add(service(lab, "nat"))
    with lab.client.inside():
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, SCTP)
    with raw:
        # Ports, tag, no right sum; a chunk of DATA.
        packet = bytes.fromhex("9c40 2328 00000001 00000000 00030014 00000001 0000 0000 00000000 61626364")
        raw.sendto(packet, (VIP, 0))
    wait_until(lambda: rvs.json("stats", "show")["counters"]["not_syn"] >= 1, "it is counted")
    assert rvs.json("conn", "list")["connections"] == []


def test_services_of_sctp_are_saved_as_ipvsadm_s(lab, rvs):
    rvs.add(service(lab, "nat"))
    saved = rvs.adm("save").stdout
    assert f"--sctp-service {VIP}:9000" in saved
    rvs.adm("restore", "-", stdin=saved)
    assert rvs.adm("save").stdout == saved
