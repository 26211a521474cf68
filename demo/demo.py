# SPDX-License-Identifier: GPL-2.0
"""The lab of the article: one director, three real servers, a client on another network.

Real curl asks real nginx through the virtual address; printed is who answered, which client
address the servers logged, and how rvsadm sees it.

usage: demo.py [REQUESTS]
"""

import collections
import contextlib
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tests", "vm"))

# pylint: disable=wrong-import-position
from lab.director import Rvs, Service  # noqa: E402
from lab import shell  # noqa: E402
from lab.shell import CommandError  # noqa: E402
from lab.topology import CLIENT, DIRECTOR, ROUTER, VIP, Lab  # noqa: E402
from lab.transfer import UdpEcho  # noqa: E402
from lab.transfer import ask as ask_udp  # noqa: E402

FORMAT = "{:<9}{:<11}{:<9}{:>9}  {:<24}{}"
# What FullNAT puts in the client's place.
LOCAL = "192.168.56.201"


def set_up_dr(lab, _rvs):
    """The virtual address on the real servers, without ARP for it."""
    for host in lab.real.values():
        host.run("rvsadm", "rs", "setup", "--mode", "dr", "--vip", VIP)


def set_up_nat(lab, _rvs):
    """Replies go through the director; nothing else is special."""
    for host in lab.real.values():
        host.run("rvsadm", "rs", "undo")
    lab.prepare_nat()


def set_up_tun(lab, _rvs):
    """Real servers take packets out of tunnels and answer by themselves."""
    for host in lab.real.values():
        host.ip(f"route replace default via {ROUTER}")
    lab.prepare_tun()


def set_up_fullnat(lab, rvs):
    """One more address for the director; real servers are as they are anywhere."""
    lab.director.ip(f"addr add {LOCAL}/32 dev eth0")
    rvs.adm("laddr", "add", "--default", LOCAL)


def set_up_toa(lab, _rvs):
    """Real servers believe what the director says of its clients."""
    shell.modprobe("toa")
    for host in lab.real.values():
        host.run("rvsadm", "toa", "trust", "add", f"{LOCAL}/32")


# Title, mode, what is done before, scheduler, weights of rs1, rs2, rs3, what the servers log.
SCENES = [
    ("DR", "dr", set_up_dr, "rr", (1, 1, 1), CLIENT),
    ("DR", "dr", None, "wrr", (3, 2, 1), CLIENT),
    ("NAT", "nat", set_up_nat, "rr", (1, 1, 1), CLIENT),
    ("TUN", "tun", set_up_tun, "rr", (1, 1, 1), CLIENT),
    ("FullNAT", "fullnat", set_up_fullnat, "rr", (1, 1, 1), LOCAL),
    ("with toa", "fullnat", set_up_toa, "rr", (1, 1, 1), CLIENT),
]


# Title, whether the service and the real servers are told to, what programs see.
UDP_SCENES = [("UDP", "off", LOCAL), ("with toa", "on", CLIENT)]
UDP_PORT = 5000


def ask(client, requests):
    """REQUESTS new connections by curl; who answered each."""
    out = client.run(
        "curl", "-sS", "-m", 10, "--no-keepalive", "-H", "Connection: close",
        f"http://{VIP}/[1-{requests}]", timeout=120,
    ).stdout
    return out.split()


def share(requests, weights):
    """What each real server should serve."""
    return [requests * w // sum(weights) for w in weights]


def scene(lab, rvs, requests, what):
    """One line of the table; returns what was wrong with it."""
    title, mode, set_up, scheduler, weights, sees = what
    if set_up:
        set_up(lab, rvs)
    logged = {name: len(web.log()) for name, web in lab.web.items()}
    rvs.add(Service(list(zip(lab.addresses.values(), weights)), scheduler, mode))
    served = collections.Counter(ask(lab.client, requests))
    clients = {
        entry[0] for name, web in lab.web.items() for entry in web.log()[logged[name]:]
    }
    print(FORMAT.format(
        title, scheduler, ":".join(map(str, weights)), requests,
        "  ".join(f"{name} {served[name]}" for name in lab.web), ", ".join(sorted(clients)),
    ), flush=True)
    wrong = []
    expected = dict(zip(lab.web, share(requests, weights)))
    if dict(served) != expected:
        wrong.append(f"{title} {scheduler}: expected {expected}, served {dict(served)}")
    if clients != {sees}:
        wrong.append(f"{title} {scheduler}: the servers logged {clients} and not {sees}")
    return wrong


def udp_scene(lab, rvs, requests, what):
    """The same with a plain UDP program on the real servers, which answers whom it hears."""
    title, toa, sees = what
    service = Service([(address, 1) for address in lab.addresses.values()], "rr", "fullnat", "udp",
                      port=UDP_PORT)
    rvs.add(service)
    rvs.adm("service", "set", service.id, "--toa", toa)
    for host in lab.real.values():
        host.run("rvsadm", "toa", "udp", toa)
    with contextlib.ExitStack() as stack:
        programs = [stack.enter_context(contextlib.closing(UdpEcho(host, UDP_PORT)))
                    for host in lab.real.values()]
        served = collections.Counter(
            ask_udp(lab.client, VIP, UDP_PORT).split()[0].decode() for _ in range(requests))
    clients = {peer[0] for program in programs for peer in program.peers}
    print(FORMAT.format(
        title, "rr", "1:1:1", requests, "  ".join(f"{name} {served[name]}" for name in lab.real),
        ", ".join(sorted(clients)),
    ), flush=True)
    wrong = []
    if dict(served) != dict(zip(lab.real, share(requests, (1, 1, 1)))):
        wrong.append(f"{title} of UDP: served {dict(served)}")
    if clients != {sees}:
        wrong.append(f"{title} of UDP: the servers saw {clients} and not {sees}")
    return wrong


def main():
    """All scenes, then the last one as rvsadm shows it."""
    requests = int(sys.argv[1]) if sys.argv[1:] else 60
    print(f"RVS on Linux {os.uname().release}: director {DIRECTOR}, virtual address {VIP},")
    lab = Lab()
    try:
        print(f"real servers {', '.join(lab.addresses.values())}, client {CLIENT}\n")
        print(FORMAT.format(
            "mode", "scheduler", "weights", "requests", "served", "client logged"
        ))
        rvs = Rvs(lab.director)
        wrong = []
        for what in SCENES:
            rvs.flush()
            wrong += scene(lab, rvs, requests, what)
        for what in UDP_SCENES:
            rvs.flush()
            wrong += udp_scene(lab, rvs, requests, what)
        for command in ("service list", "dest list", "laddr list", "stats show"):
            print(f"\nrvsadm {command}")
            print(rvs.adm(*command.split()).stdout, end="")
        for sentence in wrong:
            print(f"error: {sentence}", file=sys.stderr)
        return 1 if wrong else 0
    except CommandError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        lab.close()


if __name__ == "__main__":
    sys.exit(main())
