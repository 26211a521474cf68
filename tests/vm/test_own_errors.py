# SPDX-License-Identifier: GPL-2.0
"""ICMP errors that the director itself makes reach clients as of the virtual address, as with ip_vs."""

import contextlib
import errno
import socket

import pytest
from lab import director as directors
from lab import shell
from lab import six as v6
from lab.compat import unload
from lab.director import Service
from lab.fixtures import lab_of_file
from lab.fullnat import LOCALS
from lab.netns import wait_until
from lab.topology import DIRECTOR, VIP
from lab.transfer import family

# Nobody has them, so nobody answers for them.
DEAD = {4: "192.168.56.250", 6: "2001:db8:56::250"}
# How packets travel, and the IP versions of the virtual address and of the dest.
WAYS = [("nat", 4, 4), ("nat", 6, 6), ("fullnat", 4, 4), ("fullnat", 6, 6), ("fullnat", 6, 4)]
WHOLE = [("dr", 4, 4), ("dr", 6, 6), ("tun", 4, 4), ("tun", 6, 6)]
# What a program is told of that ICMP error.
PROHIBITED = {4: errno.EHOSTUNREACH, 6: errno.EACCES}
REJECT = """
table inet rvstest {{
  chain out {{
    type filter hook output priority 0; tcp dport 80 counter reject with {}
  }}
}}
"""
# With tun ip_vs says nothing.
STOCK = [("ip_vs", *way) for way in (*WAYS[:2], *WHOLE[:2])]


def named(case):
    return "-".join(map(str, case)) if isinstance(case, tuple) else None


_lab = lab_of_file(real_servers=1, web=False)


@pytest.fixture(name="six", scope="module")
def _six(lab):
    """Hosts of both families, ready for all modes; the director soon knows who does not answer."""
    made = v6.Six(lab)
    lab.prepare_nat()
    made.prepare_nat()
    lab.director.ip(*(f"addr add {address}/32 dev eth0" for address in LOCALS),
                    *(f"addr add {address}/128 dev eth0 nodad" for address in v6.LOCALS))
    for version in ("ipv4", "ipv6"):
        neighbours = f"{version}__neigh__eth0__"
        lab.director.sysctl(**{neighbours + "mcast_solicit": 1, neighbours + "retrans_time_ms": 300})
    return made


@pytest.fixture(name="rvs")
def _rvs(lab):
    """RVS with local addresses, nothing else."""
    made = directors.Rvs(lab.director)
    addresses = "".join(f"#rvsadm laddr {address}\n" for address in (*LOCALS, *v6.LOCALS))
    made.adm("restore", "--empty", "-", stdin=addresses)
    return made


def service(mode, version, dest, port=80, protocol="tcp"):
    vip = VIP if version == 4 else v6.VIP
    return Service([(dest, 1)], mode=mode, vip=vip, port=port, protocol=protocol)


def refusal(host, address, port=80):
    """The error that a program of HOST gets when it connects; 0 for none, ETIMEDOUT for silence."""
    with host.inside():
        s = socket.socket(family(address))
    with s:
        s.settimeout(8)
        try:
            s.connect((address, port))
            return 0
        except TimeoutError:
            return errno.ETIMEDOUT
        except OSError as error:
            return error.errno


@pytest.mark.parametrize("case", STOCK + [("rvs", *way) for way in WAYS + WHOLE], ids=named)
def test_a_dest_that_does_not_answer_for_its_address(request, lab, six, case):
    name, mode, version, of_dest = case
    stock = name == "ip_vs"
    director = directors.Ipvs(lab.director) if stock else request.getfixturevalue("rvs")
    try:
        svc = service(mode, version, DEAD[of_dest])
        director.add(svc)
        wanted = errno.EHOSTUNREACH
        if version != of_dest:
            # As RFC 7915 has it of a host that is unreachable.
            wanted = errno.ENETUNREACH
        assert refusal(six.client, svc.vip) == wanted
    finally:
        director.flush()
        if stock:
            unload()


@pytest.mark.parametrize("case", WAYS, ids=named)
def test_rules_of_the_director_that_reject(lab, six, rvs, case):
    mode, version, of_dest = case
    dest = (lab.addresses if of_dest == 4 else six.addresses)["rs1"]
    svc = service(mode, version, dest)
    rvs.add(svc)
    slow = lambda: rvs.json("stats", "show")["counters"]["slow_xmit"]
    for how, wanted in (("icmpx admin-prohibited", PROHIBITED[version]),
                        ("tcp reset", errno.ECONNREFUSED)):
        lab.director.run("nft", "-f", "-", stdin=REJECT.format(how))
        before = slow()
        # Until the rules are noticed it is the real server that refuses.
        wait_until(lambda: refusal(six.client, svc.vip) and slow() > before, "the rules are met")
        assert refusal(six.client, svc.vip) == wanted, how
        lab.director.run("nft", "flush", "table", "inet", "rvstest")


@pytest.mark.parametrize("case", WAYS, ids=named)
def test_what_ipsec_makes_too_long(lab, six, rvs, case):
    """The kernel's output says so, which knows the policy's tunnel."""
    mode, version, of_dest = case
    shell.modprobe("xfrm_user", "esp4", "esp6")
    dest = (lab.addresses if of_dest == 4 else six.addresses)["rs1"]
    source = DIRECTOR if of_dest == 4 else v6.DIRECTOR
    every = "0.0.0.0/0" if of_dest == 4 else "::/0"
    lab.director.ip(
        f"xfrm state add src {source} dst {dest} proto esp spi 0x100 mode tunnel "
        "auth digest_null '' enc cipher_null ''",
        f"xfrm policy add src {every} dst {dest} dir out "
        f"tmpl src {source} dst {dest} proto esp mode tunnel",
    )
    svc = service(mode, version, dest, 5353, "udp")
    rvs.add(svc)
    with six.client.inside():
        s = socket.socket(family(svc.vip), socket.SOCK_DGRAM)
    level, discover, mtu = ((socket.IPPROTO_IP, 10, 14) if version == 4
                            else (socket.IPPROTO_IPV6, 23, 24))
    with contextlib.closing(s):
        s.setsockopt(level, discover, 2)
        s.connect((svc.vip, 5353))
        size = 1500 - (28 if version == 4 else 48)

        def told():
            with contextlib.suppress(OSError):
                s.send(bytes(size))
            return s.getsockopt(level, mtu) < 1500

        try:
            wait_until(told, "the client knows the path's MTU", seconds=10)
        finally:
            lab.director.ip("xfrm policy flush", "xfrm state flush")
            # And the client forgets.
            six.client.run("ip", f"-{version}", "route", "flush", "cache")
