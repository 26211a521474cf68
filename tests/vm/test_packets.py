# SPDX-License-Identifier: GPL-2.0
"""The table of translated packets, replayed through the module: the bytes that leave."""

import pathlib
import struct

import pytest
from lab.packets import checksum
from lab.raw import _director_rvs, _lab, _rvs, _wire  # noqa: F401
from lab.packets import mac_bytes

TABLE = pathlib.Path(__file__).parents[1] / "packets" / "translated.txt"
PROTOCOLS = {6: "tcp", 17: "udp", 132: "sctp"}


def cases():
    """Name, mode, and both packets of each case."""
    blocks = TABLE.read_text(encoding="ascii").split("\n\n")
    for block in blocks:
        lines = [line for line in block.strip().splitlines() if not line.startswith("#")]
        if not lines:
            continue
        middle = lines.index("=")
        mode = lines[1].split(":", 1)[0]
        yield (lines[0], mode, bytes.fromhex("".join(lines[2:middle])),
               bytes.fromhex("".join(lines[middle + 1:])))


CASES = list(cases())


def ends(packet):
    """Protocol, source and destination of a packet."""
    start = (packet[0] & 15) * 4
    ports = struct.unpack("!HH", packet[start:start + 4])
    dotted = [".".join(map(str, packet[at:at + 4])) for at in (12, 16)]
    return packet[9], (dotted[0], ports[0]), (dotted[1], ports[1])


def one_hop_on(packet):
    """A packet as a router sends it on."""
    start = (packet[0] & 15) * 4
    head = packet[:8] + bytes([packet[8] - 1]) + packet[9:10] + b"\0\0" + packet[12:start]
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + packet[start:]


@pytest.fixture(name="opened")
def _opened(rvs, wire):
    """Opens the connection of each case: the service, and the packet of the client."""
    def configure(mode, protocol, virtual, dest, local):
        name = f"{PROTOCOLS[protocol]}/{virtual[0]}:{virtual[1]}"
        rvs.adm("service", "add", name, "--scheduler", "rr")
        rvs.adm("dest", "add", name, f"{dest[0]}:{dest[1]}", "--mode", mode)
        if mode == "fullnat":
            rvs.adm("config", "set", "--local-ports", f"{local[1]}-{local[1]}", "--toa", "off")
            rvs.adm("laddr", "add", name, local[0])
        wire.clear()
    return configure


def first_of(mode, protocol):
    """The packet that opens connections of that kind."""
    for name, other, before, after in CASES:
        if other == mode and before[9] == protocol and "to the dest" in name and "broken" not in name:
            return before, after
    raise AssertionError("no case opens it")


@pytest.fixture(name="local", scope="module", autouse=True)
def _local(lab):
    lab.director.ip("addr add 192.168.56.201/32 dev eth0")


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_what_leaves_is_what_the_table_says(wire, opened, case):
    name, mode, before, after = case
    protocol = before[9]
    opening, opened_as = (before, after) if "to the dest" in name else first_of(mode, protocol)
    _, _, virtual = ends(opening)
    _, local, dest = ends(opened_as)
    opened(mode, protocol, virtual, dest, local)
    wire.send(opening)
    seen = wire.real["rs1"].see(lambda s: s.destination == dest[0] and s.protocol == protocol)
    assert [s.raw for s in seen] == [one_hop_on(opened_as)]
    if "to the dest" in name:
        return
    wire.tap.drain()
    wire.real["rs1"].send(mac_bytes(wire.director_mac), before)
    _, _, client = ends(after)
    seen = wire.tap.see(lambda s: s.destination == client[0] and s.protocol == protocol)
    assert [s.raw for s in seen] == [one_hop_on(after)]
