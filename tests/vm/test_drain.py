# SPDX-License-Identifier: GPL-2.0
"""Dests that are taken out of use: no new connections, a deadline, and word of the end."""

import json
import subprocess

import pytest
from lab import shell
from lab.director import Service, run_by
from lab.fixtures import lab_of_file
from lab.netns import wait_until
from lab.packets import udp
from lab.raw import _director_rvs, _rvs, _wire  # noqa: F401
from lab.topology import CLIENT, VIP, Lab


_lab = lab_of_file(prepare=Lab.prepare_dr)


@pytest.fixture(name="svc")
def _svc(lab, rvs):
    svc = Service([(address, 1) for address in lab.addresses.values()], protocol="udp", port=53)
    with run_by(rvs, svc):
        yield svc


@pytest.fixture(name="dest")
def _dest(lab):
    return f"{lab.addresses['rs1']}:53"


def flows(wire, ports):
    """Who gets a datagram of the client from each port."""
    wire.clear()
    wire.send(*(udp((CLIENT, port), (VIP, 53), b"query") for port in ports))
    wire.settle()
    return wire.took()


def state(rvs, svc, dest):
    """The dest as `dest show` has it."""
    return rvs.json("dest", "show", svc.id, dest)["dest"]


def start(rvs, *args):
    """A running rvsadm."""
    return rvs.host.start(
        "rvsadm", *args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_dest_without_connections_has_drained_at_once(rvs, svc, dest):
    listener = start(rvs, "monitor", "--timeout", 60, "--count", 2, "-j")
    assert listener.stderr.readline() == "rvsadm: listening for events\n"
    out = rvs.json("dest", "drain", svc.id, dest, "--wait")["drained"]
    assert (out["weight"], out["drain"], out["drain_ended"]) == (0, None, 0)
    events = [json.loads(line) for line in listener.communicate(timeout=60)[0].splitlines()]
    assert [event["event"] for event in events] == ["dest-set", "dest-drained"]
    assert [event["dest"]["drain"] for event in events] == [300, None]
    assert events[1]["dest"]["id"] == dest


def test_the_deadline_ends_what_is_left(rvs, svc, dest, wire):
    assert sorted(flows(wire, range(5000, 5009))) == ["rs1"] * 3 + ["rs2"] * 3 + ["rs3"] * 3
    drain = start(rvs, "dest", "drain", svc.id, dest, "--deadline", 2, "--wait")
    assert drain.stderr.readline().startswith("rvsadm: 3 connections are left, for ")
    # Those that are there stay, new ones go elsewhere.
    assert flows(wire, range(5000, 5009)).count("rs1") == 3
    assert "rs1" not in flows(wire, range(5010, 5016))
    out, _ = drain.communicate(timeout=60)
    assert (drain.returncode, out) == (0, "drained; 3 connections were ended\n")
    assert state(rvs, svc, dest)["drain_ended"] == 3
    assert "rs1" not in flows(wire, range(5000, 5009))
    assert len(rvs.connections()) == 15


def test_connections_that_end_by_themselves_end_a_draining(rvs, svc, dest, wire):
    flows(wire, range(5000, 5003))
    rvs.adm("dest", "drain", svc.id, dest, "--deadline", 1000)
    told = state(rvs, svc, dest)
    assert 990 <= told["drain"] <= 1000 and told["inactive"] == 1
    rvs.adm("conn", "flush")
    wait_until(lambda: state(rvs, svc, dest)["drain"] is None, "the dest has drained")
    assert state(rvs, svc, dest)["drain_ended"] == 0


@pytest.mark.parametrize("options", [(), ("-j",)], ids=("text", "json"))
def test_a_weight_ends_a_draining(rvs, svc, dest, wire, options):
    flows(wire, range(5000, 5003))
    drain = start(rvs, "dest", "drain", svc.id, dest, "--deadline", 1000, "--wait", *options)
    assert "1 connections are left" in drain.stderr.readline()
    rvs.adm("dest", "set", svc.id, dest, "--weight", 2)
    out, err = drain.communicate(timeout=60)
    assert (drain.returncode, out) == (1, "") and "it was given a weight again" in err
    assert state(rvs, svc, dest)["drain"] is None
    assert len(rvs.connections()) == 3
    assert "rs1" in flows(wire, range(5010, 5013))


def test_a_dest_that_is_removed_while_it_drains(rvs, svc, dest, wire):
    flows(wire, range(5000, 5003))
    drain = start(rvs, "dest", "drain", svc.id, dest, "--deadline", 1000, "--wait")
    assert drain.stderr.readline()
    rvs.adm("dest", "del", svc.id, dest)
    _, err = drain.communicate(timeout=60)
    assert drain.returncode and "no dest" in err
    # It is no longer draining when it is back.
    rvs.adm("dest", "add", svc.id, dest, "--weight", 0)
    assert state(rvs, svc, dest)["drain"] is None


def test_what_is_refused(rvs, svc, dest):
    refused = rvs.adm("dest", "drain", svc.id, dest, "--deadline", 2_678_401, check=False)
    assert refused.returncode and "drain time 2678401 s is out of range" in refused.stderr
    refused = rvs.adm("dest", "drain", svc.id, "192.0.2.99:53", check=False)
    assert refused.returncode and "no dest 192.0.2.99:53 in the service" in refused.stderr
    assert state(rvs, svc, dest)["weight"] == 1


def test_the_module_unloads_while_a_dest_drains(rvs, svc, dest, wire):
    flows(wire, range(5000, 5003))
    rvs.adm("dest", "drain", svc.id, dest, "--deadline", 1)
    shell.rmmod("rvs")
    shell.modprobe("rvs")
    assert not rvs.json("service", "list")["services"]
