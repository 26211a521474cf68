# SPDX-License-Identifier: GPL-2.0
"""rvsadm rs: a host becomes a real server, and what it was before."""

import json

import pytest
from lab import shell
from lab import six as v6
from lab.director import Service
from lab.netns import Host, wire
from lab.topology import DIRECTOR
from lab.web import sequence

VIP, OTHER = "203.0.113.10", "203.0.113.11"
SETUP = {
    "conf/all/arp_ignore": "1", "conf/lo/arp_ignore": "1",
    "conf/all/arp_announce": "2", "conf/lo/arp_announce": "2",
}


class Server(Host):
    """A host with an interface, lo still down."""

    def __init__(self, name):
        super().__init__(name)
        self.ip("link set lo down")

    def rs(self, *args, check=True):
        """Runs rvsadm rs here."""
        return self.run("rvsadm", "rs", *args, check=check)

    def changes(self, *args):
        """Names of what it says it changed, by state."""
        found = json.loads(self.rs(*args, "-j").stdout)["changes"]
        return [(change["what"], change["state"]) for change in found]

    def addresses(self):
        """Addresses of lo."""
        out = self.run("ip", "-j", "-4", "address", "show", "dev", "lo").stdout
        (lo,) = json.loads(out)
        return [(a["local"], a["prefixlen"]) for a in lo["addr_info"]]

    def all(self):
        """Everything that a set-up may touch."""
        flags = json.loads(self.run("ip", "-j", "link", "show", "dev", "lo").stdout)[0]["flags"]
        names = [f"conf/{i}/{f}" for i in ("all", "default", "lo", "eth0")
                 for f in ("arp_ignore", "arp_announce", "rp_filter", "accept_redirects")]
        return {"up": "UP" in flags, "lo": self.addresses(), **{n: self.get(n) for n in names}}

    def get(self, name):
        """A sysctl below net.ipv4."""
        with self.inside(), open(f"/proc/sys/net/ipv4/{name}", encoding="ascii") as f:
            return f.read().strip()

    def put(self, name, value):
        """Sets a sysctl below net.ipv4."""
        with self.inside(), open(f"/proc/sys/net/ipv4/{name}", "w", encoding="ascii") as f:
            f.write(value)


@pytest.fixture(name="server")
def _server():
    server, peer = Server("server"), Host("peer")
    wire(server, peer, "eth0", "eth0")
    yield server
    server.rs("undo")
    server.close()
    peer.close()


def test_setup_makes_a_real_server(server):
    server.rs("setup", "--mode", "dr", "--vip", VIP)
    now = server.all()
    assert {name: now[name] for name in SETUP} == SETUP
    assert now["up"] and (VIP, 32) in now["lo"]


def test_undo_restores_everything(server):
    before = server.all()
    server.rs("setup", "--vip", VIP, OTHER)
    assert server.all() != before
    server.rs("undo")
    assert server.all() == before


def test_undo_restores_values_that_were_not_the_defaults(server):
    server.put("conf/lo/arp_announce", "1")
    server.put("conf/eth0/arp_ignore", "3")
    server.ip("link set lo up", f"addr add {OTHER}/32 dev lo")
    before = server.all()
    server.rs("setup", "--vip", VIP, OTHER)
    assert server.get("conf/eth0/arp_ignore") == "1"
    server.rs("undo")
    assert server.all() == before


def test_second_setup_changes_nothing(server):
    server.rs("setup", "--vip", VIP)
    before = server.all()
    assert server.rs("setup", "--vip", VIP).stdout == "nothing to change: it is set up\n"
    assert server.changes("setup", "--vip", VIP) == []
    assert server.all() == before


def test_second_undo_changes_nothing(server):
    server.rs("setup", "--vip", VIP)
    server.rs("undo")
    before = server.all()
    assert server.rs("undo").stdout == "nothing to put back\n"
    assert server.all() == before


@pytest.mark.parametrize("obstacle", ["unreachable", "other route"])
def test_a_set_up_that_fails_changes_nothing_and_says_why(server, obstacle):
    server.ip("link set lo up", "link set eth0 up", "addr add 192.168.7.1/24 dev eth0")
    director, hint = "192.168.7.2", "another route leads there; see: ip route show 128.0.0.0/1"
    if obstacle == "unreachable":
        director, hint = "10.9.9.9", "the director has to be on a network of this host"
    else:
        server.ip("route add 128.0.0.0/1 via 192.168.7.3")
    before = server.all(), server.run("ip", "route").stdout
    done = server.rs("setup", "--mode", "nat", "--director", director, check=False)
    assert done.returncode == 1 and "nothing is changed" in done.stderr
    assert f"hint: {hint}" in done.stderr
    assert (server.all(), server.run("ip", "route").stdout) == before
    assert server.rs("undo").stdout == "nothing to put back\n"


def test_undo_after_two_setups_goes_back_to_the_first(server):
    before = server.all()
    server.rs("setup", "--vip", VIP)
    server.rs("setup", "--vip", OTHER)
    server.rs("undo")
    assert server.all() == before


def test_undo_of_one_address_leaves_the_other(server):
    before = server.all()
    server.rs("setup", "--vip", VIP, OTHER)
    server.rs("undo", "--vip", VIP)
    assert (VIP, 32) not in server.addresses() and (OTHER, 32) in server.addresses()
    assert server.get("conf/all/arp_ignore") == "1"
    server.rs("undo", "--vip", OTHER)
    assert server.all() == before


def test_stricter_values_stay(server):
    server.put("conf/all/arp_ignore", "2")
    changed = [what for what, _ in server.changes("setup", "--vip", VIP)]
    assert "net.ipv4.conf.all.arp_ignore" not in changed
    assert server.get("conf/all/arp_ignore") == "2"


def test_what_someone_changed_since_is_left(server):
    server.rs("setup", "--vip", VIP)
    server.put("conf/all/arp_ignore", "8")
    assert ("net.ipv4.conf.all.arp_ignore", "left") in server.changes("undo")
    assert server.get("conf/all/arp_ignore") == "8"


def test_address_on_the_network_is_refused(server):
    server.ip(f"addr add {VIP}/24 dev eth0")
    before = server.all()
    done = server.rs("setup", "--vip", VIP, check=False)
    assert done.returncode == 1
    assert f"{VIP} is on eth0 already" in done.stderr
    assert f"ip address del {VIP} dev eth0" in done.stderr
    assert server.all() == before


def test_show_tells_what_is_and_what_was(server):
    server.rs("setup", "--vip", VIP)
    rows = [line.split() for line in server.rs("show").stdout.splitlines()]
    assert ["net.ipv4.conf.all.arp_ignore", "1", "0"] in rows
    assert ["net.ipv4.conf.eth0.arp_ignore", "0", "-"] in rows
    assert ["lo", "address", f"{VIP}/32", "present", "absent"] in rows
    shown = json.loads(server.rs("show", "-j").stdout)
    values = {setting["what"]: setting["value"] for setting in shown["settings"]}
    assert values["net.ipv4.conf.all.arp_announce"] == "2"
    assert len(shown["changes"]) == 6


def test_hosts_do_not_undo_each_other(server):
    second = Server("second")
    server.rs("setup", "--vip", VIP)
    second.rs("setup", "--vip", VIP)
    second.rs("undo")
    assert (VIP, 32) in server.addresses()
    assert (VIP, 32) not in second.addresses()
    second.close()


@pytest.mark.parametrize("args, words", [
    (["--vip", "224.0.0.1"], "224.0.0.1 cannot be a virtual address"),
    (["--vip", "fe80::1"], "fe80::1 cannot be a virtual address"),
    (["--vip", VIP, "--mode", "local"], "mode local has no real server"),
    (["--vip", VIP, "--mode", "nat"], "mode nat needs --director"),
])
def test_refused(server, args, words):
    before = server.all()
    done = server.rs("setup", *args, check=False)
    assert done.returncode == 1
    assert words in done.stderr and "hint: " in done.stderr
    assert server.all() == before


def test_a_tunnel_s_server(server):
    server.put("conf/all/rp_filter", "1")
    server.rs("setup", "--mode", "tun", "--vip", VIP)
    assert "192.0.0.8/32" in server.run("ip", "addr", "show", "dev", "tunl0").stdout
    assert server.get("conf/tunl0/rp_filter") == "2" and (VIP, 32) in server.addresses()
    assert "UP" in server.run("ip", "link", "show", "dev", "tunl0").stdout
    assert server.changes("setup", "--mode", "tun", "--vip", VIP) == []
    server.rs("undo")
    assert (VIP, 32) not in server.addresses()
    assert "UP" not in server.run("ip", "link", "show", "dev", "tunl0").stdout


def test_a_tunnel_s_server_of_ipv6(server):
    vip = "2001:db8:113::10"
    server.rs("setup", "--mode", "tun", "--vip", vip)
    assert "UP" in server.run("ip", "link", "show", "dev", "ip6tnl0").stdout
    assert vip in server.run("ip", "-6", "addr", "show", "dev", "lo").stdout
    assert server.changes("setup", "--mode", "tun", "--vip", vip) == []
    server.rs("undo")
    assert vip not in server.run("ip", "-6", "addr", "show", "dev", "lo").stdout
    assert "UP" not in server.run("ip", "link", "show", "dev", "ip6tnl0").stdout


def test_a_translated_server(server):
    server.ip("addr add 192.0.2.2/24 dev eth0")
    before = server.all(), server.run("ip", "route").stdout
    server.rs("setup", "--mode", "nat", "--director", "192.0.2.1", "--client", "198.51.100.0/24")
    assert "198.51.100.0/24 via 192.0.2.1 dev eth0" in server.run("ip", "route").stdout
    assert server.get("conf/eth0/accept_redirects") == "0"
    server.rs("setup", "--mode", "nat", "--director", "192.0.2.1")
    assert "via 192.0.2.1" in server.run("ip", "route", "get", "8.8.8.8").stdout
    assert server.changes("setup", "--mode", "nat", "--director", "192.0.2.1") == []
    server.rs("undo")
    assert (server.all(), server.run("ip", "route").stdout) == before


def test_a_server_that_is_told_its_clients(server, unloaded):
    refused = server.rs("setup", "--mode", "fullnat", "--director", "192.0.2.0/28", check=False)
    assert refused.returncode == 1 and "toa" in refused.stderr
    shell.modprobe("toa")
    server.rs("setup", "--mode", "fullnat", "--director", "192.0.2.0/28")
    assert "192.0.2.0/28" in server.run("rvsadm", "toa", "trust", "list").stdout
    server.rs("undo")
    assert "192.0.2.0/28" not in server.run("rvsadm", "toa", "trust", "list").stdout


def served(lab, rvs, mode, **kwargs):
    """Whether a service with the lab's servers in that mode serves."""
    rvs.add(Service([(a, 1) for a in lab.addresses.values()], mode=mode, **kwargs))
    return sorted(sequence(lab.client, VIP, 3)) == ["rs1", "rs2", "rs3"]


@pytest.mark.usefixtures("web")
def test_servers_of_ipv6_that_were_set_up_serve(six, rvs):
    for host in six.real.values():
        host.run("rvsadm", "rs", "setup", "--mode", "tun", "--vip", v6.VIP)
    rvs.add(Service([(a, 1) for a in six.addresses.values()], mode="tun", vip=v6.VIP))
    assert sorted(sequence(six.client, v6.VIP, 3)) == ["rs1", "rs2", "rs3"]
    assert six.web["rs1"].log()[-1][0] == v6.CLIENT
    for host in six.real.values():
        host.run("rvsadm", "rs", "undo")


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize("mode, args", [
    ("dr", ["--vip", VIP]), ("tun", ["--vip", VIP]), ("nat", ["--director", DIRECTOR]),
])
def test_servers_that_were_set_up_serve(lab, rvs, mode, args):
    for host in lab.real.values():
        host.sysctl(ipv4__conf__all__rp_filter=1)
        host.run("rvsadm", "rs", "setup", "--mode", mode, *args)
    assert served(lab, rvs, mode)
    for host in lab.real.values():
        host.run("rvsadm", "rs", "undo")
