# SPDX-License-Identifier: GPL-2.0
"""In the guest: do two CPUs that forward packets of established flows write to the same memory?

QEMU counts each write of RVS's code while both CPUs send packets of flows of their own. The
connections of both lie next to each other. A cache line that both have written is an error.

usage: shared.py FILE     where the plugin bench/tools/shared.c writes
"""

import bisect
import collections
import os
import sys

sys.path[:0] = [
    os.path.dirname(__file__),
    os.path.join(os.path.dirname(__file__), "..", "tests", "vm"),
]

# pylint: disable=wrong-import-position
from lab import shell  # noqa: E402
from mark import marked  # noqa: E402
from path import CLIENTS, FIRST_CLIENT, Path  # noqa: E402
from pktgen import Clients, Pktgen, to_service  # noqa: E402
from setups import balanced  # noqa: E402

CPUS = (0, 1)
FLOWS = 501  # of each CPU; odd, see Clients
PACKETS = 50 * FLOWS  # of each CPU
MODES = ("dr", "nat", "tun", "fullnat")


def of_both():
    """Flows of the first and the second CPU in turn."""
    return Clients(CLIENTS.format(FIRST_CLIENT), len(CPUS), FLOWS)


def of_cpu(cpu):
    """Half of them."""
    return Clients(CLIENTS.format(FIRST_CLIENT + cpu), 1, FLOWS)


# CPUs on which workers run that belong to none, as a mask. RVS's, which looks at the table four
# times a second, runs wherever there is time: here on one, or its own memory would be of both.
WORKERS = "/sys/devices/virtual/workqueue/cpumask"


def symbols():
    """Sorted addresses of functions, and their names."""
    with open("/proc/kallsyms", encoding="ascii") as f:
        found = sorted((int(a, 16), " ".join(name)) for a, kind, *name in map(str.split, f)
                       if kind in "tT")
    return [address for address, _ in found], [name for _, name in found]


def writes(path):
    """Who wrote what: {line: {cpu: {function of RVS: count}}}."""
    addresses, names = symbols()
    found = collections.defaultdict(lambda: collections.defaultdict(collections.Counter))
    with open(path, encoding="ascii") as f:
        for line in f:
            if line.startswith("lost"):
                assert line.split()[1] == "0", f"the plugin had no room: {line}"
                continue
            instruction, where, cpu, count = line.split()
            name = names[bisect.bisect_right(addresses, int(instruction, 16)) - 1]
            if name.endswith("[rvs]"):
                found[int(where, 16)][int(cpu)][name.split()[0]] += int(count)
    return found


def measure(mode, output, same_flows=False):
    """Packets of both CPUs through a service; what RVS wrote meanwhile."""
    with Path() as path:
        balanced("rvs", mode)(path)
        pktgen = Pktgen(path.forward)
        pktgen.send_from({0: (2 * FLOWS, to_service(of_both()))})
        cpus = {cpu: (PACKETS, to_service(of_cpu(0 if same_flows else cpu))) for cpu in CPUS}
        pktgen.send_from(cpus)
        with marked(len(CPUS) * PACKETS):
            pktgen.send_from(cpus)
        return writes(output)


def main():
    """One line a mode; then the memory that both wrote to."""
    output = sys.argv[1]
    shell.modprobe("pktgen")
    shell.run("insmod", os.environ["RVS_BENCH_MODULE"])
    with open(WORKERS, "w", encoding="ascii") as f:
        f.write("1")
    failed = 0
    print(f"{'mode':<20}{'lines cpu 0':>12}{'lines cpu 1':>12}{'of both':>9}", flush=True)
    for mode, same in [*((mode, False) for mode in MODES), ("dr", True)]:
        found = measure(mode, output, same)
        mine = [sum(cpu in by for by in found.values()) for cpu in CPUS]
        both = {line: by for line, by in found.items() if len(by) > 1}
        name = mode + (", the same flows" if same else "")
        print(f"{name:<20}{mine[0]:>12,}{mine[1]:>12,}{len(both):>9,}", flush=True)
        for line, by in sorted(both.items())[: 0 if same else 10]:
            who = "; ".join(f"cpu {cpu}: {dict(names)}" for cpu, names in sorted(by.items()))
            print(f"    {line:x} {who}")
        # Where they have to share, it has to be seen, or this shows nothing.
        failed += bool(both) != same or not all(mine)
    print(f"{len(MODES) + 1 - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
