# SPDX-License-Identifier: GPL-2.0
"""keepalived from Debian drives RVS as if it were ip_vs."""

import json
import signal
import socket

import pytest
from lab.compat import load, unload
from lab.keepalived import Keepalived, real_server, virtual_server
from lab.netns import Host, make_wires, wait_until
from lab.topology import DIRECTOR, ROUTER, VIP
from lab.web import get


@pytest.fixture(name="director")
def _director(lab):
    """The lab's director with RVS in ip_vs's place; real servers answer through it."""
    load("rvs")
    lab.prepare_nat()
    yield lab.director
    unload()


def dests(host):
    """Weight by address of the dests that ipvsadm lists."""
    lines = host.run("ipvsadm", "-Ln").stdout.splitlines()
    rows = [line.split() for line in lines if line.startswith("  -> ") and ":80 " in line]
    return {row[1].split(":")[0]: int(row[3]) for row in rows}


def becomes(host, *expected):
    """Waits until the dests are EXPECTED: (address, weight) pairs."""
    seen = []

    def met():
        seen[:] = [dests(host)]
        return seen[0] == dict(expected)

    try:
        wait_until(met, "dests", seconds=40, step=0.2)
    except AssertionError as error:
        raise AssertionError(f"{seen} instead of {dict(expected)}") from error


def stop_web(lab, name):
    lab.web[name].process.send_signal(signal.SIGSTOP)
    lab.real[name].ip("link set eth0 down")


def start_web(lab, name):
    lab.real[name].ip("link set eth0 up", "route replace default via " + DIRECTOR)
    lab.web[name].process.send_signal(signal.SIGCONT)


@pytest.mark.usefixtures("web")
@pytest.mark.seconds(300)
def test_checks_weights_quorum_and_reload(lab, director):
    """A life of a keepalived, one start of it: under emulation each start takes seconds."""
    one, two, three = (lab.addresses[name] for name in ("rs1", "rs2", "rs3"))
    options = f"quorum 1\n quorum_up /bin/true\n sorry_server {three} 80"

    def blocks(*real_servers):
        return virtual_server(VIP, 80, *real_servers, options=options)

    kept = Keepalived(director, blocks(
        real_server(one, weight=3), real_server(two, weight=2, check="/"),
    ), only=["--check"])
    try:
        # Both checkers pass, by TCP and by HTTP.
        becomes(director, (one, 3), (two, 2))
        assert {get(lab.client, VIP) for _ in range(10)} == {"rs1", "rs2"}
        # A real server that dies is taken out, and comes back.
        stop_web(lab, "rs1")
        becomes(director, (two, 2))
        assert {get(lab.client, VIP) for _ in range(4)} == {"rs2"}
        # None is left: the sorry server.
        stop_web(lab, "rs2")
        becomes(director, (three, 1))
        assert get(lab.client, VIP) == "rs3"
        start_web(lab, "rs1")
        start_web(lab, "rs2")
        becomes(director, (one, 3), (two, 2))
        # Reload: a weight changes, a server goes, one comes; connections are not asked.
        before = json.loads(director.run("rvsadm", "service", "list", "-j").stdout)
        kept.reload(blocks(real_server(one, weight=7), real_server(three, weight=1, check="/")))
        becomes(director, (one, 7), (three, 1))
        after = json.loads(director.run("rvsadm", "service", "list", "-j").stdout)
        # The service was not made anew: its counts go on.
        count = [each["services"][0]["stats"]["connections"] for each in (before, after)]
        assert count[1] >= count[0] > 0
        # The other way to take one out: its weight becomes 0.
        kept.reload(blocks(real_server(one, weight=7, options="inhibit_on_failure"),
                           real_server(three, weight=1)))
        becomes(director, (one, 7), (three, 1))
        stop_web(lab, "rs1")
        becomes(director, (one, 0), (three, 1))
        start_web(lab, "rs1")
        becomes(director, (one, 7), (three, 1))
    except AssertionError:
        print(kept.said())
        raise
    finally:
        kept.stop()
    # It takes what it made with it.
    assert VIP not in director.run("ipvsadm", "-Ln").stdout
    assert "rror" not in kept.said().replace("error_count", "")


LAN = "192.168.56.120"  # where the router sends the virtual address's packets


def vrrp(priority):
    """A VRRP instance that holds the router's next hop."""
    return f"""
vrrp_instance pair {{
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority {priority}
    advert_int 1
    virtual_ipaddress {{
        {LAN}/24 dev eth0
    }}
}}
"""


@pytest.fixture(name="pair")
def _pair(lab):
    """A second director beside the lab's, and DR real servers."""
    load("rvs")
    other = Host("director2")
    lab.hosts.append(other)
    make_wires([(other, lab.router, "eth0", "to-director2")])
    lab.router.ip("link set to-director2 up master lan", f"route replace {VIP}/32 via {LAN}")
    other.ip("link set eth0 up", "addr add 192.168.56.119/24 dev eth0",
             f"route add default via {ROUTER}")
    other.sysctl(ipv4__ip_forward=1)
    lab.prepare_dr()
    yield lab.director, other
    unload()


def has(host, address):
    return address in host.run("ip", "-br", "addr", "show", "dev", "eth0").stdout


@pytest.mark.usefixtures("web")
@pytest.mark.seconds(300)
def test_the_second_director_takes_over_when_the_master_dies(lab, pair):
    """Connections too: both choose by the client's address, and take what another has begun."""
    servers = [real_server(address, check="/") for address in lab.addresses.values()]
    service = virtual_server(VIP, 80, *servers, kind="DR", scheduler="sh")
    for host in pair:
        host.sysctl(ipv4__vs__sloppy_tcp=1)
    running = [Keepalived(host, vrrp(priority), service)
               for host, priority in zip(pair, (150, 100))]
    try:
        every = [(address, 1) for address in lab.addresses.values()]
        for host in pair:
            becomes(host, *every)
        wait_until(lambda: has(pair[0], LAN), "the first is master", seconds=40)
        name = get(lab.client, VIP)
        with lab.client.inside():
            held = socket.create_connection((VIP, 80), timeout=60)
        held.sendall(b"GET / HTTP/1.0\r\n")
        # It and its host die.
        running[0].kill()
        pair[0].ip("link set eth0 down")
        wait_until(lambda: has(pair[1], LAN), "the second is master", seconds=40)
        with held:
            held.sendall(b"Host: x\r\n\r\n")
            assert held.recv(4096).endswith(f"\n{name}\n".encode())
        assert get(lab.client, VIP) == name
        counted = json.loads(pair[1].run("rvsadm", "service", "list", "-j").stdout)
        assert counted["services"][0]["stats"]["connections"] >= 2
    except AssertionError:
        for each in running:
            print(each.said())
        raise
    finally:
        running[1].stop()
        running[0].log.close()
