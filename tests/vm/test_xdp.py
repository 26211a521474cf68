# SPDX-License-Identifier: GPL-2.0
"""Frames of established flows leave at the device, by a program for XDP, as they would by the stack."""

import contextlib
import os
import socket
import threading

import pytest
from lab import shell
from lab.director import Rvs, Service
from lab.netns import wait_until
from lab.topology import CLIENT, VIP
from lab.transfer import LONG, both_ways
from lab.web import WebServer, put_and_get
from test_modes import MEGABYTE, MODES, one, prepare, seen_by, set_mtu


def attach(lab, rvs, *options):
    """Frames of a virtual wire have whole checksums only where its other end makes them, and that takes
    frames only if it has a program itself."""
    lab.router.run("ethtool", "-K", "to-director", "tx", "off")
    lab.router.run("rvsadm", "xdp", "attach", "to-director")
    rvs.adm("xdp", "attach", "eth0", *options)


def counters(rvs):
    """Those of frames."""
    every = rvs.json("stats", "show")["counters"]
    return {name: value for name, value in every.items() if name.startswith("xdp")}


@pytest.mark.parametrize("mode, how", [*((mode, "native") for mode in MODES), ("nat", "generic")])
def test_a_transfer_each_way(lab, rvs, mode, how):
    attach(lab, rvs, "--mode", how)
    prepare(lab, rvs, mode)
    rvs.add(one(lab, mode))
    assert both_ways(lab.client, lab.real["rs1"], VIP, 5000, MEGABYTE) in seen_by(mode)
    after = counters(rvs)
    print(after)
    assert after["xdp_taken"] > 100
    traffic = rvs.json("service", "list", "--stats")["services"][0]["stats"]
    taken = traffic["in_packets"] + traffic["out_packets"]
    assert after["xdp_taken"] <= taken
    assert rvs.json("xdp", "show")["devices"][0]["mode"] == how
    assert shell.run("rmmod", "rvs", check=False).returncode != 0
    rvs.adm("xdp", "detach", "eth0")
    assert both_ways(lab.client, lab.real["rs1"], VIP, 5000, 10_000) in seen_by(mode)
    assert counters(rvs)["xdp_taken"] == after["xdp_taken"]


def through_vlans(lab):
    """What clients send comes to the director in VLAN 10; rs1 is in VLAN 20."""
    shell.modprobe("8021q")
    lab.router.run("ethtool", "-K", "to-director", "txvlan", "off")
    lab.director.run("ethtool", "-K", "eth0", "rxvlan", "off")
    lab.addresses["rs1"] = "10.20.0.101"
    for host, lower, vlan, number in ((lab.router, "lan", 10, 1), (lab.director, "eth0", 10, 118),
                                      (lab.director, "eth0", 20, 118), (lab.real["rs1"], "eth0", 20, 101)):
        name = f"{lower}.{vlan}"
        host.ip(f"link add link {lower} name {name} type vlan id {vlan}", f"link set {name} up",
                f"addr add 10.{vlan}.0.{number}/24 dev {name}")
    lab.router.ip(f"route replace {VIP}/32 via 10.10.0.118")
    lab.director.ip("route replace default via 10.10.0.1")


@pytest.mark.parametrize("mode", MODES)
def test_a_transfer_each_way_through_vlans(lab, rvs, mode):
    through_vlans(lab)
    attach(lab, rvs)
    prepare(lab, rvs, mode)
    if mode == "nat":
        lab.real["rs1"].ip("route replace default via 10.20.0.118")
    rvs.add(one(lab, mode))
    assert both_ways(lab.client, lab.real["rs1"], VIP, 5000, MEGABYTE) in seen_by(mode)
    assert counters(rvs)["xdp_taken"] > 100, counters(rvs)


@pytest.mark.parametrize("mode", ["nat", "tun"])
def test_frames_of_several_pieces_are_the_stacks(lab, rvs, mode):
    """Where the MTU is more than a page has room for; short ones are taken."""
    set_mtu(lab, 9000)
    attach(lab, rvs)
    prepare(lab, rvs, mode)
    rvs.add(one(lab, mode))
    assert both_ways(lab.client, lab.real["rs1"], VIP, 5000, MEGABYTE) == CLIENT
    after = counters(rvs)
    assert after["xdp_pass_odd"] > 100 and after["xdp_taken"] > 20, after


@pytest.mark.skipif(not os.environ.get("RVS_LONG"), reason="takes minutes: make test-long")
@pytest.mark.seconds(1200)
@pytest.mark.parametrize("mode", MODES)
def test_a_long_transfer_of_a_web_server(lab, rvs, mode):
    attach(lab, rvs)
    prepare(lab, rvs, mode)
    server = WebServer(lab.real["rs1"], "rs1")
    server.wait()
    rvs.add(one(lab, mode, port=80))
    put_and_get(lab.client, server, VIP, LONG)
    traffic = rvs.json("service", "list", "--stats")["services"][0]["stats"]
    assert counters(rvs)["xdp_taken"] > 0.9 * (traffic["in_packets"] + traffic["out_packets"])


def test_a_module_without_types_does_all_else(lab, unloaded, tmp_path):
    stock = shell.run("modinfo", "-n", "rvs").stdout.strip()
    shell.run("objcopy", "--remove-section", ".BTF", "--remove-section", ".BTF.base", stock, tmp_path / "rvs.ko")
    needs = shell.run("modinfo", "-F", "depends", "rvs").stdout.strip()
    shell.modprobe(*filter(None, needs.split(",")))
    shell.run("insmod", tmp_path / "rvs.ko")
    rvs = Rvs(lab.director)
    refused = rvs.adm("xdp", "attach", "eth0", check=False)
    assert refused.returncode == 1, refused
    assert "tells BPF nothing of its functions (BTF)" in refused.stderr and "pahole" in refused.stderr
    assert not rvs.json("xdp", "show")["devices"]
    prepare(lab, rvs, "nat")
    rvs.add(one(lab, "nat"))
    assert both_ways(lab.client, lab.real["rs1"], VIP, 5000, MEGABYTE) == CLIENT
    rvs.adm("unload")


class Stream:
    """Datagrams of one flow, as fast as they go, until the block is left."""

    def __init__(self, host):
        with host.inside():
            self.socket = socket.socket(type=socket.SOCK_DGRAM)
        self.goes_on = True
        self.thread = threading.Thread(target=self.send)

    def send(self):
        """A host or router that goes makes errors, which are nobody's."""
        while self.goes_on:
            with contextlib.suppress(OSError):
                self.socket.sendto(b"x" * 100, (VIP, 5353))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.goes_on = False
        self.thread.join()
        self.socket.close()


def taken_more(rvs, before):
    """Waits until frames have been taken since."""
    wait_until(lambda: counters(rvs)["xdp_taken"] > before, "frames are taken")


def packets(rvs):
    """To the service."""
    return rvs.json("service", "list", "--stats")["services"][0]["stats"]["in_packets"]


def test_attached_detached_and_gone_under_traffic(lab, rvs):
    attach(lab, rvs)
    lab.prepare_dr()
    rvs.add(Service([(lab.addresses["rs1"], 1)], protocol="udp", port=5353))
    with Stream(lab.client):
        for _ in range(5):
            taken_more(rvs, counters(rvs)["xdp_taken"])
            rvs.adm("xdp", "detach", "eth0")
            rvs.adm("xdp", "attach", "eth0")
        taken_more(rvs, counters(rvs)["xdp_taken"])
        # At other places frames would pass by the rules that packets meet there.
        rvs.adm("config", "set", "--places", "ip_vs")
        before, came = counters(rvs)["xdp_taken"], packets(rvs)
        wait_until(lambda: packets(rvs) > came + 100, "packets go through the stack")
        assert counters(rvs)["xdp_taken"] == before
        rvs.adm("config", "set", "--places", "early")
        taken_more(rvs, before)
        lab.director.run("ip", "link", "set", "eth0", "name", "lan0")
        taken_more(rvs, counters(rvs)["xdp_taken"])
        assert rvs.json("xdp", "show")["devices"][0]["device"] == "lan0"
        # The device goes with its namespace, while frames come.
        lab.close()
    shell.run("rvsadm", "unload")
    assert "rvs" not in shell.run("lsmod").stdout.split()
