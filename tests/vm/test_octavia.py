# SPDX-License-Identifier: GPL-2.0
"""Octavia's listeners of UDP and SCTP: keepalived as its amphorae configure it, their rules of nft, both
families, beside stock ip_vs."""

import contextlib
import re

import pytest
from lab import sctp, shell, six, topology
from lab.fixtures import lab_of_file
from lab.keepalived import Keepalived
from lab.netns import wait_until
from lab.rows import answer, begun, beside_stock
from lab.tracked import entries, forget
from lab.transfer import UdpEcho

SERVERS = ("rs1", "rs2")
# What its element for listeners that keepalived serves does for each family, by its own script.
RULES = "".join(f"""
table {family} octavia-{name} {{
    chain udp-masq {{ type nat hook postrouting priority 100; oifname "eth0" meta l4proto udp masquerade; }}
    chain sctp-masq {{ type nat hook postrouting priority 100; oifname "eth0" meta l4proto sctp masquerade; }}
    chain prerouting {{ type filter hook prerouting priority -300; iifname "eth0" meta l4proto tcp notrack; }}
    chain output {{ type filter hook output priority -300; oifname "eth0" meta l4proto tcp notrack; }}
}}
""" for family, name in (("ip", "ipv4"), ("ip6", "ipv6")))


def prepare(lab):
    lab.names = {4: topology, 6: six}
    lab.six = six.Six(lab)
    shell.modprobe("sctp", "nf_conntrack_netlink")


lab = lab_of_file(real_servers=2, web=False, prepare=prepare)


def listener(names, port, protocol, options=""):
    """A listener with its pool: members begin as down, and a script says whether they are up."""
    members = "".join(f"""
    real_server {names.REAL_SERVERS[name]} {port} {{
        weight 1
        uthreshold 1000
        delay_before_retry 1
        retry 1
        MISC_CHECK {{
            misc_path "/usr/bin/test -e /run/octavia-{name}"
            misc_timeout 5
        }}
    }}""" for name in SERVERS)
    group = f"{protocol}-{port}-{'v6' if ':' in names.VIP else 'v4'}"
    return f"""
virtual_server_group {group} {{
    {names.VIP} {port}
}}
virtual_server group {group} {{
    lb_algo rr
    lb_kind NAT
    protocol {protocol}
    {options}
    delay_loop 1
    alpha
    {members}
}}
"""


def up(name, is_up=True):
    """What the script says of a member."""
    shell.run("touch" if is_up else "rm", "-f", f"/run/octavia-{name}")


def members(host, port):
    """How many members the listeners with that port have."""
    lines = host.run("ipvsadm", "-Ln").stdout.splitlines()
    return sum(line.startswith("  -> ") and f":{port} " in line for line in lines)


def talks(lab, port):
    """Whom a member sees as the peer of an association."""
    server = sctp.Server(lab.real["rs1"], port)
    with sctp.connect(lab.client, topology.VIP, port) as association:
        assert sctp.says(association) == b"x"
    server.wait()
    return server.peer[0]


def amphora(lab):
    """Rows of a pool of UDP with and without persistence, both families, and one of SCTP."""
    host = lab.director
    host.sysctl(ipv4__vs__conntrack=1, ipv4__vs__expire_nodest_conn=1)
    host.run("nft", "-f", "-", stdin=RULES)
    forget(host)
    for name in SERVERS:
        up(name)
    kept = Keepalived(
        host, *(listener(names, 5000, "UDP") for names in lab.names.values()),
        listener(topology, 5001, "UDP", "persistence_timeout 300\n    persistence_granularity 255.255.255.255"),
        listener(topology, 5002, "SCTP"), only=["--check"])
    with contextlib.ExitStack() as stack:
        stack.callback(host.run, "nft", "delete table ip octavia-ipv4; delete table ip6 octavia-ipv6")
        stack.callback(kept.stop)
        echoes = [stack.enter_context(contextlib.closing(UdpEcho(lab.real[name], port, address)))
                  for name in SERVERS for port, address in ((5000, "::"), (5001, "0.0.0.0"))]
        wait_until(lambda: (members(host, 5000), members(host, 5001), members(host, 5002)) == (4, 2, 2),
                   "all members are up", 60, 0.2)
        for version, names in lab.names.items():
            yield f"answers by IPv{version}", sorted(answer(lab.client, names.VIP, 5000) for _ in range(4))
            yield f"large ones by IPv{version}", sorted(
                answer(lab.client, names.VIP, 5000, bytes(4000)) for _ in range(2))
        yield "the client is", {peer[0].removeprefix("::ffff:") for echo in echoes for peer in echo.peers}
        yield "with persistence", len({answer(lab.client, topology.VIP, 5001) for _ in range(3)})
        # Keepalived adds members as they come up: which one a client stays with is not the same each time.
        yield "counts", sorted([re.sub(r"^192\S+:5001$", "a member:5001", end), *rest]
                               for end, *rest in begun(host, 15))
        yield "entries", {tuple(entry.ends[:2] + entry.ends[4:6]) for entry in entries(
            host, 4, "udp", client=topology.CLIENT, vip=topology.VIP, director=topology.DIRECTOR,
            **topology.REAL_SERVERS)}
        up("rs2", False)
        wait_until(lambda: (members(host, 5000), members(host, 5002)) == (2, 1), "a member is down", 60, 0.2)
        yield "answers of one", {answer(lab.client, topology.VIP, 5000) for _ in range(3)}
        yield "an association", talks(lab, 5002)
        up("rs1", False)
        wait_until(lambda: members(host, 5000) == 0, "all are down", 60, 0.2)
        yield "answers of none", answer(lab.client, topology.VIP, 5000)


@pytest.mark.seconds(300)
def test_octavia(lab):
    found = beside_stock(lab.director, lambda: amphora(lab))
    assert found["answers by IPv4"] == found["answers by IPv6"] == 2 * [b"rs1 x"] + 2 * [b"rs2 x"]
    assert found["the client is"] == {topology.DIRECTOR, six.DIRECTOR}
    assert found["an association"] == topology.DIRECTOR and found["with persistence"] == 1
