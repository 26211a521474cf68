# SPDX-License-Identifier: GPL-2.0
"""Everything at once, on all CPUs: floods of new flows while all that can change changes.

What it is for is the kernel's own checkers (`make test-debug`) and the sums at its end.
"""

import contextlib
import os
import random
import time

import pytest
from lab import debug, shell
from lab.director import Rvs, Service
from lab.flood import Pktgen
from lab.genl import Client, Refused, spec
from lab.netns import Host, wait_until
from lab.topology import ROUTER, VIP
from lab.web import get

# How long, and nanoseconds from one packet of a flood to the next.
SECONDS, PAUSE = (60, 1_500_000) if debug.is_debug_kernel() else (20, 300_000)
TCP, UDP = 6, 17
SCHEDULERS = "rr wrr lc wlc lblc lblcr dh sh sed nq fo ovf mh twos".split()
DESTS = [f"192.168.56.{n}" for n in (101, 102, 103, 104, 118)]


def torrents(lab):
    """Each packet of a random flow: from the client through the router on one CPU, on the other
    from a real server next to the director."""
    # With pauses, in which pktgen sleeps: the changes need time too.
    flows = ["flag UDPSRC_RND", "udp_src_min 1024", "udp_src_max 41024", f"delay {PAUSE}"]
    stack = contextlib.ExitStack()
    stack.enter_context(Pktgen(lab.client, "eth0", lab.router.mac("wan"), VIP, 80, *flows))
    stack.enter_context(Pktgen(
        lab.real["rs3"], "eth0", lab.director.mac("eth0"), VIP, 80, *flows,
        "src_min 192.168.56.103", "src_max 192.168.56.103", cpu=os.cpu_count() - 1,
    ))
    return stack


class Chaos:
    """Random changes. Refusals are right answers: nobody keeps track of what there is."""

    def __init__(self, lab, seed):
        self.lab, self.random = lab, random.Random(seed)
        with lab.director.inside():
            self.nl, self.listener = Client(), Client()
        self.listener.listen()
        self.done = self.refused = 0
        self.actions = [
            (20, self.set_weight), (12, self.add_dest), (12, self.del_dest),
            (8, self.add_service), (6, self.del_service), (6, self.set_scheduler),
            (4, self.flush_connections), (4, self.configure), (3, self.batch),
            (3, self.read), (2, self.leave_a_dump), (2, self.hear), (1, self.flush),
            (2, self.toggle_device), (1, self.change_routes), (1, self.forget_neighbours),
            (1, self.come_and_go),
        ]

    def service(self):
        """One of few services; the floods are for UDP port 80."""
        port = self.random.choice([80, 80, 80, 81, 82])
        return {"protocol": self.random.choice([UDP, UDP, TCP]), "address": VIP, "port": port}

    def dest(self):
        """One of few dests: real ones, one that is nowhere, and the director itself."""
        return {"address": self.random.choice(DESTS), "port": 80}

    def set_weight(self):
        """Also to 0, at which no dest may be left."""
        dest = dict(self.dest(), weight=self.random.choice([0, 1, 2, 3, 100]))
        self.nl.do("dest-set", service=self.service(), dest=dest)

    def add_dest(self):
        """With connections of its former life maybe still there."""
        dest = dict(self.dest(), mode=1, weight=self.random.randrange(4))
        self.nl.do("dest-add", service=self.service(), dest=dest)

    def del_dest(self):
        """While packets choose it."""
        self.nl.do("dest-del", service=self.service(), dest=self.dest())

    def add_service(self):
        """The address may be new to the filter."""
        scheduler = self.random.choice(SCHEDULERS)
        self.nl.do("service-add", service=dict(self.service(), scheduler=scheduler))

    def del_service(self):
        """With its dests and their connections."""
        self.nl.do("service-del", service=self.service())

    def set_scheduler(self):
        """The state of the old one is carried over or not."""
        scheduler = self.random.choice(SCHEDULERS)
        self.nl.do("service-set", service=dict(self.service(), scheduler=scheduler))

    def flush_connections(self):
        """All, or those of a service."""
        only = self.random.random() < 0.5
        self.nl.do("conn-flush", **({"service": self.service()} if only else {}))

    def flush(self):
        """Nothing is left, and the floods find strangers; then something again."""
        self.nl.do("service-flush")
        self.prepare()

    def configure(self):
        """Timeouts so short that the table grows and shrinks."""
        self.nl.do("config-set", config={
            "udp-timeout": self.random.randrange(1, 4),
            "conn-max": self.random.choice([0, 0, 0, 500, 20000]),
            "expire-nodest": self.random.randrange(2),
        })

    def batch(self):
        """All dests of a service at once; often refused after some steps, and then taken back."""
        service, ops = self.service(), spec().commands
        steps = [("change", {"op": ops["dest-del"], "service": service, "dest": self.dest()})]
        for _ in range(self.random.randrange(4)):
            dest = dict(self.dest(), mode=1, weight=self.random.randrange(9))
            steps.append(("change", {"op": ops["dest-add"], "service": service, "dest": dest}))
        self.nl.do("batch", steps)

    def read(self):
        """What there is, while it changes."""
        self.nl.do("stats-get")
        for what in ("service-get", "dest-get", "conn-get"):
            self.nl.dump(what)

    def leave_a_dump(self):
        """A client that goes away in the middle."""
        with self.lab.director.inside(), Client() as client:
            client.start_dump(self.random.choice(["conn-get", "dest-get"]))
            client.receive_some()

    def hear(self):
        """Or not: the queue of events overflows now and then."""
        with contextlib.suppress(OSError):
            self.listener.events()

    def toggle_device(self):
        """Down takes the routes with it."""
        self.lab.director.ip("link set eth0 down", "link set eth0 up")
        self.lab.director.run("ip", "route", "replace", "default", "via", ROUTER, check=False)

    def change_routes(self):
        """A way that was good leads elsewhere, or nowhere."""
        dest = self.random.choice(DESTS[:3])
        kind = self.random.choice(["blackhole", "unreachable", "throw"])
        for words in (["add", kind, f"{dest}/32"], ["del", kind, f"{dest}/32"]):
            self.lab.director.run("ip", "route", *words, check=False)

    def forget_neighbours(self):
        """Cached ways hold some."""
        self.lab.director.run("ip", "neigh", "flush", "dev", "eth0", check=False)

    def come_and_go(self):
        """A namespace with a service, connections through a device, and no goodbye."""
        brief = Host("brief")
        try:
            brief.ip("link add d0 type dummy", "link set d0 up", "addr add 10.0.0.1/8 dev d0",
                     f"addr add {VIP}/32 dev lo")
            with brief.inside(), Client() as nl:
                service = {"protocol": UDP, "address": VIP, "port": 80}
                nl.do("service-add", service=dict(service, scheduler="rr"))
                dest = {"address": "10.1.1.1", "port": 80, "mode": 1, "weight": 1}
                nl.do("dest-add", service=service, dest=dest)
            packets = f"for i in 1 2 3; do echo >/dev/udp/{VIP}/80; done"
            brief.run("bash", "-c", packets, check=False)
            if self.random.random() < 0.5:
                brief.ip("link del d0")
        finally:
            brief.close()

    def prepare(self):
        """What the floods are for is there."""
        service = {"protocol": UDP, "address": VIP, "port": 80}
        with contextlib.suppress(Refused):
            self.nl.do("service-add", service=dict(service, scheduler="wrr"))
        for address in DESTS[:3]:
            with contextlib.suppress(Refused):
                dest = {"address": address, "port": 80, "mode": 1, "weight": 2}
                self.nl.do("dest-add", service=service, dest=dest)

    def run(self, seconds):
        """For that long."""
        weights, actions = zip(*self.actions)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            action = self.random.choices(actions, weights)[0]
            try:
                action()
                self.done += 1
            except Refused as refused:
                assert refused.errno != "ENOMEM", action
                self.refused += 1
            if self.done % 50 == 0:
                self.prepare()

    def close(self):
        """The sockets."""
        self.nl.close()
        self.listener.close()


def drained(rvs):
    """No connection is left, and nobody counts one."""
    if rvs.json("stats", "show")["counters"]["conns_now"]:
        return False
    services = rvs.json("service", "list")["services"]
    return all(s["active"] == 0 and s["inactive"] == 0 for s in services)


@pytest.mark.usefixtures("web")
@pytest.mark.seconds(200)
def test_everything_at_once(lab, unloaded):
    lab.prepare_dr()
    rvs = Rvs(lab.director)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chaos = Chaos(lab, seed)
    chaos.prepare()
    with torrents(lab):
        chaos.run(SECONDS)
    print(f"{chaos.done} changes, {chaos.refused} refused")
    assert chaos.done + chaos.refused > 50
    chaos.close()
    rvs.adm("config", "set", "--udp-timeout", "1")
    wait_until(lambda: drained(rvs), "all connections have expired", seconds=60, step=1)
    counters = rvs.json("stats", "show")["counters"]
    assert counters["conns_expired"] > 0 and counters["table_resizes"] > 0, counters

    # Once more, and away under traffic.
    with torrents(lab):
        rvs.flush()
        rvs.restore(Service([(a, 1) for a in DESTS[:3]], protocol="udp"))
        time.sleep(2)
        shell.rmmod("rvs")

    rvs = Rvs(lab.director)
    rvs.add(Service([(lab.addresses["rs1"], 1)]))
    assert get(lab.client, VIP) == "rs1"
