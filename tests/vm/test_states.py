# SPDX-License-Identifier: GPL-2.0
"""States, timeouts, counts and statistics of DR connections: RVS as ip_vs, for the same packets."""

import time

import pytest
from lab.director import Service
from lab.packets import ACK, FIN, PSH, RST, SYN, tcp, udp
from lab.raw import _director_rvs, _ipvs, _lab, _rvs, _wire, wait_until  # noqa: F401
from lab.topology import CLIENT, VIP

# What the client sends, and the state that ip_vs's INPUT_ONLY table makes of it.
LIVES = {
    "syn": ([SYN], "syn-recv"),
    "syn-twice": ([SYN, SYN], "syn-recv"),
    "handshake": ([SYN, ACK], "established"),
    "data": ([SYN, ACK, PSH | ACK, ACK], "established"),
    "syn-with-data-ack": ([SYN | ACK], "syn-recv"),
    "client-closes": ([SYN, ACK, FIN | ACK], "fin-wait"),
    "client-closes-all": ([SYN, ACK, FIN | ACK, ACK], "fin-wait"),
    "fin-in-syn-recv": ([SYN, FIN | ACK], "time-wait"),
    "ack-in-time-wait": ([SYN, FIN | ACK, ACK], "time-wait"),
    "reset": ([SYN, ACK, RST], "close"),
    "reset-of-syn": ([SYN, RST], "syn-recv"),
    "reset-after-fin": ([SYN, ACK, FIN | ACK, RST | ACK], "close"),
    "ack-after-reset": ([SYN, ACK, RST, ACK], "close"),
    "fin-after-reset": ([SYN, ACK, RST, FIN | ACK], "close"),
    "syn-in-established": ([SYN, ACK, SYN], "established"),
    "syn-in-fin-wait": ([SYN, ACK, FIN | ACK, SYN], "syn-recv"),
    "no-flags": ([SYN, ACK, 0], "close"),
    "all-flags": ([SYN, ACK, 63], "close"),
    "push-alone": ([SYN, ACK, PSH], "close"),
}
PORTS = {name: 20000 + i for i, name in enumerate(LIVES)}
UDP_PORT = 21000
SIZES = (0, 1, 100, 1000)

WEB = Service([("192.168.56.101", 1), ("192.168.56.102", 3), ("192.168.56.103", 2)],
              scheduler="wrr")
DNS = Service([("192.168.56.101", 1), ("192.168.56.102", 1)], protocol="udp", port=53)

TIMEOUT = {"syn-recv": 60, "established": 900, "fin-wait": 120, "time-wait": 120, "close": 10,
           "udp": 300}


def live(wire):
    """All lives, packet by packet in turn, and some UDP: the same for whoever balances."""
    for step in range(max(len(flags) for flags, _ in LIVES.values())):
        for name, (flags, _) in LIVES.items():
            if step < len(flags):
                wire.send(tcp((CLIENT, PORTS[name]), (VIP, 80), flags[step]))
    for i, size in enumerate(SIZES):
        flow = (CLIENT, UDP_PORT + i), (VIP, 53)
        wire.send(*[udp(*flow, b"x" * size)] * (i + 1))
    wire.settle()


def _exact(host, *which):
    """`ipvsadm -Ln` with OPTIONS: the numbers behind each service and dest."""
    rows = {}
    service = None
    for line in host.run("ipvsadm", "-Ln", *which).stdout.splitlines():
        words = line.split()
        if line.startswith(("TCP", "UDP")):
            service = f"{words[0].lower()}/{words[1]}"
            rows[service] = words[2:]
        elif words[:1] == ["->"] and service:
            rows[service, words[1]] = words[2:]
    return rows


def _settled_stats(host):
    """ip_vs's statistics, which a thread of its own brings up to date every two seconds."""
    last = None
    for _ in range(8):
        stats = _exact(host, "--stats", "--exact")
        if stats == last and any(int(n) for row in stats.values() for n in row):
            break
        last = stats
        time.sleep(2.5)
    return last


def _of_ipvs(lab):
    """Connections, counts and statistics as ip_vs has them."""
    conns = {}
    for line in lab.director.run("ipvsadm", "-Lnc").stdout.splitlines():
        words = line.split()
        if words[:1] not in (["TCP"], ["UDP"]):
            continue
        protocol, left, state, client, _, dest = words
        minutes, seconds = left.split(":")
        state = "udp" if protocol == "UDP" else state.lower().replace("_", "-")
        conns[client] = state, dest, int(minutes) * 60 + int(seconds)
    counts = {k: tuple(int(n) for n in row[2:4]) for k, row in _exact(lab.director).items()
              if isinstance(k, tuple)}
    stats = {k: tuple(int(row[i]) for i in (0, 1, 3))
             for k, row in _settled_stats(lab.director).items()}
    return conns, counts, stats


def _numbers(stats):
    return stats["connections"], stats["in_packets"], stats["in_bytes"]


def _of_rvs(rvs):
    """The same of RVS."""
    conns = {c["client"]: (c["state"], c["dest"], c["expires_ms"] / 1000)
             for c in rvs.connections()}
    counts, stats = {}, {}
    for entry in rvs.json("service", "list", "--stats")["services"]:
        stats[entry["id"]] = _numbers(entry["stats"])
        for dest in rvs.json("dest", "list", entry["id"], "--stats")["dests"]:
            counts[entry["id"], dest["id"]] = dest["active"], dest["inactive"]
            stats[entry["id"], dest["id"]] = _numbers(dest["stats"])
    return conns, counts, stats


@pytest.fixture(name="both", scope="module")
def _both(lab, wire):
    """What ip_vs and RVS say after the same packets."""
    from lab import director as directors  # pylint: disable=import-outside-toplevel
    from lab.raw import Observed  # pylint: disable=import-outside-toplevel
    said = []
    for peer, ask in ((directors.Ipvs(lab.director), lambda _: _of_ipvs(lab)),
                      (Observed(lab.director), _of_rvs)):
        for service in (WEB, DNS):
            peer.add(service)
        live(wire)
        said.append(ask(peer))
        peer.flush()
    peer.reset()
    return said


@pytest.mark.parametrize("name", LIVES)
def test_state_is_that_of_ip_vs(both, name):
    client = f"{CLIENT}:{PORTS[name]}"
    (of_ipvs, *_), (of_rvs, *_) = both
    assert (of_ipvs[client][0], of_rvs[client][0]) == (LIVES[name][1],) * 2


def test_nothing_but_the_flows_sent_is_listed(both):
    (of_ipvs, *_), (of_rvs, *_) = both
    assert set(of_rvs) == set(of_ipvs)
    assert len(of_rvs) == len(LIVES) + len(SIZES)


def test_dest_of_each_connection_is_that_of_ip_vs(both):
    (of_ipvs, *_), (of_rvs, *_) = both
    assert {c: dest for c, (_, dest, _) in of_rvs.items()} == \
        {c: dest for c, (_, dest, _) in of_ipvs.items()}


def test_time_left_is_that_of_the_state(both):
    (of_ipvs, *_), (of_rvs, *_) = both
    for conns in (of_ipvs, of_rvs):
        for client, (state, _, left) in conns.items():
            # Commands take seconds under emulation.
            assert TIMEOUT[state] - 9 <= left <= TIMEOUT[state] + 1, (client, state, left)


def test_active_and_inactive_connections_are_those_of_ip_vs(both):
    (_, of_ipvs, _), (_, of_rvs, _) = both
    assert of_rvs == of_ipvs
    assert sum(active for active, _ in of_rvs.values()) == sum(
        state in ("established", "syn-recv") for _, state in LIVES.values()
    )


def test_statistics_of_services_and_dests_are_those_of_ip_vs(both):
    (_, _, of_ipvs), (_, _, of_rvs) = both
    assert of_rvs == of_ipvs
    connections, packets, size = of_rvs["udp/203.0.113.10:53"]
    assert (connections, packets) == (4, 10)
    assert size == sum((28 + size) * (i + 1) for i, size in enumerate(SIZES))


def test_gso_packets_are_counted_as_ip_vs_counts_them(both):
    """Both count a packet that was not cut yet as one: its bytes are right all the same."""
    (_, _, of_ipvs), (_, _, of_rvs) = both
    key = "tcp/203.0.113.10:80"
    assert of_rvs[key] == of_ipvs[key]
    assert of_rvs[key][1] == sum(len(flags) for flags, _ in LIVES.values())


def send_some(wire, first=UDP_PORT + 100, count=6):
    wire.send(*(udp((CLIENT, first + i), (VIP, 53), b"12") for i in range(count)))
    wire.settle()


def test_stats_zero_takes_everything_to_zero(rvs, wire):
    rvs.add(DNS)
    send_some(wire)
    assert _numbers(rvs.traffic()) == (6, 6, 180)
    rvs.adm("stats", "zero")
    [service] = rvs.json("service", "list", "--stats")["services"]
    dests = rvs.dests(DNS).values()
    assert [_numbers(x["stats"]) for x in (service, *dests)] == [(0, 0, 0)] * 3
    assert _numbers(rvs.traffic()) == (0, 0, 0)
    # The connections are still there and go on counting.
    send_some(wire)
    assert _numbers(rvs.traffic()) == (0, 6, 180)


def test_stats_zero_of_a_service_leaves_the_others(rvs, wire):
    other = Service(DNS.dests, protocol="udp", port=54)
    for service in (DNS, other):
        rvs.add(service)
    send_some(wire)
    wire.send(udp((CLIENT, UDP_PORT + 200), (VIP, 54), b"12"))
    wire.settle()
    rvs.adm("stats", "zero", DNS.id)
    services = {s["id"]: _numbers(s["stats"])
                for s in rvs.json("service", "list", "--stats")["services"]}
    assert services == {DNS.id: (0, 0, 0), other.id: (1, 1, 30)}
    assert _numbers(rvs.traffic()) == (7, 7, 210)


def test_totals_stay_right_when_dests_and_services_are_removed(rvs, wire):
    rvs.add(DNS)
    send_some(wire)
    rvs.adm("dest", "del", DNS.id, "192.168.56.101:53")
    [service] = rvs.json("service", "list", "--stats")["services"]
    assert _numbers(service["stats"]) == (6, 6, 180)
    assert _numbers(rvs.traffic()) == (6, 6, 180)
    rvs.adm("service", "del", DNS.id)
    assert _numbers(rvs.traffic()) == (6, 6, 180)
    rvs.adm("conn", "flush")
    time.sleep(1)
    assert _numbers(rvs.traffic()) == (6, 6, 180)


def test_what_a_removed_dest_still_carries_counts_in_the_total(rvs, wire):
    service = Service(WEB.dests)
    rvs.add(service)
    source, vip = (CLIENT, 22000), (VIP, 80)
    wire.send(tcp(source, vip, SYN), tcp(source, vip, ACK))
    wire.settle()
    [conn] = rvs.connections()
    rvs.adm("dest", "del", service.id, conn["dest"])
    wire.send(*[tcp(source, vip, ACK | PSH, b"12345")] * 3)
    wire.settle()
    assert _numbers(rvs.traffic()) == (1, 5, 40 * 5 + 15)


def test_a_dest_added_again_starts_at_zero_with_the_connections_it_has(rvs, wire):
    rvs.add(DNS)
    send_some(wire)
    conns = [conn for conn in rvs.connections() if conn["dest"] == "192.168.56.101:53"]
    assert conns
    rvs.adm("dest", "del", DNS.id, "192.168.56.101:53")
    rvs.adm("dest", "add", DNS.id, "192.168.56.101:53")
    dest = rvs.dests(DNS)["192.168.56.101"]
    assert _numbers(dest["stats"]) == (0, 0, 0)
    assert (dest["active"], dest["inactive"]) == (0, len(conns))


EXPIRY = {
    "udp": ("--udp-timeout", None),
    "syn-recv": ("--tcp-timeout", [SYN]),
    "established": ("--tcp-timeout", [SYN, ACK]),
    "fin-wait": ("--tcp-timeout", [SYN, ACK, FIN | ACK]),
    "close": ("--tcp-timeout", [SYN, ACK, RST]),
}


def test_connections_expire_when_their_state_s_timeout_is_over(rvs, wire):
    """Several states at once; one flow is kept alive by packets, one is in a state that lasts."""
    for service in (WEB, DNS):
        rvs.add(service)
    rvs.adm("config", "set", "--udp-timeout", 2, "--tcp-timeout",
            "syn-recv=2,established=2,fin-wait=2,close=2,time-wait=100")
    for i, (state, (_, flags)) in enumerate(EXPIRY.items()):
        if flags is None:
            wire.send(udp((CLIENT, 23000 + i), (VIP, 53)))
        else:
            wire.send(*(tcp((CLIENT, 23000 + i), (VIP, 80), f) for f in flags))
    stays = tcp((CLIENT, 23100), (VIP, 80), SYN), tcp((CLIENT, 23100), (VIP, 80), FIN)
    wire.send(*stays)
    alive = udp((CLIENT, 23101), (VIP, 53))
    end = time.monotonic() + 5
    while time.monotonic() < end:
        wire.send(alive)
        time.sleep(0.5)
    left = {c["client"] for c in rvs.connections()}
    assert left == {f"{CLIENT}:23100", f"{CLIENT}:23101"}
    wait_until(lambda: rvs.counters()["conns_now"] == 2, "expired connections have ended")
    assert rvs.counters()["conns_expired"] == len(EXPIRY)


def test_what_is_left_goes_as_fast_as_time(rvs, wire):
    rvs.add(DNS)
    wire.send(udp((CLIENT, 23250), (VIP, 53)))
    wire.settle()

    def left():
        """Before, then what is left, after: in seconds."""
        before = time.monotonic()
        (conn,) = rvs.connections()
        return before, conn["expires_ms"] / 1000, time.monotonic()

    first, _ = left(), time.sleep(2)
    second = left()
    gone = first[1] - second[1]
    assert second[0] - first[2] - 0.1 <= gone <= second[2] - first[0] + 0.1


def test_a_connection_does_not_expire_early(rvs, wire):
    rvs.add(DNS)
    rvs.adm("config", "set", "--udp-timeout", 100)
    wire.send(udp((CLIENT, 23200), (VIP, 53)))
    time.sleep(2)
    assert [c["client"] for c in rvs.connections()] == [f"{CLIENT}:23200"]


def test_a_shorter_timeout_counts_for_connections_that_are_there(rvs, wire):
    rvs.add(DNS)
    wire.send(udp((CLIENT, 23300), (VIP, 53)))
    wire.settle()
    assert len(rvs.connections()) == 1
    rvs.adm("config", "set", "--udp-timeout", 1)
    wait_until(lambda: not rvs.connections(), "the connection expires", step=0.3)


def test_counts_are_zero_when_all_connections_have_ended(rvs, wire):
    rvs.add(WEB)
    for i, flags in enumerate(([SYN], [SYN, ACK], [SYN, ACK, FIN], [SYN, ACK, RST])):
        wire.send(*(tcp((CLIENT, 23400 + i), (VIP, 80), f) for f in flags))
    wire.settle()
    dests = rvs.dests(WEB).values()
    assert (sum(d["active"] for d in dests), sum(d["inactive"] for d in dests)) == (2, 2)
    rvs.adm("conn", "flush")
    dests = rvs.dests(WEB).values()
    assert {(d["active"], d["inactive"]) for d in dests} == {(0, 0)}


def test_flows_that_begin_on_two_cpus_are_one_connection_each(rvs, wire, lab):
    """Two senders on two CPUs go through the same new flows."""
    rvs.add(DNS)
    ports = "udp_src_min 20000", "udp_src_max 28000"
    with wire.flood(*ports, cpu=1, host=lab.real["rs3"]) as other:
        wire.flood(*ports).send(8000)
    assert other.sent() > 100
    wire.settle()
    now = rvs.counters()["conns_now"]
    assert now == 8000
    assert _numbers(rvs.traffic())[0] == now
    assert sum(dest["inactive"] for dest in rvs.dests(DNS).values()) == now
