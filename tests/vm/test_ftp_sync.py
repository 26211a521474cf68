# SPDX-License-Identifier: GPL-2.0
"""A director goes while FTP is spoken through it: the next one knows how far the helper has moved numbers, where
data goes, and follows what is said from then on."""

import contextlib
import socket

import pytest
from lab import ftp, shell
from lab.director import Service
from lab.fullnat import LOCALS
from lab.netns import wait_until
from lab.pair import _pair, sync  # noqa: F401
from lab.topology import VIP
from test_ftp import passive_port

PORT = 21
# More than all buffers on the way hold.
SIZE = 24 << 20
# The real server of that mode.
NAMES = {"nat": "rs1", "fullnat": "rs2"}


def established(director):
    """How many connections a director knows that are."""
    if director.name == "rvs":
        rows = director.json("conn", "list")["connections"]
        return sum(row["state"] == "established" for row in rows)
    return director.host.run("ipvsadm", "-Lnc").stdout.count("ESTABLISHED")


def serve(director, pair, mode):
    """A service of FTP, with its helper."""
    if mode == "fullnat":
        director.adm("laddr", "add", "--default", *LOCALS)
    director.add(Service([(pair.lab.addresses[NAMES[mode]], 1)], mode=mode, port=PORT))
    if director.name == "rvs":
        director.adm("service", "set", f"tcp/{VIP}:{PORT}", "--helper", "ftp")
    else:
        director.host.run("sysctl", "-q", "net.ipv4.vs.conntrack=1")


def fetched(client, talk, address, name):
    """What comes by a connection for data that the server tells of."""
    port = passive_port(talk.say("PASV"))
    with client.inside(), socket.create_connection((address, port), timeout=30) as data:
        talk.send(f"RETR {name}\r\n")
        got = b"".join(iter(lambda: data.recv(1 << 16), b""))
    assert talk.answer().startswith("150") and talk.answer().startswith("226")
    return got


def asked(client, talk, name):
    """What the server brings by a connection that it opens."""
    with client.inside(), socket.create_server(("0.0.0.0", 0)) as listener:
        listener.settimeout(30)
        port = listener.getsockname()[1]
        said = talk.say(f"PORT 198,51,100,2,{port >> 8},{port & 255}")
        assert said.startswith("200"), said
        talk.send(f"RETR {name}\r\n")
        with listener.accept()[0] as data:
            got = b"".join(iter(lambda: data.recv(1 << 16), b""))
    assert talk.answer().startswith("150") and talk.answer().startswith("226")
    return got


@pytest.mark.parametrize("kinds, mode", [(("rvs", "rvs"), "nat"), (("rvs", "rvs"), "fullnat"),
                                         (("rvs", "ip_vs"), "nat")], ids=str)
def test_a_transfer_goes_on(pair, kinds, mode):
    if "ip_vs" in kinds:
        shell.modprobe("ip_vs", "ip_vs_ftp")
    first, second = pair.directors(*kinds)
    for director in (first, second):
        serve(director, pair, mode)
    sync(first, "start", "master")
    sync(second, "start", "backup")
    client = pair.lab.client
    with contextlib.closing(ftp.Server(pair.lab.real[NAMES[mode]])) as server:
        (server.files / "small").write_bytes(b"small")
        large = bytes(range(256)) * (SIZE // 256)
        (server.files / "large").write_bytes(large)
        with contextlib.closing(ftp.Talk(client, VIP)) as talk:
            talk.log_in()
            # Each line that was written anew has another length.
            assert fetched(client, talk, VIP, "files/small") == b"small"
            if mode == "fullnat":
                assert asked(client, talk, "files/small") == b"small"
            port = passive_port(talk.say("PASV"))
            with client.inside():
                data = socket.create_connection((VIP, port), timeout=30)
            with data:
                talk.send("RETR files/large\r\n")
                got = [data.recv(1 << 16)]
                wait_until(lambda: established(second) >= 2, "the second knows both connections", 60, step=0.2)
                pair.fail_over()
                got += iter(lambda: data.recv(1 << 16), b"")
            assert b"".join(got) == large
            assert talk.answer().startswith("150") and talk.answer().startswith("226")
            # The second one's helper.
            assert fetched(client, talk, VIP, "files/small") == b"small"
            if mode == "fullnat":
                assert asked(client, talk, "files/small") == b"small"
