# SPDX-License-Identifier: GPL-2.0
"""The table of forwarded packets, replayed through the module: the bytes that leave."""

import pathlib
import struct
import sys

import pytest
from lab.director import end
from lab.packets import ETH_IP, ETH_IPV6, Tap, mac_bytes
from lab.raw import _director_rvs, _lab, _rvs, _wire  # noqa: F401
from lab.six import Six

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "packets"))

# pylint: disable=wrong-import-position
import forwarded  # noqa: E402
from forwarded import GUE_PORT, SCENES, SCTP, TCP, UDP, Scene  # noqa: E402

WHICH = {TCP: "-t", UDP: "-u", SCTP: "--sctp-service"}
# Real servers and the router are to add nothing of their own.
SILENCE = """table inet silence {
  chain input { type filter hook input priority 0; meta l4proto { 4, 6, 17, 41, 47, 132 } drop; }
  chain forward { type filter hook forward priority 0; policy drop; }
}
"""


class AnyTap(Tap):
    """A tap that sends and sees IPv4 and IPv6 packets as bytes."""

    def put(self, to_mac, packet):
        """Sends a packet as it is."""
        kind = ETH_IP if packet[0] >> 4 == 4 else ETH_IPV6
        self.send_frame(to_mac + self.mac + struct.pack("!H", kind) + packet)

    def _read(self):
        frame = self._socket.recv(70000)
        return frame[14:] if frame[12:14] in (b"\x08\x00", b"\x86\xdd") else None


@pytest.fixture(name="ends", scope="module")
def _ends(lab):
    """Taps at the client's side and at rs1, the hosts around silent, sums made by the director."""
    Six(lab)
    for host in (lab.router, lab.real["rs1"]):
        host.run("nft", "-f", "-", stdin=SILENCE)
    # Deprecated: tunnels are not to take it as their source.
    lab.director.ip(f"addr add {forwarded.LOCAL[4]}/32 dev eth0",
                    f"addr add {forwarded.LOCAL[6]}/128 dev eth0 nodad preferred_lft 0")
    lab.director.run("ethtool", "-K", "eth0", "tx", "off")
    taps = (AnyTap(lab.router, "to-director", incoming_only=True),
            AnyTap(lab.real["rs1"], "eth0", incoming_only=True))
    yield taps
    for tap in taps:
        tap.close()


def configure(rvs, scene):
    """The services of a scene."""
    options = {"dr": "-g", "nat": "-m", "fullnat": "--fullnat", "tun": "-i"}[scene.mode]
    if scene.kind not in ("", "ipip"):
        kind, _, summed = scene.kind.partition("-")
        port = f" --tun-port {GUE_PORT}" if kind == "gue" else ""
        options += f" --tun-type {kind}{port} --tun-{summed or 'nocsum'}"
    port = scene.dest[1] if scene.translates else scene.virtual[1]
    lines = []
    for protocol in scene.protocols:
        which = f"{WHICH[protocol]} {end(*scene.virtual)}"
        lines += [f"-A {which} -s rr", f"-a {which} -r {end(scene.dest[0], port)} {options} -w 1"]
        if scene.mode == "fullnat":
            lines.append(f"-P {which} -z {scene.peer[0]}")
    if scene.mode == "fullnat":
        port = scene.peer[1]
        rvs.adm("config", "set", "--toa", "off", "--local-ports", f"{port}-{port}")
    rvs.adm("restore", "-", stdin="\n".join(lines) + "\n")


def learn(scene, tap):
    """The scene with the numbers that the director moves this connection by: from its SYN."""
    at = 20 if scene.outer == 4 else 40
    protocol = 9 if scene.outer == 4 else 6
    seen = tap.see(lambda raw: raw[protocol] == TCP and raw[at + 2:at + 4] == DEST_PORT)
    assert seen, "no SYN reaches the dest"
    sequence, stamp = struct.unpack("!4xI20xI", seen[0][at:at + 32])
    opening = forwarded.SYN_SEGMENT
    moved = ((sequence - opening.seq) & 0xFFFFFFFF, (stamp - opening.stamps[0]) & 0xFFFFFFFF)
    # The numbers do not say whether the rest is right.
    learned = Scene(scene.text, moved)
    assert masked(seen[0], learned) == masked(next(learned.cases()).after, learned)
    return learned


DEST_PORT = struct.pack("!H", forwarded.DEST_PORT)


def masked(packet, scene):
    """Without what a director may choose: the id of what may be fragmented; GUE's source port, and
    its sum, which has to be right."""
    at = 20 if packet[0] >> 4 == 4 else 40
    if (scene.mode == "tun" or scene.crosses) and at == 20 and not packet[6] & 0x40:
        assert forwarded.ones_sum(packet[:20]) == 0xFFFF
        packet = packet[:4] + b"\0\0" + packet[6:10] + b"\0\0" + packet[12:]
    is_ours = packet[at + 2:at + 4] == struct.pack("!H", GUE_PORT)
    if not scene.kind.startswith("gue") or not is_ours:
        return packet
    source, total = packet[at:at + 2], packet[at + 6:at + 8]
    if total != b"\0\0" and source != b"\0\0":
        addresses = packet[12:20] if at == 20 else packet[8:40]
        size = struct.pack("!HH", len(packet) - at, UDP)
        if forwarded.ones_sum(addresses + size + packet[at:]) != 0xFFFF:
            return packet
    hidden = b"\1\1" if total != b"\0\0" else b"\0\0"
    return packet[:at] + b"\0\0" + packet[at + 2:at + 6] + hidden + packet[at + 8:]


def replay(lab, ends, rvs, text):
    """Sends the packets of a scene, whose connections are new, and returns its cases. What leaves has to
    be what the table says."""
    client, dest = ends
    director = mac_bytes(lab.director.mac("eth0"))
    scene = Scene(text)
    configure(rvs, scene)
    cases = list(scene.cases())
    if scene.mode == "fullnat":
        dest.drain()
        client.put(director, cases[0].before)
        scene = learn(scene, dest)
        cases = list(scene.cases())[1:]
    wrong = []
    for case in cases:
        come, leave = (client, dest) if case.to_dest else (dest, client)
        leave.drain()
        come.put(director, case.before)
        others = []
        def expected(raw, case=case, others=others):
            others.append(raw.hex(" "))
            return masked(raw, scene) == masked(case.after, scene)
        if not leave.see(expected, seconds=2):
            wrong.append((case.name, case.after.hex(" "), others))
        assert len(wrong) < 3, wrong
    assert not wrong
    return cases


@pytest.mark.parametrize("text", SCENES)
def test_what_leaves_is_what_the_table_says(lab, ends, rvs, text):
    replay(lab, ends, rvs, text)
