#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""How long connections take to be saved, restored, and given to another module.

usage:  make vm CMD='$$RVS_REPO/bench/upgrade.py 10000 100000'       # so many connections, fullnat
        make vm MEMORY=4G CMD='$$RVS_REPO/bench/upgrade.py 1000000'

With a clock that counts instructions, one a nanosecond, however busy the machine is:

        make modules tools
        CPUS=1 scripts/vm --qemu '-icount shift=0,sleep=off -accel tcg,thread=single -cpu max,-erms,-fsrm' \\
            -- '$RVS_REPO/bench/upgrade.py 10000 100000'

Seconds are those of the guest. "pause" is how long packets were dropped while the module was changed for itself.
"""

import json
import os
import socket
import struct
import subprocess
import sys
import time

MODULE = "/tmp/rvs.ko"
VIP, DEST, LOCALS = "203.0.113.10", "192.0.2.1", 32


def run(*args):
    """What a program says, and how long it took."""
    began = time.monotonic()
    done = subprocess.run([str(a) for a in args], check=True, capture_output=True, text=True)
    return done.stdout, time.monotonic() - began


def end(address, port):
    """An address and a port as a record has them."""
    return b"\4" + socket.inet_aton(address) + struct.pack("!H", port)


def record(number):
    """An established connection, as rust/engine/record writes it."""
    client = end(f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", 40000)
    local = end(f"192.0.2.{100 + number % LOCALS}", 5000 + number // LOCALS % 60000)
    head = bytes([1, 1, 2, 6, 1, 4]) + struct.pack("!I", 0)
    ends = bytes([1, 254]) + end(DEST, 80) + local + struct.pack("!IIII", number, 2, 3, 4)
    return head + b"\0\6" + end(VIP, 80) + end(DEST, 80) + client + end(VIP, 80) + ends


def file(count):
    """A file of rvsadm conn save."""
    each = (record(number) for number in range(count))
    body = b"".join(struct.pack("!H", len(one)) + one for one in each)
    return b"RVSCONN\n" + struct.pack("!IIQQ", 1, crc32c(body), count, len(body)) + body


def crc32c(data):
    """CRC32c, as rvsadm has it: asked of the kernel, where that has it for programs, as it is quick."""
    try:
        return crc32c_of_kernel(data)
    except OSError:
        crc = 0xFFFFFFFF
        for byte in data:
            crc = crc >> 8 ^ TABLE[(crc ^ byte) & 255]
        return crc ^ 0xFFFFFFFF


def of_byte(crc):
    for _ in range(8):
        crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc


TABLE = [of_byte(byte) for byte in range(256)]


def crc32c_of_kernel(data):
    with socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET) as algorithm:
        algorithm.bind(("hash", "crc32c"))
        operation, _ = algorithm.accept()
        with operation:
            for at in range(0, len(data), 65536):
                operation.send(data[at : at + 65536], socket.MSG_MORE)
            operation.send(b"")
            return int.from_bytes(operation.recv(4), "little")


def main(counts):
    """Measures each."""
    subprocess.run(["modprobe", "-a", "algif_hash", "crc32c", "nf_tables"], check=False, stderr=subprocess.DEVNULL)
    run("modprobe", "rvs")
    # What packages install has no debugging information, which is most of the file.
    installed, _ = run("modinfo", "-n", "rvs")
    run("strip", "--strip-debug", "-o", MODULE, installed.strip())
    run("rvsadm", "upgrade", MODULE)
    run("ip", "link", "set", "lo", "up")
    # Destinations beyond a device that takes all.
    run("ip", "link", "add", "d0", "type", "dummy")
    run("ip", "link", "set", "d0", "up")
    run("ip", "addr", "add", "192.0.2.254/24", "dev", "d0")
    run("rvsadm", "config", "set", "--conn-max", 0)
    run("rvsadm", "service", "add", f"tcp/{VIP}:80")
    run("rvsadm", "dest", "add", f"tcp/{VIP}:80", f"{DEST}:80", "--mode", "fullnat")
    for number in range(LOCALS):
        run("ip", "addr", "add", f"192.0.2.{100 + number}/32", "dev", "d0")
        run("rvsadm", "laddr", "add", "--default", f"192.0.2.{100 + number}")
    print(f"{'connections':>12} {'restore':>9} {'save':>9} {'upgrade':>9} {'pause':>9}  file, bytes")
    for count in counts:
        with open("/tmp/conns", "wb") as f:
            f.write(file(count))
        said, restore = run("rvsadm", "conn", "restore", "/tmp/conns", "-j")
        assert json.loads(said)["new"] == count, said
        _, save = run("rvsadm", "conn", "save", "/tmp/saved")
        size = os.path.getsize("/tmp/saved")
        said, upgrade = run("rvsadm", "upgrade", "-j", MODULE)
        said = json.loads(said)
        assert said["connections"] == count and said["lost"] == 0, said
        pause = said["pause_ms"] / 1000
        print(f"{count:12,} {restore:7.2f} s {save:7.2f} s {upgrade:7.2f} s {pause:7.2f} s  {size:,}", flush=True)
        run("rvsadm", "conn", "flush")


if __name__ == "__main__":
    main([int(arg) for arg in sys.argv[1:]] or [10_000])
