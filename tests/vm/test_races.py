# SPDX-License-Identifier: GPL-2.0
"""Two CPUs begin the same flow, from any side, while what it leads to comes and goes.

What is rare here is made likely by a build with RVS_DELAYS=y, and told by the debug kernel:
`make test-races`.
"""

import contextlib
import itertools
import os
import random
import socket
import struct
import time

import pytest
from lab import shell
from lab.director import Service
from lab.fullnat import LOCALS
from lab.genl import Client, Refused
from lab.netns import Host, wait_until
from lab.packets import SYN, TCP, UDP, tcp, udp
from lab.raw import _director_rvs, _lab, _rvs, _wire  # noqa: F401
from lab.rivals import Rivals, Sender
from lab.six import (
    CLIENT as CLIENT6, DIRECTOR as DIRECTOR6, LOCALS as LOCALS6, REAL_SERVERS as REAL6, VIP as VIP6,
    Six,
)
from lab.topology import CLIENT, DIRECTOR, REAL_SERVERS, VIP

ROUNDS = 200
# Of the test with changes; ten minutes by `make test-races`.
SECONDS = int(os.environ.get("RVS_STRESS_SECONDS") or 8)
# Ports of its flows, few, so that flows begin again and again.
FIRST, FLOWS = 6000, 16
MODES = {"nat": 2, "fullnat": 4}
PORT = 53
SOURCE, DESTINATION = 0, 1


@pytest.fixture(name="sinks", autouse=True, scope="module")
def _sinks(lab):
    """Real servers that drop what comes before it costs them anything."""
    for host in lab.real.values():
        host.run("nft", "add table netdev sink; add chain netdev sink in "
                 "{ type filter hook ingress device eth0 priority 0; } ; "
                 f"add rule netdev sink in udp dport {PORT} drop; "
                 f"add rule netdev sink in tcp dport {PORT} drop")


@pytest.fixture(name="both", scope="module")
def _both(lab, director_rvs):
    """The lab with both IP versions, and local addresses on its director."""
    made = Six(lab)
    for address in (*LOCALS, *LOCALS6):
        length = 128 if ":" in address else 32
        lab.director.ip(f"addr add {address}/{length} dev eth0 nodad")
    director_rvs.adm("laddr", "add", "--default", *LOCALS, *LOCALS6)
    return made


def packet(source, destination, protocol):
    """A packet that begins a flow between (address, port) pairs of either IP version."""
    if ":" not in source[0]:
        return udp(source, destination) if protocol == UDP else tcp(source, destination, SYN)
    ports = struct.pack("!HH", source[1], destination[1])
    if protocol == UDP:
        segment = ports + struct.pack("!HH", 8, 0xFFFF)
    else:
        segment = ports + struct.pack("!IIBBHHH", 1, 0, 0x50, SYN, 65535, 0, 0)
    ends = [socket.inet_pton(socket.AF_INET6, address) for address, _ in (source, destination)]
    return struct.pack("!IHBB", 6 << 28, len(segment), protocol, 64) + b"".join(ends) + segment


def service(mode, protocol, six=False, dests=("rs1",)):
    """A service of either IP version."""
    addresses = REAL6 if six else REAL_SERVERS
    return Service([(addresses[name], 1) for name in dests], mode=mode, port=PORT,
                   protocol="udp" if protocol == UDP else "tcp", vip=VIP6 if six else VIP)


def from_both_sides(lab, wire, protocol, six=False):
    """The same packets of a client, from the router's port and from another host on the link."""
    ends = ((CLIENT6, 1), (VIP6, PORT)) if six else ((CLIENT, 1), (VIP, PORT))
    begins = packet(*ends, protocol)
    return [
        Sender.frames(lab.router, "to-director", wire.director_mac, begins, SOURCE, cpu=0),
        Sender.frames(lab.real["rs3"], "eth0", wire.director_mac, begins, SOURCE, cpu=1),
    ]


@pytest.mark.parametrize("mode, protocol, six, dests", [
    ("nat", UDP, False, 1), ("nat", TCP, True, 1), ("nat", UDP, False, 3),
    ("fullnat", UDP, True, 1), ("fullnat", TCP, False, 3), ("dr", UDP, False, 3),
])
@pytest.mark.usefixtures("both")
def test_who_is_second_uses_the_firsts_connection(lab, wire, rvs, mode, protocol, six, dests):
    svc = service(mode, protocol, six, list(REAL_SERVERS)[:dests])
    rvs.add(svc)
    with Rivals(*from_both_sides(lab, wire, protocol, six)) as rivals:
        rounds = rivals.run(ROUNDS)
    wire.settle()
    now = rvs.counters()
    assert now["drop_no_port"] == 0
    assert now["conns_now"] == rvs.traffic()["connections"] == rounds == ROUNDS
    assert rvs.traffic()["in_packets"] == 2 * ROUNDS
    inactive = sum(dest["inactive"] for dest in rvs.dests(svc).values())
    active = sum(dest["active"] for dest in rvs.dests(svc).values())
    assert inactive + active == ROUNDS


@pytest.mark.usefixtures("both")
def test_two_threads_on_the_director(lab, wire, rvs):
    """As above, from LOCAL_OUT."""
    rvs.add(service("nat", UDP))
    begins = packet((DIRECTOR, 1), (VIP, PORT), UDP)
    with Rivals(*(Sender.local(lab.director, begins, SOURCE, cpu) for cpu in (0, 1))) as rivals:
        rivals.run(ROUNDS)
    wire.settle()
    now = rvs.counters()
    assert (now["drop_no_port"], now["conns_now"]) == (0, ROUNDS)
    assert rvs.traffic()["in_packets"] == 2 * ROUNDS


class Comings:
    """Dests, services, connections and namespaces that come and go while flows begin."""

    def __init__(self, lab, seed):
        self.lab, self.random = lab, random.Random(seed)
        with lab.director.inside():
            self.nl = Client()
        self.done = 0
        self.service = self.dests = self.mode = None

    def lead(self, mode, protocol, six):
        """From now on flows of that kind are for a service."""
        addresses = REAL6 if six else REAL_SERVERS
        self.service = {
            "protocol": protocol, "address": VIP6 if six else VIP, "port": PORT,
        }
        # With one all begin with the dest that answers.
        names = self.random.choice([["rs1"], ["rs1"], ["rs1", "rs2"]])
        self.dests = [{"address": addresses[name], "port": PORT} for name in names]
        self.mode = MODES[mode]
        self.prepare()

    def do(self, command, **attrs):
        """A change that may be refused: nobody keeps track of what there is."""
        with contextlib.suppress(Refused):
            self.nl.do(command, **attrs)
        self.done += 1

    def prepare(self):
        """All is there."""
        self.do("service-add", service=dict(self.service, scheduler="rr"))
        for dest in self.dests:
            self.add(dest)

    def add(self, dest):
        """A dest, perhaps with connections of its former life."""
        self.do("dest-add", service=self.service, dest=dict(dest, mode=self.mode, weight=1))

    def step(self):
        """A dest goes and comes back at once; now and then something else."""
        dest = self.random.choice(self.dests)
        self.do("dest-del", service=self.service, dest=dest)
        if self.random.random() < 0.2:
            time.sleep(self.random.random() / 100)
        self.add(dest)
        chance = self.random.random()
        if chance < 0.05:
            self.do("conn-flush")
        elif chance < 0.08:
            self.do("service-del", service=self.service)
            self.prepare()
        elif chance < 0.1:
            self.brief()

    def brief(self):
        """A namespace whose connections are alive when it goes."""
        host = Host("brief")
        try:
            host.ip("link add d0 type dummy", "link set d0 up", "addr add 10.0.0.1/8 dev d0",
                    f"addr add {VIP}/32 dev lo")
            with host.inside(), Client() as nl:
                service = {"protocol": UDP, "address": VIP, "port": PORT}
                nl.do("service-add", service=dict(service, scheduler="rr"))
                dest = {"address": "10.1.1.1", "port": PORT, "mode": MODES["nat"], "weight": 1}
                nl.do("dest-add", service=service, dest=dest)
            begins = packet(("10.0.0.1", 1), (VIP, PORT), UDP)
            with Rivals(*(Sender.local(host, begins, SOURCE, cpu) for cpu in (0, 1))) as rivals:
                rivals.run(20)
        finally:
            host.close()


def from_all_sides(lab, wire, mode, protocol, six):
    """A client, a real server that sends to that client first, and a program on the director."""
    client, vip, server, director, local = (
        (CLIENT6, VIP6, REAL6["rs1"], DIRECTOR6, LOCALS6[0]) if six else
        (CLIENT, VIP, REAL_SERVERS["rs1"], DIRECTOR, LOCALS[0])
    )
    to = local if mode == "fullnat" else client
    answers = packet((server, PORT), (to, 1), protocol)
    return [
        *from_both_sides(lab, wire, protocol, six)[:1],
        # As near to the director as the client's.
        Sender.frames(lab.router, "to-director", wire.director_mac, answers, DESTINATION, cpu=1),
        Sender.local(lab.director, packet((director, 1), (vip, PORT), protocol), SOURCE, cpu=1),
        *from_both_sides(lab, wire, protocol, six)[1:],
    ]


@pytest.mark.seconds(200 + 2 * SECONDS)
@pytest.mark.usefixtures("both")
def test_flows_begin_while_dests_come_and_go(lab, wire, rvs):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    comings = Comings(lab, seed)
    rvs.adm("config", "set", "--local-ports", f"{FIRST}-{FIRST + FLOWS - 1}")
    end = time.monotonic() + SECONDS
    rounds = 0
    kinds = list(itertools.product(("nat", "fullnat"), (UDP, TCP), (False, True)))
    # What was ended while it was being made: datagrams whose dest goes end at once.
    kinds = itertools.cycle(kinds + [("nat", UDP, False)] * 5)
    counts = itertools.cycle((2, 4))
    while time.monotonic() < end:
        mode, protocol, six = next(kinds)
        comings.do("service-flush")
        comings.do("conn-flush")
        comings.lead(mode, protocol, six)
        # Two alone meet more exactly.
        senders = from_all_sides(lab, wire, mode, protocol, six)[:next(counts)]
        with Rivals(*senders, first=FIRST, range_=FLOWS) as rivals:
            rivals.start(1 << 40, max(1, SECONDS // 80))
            while rivals.running:
                comings.step()
            rounds += rivals.wait()
    print(f"{rounds} rounds, {comings.done} changes")
    # What began has ended, and nobody counts it.
    comings.do("service-flush")
    comings.do("conn-flush")
    wait_until(lambda: rvs.counters()["conns_now"] == 0, "no connection is left")
    comings.lead("nat", UDP, False)
    senders = from_all_sides(lab, wire, "nat", UDP, False)
    with Rivals(*senders, first=FIRST, range_=FLOWS) as rivals:
        rivals.start(1 << 40, 3)
        time.sleep(1)
        comings.do("service-flush")
        comings.nl.close()
        # Its slabs say if anything is left.
        shell.rmmod("rvs")
        rivals.wait()
    shell.modprobe("rvs")
