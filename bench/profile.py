# SPDX-License-Identifier: GPL-2.0
"""What the profiler counted, by function and by instruction.

usage: profile.py FOLDER MODULE.ko...     FOLDER has counts, kallsyms, bench.json
"""

import bisect
import json
import os
import re
import subprocess
import sys


def read_symbols(path):
    """Sorted addresses, and the name of the function at each."""
    found = {}
    with open(path, encoding="ascii") as f:
        for line in f:
            address, kind, name = line.split(None, 2)
            if kind in "tTwW":
                found[int(address, 16)] = name.strip().replace("\t", " ")
    addresses = sorted(found)
    return addresses, [found[a] for a in addresses]


def disassembly(module, symbol):
    """Offset, text and inlined places of each instruction of a function."""
    out = subprocess.run(
        ["objdump", "-d", "-r", "-l", "--inlines", "--no-show-raw-insn", f"--disassemble={symbol}",
         module], capture_output=True, text=True, check=True).stdout
    start, place = None, ""
    for line in out.splitlines():
        if head := re.match(r"([0-9a-f]+) <", line):
            start = int(head.group(1), 16)
        elif code := re.match(r" +([0-9a-f]+):\t(.*)", line):
            if "R_X86_64" in code.group(2):
                continue
            yield int(code.group(1), 16) - start, code.group(2), place
        elif "rust/" in line or "toa/" in line:
            if not line.startswith(" inlined by") and ".rs:" in line:
                place = re.sub(r".*?((rust|library)/)", r"\1", line.split(" (")[0])


def main():
    """Functions by their share, then the instructions of the modules."""
    folder, *modules = sys.argv[1:]
    # As symbols have it: NAME [MODULE].
    modules = {f"[{os.path.basename(path).removesuffix('.ko')}]": path for path in modules}
    addresses, names = read_symbols(os.path.join(folder, "kallsyms"))
    by_function, ours = {}, {}
    with open(os.path.join(folder, "counts"), encoding="ascii") as f:
        for line in f:
            address, count = line.split()
            address, count = int(address, 16), int(count)
            at = bisect.bisect_right(addresses, address) - 1
            name = names[at] if at >= 0 else "(not the kernel)"
            by_function[name] = by_function.get(name, 0) + count
            if name.split()[-1] in modules:
                ours.setdefault(name, {})[address - addresses[at]] = count
    with open(os.path.join(folder, "bench.json"), encoding="ascii") as f:
        bench = json.load(f)
    packets = bench["counted"]
    print(*bench["cases"].items())
    print(f"instructions for each of {packets:,} packets or connections")
    total = sum(by_function.values())
    print(f"{total / packets:>9.1f}  all")
    for name, count in sorted(by_function.items(), key=lambda item: -item[1]):
        if count / packets >= 0.5:
            print(f"{count / packets:>9.1f}  {name}")
    listings, locked = [], 0
    for name, counts in sorted(ours.items(), key=lambda item: -sum(item[1].values())):
        if sum(counts.values()) / packets < 1:
            continue
        listings.append(f"\n{name}: {sum(counts.values()) / packets:.1f}")
        last = None
        symbol, module = name.split()
        for offset, text, place in disassembly(modules[module], symbol):
            if count := counts.get(offset, 0):
                locked += count if re.match(r"lock |xchg .*\(", text) else 0
                if place != last:
                    listings.append(f"          {place}")
                last = place
                listings.append(f"{count / packets:>9.2f}  {offset:5x}  {text}")
    print(f"{locked / packets:>9.2f}  locked instructions in RVS itself, for each of them")
    print("\n".join(listings))


if __name__ == "__main__":
    main()
