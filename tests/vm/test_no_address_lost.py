# SPDX-License-Identifier: GPL-2.0
"""No connection through FullNAT shows the program the balancer's address in the client's place."""

import contextlib
import os
import time

import pytest
from lab import shell
from lab.crowd import NETWORK, Acceptor, Crowd
from lab.topology import CLIENT, VIP

# `make test-long` has more.
CONNECTIONS = int(os.environ.get("RVS_CONNECTIONS") or 1000)
# Ports of servers without and with TCP_DEFER_ACCEPT, on a server without and with SYN cookies.
PORTS = {"rs1": (5000, 5001), "rs2": (5002, 5003)}


def worsen(host, device):
    """Every fiftieth packet that leaves here is lost, and many are overtaken."""
    host.run(f"tc qdisc add dev {device} root netem limit 20000 loss 2% delay 3ms reorder 30%")


@pytest.mark.seconds(120 + CONNECTIONS // 10)
def test_no_address_lost(lab, fullnat, capsys):
    """Random options, first segments that fill the MTU, loss and reordering on both sides, hostile
    clients, SYNs of Fast Open and Multipath TCP, servers with and without SYN cookies, with and
    without TCP_DEFER_ACCEPT, services of the same servers that tell in other kinds."""
    shell.modprobe("toa")
    shell.modprobe("sch_netem")
    for name in ("rs1", "rs2"):
        lab.real[name].run("rvsadm", "toa", "trust", "add", "192.168.56.200/29")
        lab.real[name].run("rvsadm", "toa", "kind", "add", "99")
        lab.real[name].sysctl(ipv4__tcp_fastopen=2)
    lab.real["rs2"].sysctl(ipv4__tcp_syncookies=2)
    for name, ports in PORTS.items():
        for port, kind in zip(ports, ("254", "99")):
            fullnat.adm("service", "add", f"tcp/{VIP}:{port}", "--scheduler", "rr")
            fullnat.adm("dest", "add", f"tcp/{VIP}:{port}", f"{lab.addresses[name]}:{port}",
                        "--mode", "fullnat")
            fullnat.adm("service", "set", f"tcp/{VIP}:{port}", "--toa", kind)
    ends = [(VIP, port) for ports in PORTS.values() for port in ports]
    lab.router.ip(f"route add {NETWORK} via {CLIENT}")
    # Segments that belong together come together.
    lab.director.run("ethtool", "-K", "eth0", "gro", "on")
    for host, device in ((lab.client, "eth0"), (lab.router, "wan"), (lab.director, "eth0"),
                         (lab.real["rs1"], "eth0"), (lab.real["rs2"], "eth0")):
        worsen(host, device)
    seed = int(os.environ.get("RVS_SEED") or time.time())
    with contextlib.ExitStack() as stack:
        servers = []
        for name, (plain, deferred) in PORTS.items():
            host = lab.real[name]
            for port, options in ((plain, {}), (deferred, {"TCP_DEFER_ACCEPT": 30})):
                servers.append(stack.enter_context(
                    contextlib.closing(Acceptor(host, port, TCP_FASTOPEN=1000, **options))))
        crowd = stack.enter_context(
            contextlib.closing(Crowd(lab.client, lab.router.mac("wan"), seed, ends[2:])))
        began = time.monotonic()
        crowd.run(CONNECTIONS, ends, seconds=60 + CONNECTIONS // 10)
        took = time.monotonic() - began
    seen = {}
    for server in servers:
        assert server.peers
        seen.update(server.peers)
    wrong = {n: (seen.get(n), end) for n, end in crowd.sources.items() if seen.get(n) != end}
    with capsys.disabled():
        print(f"\n{CONNECTIONS} connections, {crowd.segments} segments, {crowd.full} of them without "
              f"room in the header, {crowd.wrong} wrong acknowledgments, {crowd.fast} opened fast, "
              f"{crowd.denials} denials, {took:.0f} s, seed {seed}: {len(wrong)} addresses lost")
    assert not wrong, f"seed {seed}: {len(wrong)} lost: {dict(list(wrong.items())[:20])}"
