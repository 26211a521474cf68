# SPDX-License-Identifier: GPL-2.0
"""At the device where that is a network card's driver: virtio_net, native, from one card to the other."""

import json

import pytest
from lab import shell
from lab.netns import wait_until
from lab.topology import VIP
from lab.transfer import LONG
from lab.web import WebServer, put_and_get
from lab.wired import CARDS, Wired, cards_here
from test_modes import MODES, one, prepare


@pytest.fixture(name="lab")
def _lab():
    made = Wired()
    yield made
    made.close()
    # A card outlives its host, and keeps its program.
    wait_until(lambda: len(cards_here()) == len(CARDS), "the cards are back")
    shell.run("rvsadm", "xdp", "detach", "--all", check=False)


@pytest.mark.seconds(1200)
@pytest.mark.parametrize("mode", MODES)
def test_a_web_server_behind_cards(lab, rvs, mode):
    prepare(lab, rvs, mode)
    for device in ("eth0", "eth1"):
        rvs.adm("xdp", "attach", device, "--mode", "native")
    server = WebServer(lab.real["rs1"], "rs1")
    server.wait()
    rvs.add(one(lab, mode, port=80))
    put_and_get(lab.client, server, VIP, LONG)
    counters = {k: v for k, v in rvs.json("stats", "show")["counters"].items() if k.startswith("xdp")}
    traffic = rvs.json("service", "list", "--stats")["services"][0]["stats"]
    print(counters, traffic)
    assert counters["xdp_taken"] > 0.9 * (traffic["in_packets"] + traffic["out_packets"])


def attached():
    """What the first network namespace says of its devices."""
    return [one["device"] for one in json.loads(shell.run("rvsadm", "--json", "xdp", "show").stdout)["devices"]]


def test_a_card_that_moves_is_found_where_it_is(lab, rvs):
    """When its namespace goes it comes back to the first one, with its program."""
    rvs.adm("xdp", "attach", "eth0")
    rvs.adm("xdp", "attach", "eth1")
    lab.director.run("ip", "link", "set", "eth1", "netns", lab.client.name, "name", "moved")
    assert [one["device"] for one in rvs.json("xdp", "show")["devices"]] == ["eth0"]
    assert lab.client.run("rvsadm", "xdp", "detach", "eth0", check=False).returncode == 1
    lab.client.run("rvsadm", "xdp", "detach", "moved")
    lab.close()
    wait_until(lambda: len(cards_here()) == len(CARDS), "the cards are back")
    name = cards_here()[CARDS.index(("director", "eth0"))]
    assert attached() == [name]
    # An upgrade does not give another device its place.
    shell.run("rvsadm", "upgrade")
    assert attached() == [name]
    assert shell.run("rmmod", "rvs", check=False).returncode != 0
    shell.run("rvsadm", "xdp", "detach", name)
    assert attached() == []
