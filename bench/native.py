# SPDX-License-Identifier: GPL-2.0
"""Measures on User-Mode Linux: processor time of the host for each delivered packet.

All cases are measured in turn, again and again, so that RVS and ip_vs share the host's better and
worse moments. The least time counts: whatever else the host does can only add to it.

usage: native.py OUTPUT.json [CASE]...     CASE is a name or a pattern like 'rvs/*'
"""

import statistics
import sys
import time

from run import measure, prepare, select, write
from native_cases import CASES, TARGETS, UNIT, peer

# Of packets.REPEATS runs each.
ROUNDS = 4


def rounds(cases):
    """The runs of each case, and the names of those that failed."""
    runs, failed = {case.name: [] for case in cases}, []
    for number in range(ROUNDS):
        begin = time.monotonic()
        for case in cases:
            if case.name in failed:
                continue
            if got := measure(case):
                runs[case.name] += got
            else:
                failed.append(case.name)
        print(f"round {number + 1} of {ROUNDS}: {time.monotonic() - begin:.0f} s", flush=True)
    return {name: got for name, got in runs.items() if name not in failed}, failed


def row(case, runs, ratios):
    """A line of the table. Adds to RATIOS what RVS takes of ip_vs's time, floor included."""
    mine = runs[case.name]
    least, base = min(mine), min(runs.get(case.base, [0]))
    above = f"{least - base:,.0f}" if base and case.base != case.name else ""
    line = f"{case.name:<28}{least:>8,.0f}{statistics.median(mine):>9,.0f}{above:>13}"
    if peer(case.name) == case.name or peer(case.name) not in runs:
        return line
    ratio = least / min(runs[peer(case.name)])
    ratios[case.name] = round(ratio, 3)
    target = TARGETS.get(case.name)
    if target is None:
        return f"{line}{ratio:>10.2f}"
    return f"{line}{ratio:>10.2f}  target {target}: {'reached' if ratio <= target else 'MISSED'}"


def main():
    """All cases, or those named and what they are compared with."""
    output, *patterns = sys.argv[1:]
    cases = select(CASES, patterns, lambda case: (case.base, peer(case.name)))
    prepare()
    print(f"{len(cases)} cases in {ROUNDS} rounds; 64-byte UDP in bursts of 32", flush=True)
    runs, failed = rounds(cases)
    print(f"\n{'case':<28}{'least':>8}{'median':>9}{'above floor':>13}{'of ip_vs':>10}  ({UNIT})")
    ratios = {}
    for case in cases:
        if case.name in runs:
            print(row(case, runs, ratios))
    details = {case.name: {"unit": case.unit, "base": case.base, "runs": runs[case.name]}
               for case in cases if case.name in runs}
    return write(output, details, failed, ratios=ratios, targets=TARGETS)


if __name__ == "__main__":
    sys.exit(main())
