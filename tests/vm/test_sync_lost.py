# SPDX-License-Identifier: GPL-2.0
"""What directors tell each other gets lost, comes late, twice, or from somebody else."""

import json
import time

import pytest

from lab import shell
from lab.director import Ipvs, Rvs, Service
from lab.netns import Host, wait_until
from lab.netns import wire as connect
from lab.numbered import (ASK, BEAT, ENTRIES, GROUP, HEARSAY, PORT, Peer, Tail, datagram, entry)
from lab.packets import ACK, FIN, SYN, tcp
from lab.pair import known, sync
from lab.raw import _director_rvs, _lab, _rvs, _wire  # noqa: F401
from lab.topology import CLIENT, VIP

WEB = Service([("192.168.56.101", 1)])
COUNT = 600
PORTS = range(10_000, 10_000 + COUNT)
# A few entries each, so that there are many datagrams to lose.
SHORTEST = ("--max-len", 1)


@pytest.fixture(name="second", scope="module")
def _second(lab):
    """Another director, with nothing but a link between the two."""
    host = Host("second")
    connect(lab.director, host, "sync", "sync")
    lab.director.ip("addr add 10.9.0.1/24 dev sync")
    host.ip("addr add 10.9.0.2/24 dev sync", "route add 192.168.56.0/24 via 10.9.0.1")
    shell.modprobe("sch_netem")
    yield host
    host.close()


@pytest.fixture(name="both")
def _both(rvs, second):
    """The two; the first tells, the second knows where to."""
    backup = Rvs(second)
    for director in (rvs, backup):
        director.add(WEB)
    for host in (rvs.host, second):
        host.run("tc qdisc del dev sync root", check=False)
    yield rvs, backup
    for director in (rvs, backup):
        for role in ("master", "backup"):
            sync(director, "stop", role, check=False)
    backup.flush()
    backup.adm("conn", "flush")


@pytest.fixture(name="peer")
def _peer(second):
    made = Peer(second, "10.9.0.2")
    yield made
    made.close()


def counters(director):
    return director.json("sync", "show")["counters"]


def loses(host, percent):
    """Loses so many packets that leave by the link."""
    host.run(f"tc qdisc replace dev sync root netem limit 10000 loss {percent}%")


def say(wire, flags, ports=PORTS):
    """A packet of each connection."""
    wire.send(*(tcp((CLIENT, port), (VIP, 80), flags) for port in ports))


def begin(wire, ports=PORTS):
    say(wire, SYN, ports)
    say(wire, ACK, ports)


def are(director, states, seconds=10):
    """Waits until a director knows just these ports in these states."""
    def missing():
        there = {port: state for port, state, _ in known(director)}
        return {port for port, state in states.items() if there.get(port) != state}

    def all_there():
        left = missing()
        return not left and len(known(director)) == len(states)

    wait_until(all_there, f"{director.name} knows all {len(states)}", seconds, step=0.2)


def test_what_is_lost_is_asked_for_and_told_again(both, wire, second):
    """0 are missing 10 s later, with 5 % loss both ways; those that end are not kept, nor come back. A
    backup that starts late knows all at once, and a stock one beside it is not disturbed."""
    first, backup = both
    for host in (first.host, second):
        loses(host, 5)
    before = counters(first)
    sync(backup, "start", "backup")
    sync(first, "start", "master", *SHORTEST)
    for start in range(0, COUNT, 50):
        begin(wire, PORTS[start:start + 50])
    are(backup, dict.fromkeys(PORTS, "established"))
    half = PORTS[:COUNT // 2]
    say(wire, FIN | ACK, half)
    states = {port: "fin-wait" if port in half else "established" for port in PORTS}
    are(backup, states)
    lost, told = counters(backup), grown(first, before, {"told", "told_again", "rounds"})
    assert lost["lost"] > 0 and lost["asked"] > 0 and told["told_again"] > 0
    # Nobody has asked for all but when the master began: what was lost was told again, and no more.
    assert told["rounds"] == 1 and told["told"] <= 2 * COUNT
    sync(backup, "stop", "backup")
    backup.adm("conn", "flush")
    for host in (first.host, second):
        host.run("tc qdisc del dev sync root")
    stock = Ipvs(second)
    sync(stock, "start", "backup")
    try:
        sync(backup, "start", "backup")
        are(backup, states)
        are(stock, states)
        assert grown(first, before, {"rounds"}) == {"rounds": 2}
    finally:
        sync(stock, "stop", "backup")
        shell.run("modprobe", "-r", "ip_vs_rr", "ip_vs", check=False)


@pytest.mark.parametrize("mtu", [1500, 1400])
def test_many_are_told_by_few_walks_through_the_stack(both, wire, mtu):
    """Full datagrams are sent together; where they are too long for the link, one by one."""
    first, backup = both
    ports = range(10_000, 13_000)

    def packets():
        shown = json.loads(first.host.run("ip", "-s", "-j", "link", "show", "dev", "sync").stdout)
        return shown[0]["stats64"]["tx"]["packets"]

    first.host.ip(f"link set sync mtu {mtu}")
    try:
        # They are there already: who is slow to begin them would tell of some at a time.
        begin(wire, ports)
        begun, heard_before, before = counters(first), counters(backup), packets()
        sync(backup, "start", "backup")
        sync(first, "start", "master")
        are(backup, dict.fromkeys(ports, "established"), 60)
        got = grown(first, begun, {"sent", "not_sent", "told_again"})
        assert (got["not_sent"], got["told_again"]) == (0, 0)
        assert grown(backup, heard_before, {"lost", "bad_length"}) == {"lost": 0, "bad_length": 0}
        assert got["sent"] >= 75
        # Those that are too long are cut in two.
        walks = packets() - before
        assert walks < got["sent"] if mtu == 1500 else walks > got["sent"] * 1.5, (walks, got)
    finally:
        first.host.ip("link set sync mtu 1500")


def test_whoever_asks_gets_no_more_than_there_is(both, wire, peer):
    """Lying, flooding and old questions: what the master tells again is bounded, whoever asks how often."""
    first, _ = both
    begun = counters(first)
    sync(first, "start", "master", *SHORTEST)
    begin(wire, PORTS[:300])
    say(wire, FIN | ACK, PORTS[:300])
    wait_until(lambda: grown(first, begun, {"told"})["told"] >= 600, "all told")
    tail, master = wait_until(lambda: newest(peer), "a beat")

    def ask(*ranges, **changes):
        said = {"stream": tail.stream, "number": 0, "beat": tail.beat, "nonce": 5, **changes}
        peer.tell(Tail(ASK, ranges=ranges, **said), to=master)

    def answer():
        """A beat that repeats what was asked."""
        return wait_until(lambda: heard(peer, lambda told: told.kind == BEAT and told.nonce == 5), "it")

    # Too old, of another stream, no question at all, and what cannot be.
    before = counters(first)
    ask((0, 1), stream=tail.stream + 1)
    peer.tell(Tail(BEAT, stream=tail.stream), to=master)
    peer.tell(Tail(9, stream=tail.stream), to=master)
    peer.own.sendto(b"\0" * 9000, master)
    peer.own.sendto(b"", master)
    want = {"stale": 2, "bad_tail": 1, "bad_length": 2}
    wait_until(lambda: grown(first, before, want) == want, "what is not answered")
    # What was told again once has gone on under another number.
    tail, _ = wait_until(lambda: newest(peer), "a beat")
    assert tail.number > 128
    for _ in range(2):
        ask((3, 5), (9, 10))
        assert set(answer().ranges) == {(3, 5), (9, 10)}
    assert grown(first, before, {"told_again", "rounds"}) == {"told_again": 3, "rounds": 0}
    # Who lacks much is told all, once in a while.
    before, began = counters(first), time.monotonic()
    number = 0
    while time.monotonic() < began + 3:
        told, _ = newest(peer) or (None, None)
        tail, number = (told, number + 1) if told else (tail, number)
        for _ in range(50):
            ask((0, 2**64 - 2), (tail.number - 2, tail.number))
    got = grown(first, before, {"told_again", "rounds", "sent"})
    turns = (time.monotonic() - began) / 0.1 + 2
    assert 1 <= got["rounds"] <= turns / 20 + 1
    # A round has 100 datagrams of these connections, or a few more.
    assert got["sent"] <= turns * (64 + 8) + got["rounds"] * 140
    # Of what was told again nothing counts as told anew.
    assert grown(first, before, {"told"}) == {"told": 0}


def test_a_backup_takes_datagrams_in_their_order(both, lab):
    _, backup = both
    sync(backup, "start", "backup")
    master, other = (Peer(lab.director, "10.9.0.1") for _ in range(2))

    def ports():
        return {port for port, *_ in known(backup)}

    def are_known(*wanted):
        wait_until(lambda: ports() == set(wanted), f"just {wanted}")

    def question(of, ranges):
        """What is asked for, and nothing else any more."""
        def asked():
            got = of.hear(1)
            return got and (got[0].kind, got[0].ranges) == (ASK, ranges)

        wait_until(asked, f"a question for {ranges}")

    def silence(of):
        """Nothing is asked for."""
        wait_until(lambda: of.hear(1) is None, "no question")

    try:
        before = counters(backup)
        stream = 0x1234
        master.tell(Tail(ENTRIES, stream, 0), entry(port=1))
        master.tell(Tail(ENTRIES, stream, 2), entry(port=2))
        question(master, ((1, 2),))
        # It came late: what became of it is told again. And one that comes twice.
        master.tell(Tail(ENTRIES, stream, 1), entry(port=3))
        master.tell(Tail(ENTRIES, stream, 2), entry(port=4))
        master.tell(Tail(ENTRIES, stream, 3), entry(port=5))
        are_known(1, 2, 5)
        want = {"lost": 1, "late": 2, "learned": 3}
        wait_until(lambda: grown(backup, before, want) == want, "what was counted")
        # Nobody answers: it is asked again, but not often.
        began = counters(backup)["asked"]
        question(master, ((1, 2),))
        time.sleep(1)
        assert 1 <= counters(backup)["asked"] - began <= 12
        master.tell(Tail(BEAT, stream, 6, ranges=((1, 2),)))
        question(master, ((4, 6),))
        master.tell(Tail(BEAT, stream, 6, ranges=((4, 6),)))
        silence(master)
        # Two masters with one id; of this one nothing was heard before.
        other.tell(Tail(ENTRIES, stream + 1, 5), entry(port=6))
        question(other, ((0, 5),))
        other.tell(Tail(BEAT, stream + 1, 6, ranges=((0, 5),)))
        silence(other)
        # What others look after is taken where nothing is known.
        other.tell(Tail(HEARSAY, stream + 1, 6), entry(port=6, state=4), entry(port=7, state=4))
        are_known(1, 2, 5, 6, 7)
        states = {port: state for port, state, _ in known(backup)}
        assert (states[6], states[7]) == ("established", "fin-wait")
        # The highest number there can be, one more, and more streams than are told apart.
        master.tell(Tail(ENTRIES, stream, 2**64 - 1), entry(port=8))
        master.tell(Tail(ENTRIES, stream, 2**64 - 2), entry(port=9))
        for number in range(200):
            other.tell(Tail(ENTRIES, 100_000 + number), entry(port=1000 + number))
        are_known(1, 2, 5, 6, 7, 9, *range(1000, 1200))
        assert counters(backup)["bad_tail"] == before["bad_tail"] + 1
    finally:
        master.close()
        other.close()


def test_what_has_ended_does_not_stay(both, wire, lab):
    first, backup = both
    sync(backup, "start", "backup")
    sync(first, "start", "master")
    begin(wire, PORTS[:50])
    are(backup, dict.fromkeys(PORTS[:50], "established"))
    first.adm("conn", "end", WEB.id, "--client", f"{CLIENT}:{PORTS[0]}")
    are(backup, dict.fromkeys(PORTS[1:50], "established"))
    first.adm("conn", "flush")
    are(backup, {})
    # Who is only the backup of connections does not end them for others.
    begin(wire, PORTS[50:60])
    are(backup, dict.fromkeys(PORTS[50:60], "established"))
    sync(backup, "start", "master")
    sync(first, "start", "backup")
    backup.adm("conn", "flush")
    wait_until(lambda: counters(backup)["sent"] > 0, "a datagram")
    assert len(known(first)) == 10
    sync(first, "stop", "master")
    master = Peer(lab.director, "10.9.0.1")
    try:
        over = {"state": 6, "flags": 0x100, "options": b"\x71\1\1"}
        before = counters(backup)
        master.tell(Tail(ENTRIES, 9, 0), entry(port=1), entry(port=2))
        are(backup, {1: "established", 2: "established"})
        # Another one's end, one's that is not there, its own, and what was told before that.
        master.tell(Tail(ENTRIES, 9, 2), entry(port=1, dest="192.168.56.102", **over),
                    entry(port=3, **over), entry(port=2, **over))
        master.tell(Tail(ENTRIES, 9, 1), entry(port=2))
        are(backup, {1: "established"})
        wait_until(lambda: grown(backup, before, {"late"}) == {"late": 1}, "one that is late")
        # Packets have come here since: then it is this director's.
        master.tell(Tail(ENTRIES, 9, 3), entry(port=4, state=4))
        are(backup, {1: "established", 4: "fin-wait"})
    finally:
        master.close()


def test_a_round_through_all_ends_at_any_moment(both, wire, lab):
    """All is told again, in thousands of datagrams, when a namespace is removed, or the module."""
    first, backup = both
    ports = range(10_000, 16_000)
    begin(wire, ports)
    for ends in ("stops", "namespace", "module"):
        host = Host("third")
        connect(lab.director, host, "sync3", "sync3")
        lab.director.ip("addr add 10.8.0.1/24 dev sync3")
        host.ip("addr add 10.8.0.2/24 dev sync3", "route add 192.168.56.0/24 via 10.8.0.1")
        third = Rvs(host)
        third.add(WEB)
        try:
            third.adm("sync", "start", "backup", "--device", "sync3", "--id", 7)
            first.adm("sync", "start", "master", "--device", "sync3", "--id", 7, *SHORTEST)
            wait_until(lambda: counters(third)["received"] > 1, "it has begun", step=0)
            if ends == "stops":
                first.adm("sync", "stop", "master")
            elif ends == "module":
                shell.run("rvsadm", "unload")
                shell.modprobe("rvs")
        finally:
            host.close()
            # The kernel removes a namespace's devices, and their other ends, a while after it.
            wait_until(lambda: "sync3" not in lab.director.run("ip", "link").stdout, "the wire is gone")
        if ends == "namespace":
            first.adm("sync", "stop", "master")
    assert known(first) == known(backup) == set()


@pytest.fixture(name="key")
def _key(tmp_path):
    """Makes files of keys."""
    def made(key, end=b"\n"):
        path = tmp_path / f"key-{len(key)}-{key[:1].hex()}"
        path.write_bytes(key + end)
        return "--key-file", path
    return made


KEY, OTHER = b"k" * 32, b"o" * 64


def test_with_a_key_only_who_has_it_is_believed(both, wire, peer, lab, key):
    first, backup = both

    def refused(*options):
        done = sync(backup, "start", "backup", *options, check=False)
        assert done.returncode != 0
        return done.stderr

    assert "has 15 bytes: it has 16 to 64" in refused(*key(b"x" * 15))
    assert "has 65 bytes" in refused(*key(b"y" * 65))
    assert "cannot read the key's file /nosuch" in refused("--key-file", "/nosuch")
    sync(first, "start", "master", *SHORTEST, *key(KEY))
    sync(backup, "start", "backup", *key(KEY))
    begin(wire, PORTS[:60])
    states = dict.fromkeys(PORTS[:60], "established")
    are(backup, states)
    for role, director in (("master", first), ("backup", backup)):
        shown = director.adm("sync", "show").stdout
        assert f"{role} key-file" in shown and "kkk" not in shown
    # The answers to those who ask: with no key, another one, the right one.
    copies = [data for data, _ in iter(lambda: peer.take(0.01, group=True), None)]
    tail, master = wait_until(lambda: peer.hear(5, group=True), "a datagram")
    before = counters(first)
    asked = Tail(ASK, tail.stream, 0, tail.beat, 5, ((0, 1),))
    peer.tell(asked, to=master)
    peer.tell(asked, to=master, key=OTHER)
    want = {"unsigned": 1, "bad_key": 1}
    wait_until(lambda: grown(first, before, want) == want, "two that are refused")
    peer.tell(asked, to=master, key=KEY)
    wait_until(lambda: heard(peer, lambda told: told.nonce == 5), "an answer")
    assert grown(first, before, {"stale"}) == {"stale": 0}
    # To the backup: what stock ip_vs says, what is signed with another key, or changed, or copied.
    forger = Peer(lab.director, "10.9.0.1")
    before = counters(backup)
    try:
        forger.own.sendto(datagram(entry(port=1)), (GROUP, PORT))
        forger.tell(Tail(ENTRIES, 7, 0), entry(port=1))
        forger.tell(Tail(ENTRIES, 7, 0), entry(port=1), key=OTHER)
        one = next(data for data in copies if Tail.of(data).kind == ENTRIES)
        forger.own.sendto(one[:20] + bytes([one[20] ^ 1]) + one[21:], (GROUP, PORT))
        forger.own.sendto(one, (GROUP, PORT))
        # Signed well, but nobody says that it is of now.
        forger.tell(Tail(ENTRIES, 7, 0), entry(port=1), key=KEY)
        forger.tell(Tail(BEAT, 7, 1, ranges=((0, 1),)), key=KEY)
        want = {"unsigned": 2, "bad_key": 2, "late": 1, "unproven": 1}
        wait_until(lambda: grown(backup, before, want) == want, "what is refused")
        question, _ = wait_until(lambda: forger.hear(5), "a question")
        assert question.kind == ASK and question.nonce != 0
        said = backup.adm("sync", "show").stderr
        assert "is it the same --key-file everywhere?" in said and "had no signature" in said
        assert len(known(backup)) == 60
        # Copies of all that was said, when the backup has forgotten and the master is gone.
        sync(first, "stop", "master")
        sync(backup, "stop", "backup")
        backup.adm("conn", "flush")
        sync(backup, "start", "backup", *key(KEY))
        before = counters(backup)
        for data in copies:
            forger.own.sendto(data, (GROUP, PORT))
        wait_until(lambda: grown(backup, before, {"received"})["received"] >= len(copies), "all")
        assert known(backup) == set() and grown(backup, before, {"unproven"})["unproven"] > 0
        # The master is there again, and tells all.
        sync(first, "start", "master", *key(KEY))
        are(backup, states)
    finally:
        forger.close()


def grown(director, before, names):
    """How much these counts have grown."""
    now = counters(director)
    return {name: now[name] - before[name] for name in names}


def heard(peer, which):
    """What the group was told that is as WHICH says; none where nothing was for a while."""
    while got := peer.hear(1, group=True):
        if got[0] and which(got[0]):
            return got[0]
    return None


def newest(peer):
    """The last of what the group was told, and who did."""
    last = None
    while got := peer.hear(0.001, group=True):
        last = got
    return last
