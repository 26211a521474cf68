# SPDX-License-Identifier: GPL-2.0
"""The lab of the article: one director, three real servers, a client on another network.

Real curl asks real nginx through the virtual address; printed is who answered, which client
address the servers logged, and how rvsadm sees it.

usage: demo.py [REQUESTS]
"""

import collections
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tests", "vm"))

# pylint: disable=wrong-import-position
from lab.director import Rvs, Service  # noqa: E402
from lab.shell import CommandError  # noqa: E402
from lab.topology import CLIENT, DIRECTOR, VIP, Lab  # noqa: E402

# Mode, scheduler, weights of rs1, rs2, rs3; a later mode is one more line.
SCENES = [
    ("dr", "rr", (1, 1, 1)),
    ("dr", "wrr", (3, 2, 1)),
]
FORMAT = "{:<6}{:<11}{:<9}{:>9}  {:<24}{}"


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


def scene(lab, rvs, mode, scheduler, weights, requests):
    """One line of the table; returns what was wrong with it."""
    logged = {name: len(web.log()) for name, web in lab.web.items()}
    rvs.add(Service(list(zip(lab.addresses.values(), weights)), scheduler, mode))
    served = collections.Counter(ask(lab.client, requests))
    clients = {
        entry[0] for name, web in lab.web.items() for entry in web.log()[logged[name]:]
    }
    print(FORMAT.format(
        mode.upper(), scheduler, ":".join(map(str, weights)), requests,
        "  ".join(f"{name} {served[name]}" for name in lab.web), ", ".join(sorted(clients)),
    ), flush=True)
    wrong = []
    expected = dict(zip(lab.web, share(requests, weights)))
    if dict(served) != expected:
        wrong.append(f"{mode} {scheduler}: expected {expected}, served {dict(served)}")
    if clients != {CLIENT}:
        wrong.append(f"{mode} {scheduler}: the servers logged {clients} and not {CLIENT}")
    return wrong


def main():
    """All scenes, then the last one as rvsadm shows it."""
    requests = int(sys.argv[1]) if sys.argv[1:] else 60
    print(f"RVS on Linux {os.uname().release}: director {DIRECTOR}, virtual address {VIP},")
    lab = Lab()
    try:
        print(f"real servers {', '.join(lab.addresses.values())}, client {CLIENT}\n")
        for host in lab.real.values():
            said = host.run("rvsadm", "rs", "setup", "--mode", "dr", "--vip", VIP).stdout
        print(f"rvsadm rs setup --mode dr --vip {VIP}      (on each real server)\n{said}")
        print(FORMAT.format(
            "mode", "scheduler", "weights", "requests", "served", "client logged"
        ))
        rvs = Rvs(lab.director)
        wrong = []
        for mode, scheduler, weights in SCENES:
            rvs.flush()
            wrong += scene(lab, rvs, mode, scheduler, weights, requests)
        for command in ("service list", "dest list", "stats show"):
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
