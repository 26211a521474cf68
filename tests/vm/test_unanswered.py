# SPDX-License-Identifier: GPL-2.0
"""What goes out and never comes back moves a counter."""

import socket

import pytest
from lab.director import Service, run_by
from lab.netns import wait_until
from lab.packets import tcp, udp
from lab.raw import _director_rvs, _lab, _rvs, _wire  # noqa: F401
from lab.topology import CLIENT, DIRECTOR, VIP

DEAD = "192.168.56.199"
SHORT = ("config", "set", "--tcp-timeout", "syn-recv=1", "--udp-timeout", "1")


def no_reply(rvs, svc):
    """The counts of the dest and of the namespace."""
    (dest,) = rvs.dests(svc).values()
    return dest["no_reply"], rvs.counters()["no_reply"]


# With dr answers do not come by here: of datagrams nothing is known.
@pytest.mark.parametrize("protocol, mode", [
    ("tcp", "dr"), ("tcp", "nat"), ("tcp", "fullnat"), ("udp", "nat"), ("udp", "fullnat"),
])
def test_a_dead_server_is_counted(rvs, wire, mode, protocol):
    svc = Service([(DEAD, 1)], protocol=protocol, port=53, mode=mode)
    with run_by(rvs, svc):
        rvs.adm(*SHORT)
        if mode == "fullnat":
            rvs.adm("laddr", "add", svc.id, DIRECTOR)
        for port in range(5000, 5003):
            wire.send(tcp((CLIENT, port), (VIP, 53), 2) if protocol == "tcp"
                      else udp((CLIENT, port), (VIP, 53)))
        wire.settle()
        wait_until(lambda: no_reply(rvs, svc) == (3, 3), "all three are counted", 40, 0.3)
        assert "NO-REPLY" in rvs.adm("dest", "list").stdout
        (service,) = rvs.json("service", "list", "--stats")["services"]
        (dest,) = rvs.dests(svc).values()
        assert service["stats"]["no_reply"] == dest["stats"]["no_reply"] == 3
        rvs.adm("stats", "zero")
        assert no_reply(rvs, svc) == (3, 0)


def test_an_answered_flow_is_not(lab, rvs, wire):
    """The same for a server that answers: its datagram passes, its SYN-ACK is acknowledged."""
    lab.prepare_nat()
    name, address = next(iter(lab.addresses.items()))
    svc = Service([(address, 1)], protocol="udp", port=53, mode="nat")
    with run_by(rvs, svc):
        rvs.adm(*SHORT)
        with lab.real[name].inside():
            server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            server.bind((address, 53))
        with server:
            server.settimeout(20)
            wire.send(udp((CLIENT, 5000), (VIP, 53)))
            _, peer = server.recvfrom(100)
            server.sendto(b"answer", peer)
            wait_until(lambda: rvs.counters()["conns_expired"] >= 1, "it expires", 40, 0.3)
        assert no_reply(rvs, svc) == (0, 0)


DROP = {
    "postrouting": "chain c { type filter hook postrouting priority 0; udp dport 53 drop; }",
    "output": "chain c { type filter hook output priority 0; udp dport 53 drop; }",
}


@pytest.mark.parametrize("place", DROP)
def test_rules_that_drop_what_leaves_are_counted(lab, rvs, wire, place):
    one = next(iter(lab.addresses.values()))
    svc = Service([(one, 1)], protocol="udp", port=53)
    lab.director.run("nft", "-f", "-", stdin=f"table ip rvstest {{\n{DROP[place]}\n}}\n")
    try:
        with run_by(rvs, svc):
            before = rvs.counters()["drop_output"]
            wire.send(*(udp((CLIENT, 5100 + n), (VIP, 53)) for n in range(3)))
            wire.settle()
            assert rvs.counters()["drop_output"] == before + 3
    finally:
        lab.director.run("nft", "delete", "table", "ip", "rvstest")
