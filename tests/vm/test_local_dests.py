# SPDX-License-Identifier: GPL-2.0
"""Dests on loopback are the director itself, in every mode, as in ip_vs."""

import pytest
from lab import six as v6
from lab.compat import load, unload
from lab.keepalived import Keepalived, real_server, virtual_server
from lab.netns import wait_until
from lab.topology import VIP
from lab.web import WebServer, get

MODES = ["dr", "nat", "tun", "fullnat", "local"]
IPVS_MODES = {"dr": "-g", "nat": "-m", "tun": "-i"}


@pytest.fixture(name="served")
def _served(lab):
    """nginx on the director, on all its addresses."""
    web = WebServer(lab.director, "director")
    web.wait()
    yield web
    lab.director.stop(web.process)


@pytest.mark.usefixtures("served")
def test_natively_in_every_mode(lab, rvs):
    six = v6.Six(lab)
    for vip, dest in ((f"{VIP}:80", "127.0.0.1:80"), (f"[{v6.VIP}]:80", "[::1]:80")):
        for mode in MODES:
            rvs.adm("service", "add", f"tcp/{vip}", "-s", "rr")
            rvs.adm("dest", "add", f"tcp/{vip}", dest, "--mode", mode)
            address = VIP if "127" in dest else v6.VIP
            assert get(six.client, address) == "director", (mode, dest)
            (conn,) = rvs.json("conn", "list")["connections"]
            assert (conn["mode"], conn["dest"]) == ("local", dest)
            # It is saved and shown as it was told, and restored.
            (shown,) = rvs.json("dest", "list")["dests"]
            assert (shown["mode"], shown["stats"]["connections"]) == (mode, 1)
            saved = rvs.adm("save").stdout
            rvs.adm("restore", "-", stdin=saved)
            assert rvs.adm("save").stdout == saved
            rvs.flush()
            rvs.adm("conn", "flush")


@pytest.mark.usefixtures("served")
def test_in_the_dialect_as_ip_vs(lab):
    """With masquerading ip_vs drops what comes from the network; RVS has no reason to."""
    director, clients = lab.director, lab.client
    for name in ("ip_vs", "rvs"):
        load(name)
        try:
            for mode, option in IPVS_MODES.items():
                director.run("ipvsadm", "-A", "-t", f"{VIP}:80", "-s", "rr")
                director.run("ipvsadm", "-a", "-t", f"{VIP}:80", "-r", "127.0.0.1:80", option)
                shown = director.run("ipvsadm", "-Ln").stdout
                assert "127.0.0.1:80" in shown
                if (name, mode) != ("ip_vs", "nat"):
                    assert get(clients, VIP) == "director", (name, mode)
                director.run("ipvsadm", "-C")
        finally:
            unload()


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("kind", ["DR", "NAT"])
def test_the_usual_sorry_server_of_keepalived(lab, kind):
    load("rvs")
    blocks = [
        # A dead one: a lasting sorry server.
        virtual_server(VIP, 80, real_server("192.168.56.199", weight=1), kind=kind,
                       options="sorry_server 127.0.0.1 80"),
    ]
    kept = Keepalived(lab.director, *blocks, only=["--check"])
    try:
        listed = lambda: lab.director.run("ipvsadm", "-Ln").stdout
        wait_until(lambda: "127.0.0.1:80" in listed(), "the sorry server is there", seconds=60)
        wait_until(lambda: "192.168.56.199" not in listed(), "the dead one is not", seconds=60)
        assert get(lab.client, VIP) == "director"
    except AssertionError:
        print(kept.said())
        raise
    finally:
        kept.stop()
        unload()
