# SPDX-License-Identifier: GPL-2.0
"""A router that spreads by ECMP over three directors, as examples/ecmp-bgp has them, and who speaks with
services by them."""

import json
import pathlib
import tempfile

from . import shell, six
from . import topology as four
from .document import content
from .many import Speakers
from .netns import Host, wait_until, wire
from .pair import Echo

FILES = pathlib.Path(__file__).resolve().parents[3] / "examples" / "ecmp-bgp"
NAMES = ("one", "two", "three")
VIPS = {4: four.VIP, 6: six.VIP}
LOCALS = {4: "192.0.2.{}", 6: "2001:db8:2::{}"}
# By the way in which connections go on at another director.
PORTS = {"sync": (8002, 8003, 8004, 8005, 8006), "mh": (8005, 8006)}


class Directors:
    """The lab with three directors that tell each other of connections, or with `mh` do not."""

    def __init__(self, lab, way):
        self.lab, self.way = lab, way
        six.Six(lab)
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="bird-"))
        self.hosts, self.birds, self.open = {}, {}, []
        # The lab's own director is none here.
        lab.director.ip("link set eth0 down")
        with lab.router.inside():
            shell.run("sysctl", "-q", "-p", FILES / "router-sysctl.conf")
        # The router takes a hash that the client's socket brings along, which is another one after a packet
        # was lost: on a real wire there is none, and who has lost packets stays where he is.
        lab.client.sysctl(core__txrehash=0)
        lab.router.ip(f"route del {four.VIP}/32", f"route del {six.VIP}/128",
                      "link add sync type bridge forward_delay 0", "link set sync up")
        for name, host in lab.real.items():
            if name != "rs1":
                host.run("rvsadm", "rs", "setup", "--mode", "tun", "--vip", four.VIP, "--vip", six.VIP)
        self.echo = Echo(lab.real.values())
        self._bird(lab.router, "router")
        for name in NAMES:
            self.boot(name)

    def _bird(self, host, name):
        files = (f"{self.home}/{name}{end}" for end in (".ctl", ".pid"))
        control, pid = files
        with open(self.home / f"{name}.log", "w", encoding="utf-8") as log:
            self.birds[name] = host.start("bird", "-f", "-c", FILES / f"{name}.conf", "-s", control, "-P", pid,
                                          stdout=log, stderr=log)

    def boot(self, name):
        """A director as it is when it has just started: it tells nobody yet that it is there."""
        number = 1 + NAMES.index(name)
        host = self.hosts[name] = Host(name)
        wire(host, self.lab.router, "eth0", f"to-{name}")
        wire(host, self.lab.router, "eth1", f"sync-{name}")
        self.lab.router.ip(f"link set to-{name} master lan", f"link set sync-{name} master sync")
        host.ip(f"addr add 192.168.56.{115 + number}/24 dev eth0", f"route add default via {four.ROUTER}",
                f"addr add 2001:db8:56::{115 + number}/64 dev eth0 nodad", f"route add default via {six.ROUTER}",
                f"addr add 10.9.0.{number}/24 dev eth1")
        host.run("sh", FILES / "start", number, self.way, timeout=300)

    def announce(self, name):
        """A director's bird begins to tell the router."""
        self._bird(self.hosts[name], name)

    def cut(self, name):
        """A director's links go, without a goodbye."""
        self.hosts[name].ip("link set eth0 down", "link set eth1 down")

    def remove(self, name):
        """A director is gone for good."""
        host = self.hosts.pop(name)
        host.stop_all()
        self.lab.router.ip(f"link del to-{name}", f"link del sync-{name}")
        self._end(host)
        host.close()

    def spread(self, *names):
        """Waits until the router spreads over just these directors, and sends what is to local addresses
        to whom it belongs, or to the next."""
        want = {(vip, name) for vip in VIPS.values() for name in names}
        for local in LOCALS.values():
            want |= {(local.format(n), owner if owner in names else names[0])
                     for n, owner in enumerate(NAMES, 1)}
        try:
            wait_until(lambda: self.routes() == want, f"the router spreads over {names}", 60, step=0.2)
        except AssertionError:
            print(self.routes() ^ want)
            for name in self.birds:
                control = self.home / f"{name}.ctl"
                print(name, (self.home / f"{name}.log").read_text(encoding="utf-8"),
                      shell.run("birdc", "-s", control, "show", "route", "all", check=False).stdout)
            raise

    def routes(self):
        """The router's: (address, director)."""
        owner = {}
        for name, host in self.hosts.items():
            for each in json.loads(host.run("ip", "-j", "addr", "show", "dev", "eth0").stdout)[0]["addr_info"]:
                owner[each["local"]] = name
        found = set()
        for version in VIPS:
            shown = self.lab.router.run("ip", f"-{version}", "-j", "route", "show", "proto", "bird").stdout
            for route in json.loads(shown or "[]"):
                hops = route.get("nexthops", [route])
                found |= {(route["dst"], owner.get(hop["gateway"])) for hop in hops}
        return found

    def adm(self, name, *args):
        """What rvsadm says on a director, as JSON."""
        return content(shell.run("rvsadm", "-n", name, *args, "-j").stdout)

    def begun(self, name):
        """How many connections a director has begun."""
        return self.adm(name, "stats", "show")["traffic"]["connections"]

    def packets(self, name):
        """How many packets a director has passed on."""
        return self.adm(name, "stats", "show")["traffic"]["in_packets"]

    def knows(self, name):
        """How many established connections a director knows."""
        return sum(c["state"] == "established" for c in self.adm(name, "conn", "list")["connections"])

    def speak(self, names, count):
        """COUNT connections that go on speaking, and more, until each of the directors has begun some; how
        many there are."""
        ends = [(vip, port) for vip in VIPS.values() for port in PORTS[self.way]]
        before = {name: self.begun(name) for name in names}
        made = 0
        while made < count or any(self.begun(name) == before[name] for name in names):
            self.open.append(Speakers(self.lab.client, ends, 1))
            made += len(ends)
            assert made < count + 200, before
        return made

    def all_go_on(self):
        """Waits until all have been answered twice more, and says who was lost."""
        rounds = [speakers.rounds() for speakers in self.open]

        def all_have():
            return all(s.rounds() > n + 1 or s.broken() for s, n in zip(self.open, rounds))

        try:
            # Where the router was slow, TCP has come to wait twice as long each time.
            wait_until(all_have, "answers", 200)
        except AssertionError:
            for speakers in self.open:
                print(speakers.numbers())
            for name in self.hosts:
                print(name, shell.run("rvsadm", "-n", name, "conn", "list").stdout)
                print(name, shell.run("rvsadm", "-n", name, "stats", "show").stdout)
            raise
        return [why for speakers in self.open for why in speakers.broken()]

    def _end(self, host):
        for role in ("master", "backup"):
            host.run("rvsadm", "sync", "stop", role, check=False)
        host.run("rvsadm", "service", "flush")

    def close(self):
        """Ends all."""
        for speakers in self.open:
            speakers.close()
        self.lab.router.stop_all()
        for name in list(self.hosts):
            self.remove(name)
        self.echo.close()
        for name, host in self.lab.real.items():
            if name != "rs1":
                host.run("rvsadm", "rs", "undo")
