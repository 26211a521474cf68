# SPDX-License-Identifier: GPL-2.0
"""Persistence, services of all ports, timeouts of services."""

import itertools

import pytest
from lab.director import Service, run_by
from lab.fixtures import lab_of_file
from lab.netns import wait_until
from lab.packets import SYN, tcp, udp
from lab.raw import _director_rvs, _ipvs, _rvs, _wire  # noqa: F401
from lab.topology import CLIENT, VIP, Lab


_lab = lab_of_file(prepare=Lab.prepare_dr)


@pytest.fixture(name="clients")
def _clients(numbers=itertools.count(1)):
    """Clients that no other test has, since ip_vs remembers them: in two networks of 24 bits, alone
    in a third."""
    number = next(numbers)
    near = [f"10.{number}.100.{i}" for i in (40, 41, 42)]
    return [*near, f"10.{number}.101.7", f"10.{number}.101.8", f"11.{number}.2.77"]


def service(lab, weights=(1, 1, 1), **kwargs):
    kwargs = {"protocol": "udp", "port": 53, **kwargs}
    return Service(list(zip(lab.addresses.values(), weights)), **kwargs)


def goes(wire, packet):
    """Who gets a packet."""
    wire.clear()
    wire.send(packet)
    wire.settle()
    taken = wire.took()
    assert len(taken) == 1, taken
    return taken[0]


def asks(wire, client, port=5000, to=53):
    """Who gets a datagram of a client."""
    return goes(wire, udp((client, port), (VIP, to), b"query"))


def templates(rvs, svc):
    """Networks of clients that stay with a dest."""
    return rvs.json("service", "show", svc.id)["service"]["templates"]


@pytest.mark.parametrize("mask", [None, "255.255.255.0", "255.0.0.0"])
# pylint: disable-next=too-many-arguments,too-many-positional-arguments
def test_clients_stay_with_their_dest_as_in_ip_vs(lab, ipvs, rvs, wire, clients, mask):
    options = ("-p", 300) + (("-M", mask) if mask else ())
    svc = service(lab, (1, 2, 1), scheduler="wrr", options=options)
    seen = []
    for director in (ipvs, rvs):
        with run_by(director, svc):
            seen.append([asks(wire, client, port) for port in (5000, 5001) for client in clients])
            if director is rvs:
                networks = {None: 6, "255.255.255.0": 3, "255.0.0.0": 2}[mask]
                assert templates(rvs, svc) == networks
    assert seen[0] == seen[1]
    assert seen[1][:6] == seen[1][6:]


# pylint: disable-next=too-many-arguments,too-many-positional-arguments
def test_a_service_of_all_ports_as_in_ip_vs(lab, ipvs, rvs, wire, clients):
    every = service(lab, port=0, options=("-p", 300))
    one = service(lab, (0, 0, 1), port=54)
    seen = []
    for director in (ipvs, rvs):
        with run_by(director, every):
            director.add(one)
            asked = [(client, port) for port in (53, 54, 80, 65535) for client in clients]
            seen.append([asks(wire, client, to=port) for client, port in asked])
    assert seen[0] == seen[1]
    assert seen[1][6:12] == ["rs3"] * 6
    assert seen[1][:6] == seen[1][12:18] == seen[1][18:]


def test_flows_to_all_ports_have_connections_of_their_own(lab, rvs, wire):
    svc = service(lab, port=0)
    with run_by(rvs, svc):
        taken = [asks(wire, CLIENT, to=port) for port in (53, 54, 55, 53, 54, 55)]
        assert taken[:3] == taken[3:] and len(set(taken)) == 3
        ports = {conn["dest"].rpartition(":")[2] for conn in rvs.connections()}
        assert ports == {"53", "54", "55"}
        refused = rvs.adm("dest", "add", svc.id, "192.168.56.200:80", check=False)
        assert refused.returncode and "mode dr cannot change the port, use 0" in refused.stderr


@pytest.mark.parametrize("mode", ["dr", "nat"])
# pylint: disable-next=too-many-arguments,too-many-positional-arguments
def test_data_of_ftp_goes_where_the_client_s_commands_go_as_in_ip_vs(
    lab, ipvs, rvs, wire, clients, mode
):
    svc = service(lab, protocol="tcp", port=21, mode=mode, options=("-p", 300))
    seen = []

    def taken(client, port, to):
        """Who gets the first packet of a connection, and to which port."""
        wire.clear()
        wire.send(tcp((client, port), (VIP, to), SYN))
        wire.settle()
        found = [(name, packet.ports[1]) for name, tap in wire.real.items()
                 for packet in tap.drain(lambda seen: seen.source == client)]
        return found[0] if found else None

    for director in (ipvs, rvs):
        with run_by(director, svc):
            asked = [(to, client) for to in (21, 20, 1024, 50_000) for client in clients]
            seen.append([taken(client, 40_000, to) for to, client in asked])
            # What cannot be data is nobody's.
            seen[-1] += [taken(clients[0], 40_000, to) for to in (19, 1023)]
    assert seen[0] == seen[1]
    assert seen[1][-2:] == [None, None]
    assert [port for _, port in seen[1][:-2]] == [to for to, _ in asked]
    owners = [name for name, _ in seen[1][:-2]]
    count = len(clients)
    assert len(set(owners)) == 3 and owners == owners[:count] * 4


def test_other_ports_than_ftp_s_are_nobody_s_without_persistence(lab, rvs, wire):
    with run_by(rvs, service(lab, protocol="tcp", port=21)):
        wire.clear()
        wire.send(tcp((CLIENT, 40_000), (VIP, 50_000), SYN))
        wire.settle()
        assert not wire.took() and not rvs.connections()


@pytest.mark.parametrize("stays", [False, True])
# pylint: disable-next=too-many-arguments,too-many-positional-arguments
def test_a_dest_without_weight_keeps_its_clients_only_when_asked_to(
    lab, ipvs, rvs, wire, clients, stays
):
    svc = service(lab, options=("-p", 300))
    address = lab.addresses

    def run(quiesce):
        first = asks(wire, clients[0])
        quiesce(f"{address[first]}:53")
        return first, asks(wire, clients[0], 5001), asks(wire, clients[0], 5002)

    with run_by(rvs, svc):
        if stays:
            rvs.adm("service", "set", svc.id, "--persistence-quiesced")
        seen = run(lambda dest: rvs.adm("dest", "set", svc.id, dest, "--weight", 0))
    sysctl = "net.ipv4.vs.expire_quiescent_template"
    ipvs.host.run("sysctl", "-qw", f"{sysctl}={int(not stays)}")
    try:
        with run_by(ipvs, svc):
            expected = run(lambda dest: ipvs.host.run(
                "ipvsadm", "-e", "-u", f"{VIP}:53", "-r", dest, "-g", "-w", 0))
    finally:
        ipvs.host.run("sysctl", "-qw", f"{sysctl}=0")
    assert seen == expected
    assert (len(set(seen)) == 1) == stays


def test_a_client_stays_no_longer_than_it_was_told(lab, rvs, wire):
    svc = service(lab, options=("-p", 1))
    with run_by(rvs, svc):
        first = asks(wire, CLIENT)
        assert templates(rvs, svc) == 1
        # Its connection lives on.
        wait_until(lambda: templates(rvs, svc) == 0, "the client is let go")
        assert len(rvs.connections()) == 1
        assert asks(wire, CLIENT, 5001) != first


def test_persistence_can_be_changed_while_clients_stay(lab, rvs, wire, clients):
    svc = service(lab, options=("-p", 300))
    with run_by(rvs, svc):
        first = [asks(wire, client) for client in clients]
        rvs.adm("service", "set", svc.id, "-p", 100)
        assert [asks(wire, client, 5001) for client in clients] == first
        rvs.adm("service", "set", svc.id, "--scheduler", "wlc")
        assert [asks(wire, client, 5002) for client in clients] == first
        rvs.adm("service", "set", svc.id, "-M", 24)
        assert templates(rvs, svc) == 0
        rvs.adm("service", "set", svc.id, "-p", 0, "-s", "rr")
        assert len({asks(wire, CLIENT, port) for port in range(5003, 5006)}) == 3
        refused = rvs.adm("service", "set", svc.id, "-M", 33, check=False)
        assert refused.returncode and "prefix length 33 is longer" in refused.stderr


def test_a_removed_dest_keeps_no_clients(lab, rvs, wire):
    svc = service(lab, options=("-p", 300))
    with run_by(rvs, svc):
        first = asks(wire, CLIENT)
        rvs.adm("dest", "del", svc.id, f"{lab.addresses[first]}:53")
        second = asks(wire, CLIENT, 5001)
        assert second != first
        assert asks(wire, CLIENT) == asks(wire, CLIENT, 5002) == second


def test_a_service_has_timeouts_of_its_own(lab, rvs, wire):
    svc = service(lab)
    with run_by(rvs, svc):
        rvs.add(service(lab, port=54))
        asks(wire, CLIENT, to=53)
        asks(wire, CLIENT, to=54)
        rvs.adm("service", "set", svc.id, "--udp-timeout", 1)
        left = {conn["service"]: conn["expires_ms"] for conn in rvs.connections()}
        assert left.get(svc.id, 0) <= 1000 < left[f"udp/{VIP}:54"]
        wait_until(lambda: len(rvs.connections()) == 1, "one flow has expired")
        rvs.adm("service", "set", svc.id, "--udp-timeout", 0)
        asks(wire, CLIENT, to=53)
        assert all(conn["expires_ms"] > 200_000 for conn in rvs.connections())
        refused = rvs.adm("service", "set", svc.id, "--udp-timeout", 2_678_401, check=False)
        assert refused.returncode and "timeout 2678401 s is out of range" in refused.stderr


def test_rr_starts_anywhere_when_asked_to(lab, rvs, wire):
    svc = service(lab, options=("--random-start",))
    first = set()
    with run_by(rvs, svc):
        for port in range(7000, 7030):
            rvs.flush()
            rvs.add(svc)
            taken = [asks(wire, CLIENT, port), asks(wire, CLIENT, port + 100)]
            assert taken[0] != taken[1]
            first.add(taken[0])
            if len(first) == 3:
                break
    assert len(first) == 3


def test_all_settings_are_saved_and_restored(rvs, lab):
    lines = [
        f"-A -t {VIP}:80 -s rr -p 300 -M 255.255.255.0",
        f"#rvsadm service tcp/{VIP}:80 --random-start=on --persistence-quiesced=on "
        "--tcp-timeout established=60,fin-wait=5 --expire-nodest on",
        f"-a -t {VIP}:80 -r {lab.addresses['rs1']}:80 -g -w 3",
        f"-A -u {VIP}:0 -s rr -p 50",
        f"#rvsadm service udp/{VIP}:0 --udp-timeout 10",
        f"-a -u {VIP}:0 -r {lab.addresses['rs1']}:0 -g -w 1",
    ]
    try:
        rvs.adm("restore", "-", stdin="\n".join(lines) + "\n")
        assert rvs.adm("save").stdout.splitlines() == lines
        again = rvs.adm("restore", "-", "--dry-run", stdin="\n".join(lines) + "\n").stdout
        assert "2 unchanged" in again
    finally:
        rvs.flush()


# More than one look at each of a service's trees ends or shows.
CROWD = 6000


def test_thousands_of_clients_stay_are_listed_and_let_go(lab, rvs, wire):
    svc = service(lab, options=("--persistence", 300))
    with run_by(rvs, svc):
        first, last = "10.77.0.0", f"10.77.{CROWD // 256}.{CROWD % 256 - 1}"
        crowd = wire.flood(f"src_min {first}", f"src_max {last}", "flag !SHARED", port=svc.port)
        assert crowd.send(CROWD) == CROWD
        wire.settle()
        assert templates(rvs, svc) == CROWD
        listed = rvs.json("conn", "templates")["templates"]
        assert len({template["network"] for template in listed}) == len(listed) == CROWD
        rvs.adm("service", "set", svc.id, "--persistence", 4)
        wait_until(lambda: templates(rvs, svc) == 0, "all are let go", seconds=60)
        assert crowd.send(CROWD) == CROWD
        wire.settle()
    # The service went with its templates.
    assert rvs.json("conn", "templates")["templates"] == []
