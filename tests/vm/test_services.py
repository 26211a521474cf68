# SPDX-License-Identifier: GPL-2.0
"""Options of services and dests: flags of schedulers, thresholds, one-packet scheduling."""

import collections
import socket
import struct
import time

import pytest
from lab.director import Service, run_by
from lab.held import clients
from lab.packets import udp
from lab.raw import _director_rvs, _ipvs, _rvs, _wire  # noqa: F401
from lab.topology import CLIENT, DIRECTOR, VIP, Lab

# What ip_vs counts for a removed dest stays with its address for a while.
VIPS = [f"203.0.113.{i}" for i in range(60, 100)]

SOURCES = [f"198.51.100.{i}" for i in range(20, 50)]

# Opened and ended connections that cross thresholds of 6 and 3 a dest, of three dests.
STORY = [("open", 9), ("open", 12), ("close", 7), ("open", 9), ("close", 12), ("open", 15)]


@pytest.fixture(name="lab", scope="module")
def _lab():
    made = Lab()
    made.prepare_dr()
    for host in (made.director, *made.real.values()):
        host.ip(*(f"addr add {vip}/32 dev lo" for vip in VIPS))
    made.router.ip(f"route add 203.0.113.0/24 via {DIRECTOR}")
    made.client.ip(*(f"addr add {source}/24 dev eth0" for source in SOURCES))
    yield made
    made.close()


@pytest.fixture(name="vip")
def _vip(unused=iter(VIPS)):
    return next(unused)


def service(lab, weights=(1, 1, 1), **kwargs):
    return Service(list(zip(lab.addresses.values(), weights)), **kwargs)


def both(lab, ipvs, rvs, svc, run):
    """What `run` makes of the service's clients under ip_vs and under RVS."""
    seen = []
    for director in (ipvs, rvs):
        with run_by(director, svc), clients(lab, svc) as held:
            seen.append(run(held))
    return seen


@pytest.mark.parametrize(
    "scheduler, flags",
    [("sh", "sh-fallback"), ("sh", "sh-port"), ("sh", "sh-fallback,sh-port"),
     ("mh", "mh-fallback"), ("mh", "mh-port"), ("mh", "mh-fallback,mh-port")],
)
# pylint: disable-next=too-many-arguments,too-many-positional-arguments
def test_flags_choose_as_in_ip_vs(lab, ipvs, rvs, vip, scheduler, flags):
    svc = service(lab, (3, 0, 2), scheduler=scheduler, vip=vip, options=("-b", flags))

    def run(held):
        # The same ports for both.
        held.ports = iter(range(31000, 32000))
        seen = [held.open(source) for source in (*SOURCES, *SOURCES[:1] * 10)]
        for each in held.sockets:
            # Ends with a reset, so that the port is free again at once.
            each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return seen

    expected, seen = both(lab, ipvs, rvs, svc, run)
    assert seen == expected
    if "port" in flags:
        assert len(set(seen[-10:])) > 1
    else:
        assert len(set(seen[-10:])) == 1


@pytest.mark.parametrize(
    "scheduler, lower",
    [("rr", 3), ("nq", 0)],
)
# pylint: disable-next=too-many-arguments,too-many-positional-arguments
def test_thresholds_refuse_and_take_again_as_in_ip_vs(lab, ipvs, rvs, vip, scheduler, lower):
    svc = service(
        lab, (5, 9, 7), scheduler=scheduler, vip=vip, dest_options=("-x", 6, "-y", lower)
    )

    ipvs.host.run("ipvsadm", "--set", 0, 1, 0)
    rvs.adm("config", "set", "--tcp-timeout", "fin-wait=1")

    def run(held):
        seen = []
        for step, count in STORY:
            if step == "open":
                seen.append([held.open() for _ in range(count)])
            else:
                held.close(count)
                # They are over in a second, and ip_vs looks once a second.
                time.sleep(2.5)
        return seen

    expected, seen = both(lab, ipvs, rvs, svc, run)
    assert seen == expected
    assert any(None in step for step in seen)


def test_a_threshold_takes_effect_and_goes_while_connections_are_open(lab, rvs, vip):
    svc = service(lab, scheduler="wlc", vip=vip)
    rs1 = f"{lab.addresses['rs1']}:80"
    with run_by(rvs, svc), clients(lab, svc) as held:
        assert collections.Counter(held.open() for _ in range(6))["rs1"] == 2
        rvs.adm("dest", "set", svc.id, rs1, "--upper", 2)
        assert collections.Counter(held.open() for _ in range(6)) == {"rs2": 3, "rs3": 3}
        told = rvs.json("dest", "show", svc.id, rs1)["dest"]
        assert (told["upper"], told["lower"]) == (2, 0)
        refused = rvs.adm("dest", "set", svc.id, rs1, "--lower", 3, check=False)
        assert refused.returncode and "lower threshold 3 is above the upper, 2" in refused.stderr
        rvs.adm("dest", "set", svc.id, rs1, "--upper", 0)
        assert [held.open() for _ in range(3)] == ["rs1"] * 3


def test_one_packet_scheduling_takes_turns_packet_by_packet_as_ip_vs(lab, ipvs, rvs, wire):
    svc = service(lab, protocol="udp", port=53, options=("-o",))
    query = udp((CLIENT, 5000), (VIP, 53), b"query")
    seen = []
    for director in (ipvs, rvs):
        with run_by(director, svc):
            wire.clear()
            for _ in range(9):
                wire.send(query)
                wire.settle()
            seen.append(wire.took())
            if director is rvs:
                assert not rvs.connections()
                [told] = rvs.json("service", "list")["services"]
                assert (told["one_packet"], told["active"], told["inactive"]) == (True, 0, 0)
                assert (told["stats"]["connections"], told["stats"]["in_packets"]) == (9, 9)
    assert seen[0] == seen[1]
    assert collections.Counter(seen[1]) == {"rs1": 3, "rs2": 3, "rs3": 3}


def test_a_flow_stays_once_one_packet_scheduling_ends(lab, rvs, wire):
    svc = service(lab, protocol="udp", port=53, options=("-o",))
    query = udp((CLIENT, 5001), (VIP, 53), b"query")
    with run_by(rvs, svc):
        rvs.adm("service", "set", svc.id, "--ops=off")
        wire.clear()
        wire.send(*[query] * 6)
        wire.settle()
        assert len(set(wire.took())) == 1
        assert len(rvs.connections()) == 1


def test_options_are_saved_and_restored(lab, rvs):
    lines = [
        f"-A -t {VIP}:80 -s mh -b mh-fallback,mh-port",
        f"#rvsadm service tcp/{VIP}:80 --mh-size 251",
        f"-a -t {VIP}:80 -r {lab.addresses['rs1']}:80 -g -w 3 -x 9 -y 2",
        f"-A -t {VIP}:81 -s lblcr",
        f"#rvsadm service tcp/{VIP}:81 --sched-expiration 30",
        f"-A -u {VIP}:53 -s rr -o",
    ]
    try:
        rvs.adm("restore", "-", stdin="\n".join(lines) + "\n")
        assert rvs.adm("save").stdout.splitlines() == lines
        again = rvs.adm("restore", "-", "--dry-run", stdin="\n".join(lines) + "\n").stdout
        assert "3 unchanged" in again and "1 unchanged" in again
        refused = rvs.adm("service", "set", f"tcp/{VIP}:80", "--mh-size", 250, check=False)
        assert refused.returncode and "mh has no table of 250" in refused.stderr
    finally:
        rvs.flush()
