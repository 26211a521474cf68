# SPDX-License-Identifier: GPL-2.0
"""rvsadm conn save and restore: connections that outlive the module, or move to another director."""

import pathlib
import socket
import struct

import pytest

from lab import shell, six
from lab.director import Service
from lab.fullnat import LOCALS
from lab.netns import wait_until
from lab.pair import ALL, NAT64, _clients, _pair, give, known  # noqa: F401
from lab.topology import VIP
from lab.transfer import UdpEcho, new_port

EACH = 3


@pytest.fixture(name="saved")
def _saved(tmp_path):
    return tmp_path / "conns"


def nat64(pair):
    """A service of IPv6 whose dest is of IPv4."""
    dest = (pair.lab.addresses["rs2"], 1)
    return Service([dest], mode="fullnat", port=NAT64, vip=six.VIP)


def crc32c(data):
    """The checksum of a file's records."""
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def told(rvs):
    """Connections without what changes by itself, and how long they last yet."""
    rows = rvs.json("conn", "list")["connections"]
    left = {row["client"]: row.pop("expires_ms") for row in rows}
    for row in rows:
        row.pop("idle_ms")
        if row.get("account"):
            row["account"].pop("age")
    return sorted(rows, key=lambda row: row["client"]), left


def test_they_go_on_with_another_module_and_elsewhere(pair, clients, saved):
    first, second = pair.directors("rvs", "rvs")
    give(first, ALL)
    by_client = Service([(pair.lab.addresses["rs3"], 1)], port=NAT64, options=("-p", 300, "--account"))
    first.add(by_client)
    udp = Service([(pair.lab.addresses["rs1"], 1)], mode="fullnat", port=5353, protocol="udp")
    first.add(udp)
    clients.connect(EACH, ALL)
    clients.open_to(VIP, NAT64)
    server = UdpEcho(pair.lab.real["rs1"], 5353)
    with pair.lab.client.inside():
        flow = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    flow.settimeout(10)
    flow.bind(("", new_port()))
    flow.connect((VIP, 5353))

    def ask(text):
        flow.send(text)
        return flow.recv(100)

    try:
        assert ask(b"one") == b"rs1 one"
        before, left = told(first)
        templates = first.json("conn", "templates")["templates"]
        assert len(before) == EACH * len(ALL) + 2
        said = first.json("conn", "save", saved)
        assert said == {"connections": len(before), "templates": len(templates)}
        first.adm("save", "--settings", "-o", f"{saved}.conf")
        shell.run("rvsadm", "unload")
        shell.modprobe("rvs")
        first.adm("restore", f"{saved}.conf")
        said = first.json("conn", "restore", saved)
        assert said == {"new": len(before) + len(templates), "held": 0, "known": 0, "full": 0, "misfit": 0}
        after, left_now = told(first)
        assert after == before
        assert all(0 <= left[client] - left_now[client] < 60_000 for client in left)
        again = first.json("conn", "templates")["templates"]
        without = [{**row, "expires_ms": 0} for row in templates]
        assert [{**row, "expires_ms": 0} for row in again] == without
        assert ask(b"two") == b"rs1 two"
        assert not clients.speak(b"still there?", 30)
        # The other director takes over with what the first one has told it in a file.
        assert first.json("conn", "restore", saved)["known"] == len(before) + len(templates)
        first.adm("conn", "save", saved)
        give(second, [mode for mode in ALL if mode != (4, "nat")])
        second.add(by_client)
        said = second.json("conn", "restore", saved)
        assert said["misfit"] == 0 and said["held"] == EACH + 1 and said["new"] + said["held"] == len(before) + 1
        second.add(udp)
        give(second, [(4, "nat")], locals_too=False)
        assert len(known(second)) == len(before)
        pair.fail_over()
        assert not clients.speak(b"who is there?", 30)
        assert ask(b"three") == b"rs1 three"
    finally:
        flow.close()
        server.close()


def test_nat64_goes_on(pair, clients, saved):
    first, _ = pair.directors("rvs", "rvs")
    first.adm("laddr", "add", "--default", *LOCALS)
    first.add(nat64(pair))
    clients.open_to(six.VIP, NAT64)
    first.adm("conn", "save", saved)
    before = known(first)
    first.adm("conn", "flush")
    assert known(first) == set()
    first.adm("conn", "restore", saved)
    assert known(first) == before and len(before) == 1
    assert not clients.speak(b"still there?", 30)


def test_what_is_not_whole_is_refused(pair, clients, tmp_path):
    rvs, _ = pair.directors("rvs", "rvs")
    give(rvs, [(4, "dr")], locals_too=False)
    clients.connect(2, [(4, "dr")])
    good = tmp_path / "good"
    rvs.adm("conn", "save", good)
    rvs.adm("conn", "flush")
    file = good.read_bytes()
    newer = file[:11] + b"\2" + file[12:]

    def second(at, byte):
        """With another byte in the second of its records, by somebody who knows of the checksum."""
        body = bytearray(file[32:])
        first, = struct.unpack_from("!H", body)
        body[2 + first + 2 + at] = byte
        return file[:12] + struct.pack("!I", crc32c(body)) + file[16:32] + body

    edited = file[:-1] + bytes([file[-1] ^ 1])
    for name, content, why in [
        ("cut", file[:-1], "cut short"),
        ("header", file[:20], "cut short"),
        ("newer", newer, "version 2, this rvsadm reads version 1"),
        ("text", b"-A -t 10.0.0.1:80\n", "no file of rvsadm conn save"),
        ("empty", b"", "no file of rvsadm conn save"),
        ("longer", file + b"x", "it was changed"),
        ("edited", edited, "it was changed"),
        ("later", second(0, 2), "record 2 of 2 is of version 2, this rvsadm reads version 1"),
        ("other", second(1, 9), "record 2 of 2 is of kind 9"),
        ("protocol", second(3, 50), "record 2 of 2 says what cannot be"),
        ("flags", second(2, 0x80), "record 2 of 2 says what cannot be"),
    ]:
        bad = tmp_path / name
        bad.write_bytes(content)
        done = rvs.adm("conn", "restore", bad, check=False)
        assert done.returncode == 1 and why in done.stderr and "nothing was restored" in done.stderr, done
        assert known(rvs) == set(), name
    assert "cannot read it" in rvs.adm("conn", "restore", tmp_path / "none", check=False).stderr
    # Standard output and input.
    none = tmp_path / "none"
    rvs.adm("conn", "save", none)
    piped = shell.run("sh", "-c", f"ip netns exec {rvs.host.name} rvsadm conn save - | cmp - {none}")
    assert piped.returncode == 0
    assert "restored: 2" in rvs.host.run("sh", "-c", f"rvsadm conn restore - < {good}").stdout


def test_a_full_disk_leaves_the_old_file(rvs, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    shell.run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small)
    try:
        file = small / "conns"
        rvs.adm("conn", "save", file)
        before = file.read_bytes()
        (small / "fill").write_bytes(b"x" * (60 << 10))
        with open(small / "rest", "wb", buffering=0) as f:
            try:
                while f.write(b"x" * 100):
                    pass
            except OSError:
                pass
        done = rvs.adm("conn", "save", file, check=False)
        assert done.returncode == 1 and "No space left" in done.stderr
        assert "what the file had it still has" in done.stderr
        assert file.read_bytes() == before
        assert sorted(path.name for path in pathlib.Path(small).iterdir()) == ["conns", "fill", "rest"]
    finally:
        wait_until(lambda: shell.run("umount", small, check=False).returncode == 0, "it is unmounted")
