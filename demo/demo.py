# SPDX-License-Identifier: GPL-2.0
"""The lab of the article: one director, three real servers, a client on another network.

Real curl asks real nginx through the virtual address, and dig asks dnsmasq, over IPv4 and IPv6;
printed is who answered, which client address the servers logged, and how rvsadm sees it.

usage: demo.py [REQUESTS]
"""

import collections
import contextlib
import dataclasses
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tests", "vm"))

# pylint: disable=wrong-import-position
from lab import pair, shell, six, topology  # noqa: E402
from lab.director import Rvs, Service, end  # noqa: E402
from lab.dns import DnsServer, dig  # noqa: E402
from lab.netns import wait_until  # noqa: E402
from lab.shell import CommandError  # noqa: E402
from lab.topology import Lab  # noqa: E402

# Connections of each mode and IP version that are open when a director is killed.
EACH = 3
FORMAT = "{:<9}{:<6}{:<11}{:<9}{:>9}  {:<24}{}"


@dataclasses.dataclass
class Ends:
    """The lab's addresses of one family."""

    vip: str
    client: str
    director: str
    local: str  # what FullNAT puts in the client's place
    real: dict  # of the real servers by name


V4 = Ends(topology.VIP, topology.CLIENT, topology.DIRECTOR, "192.168.56.201", topology.REAL_SERVERS)
V6 = Ends(six.VIP, six.CLIENT, six.DIRECTOR, six.LOCALS[0], six.REAL_SERVERS)
VIPS = ("--vip", V4.vip, "--vip", V6.vip)

# IP versions of client and real servers.
FAMILIES = {"4": (V4, V4), "6": (V6, V6), "6>4": (V6, V4)}


@dataclasses.dataclass
class Scene:
    """One line of the table."""

    title: str
    mode: str = "fullnat"
    scheduler: str = "rr"
    weights: tuple = (1, 1, 1)
    told: bool = False  # the real servers learn the client's address all the same
    dns: bool = False


def prepare(lab, *setups):
    """Makes the real servers what they are to be, and nothing else."""
    for host in lab.real.values():
        host.run("rvsadm", "rs", "undo")
        for setup in setups:
            host.run("rvsadm", "rs", "setup", "--mode", *setup)


def prepare_dr(lab, _rvs):
    """The virtual addresses on the real servers, without ARP for them."""
    prepare(lab, ["dr", *VIPS])


def prepare_nat(lab, _rvs):
    """Replies go through the director; nothing else is special."""
    prepare(lab, *(["nat", "--director", ends.director] for ends in (V4, V6)))


def prepare_tun(lab, _rvs):
    """Real servers take packets out of tunnels and answer by themselves."""
    prepare(lab, ["tun", *VIPS])


def prepare_fullnat(lab, rvs):
    """One more address of each family for the director; real servers are as they are anywhere."""
    prepare(lab)
    lab.director.ip(f"addr add {V4.local}/32 dev eth0", f"addr add {V6.local}/128 dev eth0 nodad")
    rvs.adm("laddr", "add", "--default", V4.local, V6.local)


def prepare_toa(lab, _rvs):
    """Real servers believe what the director says of its clients."""
    shell.modprobe("toa")
    prepare(lab, ["fullnat", "--director", V4.local, "--director", V6.local])


# What is done before, lines of the table, IP versions that they are for.
SCENES = [
    (prepare_dr, [Scene("DR", "dr"), Scene("DR", "dr", "wrr", (3, 2, 1))], "46"),
    (prepare_nat, [Scene("NAT", "nat")], "46"),
    (prepare_tun, [Scene("TUN", "tun")], "46"),
    (prepare_fullnat, [Scene("FullNAT")], ["4", "6", "6>4"]),
    (prepare_toa, [Scene("with toa", told=True)], "46"),
    (None, [Scene("DNS", dns=True), Scene("with toa", told=True, dns=True)], "46"),
]


def web(lab, vip, requests, _dests):
    """REQUESTS new connections by curl; who answered each, and whom the servers logged."""
    before = {name: len(server.log()) for name, server in lab.web.items()}
    out = lab.client.run(
        "curl", "-sS", "-m", 10, "--no-keepalive", "-H", "Connection: close",
        f"http://{end(vip, 80)}/[1-{requests}]", timeout=120,
    ).stdout
    logged = {entry[0] for name, server in lab.web.items() for entry in server.log()[before[name]:]}
    return out.split(), logged


def dns(lab, vip, requests, dests):
    """The same with dig and dnsmasq."""
    names = {address: name for name, address in dests.items()}
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(contextlib.closing(DnsServer(lab.real[name], address)))
                   for name, address in dests.items()]
        for server in servers:
            server.wait()
        served = [names[answer] for answer in dig(lab.client, vip, requests)]
        return served, {client for server in servers for client in server.clients()}


def play(lab, rvs, requests, scene, versions):
    """One line of the table; returns what was wrong with it."""
    outside, inside = FAMILIES[versions]
    rvs.flush()
    dests = list(zip(inside.real.values(), scene.weights))
    protocol, port = ("udp", 53) if scene.dns else ("tcp", 80)
    service = Service(dests, scene.scheduler, scene.mode, protocol, outside.vip, port)
    rvs.add(service)
    if scene.dns:
        toa = "on" if scene.told else "off"
        rvs.adm("service", "set", service.id, "--toa", toa)
        for host in lab.real.values():
            host.run("rvsadm", "toa", "udp", toa)
    served, clients = (dns if scene.dns else web)(lab, outside.vip, requests, inside.real)
    served = collections.Counter(served)
    print(FORMAT.format(
        scene.title, versions, scene.scheduler, ":".join(map(str, scene.weights)), requests,
        "  ".join(f"{name} {served[name]}" for name in lab.real), ", ".join(sorted(clients)),
    ), flush=True)
    what = f"{scene.title} {scene.scheduler}, IP {versions}"
    share = {name: requests * weight // sum(scene.weights)
             for name, weight in zip(lab.real, scene.weights)}
    sees = outside.client if scene.told or scene.mode != "fullnat" else inside.local
    wrong = []
    if dict(served) != share:
        wrong.append(f"{what}: expected {share}, served {dict(served)}")
    if clients != {sees}:
        wrong.append(f"{what}: the servers logged {clients} and not {sees}")
    return wrong


def fail_over():
    """Two directors tell each other of connections, and one is killed; returns what was wrong."""
    lab = Lab(web=False)
    with contextlib.ExitStack() as stack:
        stack.callback(lab.close)
        both = stack.enter_context(contextlib.closing(pair.Pair(lab)))
        first, second = both.directors("rvs", "rvs")
        for director, role in ((first, "master"), (second, "backup")):
            pair.give(director, pair.ALL)
            pair.sync(director, "start", role)
        clients = stack.enter_context(contextlib.closing(pair.Clients(lab.client)))
        ports = clients.connect(EACH, pair.ALL)
        wait_until(lambda: ports <= {port for port, *_ in pair.known(second)}, "director 2 knows them", 90)
        both.fail_over()
        broken = len(clients.speak(b"who is there?", 30))
    print(f"\ndirector 1 killed: {len(ports)} connections, {broken} broken", flush=True)
    return ["connections are broken"] if broken else []


def main():
    """All scenes, then the last one as rvsadm shows it, then a failover."""
    requests = int(sys.argv[1]) if sys.argv[1:] else 60
    print(f"RVS on Linux {os.uname().release}: director {V4.director}, virtual address {V4.vip},")
    lab = Lab()
    try:
        print(f"real servers {', '.join(V4.real.values())}, client {V4.client};")
        print(f"director {V6.director}, virtual address {V6.vip}, client {V6.client}\n")
        print(FORMAT.format(
            "mode", "IP", "scheduler", "weights", "requests", "served", "client logged"
        ))
        six.Six(lab)
        rvs = Rvs(lab.director)
        wrong = []
        for before, scenes, versions in SCENES:
            if before:
                before(lab, rvs)
            for scene in scenes:
                for version in versions:
                    wrong += play(lab, rvs, requests, scene, version)
        for command in ("service list", "dest list", "laddr list", "stats show"):
            print(f"\nrvsadm {command}")
            print(rvs.adm(*command.split()).stdout, end="")
    except CommandError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        lab.close()
    wrong += fail_over()
    for sentence in wrong:
        print(f"error: {sentence}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
