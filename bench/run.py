# SPDX-License-Identifier: GPL-2.0
"""Measures in the guest: instructions for each delivered packet.

Under -icount shift=0 the guest's clock advances 1 ns an instruction, whatever else the host
does, so nanoseconds of guest time are instructions.

usage: run.py OUTPUT.json [CASE]...
"""

import json
import os
import sys

sys.path[:0] = [
    os.path.dirname(__file__),
    os.path.join(os.path.dirname(__file__), "..", "tests", "vm"),
]

# pylint: disable=wrong-import-position
from cases import CASES  # noqa: E402
from lab import shell  # noqa: E402
from path import Path  # noqa: E402
from pktgen import Pktgen  # noqa: E402

REPEATS = 3
WARM_UP = 3200
PACKETS = 16000


def measure(case):
    """Instructions a packet, of each repeat."""
    path = Path()
    try:
        case.setup(path)
        generator = Pktgen(path, case.destination, case.new_flows)
        generator.send(WARM_UP)
        return [generator.send(PACKETS) for _ in range(REPEATS)]
    finally:
        path.close()


def main():
    """All cases, or those named and the floor."""
    output, wanted = sys.argv[1], sys.argv[2:]
    unknown = set(wanted) - {case.name for case in CASES}
    if unknown:
        print(f"no such case: {', '.join(sorted(unknown))}")
        return 2
    shell.modprobe("pktgen")
    # No index lists it: it is of no use outside this bench.
    shell.run("insmod", os.environ["RVS_BENCH_MODULE"])

    print("instructions a delivered packet, 64-byte UDP, bursts of 32, one flow unless new-flow")
    print(f"{'case':<24}{'total':>9}{'above floor':>14}{'spread':>9}", flush=True)
    base, results, failed = None, {}, 0
    for case in CASES:
        if wanted and case.name not in wanted and case.name != "floor":
            continue
        try:
            runs = measure(case)
        except (AssertionError, OSError) as error:
            failed += 1
            print(f"{case.name:<24}  failed: {error}", flush=True)
            continue
        best = min(runs)
        spread = (max(runs) - best) / best * 100
        if case.name == "floor":
            base = best
        else:
            results[case.name] = round(best)
        above = f"{best - base:,.0f}" if base else "?"
        print(f"{case.name:<24}{best:>9,.0f}{above:>14}{spread:>8.2f}%", flush=True)
    with open(output, "w", encoding="ascii") as f:
        json.dump({"floor": round(base) if base else None, "cases": results}, f, indent=2)
        f.write("\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
