# SPDX-License-Identifier: GPL-2.0
"""What leaves the director meets its rules and IPsec policies, where there are any."""

import contextlib
import dataclasses

import pytest
from lab import shell
from lab.director import Service
from lab.fullnat import LOCALS
from lab.netns import wait_until
from lab.topology import CLIENT, DIRECTOR, VIP
from lab.transfer import UdpEcho, ask, both_ways
from lab.web import get

MODES = ["dr", "nat", "tun", "fullnat"]
COUNT = """
table ip rvstest {
  chain out { type filter hook output priority 0; ip daddr { 203.0.113.10, 192.168.56.101 } counter; }
  chain post { type filter hook postrouting priority 0; udp dport 5353 counter; udp sport 5353 counter; }
}
"""


@pytest.fixture(name="ready", params=MODES)
def _ready(request, lab, rvs):
    """A UDP service in each mode, whose dest echoes."""
    mode = request.param
    if mode == "fullnat":
        lab.director.ip(*(f"addr add {address}/32 dev eth0" for address in LOCALS))
        rvs.adm("laddr", "add", "--default", *LOCALS)
    else:
        getattr(lab, f"prepare_{mode}")()
    rvs.add(one(lab, mode))
    address = VIP if mode in ("dr", "tun") else lab.addresses["rs1"]
    with contextlib.closing(UdpEcho(lab.real["rs1"], 5353, address=address)):
        yield mode


def one(lab, mode, port=5353, protocol="udp"):
    return Service([(lab.addresses["rs1"], 1)], mode=mode, port=port, protocol=protocol)


@contextlib.contextmanager
def rules(host, text):
    """Rules of nft for a while."""
    # One line would not do: nft wants an end of line behind a chain.
    host.run("nft", "-f", "-", stdin=text.replace("; }", "; }\n"))
    try:
        yield
    finally:
        host.run("nft", "delete", "table", "ip", "rvstest")


def slow(rvs):
    return rvs.json("stats", "show")["counters"]["slow_xmit"]


def goes_slowly(lab, rvs):
    """Whether a datagram and its answer, if that comes back here, went by the kernel's output."""
    before = slow(rvs)
    assert ask(lab.client, VIP, 5353, b"x") == b"rs1 x"
    return slow(rvs) > before


def counted(lab, chain):
    listed = lab.director.run("nft", "list", "chain", "ip", "rvstest", chain).stdout
    return [int(part.split()[0]) for part in listed.split("counter packets ")[1:]]


def test_rules_of_output_and_postrouting_see_packets_from_when_they_are_there(lab, rvs, ready):
    assert not goes_slowly(lab, rvs)
    with rules(lab.director, COUNT):
        # They may be noticed between a datagram and its answer: the answer meets no rule of `out`.
        wait_until(lambda: goes_slowly(lab, rvs) and counted(lab, "out")[0], "the rules are noticed")
        if ready in ("nat", "fullnat"):
            assert all(counted(lab, "post"))
        if ready != "tun":
            assert counted(lab, "post")[0]
    wait_until(lambda: not goes_slowly(lab, rvs), "packets go straight again")


def test_rules_are_noticed_where_no_connection_is_kept(lab, rvs):
    """One-packet scheduling over DR leaves nothing behind."""
    lab.prepare_dr()
    rvs.add(dataclasses.replace(one(lab, "dr"), options=("-o",)))
    with contextlib.closing(UdpEcho(lab.real["rs1"], 5353, address=VIP)):
        assert not goes_slowly(lab, rvs)
        with rules(lab.director, COUNT):
            wait_until(lambda: goes_slowly(lab, rvs), "the rules are noticed")


def test_a_rule_may_drop_them(lab, rvs, ready):
    drop = "table ip rvstest { chain o { type filter hook output priority 0; ip daddr != 127.0.0.1 drop; } }"
    with rules(lab.director, drop):
        with pytest.raises((TimeoutError, OSError)):
            ask(lab.client, VIP, 5353, b"x", timeout=2)
    wait_until(lambda: ask(lab.client, VIP, 5353, b"x") == b"rs1 x", "they pass again")


def test_connection_tracking_is_no_rule_and_has_no_entry(lab, rvs, ready):
    tracked = "table ip rvstest { chain pre { type filter hook prerouting priority 0; ct state new counter; } }"
    with rules(lab.director, tracked):
        assert not goes_slowly(lab, rvs)
        listed = lab.director.run("conntrack", "-L", "-p", "udp").stdout
        assert "5353" not in listed
    both = tracked[:-1] + "chain post { type nat hook postrouting priority 100; masquerade; } }"
    with rules(lab.director, both):
        wait_until(lambda: goes_slowly(lab, rvs), "the rules are noticed")
        listed = lab.director.run("conntrack", "-L", "-p", "udp").stdout
        assert "5353" not in listed


def test_rules_of_raw_and_mangle_come_later_and_see_nothing(lab, rvs, ready):
    """PREROUTING: what stands behind -350 sees no balanced packet; what stands ahead of it does."""
    text = """table ip rvstest {
      chain raw { type filter hook prerouting priority raw; ip daddr 203.0.113.10 counter; }
      chain mangle { type filter hook prerouting priority mangle; ip daddr 203.0.113.10 counter; }
      chain first { type filter hook prerouting priority -360; ip daddr 203.0.113.10 counter; }
    }"""
    with rules(lab.director, text):
        assert not goes_slowly(lab, rvs)
        assert [counted(lab, c) for c in ("raw", "mangle", "first")] == [[0], [0], [1]]


def test_a_policy_of_ipsec_that_blocks(lab, rvs, ready):
    shell.modprobe("xfrm_user")
    director = lab.director
    director.ip("xfrm policy add src 0.0.0.0/0 dst 0.0.0.0/0 dir out action block")
    try:
        with pytest.raises((TimeoutError, OSError)):
            ask(lab.client, VIP, 5353, b"x", timeout=2)
    finally:
        director.ip("xfrm policy flush")
    wait_until(lambda: ask(lab.client, VIP, 5353, b"x") == b"rs1 x", "they pass again")


def test_a_tunnel_under_ipsec(lab, rvs):
    """ESP between director and real server, with a cipher that shows what it carries."""
    shell.modprobe("xfrm_user", "esp4")
    lab.prepare_tun()
    server, rip = lab.real["rs1"], lab.addresses["rs1"]
    for host in (lab.director, server):
        way = "out" if host is lab.director else "in"
        host.ip(f"xfrm state add src {DIRECTOR} dst {rip} proto esp spi 0x100 mode transport "
                "auth digest_null '' enc cipher_null ''",
                f"xfrm policy add src {DIRECTOR} dst {rip} dir {way} "
                f"tmpl src {DIRECTOR} dst {rip} proto esp mode transport")
    rvs.add(one(lab, "tun"))
    with contextlib.closing(UdpEcho(server, 5353, address=VIP)):
        assert ask(lab.client, VIP, 5353, b"x") == b"rs1 x"
    used = server.run("ip", "-s", "xfrm", "state").stdout
    assert "0(bytes), 0(packets)" not in used.split("lifetime current:")[1].split("add")[0]


@pytest.mark.parametrize("gro", ["on", "off"])
def test_a_transfer_past_rules(lab, rvs, gro):
    lab.prepare_nat()
    for host in (lab.director, lab.client, lab.real["rs1"]):
        host.run("ethtool", "-K", "eth0", "gro", gro, "gso", gro, "tso", gro)
    rvs.add(one(lab, "nat", port=5000, protocol="tcp"))
    with rules(lab.director, COUNT):
        assert both_ways(lab.client, lab.real["rs1"], VIP, 5000, 4 << 20) == CLIENT
        assert slow(rvs) > 10


@pytest.mark.usefixtures("web")
def test_a_program_on_the_director_past_rules(lab, rvs):
    lab.prepare_nat()
    rvs.add(one(lab, "nat", port=80, protocol="tcp"))
    with rules(lab.director, COUNT):
        assert get(lab.director, VIP) == "rs1"
