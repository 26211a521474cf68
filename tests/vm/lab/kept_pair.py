# SPDX-License-Identifier: GPL-2.0
"""Two directors with keepalived, as examples/keepalived-pair has them, and who speaks with services by them."""

import pathlib

from . import shell, six
from . import topology as four
from .keepalived import Keepalived
from .many import Flows, Speakers, rest_of
from .netns import Host, wait_until, wire
from .pair import Echo
from .transfer import UdpEcho

FILES = pathlib.Path(__file__).resolve().parents[3] / "examples" / "keepalived-pair"
PORTS = {"nat": 8001, "dr": 8002, "tun": 8003, "fullnat": 8004}
VIPS = {4: four.VIP, 6: six.VIP}
# (IP version, mode)
ALL = [(version, mode) for mode in PORTS for version in VIPS]
# Those that stock ip_vs has.
PLAIN = [cell for cell in ALL if cell[1] != "fullnat"]


class KeptPair:
    """The lab with two directors of a kind, "rvs" or "ip_vs"; keepalived is started with the first `up`."""

    def __init__(self, lab, kind):
        self.lab, self.kind = lab, kind
        six.Six(lab)
        self.one, self.two = lab.director, Host("two")
        wire(self.two, lab.router, "eth0", "to-two")
        lab.router.ip("link set to-two master lan")
        wire(self.one, self.two, "eth1", "eth1")
        self.one.ip("addr flush dev eth0 scope global", "addr flush dev lo scope global")
        for number, host in enumerate((self.one, self.two)):
            host.ip(f"addr add 10.9.0.{number + 1}/24 dev eth1",
                    f"addr add 192.168.56.{116 + number}/24 dev eth0", f"route replace default via {four.ROUTER}",
                    f"addr add 2001:db8:56::{116 + number}/64 dev eth0 nodad", f"route replace default via {six.ROUTER}")
        self._real_servers()
        self.kept, self.open, self.count = {}, [], 0
        for host in (self.one, self.two):
            self._start(host)
        self.echo = Echo(lab.real.values())
        self.udp = list(self._flows())

    def _flows(self):
        """Who answers datagrams, from the address that they were sent to."""
        for version, names in ((4, four), (6, six)):
            for mode, port in PORTS.items():
                for name in ("rs1",) if mode == "nat" else ("rs2", "rs3"):
                    address = VIPS[version] if mode in ("dr", "tun") else names.REAL_SERVERS[name]
                    yield UdpEcho(self.lab.real[name], port, address)

    def _real_servers(self):
        shell.modprobe("ipip", "ip6_tunnel")
        for name, host in self.lab.real.items():
            if name == "rs1":  # mode nat
                host.ip(f"route replace default via {four.DIRECTOR}", f"route replace default via {six.DIRECTOR}")
                continue
            host.run("rvsadm", "rs", "setup", "--mode", "tun", "--vip", four.VIP, "--vip", six.VIP)

    def _start(self, host):
        if self.kind == "rvs":
            host.run("sh", FILES / "start")
            return
        # The same for ip_vs, as far as that has it.
        shell.modprobe("ip_vs", "ip_vs_rr")
        with host.inside():
            shell.run("sysctl", "-q", "-p", FILES / "sysctl.conf")
        host.ip(f"addr add {four.VIP}/32 dev lo", f"addr add {six.VIP}/128 dev lo nodad")
        lines = (FILES / "rvs.conf").read_text(encoding="ascii").splitlines()
        lines = [line for line in lines if not line.startswith("#") and ":8004 " not in line]
        host.run("ipvsadm-restore", stdin="\n".join(lines) + "\n")
        for role in ("backup", "master"):
            host.run("ipvsadm", "--start-daemon", role, "--mcast-interface", "eth1", "--syncid", 7)

    def up(self):
        """Has keepalived run on both, and waits until the first is master."""
        for host, name in ((self.one, "one"), (self.two, "two")):
            self.kept[host] = Keepalived(host, only=["--vrrp", f"--config-id={name}"],
                                         path=FILES / "keepalived.conf")
        self.becomes_master(self.one)

    def becomes_master(self, host):
        """Waits until a director has all addresses."""

        def has_all():
            shown = host.run("ip", "-br", "addr", "show", "dev", "eth0").stdout
            return all(a in shown for a in (f"{four.DIRECTOR}/", f"{six.DIRECTOR}/", "192.168.56.202/", "::202/"))

        try:
            wait_until(has_all, f"{host.name} is master", 60, step=0.2)
        except AssertionError:
            for kept in self.kept.values():
                print(kept.said())
            raise

    def speak(self, each, cells, flows=0):
        """Connections that go on speaking, EACH to each of the (IP version, mode), and UDP flows."""
        ends = [(VIPS[version], PORTS[mode]) for version, mode in cells]
        self.count += (each + flows) * len(cells)
        rest = rest_of(self.count)
        for those in self.open:
            those.rest = rest
        speakers = Speakers(self.lab.client, ends, each, rest)
        self.open.append(speakers)
        if not flows:
            return speakers, None
        going = Flows(self.lab.client, ends, flows, rest)
        self.open.append(going)
        return speakers, going

    def cut(self, host):
        """A director's links go, without a goodbye; and come back."""
        host.ip("link set eth0 down", "link set eth1 down")

    def mend(self, host):
        """They come back, with what goes with them."""
        number = 116 + (host is self.two)
        host.ip("link set eth0 up", "link set eth1 up", f"route replace default via {four.ROUTER}",
                f"addr replace 2001:db8:56::{number}/64 dev eth0 nodad", f"route replace default via {six.ROUTER}")

    def knows(self, host):
        """How many connections a director knows that are established, or flows."""
        if self.kind == "rvs":
            rows = shell.run("rvsadm", "-n", host.name, "conn", "list", "--json").stdout
            return rows.count('"established"') + rows.count('"state":"udp"')
        lines = host.run("ipvsadm", "-Lnc").stdout.splitlines()
        return sum("ESTABLISHED" in line or line.startswith("UDP") for line in lines)

    def close(self):
        """Ends all."""
        for each in self.open:
            each.close()
        for kept in self.kept.values():
            kept.kill()
        for host in (self.one, self.two):
            if self.kind == "rvs":
                for role in ("master", "backup"):
                    host.run("rvsadm", "sync", "stop", role, check=False)
                host.run("rvsadm", "service", "flush")
            else:
                for role in ("master", "backup"):
                    host.run("ipvsadm", "--stop-daemon", role, check=False)
                host.run("ipvsadm", "-C")
        for echo in (self.echo, *self.udp):
            echo.close()
        for name, host in self.lab.real.items():
            if name != "rs1":
                host.run("rvsadm", "rs", "undo")
        self.two.close()

