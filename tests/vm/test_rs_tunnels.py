# SPDX-License-Identifier: GPL-2.0
"""rvsadm rs setup --mode tun: a real server that nothing else has prepared, for each tunnel."""

import contextlib
import glob
import json

import pytest
from lab import shell, topology
from lab import six as v6
from lab.compat import unload
from lab.director import Service
from lab.netns import Host
from lab.transfer import UdpEcho, ask, both_ways

PORT = 6080
GUE = ("--tun-type", "gue", "--tun-port", PORT)
KINDS = {
    "ipip": (), "gre": ("--tun-type", "gre"), "gre-csum": ("--tun-type", "gre", "--tun-csum"),
    "gue": GUE, "gue-csum": (*GUE, "--tun-csum"), "gue-remcsum": (*GUE, "--tun-remcsum"),
}
MODULES = ("ipip", "sit", "ip_gre", "ip6_tunnel", "ip6_gre", "fou")
VIPS = (topology.VIP, v6.VIP)
CLIENTS = (topology.CLIENT, v6.CLIENT)
SETUP = ("rs", "setup", "--mode", "tun", "--vip", *VIPS)


def everything(host):
    """All that a set-up may touch: devices, addresses, routes, ports and settings."""
    links = json.loads(host.run("ip", "-d", "-j", "address").stdout)
    found = {
        link["ifname"]: ("UP" in link["flags"], link.get("linkinfo"),
                         [address["local"] for address in link["addr_info"]])
        for link in links
    }
    found["routes"] = [host.run("ip", family, "route", "show", "table", "all").stdout
                       for family in ("-4", "-6")]
    found["ports"] = host.run("ip", "fou", "show").stdout
    with host.inside():
        for name in ("rp_filter", "arp_ignore", "arp_announce"):
            for path in glob.glob(f"/proc/sys/net/ipv4/conf/*/{name}"):
                with open(path, encoding="ascii") as file:
                    found[path] = file.read()
    return found


@contextlib.contextmanager
def written(path, value):
    """A setting of the kernel with another value for a while."""
    with open(path, encoding="ascii") as file:
        usual = file.read()
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(value)
        yield
    finally:
        with open(path, "w", encoding="ascii") as file:
            file.write(usual)


def changes(host, *args):
    """What rvsadm says it changed."""
    found = json.loads(host.run("rvsadm", *args, "-j").stdout)["changes"]
    return [change["what"] for change in found]


@pytest.fixture(name="server")
def _server(six):
    """A real server that believes no source but those that the wire leads to."""
    shell.modprobe(*MODULES)
    server = six.real["rs1"]
    server.sysctl(ipv4__conf__all__rp_filter=1)
    yield server
    server.run("rvsadm", "rs", "undo")


@pytest.fixture(name="alone")
def _alone():
    """A host without a network."""
    shell.modprobe(*MODULES)
    host = Host("alone")
    yield host
    host.run("rvsadm", "rs", "undo")
    host.close()


@pytest.mark.parametrize("over", ["ipv4", "ipv6"])
def test_packets_of_both_families_come_out(six, rvs, server, over):
    """Of each kind of tunnel; the host is as it was in between."""
    dest = (six.lab.addresses if over == "ipv4" else six.addresses)["rs1"]
    before = everything(server)
    for kind, options in KINDS.items():
        setup = (*SETUP, "--over", over, *options)
        done = changes(server, *setup)
        for vip, client, listen in zip(VIPS, CLIENTS, ("0.0.0.0", "::")):
            for port, protocol in ((5353, "udp"), (5000, "tcp")):
                rvs.add(Service([(dest, 1)], mode="tun", vip=vip, port=port, protocol=protocol,
                                dest_options=options))
            with contextlib.closing(UdpEcho(server, 5353, address=vip)):
                assert ask(six.client, vip, 5353) == b"rs1 x", kind
            assert both_ways(six.client, server, vip, 5000, 1 << 18, listen) == client
        assert changes(server, *setup) == []
        shown = server.run("rvsadm", "rs", "show").stdout
        assert all(f"\n{what} " in shown for what in done), kind
        assert changes(server, "rs", "undo") == done[::-1]
        assert everything(server) == before, kind
        rvs.flush()


def test_each_address_over_its_own_family(six, rvs, server):
    """By one set-up and two dests. What serves both addresses stays with either."""
    before = everything(server)
    server.run("rvsadm", *SETUP, *GUE)
    assert "ip6tnl ip6ip6" in server.run("ip", "-d", "link", "show", "ip6tnl0").stdout
    for vip, dest in zip(VIPS, (six.lab.addresses["rs1"], six.addresses["rs1"])):
        rvs.add(Service([(dest, 1)], mode="tun", vip=vip, port=5353, protocol="udp",
                        dest_options=GUE))
        with contextlib.closing(UdpEcho(server, 5353, address=vip)):
            assert ask(six.client, vip, 5353) == b"rs1 x"
    server.run("rvsadm", "rs", "undo", "--vip", topology.VIP)
    assert server.run("ip", "fou", "show").stdout.count("gue") == 2
    server.run("rvsadm", "rs", "undo", "--vip", v6.VIP)
    assert everything(server) == before


@pytest.mark.parametrize("first, second, device", [
    ("gre", "gre-csum", "gre0"), ("gre-csum", "gre", "rvs-gre"),
])
def test_gre_comes_with_checksums_or_without(alone, first, second, device):
    alone.run("rvsadm", *SETUP, "--over", "ipv4", *KINDS[first])
    before = everything(alone)
    refused = alone.run("rvsadm", *SETUP, "--over", "ipv4", *KINDS[second], check=False)
    assert refused.returncode == 1
    assert f"{device} is up" in refused.stderr and "hint: " in refused.stderr
    assert everything(alone) == before
    alone.run("rvsadm", "rs", "undo")
    assert device in changes(alone, *SETUP, "--over", "ipv4", *KINDS[first])


def test_a_port_that_is_taken(alone):
    taken = UdpEcho(alone, PORT)
    refused = alone.run("rvsadm", *SETUP, "--over", "ipv4", *GUE, check=False)
    taken.close()
    assert refused.returncode == 1
    assert "cannot change the gue port 6080 over ipv4: Address already in use" in refused.stderr
    assert "ss -lunp" in refused.stderr
    alone.run("rvsadm", *SETUP, "--over", "ipv4", *GUE)
    assert f"port {PORT} gue" in alone.run("ip", "fou", "show").stdout


@pytest.fixture(name="bare")
def _bare():
    """A host, and no module of tunnels."""
    unload()  # they use tunnels' code
    shell.rmmod("ipip", "sit", "ip6_gre", "ip_gre", "ip6_tunnel", "fou6", "fou")
    host = Host("bare")
    yield host
    host.run("rvsadm", "rs", "undo")
    host.close()


def test_modules_are_loaded(bare):
    done = changes(bare, *SETUP, "--over", "ipv4", *GUE)
    assert "gue port 6080 over ipv4" in done and "sit0" in done and "tunl0" in done
    # The kernel has made these devices, and keeps them.
    assert not any(what.startswith("device") for what in done)


def test_a_kernel_without_the_module(bare):
    shell.modprobe("sit", "ipip")
    with written("/proc/sys/kernel/modprobe", "\n"):
        gue = bare.run("rvsadm", *SETUP, "--over", "ipv4", *GUE, check=False)
        gre = bare.run("rvsadm", *SETUP, "--tun-type", "gre", check=False)
    assert gue.returncode == 1 and "module fou is not loaded" in gue.stderr
    assert "modprobe fou" in gue.stderr
    assert gre.returncode == 1 and "cannot make the device gre0" in gre.stderr
    assert "the kernel has no module ip_gre" in gre.stderr


def test_devices_where_the_kernel_makes_none():
    """Then they are the set-up's, and are removed."""
    shell.modprobe(*MODULES)
    with written("/proc/sys/net/core/fb_tunnels_only_for_init_net", "1"):
        bare = Host("bare")
    try:
        before = everything(bare)
        for over in ("ipv4", "ipv6"):
            for kind in ("ipip", "gre"):
                bare.run("rvsadm", *SETUP, "--over", over, *KINDS[kind])
                assert changes(bare, "rs", "undo")[-1].startswith("device ")
                assert everything(bare) == before
    finally:
        bare.close()
