# SPDX-License-Identifier: GPL-2.0
"""The files in /proc/net: whole however they are read, of ip_vs's modes, a part at a time."""

import os
import pathlib
import socket
import stat

import pytest
from lab import shell
from lab.compat import UDP, VIP, balancer, same
from lab.netns import Host, wait_until

FLOWS, FIRST = 1500, 20_000
FILES = ("ip_vs", "ip_vs_conn", "ip_vs_stats", "ip_vs_stats_percpu", "ip_vs_status", "ip_vs_conn_sync",
         "ip_vs_app")


def opened(host, name):
    # The file shows the namespace of the thread that opens it.
    with host.inside():
        return os.open(f"/proc/thread-self/net/{name}", os.O_RDONLY)


def read(host, name, size):
    """All of a file, SIZE bytes a read."""
    file = opened(host, name)
    try:
        return b"".join(iter(lambda: os.read(file, size), b"")).decode()
    finally:
        os.close(file)


def modes(host):
    with host.inside():
        return [stat.filemode(os.stat(f"/proc/thread-self/net/{name}").st_mode) for name in FILES]


def test_files_have_ip_vs_s_modes(host):
    same(host, modes)


def configure(host):
    """A service with a crowd of dests, services without, one whose clients stay."""
    lines = [f"-A {UDP} -s rr"]
    lines += [f"-a {UDP} -r 10.1.{n // 100}.{1 + n % 100}:53 -g -w {n}" for n in range(250)]
    lines += [f"-A -t {VIP}:{port} -s wlc" for port in range(101, 201)]
    lines += [f"-A -u {VIP}:54 -s rr -p 300", f"-a -u {VIP}:54 -r 10.1.0.1:54 -g"]
    host.run("ipvsadm", "-R", stdin="\n".join(lines) + "\n")


def test_services_are_shown_whole_however_they_are_read(host):
    def script(host):
        configure(host)
        whole = read(host, "ip_vs", 1 << 20)
        assert [read(host, "ip_vs", size) for size in (100, 4096)] == [whole] * 2
        lines = whole.splitlines()[1:]
        # In ip_vs they come by hash.
        return sorted(lines)

    assert len(same(host, script)) == 2 + 251 + 100 + 2


def test_the_others_are_as_ip_vs_has_them(host):
    """But for what ip_vs says of its buckets."""
    def script(host):
        configure(host)
        host.ip(f"addr replace {VIP}/32 dev lo", "link set lo up")
        with host.inside():
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with s:
            s.bind((VIP, FIRST))
            s.sendto(b"x", (VIP, 54))
        status = [line.split(":") for line in read(host, "ip_vs_status", 4096).splitlines()]
        counts = {name: count for name, count in status if name in ("Conns", "Services")}
        names = [name for name, _ in status if not name.split()[-1].startswith(("empty", "len-"))]
        synced = read(host, "ip_vs_conn_sync", 100).splitlines()
        # Without the seconds that are left.
        synced = [synced[0], *sorted(line.rsplit(None, 1)[0] for line in synced[1:])]
        return names, counts["Services"], synced, read(host, "ip_vs_app", 4096)

    _, services, synced, _ = same(host, script)
    assert services == "\t102" and len(synced) == 3


def test_helpers_are_listed_with_what_they_follow(host):
    """ip_vs's is a module, which has port 21 whether there is a service or not; with RVS the service has it."""
    def script(_):
        stock = os.path.isdir("/sys/module/ip_vs")
        if stock:
            shell.modprobe("ip_vs_ftp")
        helped = Host("helped")
        try:
            return shown(helped)
        finally:
            # With it go its connections, which keep the helper's module.
            helped.close()
            if stock:
                wait_until(lambda: int(pathlib.Path("/sys/module/ip_vs_ftp/refcnt").read_text()) == 0, "the helper")

    def shown(host):
        lines = [f"-A -t {VIP}:21 -s rr", f"-a -t {VIP}:21 -r 10.1.0.1 -m -w 0",
                 f"-A -t {VIP}:80 -s rr", f"-a -t {VIP}:80 -r 10.1.0.1 -m",
                 "-A -t 203.0.113.11:21 -s rr", "-a -t 203.0.113.11:21 -r 10.1.0.2 -g"]
        host.run("ipvsadm", "-R", stdin="\n".join(lines) + "\n")
        host.ip("link add d0 type dummy", "link set d0 up", "addr add 10.0.0.1/8 dev d0",
                f"addr replace {VIP}/32 dev lo", "addr replace 203.0.113.11/32 dev lo")
        before = read(host, "ip_vs_app", 4096)
        host.run("ipvsadm", "-e", "-t", f"{VIP}:21", "-r", "10.1.0.1", "-m", "-w", "1")
        for to in ((VIP, 21), (VIP, 21), (VIP, 80), ("203.0.113.11", 21)):
            with host.inside(), socket.socket() as s:
                s.setblocking(False)
                s.connect_ex(to)
        return before, read(host, "ip_vs_app", 4096)

    _, last = same(host, script)
    assert last.split()[-4:] == ["TCP", "21", "2", "ftp"], last


@pytest.fixture(name="flows")
def _flows(host):
    with balancer(host, "rvs"):
        configure(host)
        host.ip(f"addr replace {VIP}/32 dev lo", "link set lo up")
        for port in range(FIRST, FIRST + FLOWS):
            with host.inside():
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            with s:
                s.bind((VIP, port))
                s.sendto(b"x", (VIP, 53))
                if port % 10 == 0:
                    s.sendto(b"x", (VIP, 54))
        yield host


def ports(text):
    """Of the clients that a file shows; those of networks are 0."""
    return sorted(int(line.split()[2], 16) for line in text.splitlines()[1:])


def test_connections_are_shown_whole_and_a_part_at_a_time(flows):
    to_other = range(FIRST, FIRST + FLOWS, 10)
    # One network of clients stays with its dest.
    expected = sorted([0, *range(FIRST, FIRST + FLOWS), *to_other])
    for size in (100, 4096, 1 << 20):
        assert ports(read(flows, "ip_vs_conn", size)) == expected, f"{size} bytes a read"
    # What was not read yet is not there yet.
    file = opened(flows, "ip_vs_conn")
    assert os.read(file, 100).startswith(b"Pro FromIP")
    flows.run("rvsadm", "conn", "flush")
    rest = b"".join(iter(lambda: os.read(file, 4096), b""))
    os.close(file)
    assert len(rest.splitlines()) < 100
