# SPDX-License-Identifier: GPL-2.0
"""conntrack fast: packets of tracked flows go early, and what is seen of them is as with conntrack on."""

import contextlib
import hashlib
import re
import socket
import threading
import time

import pytest
from lab import shell, six, topology
from lab.debug import is_debug_kernel
from lab.director import Rvs, Service, run_by
from lab.fixtures import lab_of_file
from lab.fullnat import LOCALS
from lab.netns import wait_until
from lab.tracked import entries, forget, rules
from lab.transfer import UdpEcho, family

SIZE = 2 << 20
BURST = 20
MASQUERADE = "nat -A POSTROUTING -d {rs} -j MASQUERADE"
TRACKED = "filter -A FORWARD -m conntrack --ctstate INVALID"


def prepare(lab):
    lab.six = six.Six(lab)
    lab.names = {4: topology, 6: six}
    lab.prepare_tun()
    lab.six.prepare_dr()
    shell.modprobe("nf_conntrack_netlink")
    lab.director.run("sysctl", "-qw", "net.netfilter.nf_conntrack_acct=1")
    lab.rvs = Rvs(lab.director)
    for address in LOCALS:
        lab.director.ip(f"addr add {address}/32 dev eth0")
    lab.rvs.adm("laddr", "add", "--default", *LOCALS)
    lab.six.prepare_fullnat(lab.rvs)


lab = lab_of_file(real_servers=1, web=False, prepare=prepare)


@pytest.fixture(name="rvs")
def _rvs(lab):
    lab.rvs.adm("config", "set", "--conntrack", "fast")
    forget(lab.director)
    yield lab.rvs
    lab.rvs.adm("conn", "flush")
    lab.rvs.adm("config", "set", "--conntrack", "off")


def service(lab, version, mode, protocol="tcp"):
    names = lab.names[version]
    return Service([(names.REAL_SERVERS["rs1"], 1)], mode=mode, port=5000, protocol=protocol, vip=names.VIP)


def at(lab, version, mode):
    """Where the real server listens."""
    names = lab.names[version]
    return names.VIP if mode in ("dr", "tun") else names.REAL_SERVERS["rs1"]


class Stream:
    """A connection of TCP through a service, of which both ends are here."""

    def __init__(self, lab, version, mode):
        address = at(lab, version, mode)
        with lab.real["rs1"].inside():
            listener = socket.create_server((address, 5000), family=family(address))
        with listener:
            with lab.client.inside():
                self.client = socket.create_connection((lab.names[version].VIP, 5000), timeout=60)
            listener.settimeout(60)
            self.server, peer = listener.accept()
        self.peer = peer[0]
        self.server.settimeout(60)

    def moves(self, size=SIZE):
        """So many bytes each way at once, none of which is lost or changed."""
        data = hashlib.sha256(str(size).encode()).digest() * (size // 32)
        ends = [(self.client, self.server), (self.server, self.client)]
        threads = [threading.Thread(target=sender.sendall, args=(data,)) for sender, _ in ends]
        for thread in threads:
            thread.start()
        for _, receiver in ends:
            got, left = hashlib.sha256(), len(data)
            while left:
                part = receiver.recv(min(left, 1 << 18))
                assert part, "the connection was closed"
                got.update(part)
                left -= len(part)
            assert got.digest() == hashlib.sha256(data).digest()
        for thread in threads:
            thread.join()

    def says(self):
        """A few bytes each way."""
        self.moves(32)

    def close(self):
        """Both ends."""
        self.client.close()
        self.server.close()


@contextlib.contextmanager
def stream(lab, version=4, mode="nat"):
    """One, until the block ends."""
    with contextlib.closing(Stream(lab, version, mode)) as made:
        yield made


class Datagrams:
    """A flow of UDP through a service, that is answered."""

    def __init__(self, lab, version, mode):
        self.echo = UdpEcho(lab.real["rs1"], 5000, at(lab, version, mode))
        with lab.client.inside():
            self.client = socket.socket(family(self.echo_address(lab, version)), socket.SOCK_DGRAM)
        self.client.settimeout(30)
        self.client.connect((lab.names[version].VIP, 5000))

    @staticmethod
    def echo_address(lab, version):
        return lab.names[version].VIP

    def moves(self, count=400):
        """So many datagrams, some at once, and their answers."""
        for first in range(0, count, BURST):
            said = [str(number).encode() * 20 for number in range(first, first + BURST)]
            for each in said:
                self.client.send(each)
            assert [self.client.recv(65535) for _ in said] == [b"rs1 " + each for each in said]

    @property
    def peer(self):
        """Whom the real server saw: one flow."""
        assert len(set(self.echo.peers)) == 1
        return self.echo.peers[0][0]

    def close(self):
        """Both ends."""
        self.client.close()
        self.echo.close()


def flow(lab, version, mode, protocol):
    """A flow of either protocol, until the block ends."""
    kind = Stream if protocol == "tcp" else Datagrams
    return contextlib.closing(kind(lab, version, mode))


def went_fast(rvs):
    """Packets that did, and all."""
    stats = rvs.json("service", "list", "--stats")["services"][0]["stats"]
    fast = rvs.json("stats", "show")["counters"]["conntrack_fast"]
    return fast, stats["in_packets"] + stats["out_packets"]


@contextlib.contextmanager
def masqueraded(lab, version=4, *more):
    """What kube-proxy has in POSTROUTING, and a rule that has all tracked."""
    rs = lab.names[version].REAL_SERVERS["rs1"]
    lines = [MASQUERADE.format(rs=rs), TRACKED, *more]
    with rules(lab.director, version, *lines):
        yield


CASES = [(version, mode, protocol) for version, mode in
         ((4, "nat"), (4, "dr"), (4, "tun"), (4, "fullnat"), (6, "nat"), (6, "dr"), (6, "fullnat"))
         for protocol in ("tcp", "udp")]


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)))
def test_nearly_all_go_fast(lab, rvs, case):
    version, mode, protocol = case
    names = lab.names[version]
    with masqueraded(lab, version) if mode == "nat" else rules(lab.director, version, TRACKED):
        with run_by(rvs, service(lab, version, mode, protocol)):
            before, _ = went_fast(rvs)
            with flow(lab, version, mode, protocol) as one:
                one.moves()
                one.moves()
                fast, every = went_fast(rvs)
                print(fast - before, every)
                assert fast - before > 0.9 * every
                # The host chooses among its addresses.
                seen = {"nat": [names.DIRECTOR, *LOCALS, *six.LOCALS], "fullnat": LOCALS + six.LOCALS}
                assert one.peer in seen.get(mode, [names.CLIENT])


def counted(lab, protocol="tcp"):
    """Packets and bytes that the host's entry of the flow to port 5000 has, of the client and of the dest."""
    listed = lab.director.run("conntrack", "-L", "-p", protocol, "--dport", 5000, check=False).stdout
    return [list(map(int, re.findall(rf"{what}=(\d+)", listed))) for what in ("packets", "bytes")]


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_the_entry_has_all(lab, rvs, protocol):
    """State, flags and counts are those of a flow each of whose packets was tracked; it lives on."""
    found = {}
    for how in ("on", "fast"):
        rvs.adm("config", "set", "--conntrack", how)
        with masqueraded(lab), run_by(rvs, service(lab, 4, "nat", protocol)):
            with flow(lab, 4, "nat", protocol) as one:
                before, _ = went_fast(rvs)
                one.moves()
                assert (went_fast(rvs)[0] > before) == (how == "fast")

                def agrees():
                    stats = rvs.json("service", "list", "--stats")["services"][0]["stats"]
                    known = [[stats[f"{way}_{what}"] for way in ("in", "out")] for what in ("packets", "bytes")]
                    return counted(lab, protocol) == known

                wait_until(agrees, "the entry has what the service has")
                found[how] = entries(lab.director, 4, protocol)
        forget(lab.director)
    assert found["fast"] == found["on"]
    assert len(found["on"]) == 1


def test_the_entry_outlives_its_timeout(lab, rvs):
    name = "net.netfilter.nf_conntrack_udp_timeout"
    # Longer than reading of the entry takes behind the flow's last packet.
    seconds = 10 if is_debug_kernel() else 2
    for each in (name, name + "_stream"):
        lab.director.run("sysctl", "-qw", f"{each}={seconds}")
    try:
        with masqueraded(lab), run_by(rvs, service(lab, 4, "nat", "udp")), flow(lab, 4, "nat", "udp") as one:
            before, _ = went_fast(rvs)
            until = time.monotonic() + 3 * seconds
            while time.monotonic() < until:
                one.moves(20)
            assert len(entries(lab.director, 4, "udp")) == 1
            assert went_fast(rvs)[0] > before
            # The same one, or the real server would have seen another port.
            assert one.peer
    finally:
        lab.director.run("sysctl", "-qw", f"{name}=30", f"{name}_stream=120")


class Going:
    """A flow that goes on until it is told to stop; how far it is."""

    def __init__(self, one):
        self.one, self.steps, self.ends, self.error = one, 0, False, None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        try:
            while not self.ends:
                self.one.moves(1 << 14)
                self.steps += 1
                # Others are to have their turn, on a slow host too.
                time.sleep(0.01)
        except (OSError, AssertionError) as error:
            self.error = error

    def goes_on(self):
        """Waits until it has gone some steps further."""
        wanted = self.steps + 3
        wait_until(lambda: self.error or self.steps >= wanted, "the flow goes on", seconds=60)
        if self.error:
            raise self.error

    def stops(self):
        """Seconds until it goes no further."""
        began = time.monotonic()
        while True:
            last, since = self.steps, time.monotonic()
            while time.monotonic() - since < 1.5:
                time.sleep(0.02)
                if self.steps != last:
                    break
            else:
                return since - began
            assert since - began < 20, "it goes on"

    def close(self):
        """It stops at the next step."""
        self.ends = True
        self.thread.join(timeout=60)
        assert not self.thread.is_alive()


def test_rules_take_effect(lab, rvs):
    """A rule that is added stops a flow that goes fast, within about a second, and only while it is there."""
    places = [(chain, f"-{flag} {address}") for chain, flag, address in (
        ("INPUT", "d", topology.VIP), ("FORWARD", "s", topology.REAL_SERVERS["rs1"]),
        ("OUTPUT", "d", topology.REAL_SERVERS["rs1"]))]
    with masqueraded(lab), run_by(rvs, service(lab, 4, "nat")), stream(lab) as one:
        with contextlib.closing(Going(one)) as going:
            for chain, what in places:
                going.goes_on()
                before, _ = went_fast(rvs)
                going.goes_on()
                assert went_fast(rvs)[0] > before
                lab.director.run("iptables", "-w", "-I", chain, *what.split(), "-j", "DROP")
                try:
                    assert going.stops() < 2
                    stopped = went_fast(rvs)[0]
                    time.sleep(0.7)
                    assert went_fast(rvs)[0] == stopped
                finally:
                    lab.director.run("iptables", "-w", "-D", chain, *what.split(), "-j", "DROP")
                going.goes_on()


def test_an_entry_is_deleted(lab, rvs):
    """Under way: another is made, by whichever side speaks first, and is known as well before long."""
    lab.prepare_nat()
    try:
        with rules(lab.director, 4, TRACKED), run_by(rvs, service(lab, 4, "nat")), stream(lab) as one:
            with contextlib.closing(Going(one)) as going:
                for _ in range(3):
                    going.goes_on()
                    forget(lab.director)
                    wait_until(lambda: entries(lab.director, 4, "tcp"), "there is an entry again")
                    going.goes_on()
                    before, _ = went_fast(rvs)
                    wait_until(lambda: went_fast(rvs)[0] > before + 100, "packets go fast again")
    finally:
        lab.real["rs1"].ip(f"route replace default via {topology.ROUTER}")


def test_a_fin_is_seen(lab, rvs):
    """The entry follows the connection to its end, as does our own."""
    with masqueraded(lab), run_by(rvs, service(lab, 4, "nat")):
        with stream(lab) as one:
            before, _ = went_fast(rvs)
            one.moves()
            assert went_fast(rvs)[0] > before
            one.client.shutdown(socket.SHUT_WR)
            assert one.server.recv(1) == b""
            half, _ = went_fast(rvs)
            one.server.sendall(bytes(100_000))
            left = 100_000
            while left:
                left -= len(one.client.recv(left))
            assert went_fast(rvs)[0] == half, "nothing goes fast behind a FIN"
        wait_until(lambda: [entry.state for entry in entries(lab.director, 4, "tcp")] == ["TIME_WAIT"],
                   "the entry is in TIME_WAIT")


def test_a_reset_is_seen(lab, rvs):
    with masqueraded(lab), run_by(rvs, service(lab, 4, "nat")), stream(lab) as one:
        one.moves()
        one.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        one.client.close()
        with pytest.raises(ConnectionResetError):
            one.server.recv(1)
        wait_until(lambda: [entry.state for entry in entries(lab.director, 4, "tcp")] in (["CLOSE"], []),
                   "the entry is closed")


def test_switched_under_traffic(lab, rvs):
    """Twenty times; no flow breaks, of those that began at each moment."""
    with masqueraded(lab), run_by(rvs, service(lab, 4, "nat")), contextlib.ExitStack() as flows:
        going = []
        for turn in range(20):
            rvs.adm("config", "set", "--conntrack", ("fast", "on", "fast", "off")[turn % 4])
            if turn % 4 < 3 and len(going) < 6:
                going.append(flows.enter_context(contextlib.closing(Going(
                    flows.enter_context(stream(lab))))))
            for each in going:
                each.goes_on()


def test_other_places_are_unchanged(lab, rvs):
    """Nothing goes fast that was not asked to, nor what a program on the director sends."""
    with masqueraded(lab), run_by(rvs, service(lab, 4, "nat")):
        before, _ = went_fast(rvs)
        client, lab.client = lab.client, lab.director
        try:
            with stream(lab) as one:
                one.moves()
        finally:
            lab.client = client
        assert went_fast(rvs)[0] == before
        rvs.adm("config", "set", "--conntrack", "on")
        with stream(lab) as one:
            one.moves()
        assert went_fast(rvs)[0] == before
