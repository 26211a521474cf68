# SPDX-License-Identifier: GPL-2.0
"""Whether packets cost more than they did. What RVS adds to the floor is compared with bench/record.json.

usage: guard.py check|record BENCH.json

`check` ends with the totals line that scripts/test adds up. `record` makes the figures the ones to
compare with; a commit that does says why.
"""

import json
import os
import sys

RECORD = os.path.join(os.path.dirname(__file__), "record.json")
TOLERANCE = 0.03
CASES = ("rvs/dr", "rvs/nat", "rvs/nat-reply", "rvs/fullnat", "rvs/fullnat-reply")


def figures(bench):
    """Instructions above the floor, by case."""
    return {name: round(bench["cases"][name] - bench["floor"]) for name in CASES}


def check(kernel, now, record):
    """Prints a line a case; whether all are well."""
    if kernel not in record:
        print(f"bench: nothing is recorded for {kernel}; make bench-record does it")
        print(f"0 passed, 0 failed, {len(CASES)} skipped")
        return True
    failed = 0
    for name in CASES:
        limit = record[kernel][name] * (1 + TOLERANCE)
        bad = now[name] > limit
        failed += bad
        print(f"bench {name:<18} {'FAILED' if bad else 'ok':<6}  {now[name]} instructions above the "
              f"floor, recorded {record[kernel][name]}, at most {limit:.0f}")
    print(f"{len(CASES) - failed} passed, {failed} failed, 0 skipped")
    return not failed


def main():
    """Checks or records."""
    what, path = sys.argv[1:]
    with open(path, encoding="ascii") as f:
        bench = json.load(f)
    kernel, now = bench["kernel"], figures(bench)
    with open(RECORD, encoding="ascii") as f:
        record = json.load(f)
    if what == "check":
        return 0 if check(kernel, now, record) else 1
    record[kernel] = now
    with open(RECORD, "w", encoding="ascii") as f:
        json.dump(record, f, indent=1, sort_keys=True)
        f.write("\n")
    print(f"recorded for {kernel}: {now}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
