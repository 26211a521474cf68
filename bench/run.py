# SPDX-License-Identifier: GPL-2.0
"""Measures in the guest: instructions for each delivered packet, and others.

Under -icount shift=0 the guest's clock advances 1 ns an instruction, whatever else the host
does, so nanoseconds of guest time are instructions.

usage: run.py OUTPUT.json [--only] [CASE]...     CASE is a name or a pattern like 'rvs/*';
                                                 --only: not what they are compared with
"""

import fnmatch
import json
import os
import platform
import shutil
import sys
import time

sys.path[:0] = [
    os.path.dirname(__file__),
    os.path.join(os.path.dirname(__file__), "..", "tests", "vm"),
]

# pylint: disable=wrong-import-position
from cases import CASES  # noqa: E402
from lab import shell  # noqa: E402
from mark import Counted  # noqa: E402


def select(cases, patterns, compared):
    """The cases that are wanted, and those that their figures are compared with: COMPARED(case)
    gives their names."""
    if not patterns:
        return [case for case in cases if not case.slow]
    names = {case.name for case in cases}
    unknown = [p for p in patterns if not fnmatch.filter(names, p)]
    if unknown:
        print(f"no such case: {', '.join(unknown)}")
        sys.exit(2)
    wanted = {name for p in patterns for name in fnmatch.filter(names, p)}
    wanted |= {name for case in cases if case.name in wanted for name in compared(case)}
    return [case for case in cases if case.name in wanted]


def prepare():
    """Loads what all cases need."""
    shell.modprobe("pktgen")
    # No index lists it: it is of no use outside this bench.
    shell.run("insmod", os.environ["RVS_BENCH_MODULE"])


def measure(case):
    """The figure of each run, or None; prints why."""
    try:
        return case.measure()
    except (AssertionError, OSError) as error:
        print(f"{case.name:<36}  FAILED: {error}", flush=True)
        return None


def write(output, details, failed, **more):
    """The figures, the least of each case's runs, and what else there is to know."""
    figures = {name: min(detail["runs"]) for name, detail in details.items()}
    with open(output, "w", encoding="ascii") as f:
        json.dump({
            "kernel": platform.release(),
            "floor": round(figures["floor"]) if "floor" in figures else None,
            "cases": {name: round(value, 1) for name, value in figures.items()},
            "details": details,
            **more,
            "failed": failed,
        }, f, indent=1)
        f.write("\n")
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def main():
    """All cases, or those named and what they are compared with."""
    output, *patterns = sys.argv[1:]
    only = "--only" in patterns
    cases = select(CASES, [p for p in patterns if p != "--only"],
                   lambda case: () if only else (case.base,))
    prepare()

    print(f"{len(cases)} cases; 64-byte UDP of one flow in bursts of 32 unless the name says more")
    print(f"{'case':<36}{'least':>13}{'above floor':>13}{'spread':>8}  unit", flush=True)
    figures, details, failed = {}, {}, []
    for case in cases:
        begin = time.monotonic()
        runs = measure(case)
        if not runs:
            failed.append(case.name)
            continue
        least = min(runs)
        spread = (max(runs) - least) / least * 100 if len(runs) > 1 else None
        figures[case.name] = least
        details[case.name] = {"unit": case.unit, "base": case.base, "runs": runs}
        above = ""
        if case.base in figures and case.base != case.name:
            above = f"{least - figures[case.base]:,.0f}"
        varied = "" if spread is None else f"{spread:.2f}%"
        print(f"{case.name:<36}{least:>13,.0f}{above:>13}{varied:>8}  {case.unit}", flush=True)
        details[case.name]["seconds"] = round(time.monotonic() - begin, 1)
    # For the profiler: the names of addresses.
    shutil.copy("/proc/kallsyms", os.path.dirname(output))
    return write(output, details, failed, counted=Counted.last)


if __name__ == "__main__":
    sys.exit(main())
