# SPDX-License-Identifier: GPL-2.0
"""Two directors of the same services, the second ready to take the place of the first, and connections
that go on meanwhile."""

import select
import socket
import struct
import threading

import pytest

from . import shell, six
from . import topology as four
from .director import Ipvs, Rvs, Service
from .fullnat import LOCALS
from .netns import Host, wait_until, wire
from .transfer import family, new_port

SECOND = "192.168.56.119"
SECOND6 = "2001:db8:56::119"
# (IP version, mode): port and real server. Those that ip_vs has too:
SERVICES = {
    (4, "nat"): (8001, "rs1"), (4, "dr"): (8002, "rs2"), (4, "tun"): (8003, "rs3"),
    (6, "nat"): (8001, "rs1"), (6, "dr"): (8002, "rs2"),
}
# 64 is a virtual address of IPv6 and a real server of IPv4.
FULLNAT = {(4, "fullnat"): (8004, "rs2"), (6, "fullnat"): (8004, "rs3"), (64, "fullnat"): (8005, "rs2")}
ALL = {**SERVICES, **FULLNAT}
NAT64 = 8006


def services(modes=SERVICES, **options):
    """A service for each (IP version, mode), with one dest."""
    for version, mode in modes:
        port, name = ALL[version, mode]
        vips, servers = four if version == 4 else six, six if version == 6 else four
        yield Service([(servers.REAL_SERVERS[name], 1)], mode=mode, port=port, vip=vips.VIP, **options)


class Echo:
    """Answers on every port of SERVICES of every real server, whatever the address."""

    def __init__(self, hosts):
        self._open = []
        for host in hosts:
            for port in sorted({port for port, _ in ALL.values()} | {NAT64}):
                with host.inside():
                    listener = socket.create_server(
                        ("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=256)
                self._open.append(listener)
        self._ends = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        poll, connections = select.poll(), {}
        listeners = {listener.fileno(): listener for listener in self._open}
        for listener in self._open:
            poll.register(listener, select.POLLIN)
        while not self._ends:
            for fd, _ in poll.poll(100):
                if fd in listeners:
                    made = listeners[fd].accept()[0]
                    connections[made.fileno()] = made
                    poll.register(made, select.POLLIN)
                    continue
                try:
                    data = connections[fd].recv(65536)
                    connections[fd].sendall(data)
                except OSError:
                    data = b""
                if not data:
                    poll.unregister(fd)
                    connections.pop(fd).close()
        for made in connections.values():
            made.close()

    def close(self):
        """Ends all."""
        self._ends = True
        self._thread.join()
        for listener in self._open:
            listener.close()


class Pair:
    """A lab with a second director, and a link between the two."""

    def __init__(self, lab):
        self.lab, self.first, self.second = lab, lab.director, Host("second")
        self.six = six.Six(lab)
        wire(self.second, lab.router, "eth0", "to-second")
        lab.router.ip("link set to-second master lan")
        wire(self.first, self.second, "sync", "sync")
        self.first.ip("addr add 10.9.0.1/24 dev sync", "addr add fd00:9::1/64 dev sync nodad")
        self.second.ip("addr add 10.9.0.2/24 dev sync", "addr add fd00:9::2/64 dev sync nodad")
        self.second.sysctl(ipv4__ip_forward=1, ipv6__conf__all__forwarding=1,
                           ipv4__conf__all__send_redirects=0, ipv4__conf__default__send_redirects=0)
        self.second.ip(
            f"addr add {SECOND}/24 dev eth0", f"route add default via {four.ROUTER}",
            f"addr add {SECOND6}/64 dev eth0 nodad", f"route add default via {six.ROUTER}",
            f"addr add {four.VIP}/32 dev lo", f"addr add {six.VIP}/128 dev lo nodad",
        )
        lab.prepare_dr()
        self.six.prepare_dr()
        # Those of mode nat answer by the director.
        lab.real["rs1"].ip(f"route replace default via {four.DIRECTOR}",
                           f"route replace default via {six.DIRECTOR}")
        shell.modprobe("ipip")
        for host in lab.real.values():
            host.ip("link set tunl0 up")
            host.sysctl(ipv4__conf__all__rp_filter=0, ipv4__conf__tunl0__rp_filter=0)
        for host in (self.first, self.second):
            # What is on lo nobody is told of by ARP, and nobody asks for by neighbour discovery.
            host.sysctl(ipv4__conf__eth0__arp_ignore=1)
            host.ip(*(f"addr add {local}/32 dev lo" for local in LOCALS),
                    *(f"addr add {local}/128 dev lo nodad" for local in six.LOCALS))
        self._take_locals(self.first)
        self.echo = Echo(lab.real.values())
        self._directors = []

    def directors(self, first, second):
        """The two, "rvs" or "ip_vs" each; their configuration goes with the pair."""
        kinds = {"rvs": Rvs, "ip_vs": Ipvs}
        made = kinds[first](self.first), kinds[second](self.second)
        self._directors += made
        return made

    def _take_locals(self, host):
        host.sysctl(ipv4__conf__eth0__arp_ignore=0)
        host.ip(*(f"addr add {local}/64 dev eth0 nodad" for local in six.LOCALS))

    def fail_over(self):
        """The first loses its links, the second has its addresses."""
        self.first.ip("link set eth0 down", "link set sync down")
        self.second.ip(f"addr add {four.DIRECTOR}/24 dev eth0",
                       f"addr add {six.DIRECTOR}/64 dev eth0 nodad")
        # What the second would tell them: whose the addresses are.
        self._take_locals(self.second)
        for host in (self.lab.router, *self.lab.real.values()):
            host.ip("neigh flush all")

    def close(self):
        """Ends the daemons and removes the second."""
        for director in self._directors:
            for role in ("master", "backup"):
                sync(director, "stop", role, check=False)
            director.flush()
        self.echo.close()
        self.second.close()


@pytest.fixture(name="pair")
def _pair(lab):
    made = Pair(lab)
    yield made
    made.close()


@pytest.fixture(name="clients")
def _clients(lab):
    made = Clients(lab.client)
    yield made
    made.close()


def sync(director, what, role, *options, check=True):
    """Starts or stops a daemon of a director."""
    if director.name == "rvs":
        device = ("--device", "sync", "--id", 7) if what == "start" else ()
        return director.adm("sync", what, role, *device, *options, check=check)
    device = ("--mcast-interface", "sync", "--syncid", 7) if what == "start" else ()
    return director.host.run("ipvsadm", f"--{what}-daemon", role, *device, *options, check=check)


def give(director, modes, locals_too=True):
    """Adds the services, with what mode fullnat needs."""
    if locals_too and modes is not SERVICES:
        director.adm("laddr", "add", "--default", *LOCALS, *six.LOCALS)
    for service in services(modes):
        director.add(service)


def known(director):
    """The connections of a director: (client's port, state, real server)."""
    if director.name == "rvs":
        conns = director.json("conn", "list")["connections"]
        return {(int(c["client"].rpartition(":")[2]), c["state"], c["dest"]) for c in conns}
    lines = director.host.run("ipvsadm", "-Lnc").stdout.splitlines()[2:]
    rows = [line.split() for line in lines]
    return {(int(row[3].rpartition(":")[2]), row[2].lower().replace("_", "-"), row[5])
            for row in rows if not row[3].endswith(":0")}


class Clients:
    """Connections of the client that stay open."""

    def __init__(self, client):
        self.client, self.open = client, []

    def connect(self, count, modes=SERVICES):
        """So many to each of the services."""
        for version, mode in modes:
            names = four if version == 4 else six
            for _ in range(count):
                with self.client.inside():
                    s = socket.socket(family(names.VIP))
                s.settimeout(20)
                s.bind((names.CLIENT, new_port()))
                s.connect((names.VIP, ALL[version, mode][0]))
                self.open.append(s)
        self.speak(b"hello", 20)
        return {s.getsockname()[1] for s in self.open}

    def open_to(self, address, port):
        """One to an address and port."""
        with self.client.inside():
            s = socket.create_connection((address, port), timeout=20)
        self.open.append(s)

    def again(self, address, port):
        """Ends the first one to an address and port, and begins another from the same port, which it tells."""
        old = next(s for s in self.open if s.getpeername()[:2] == (address, port))
        source = old.getsockname()
        # With a reset, so that the port is free.
        old.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        old.close()
        with self.client.inside():
            new = socket.create_connection((address, port), timeout=20, source_address=source)
        self.open[self.open.index(old)] = new
        return source[1]

    def speak(self, text, seconds, send=True):
        """Sends TEXT by all; those by which it did not come back within so many seconds."""
        waiting = {s.fileno(): (s, []) for s in self.open}
        poll = select.poll()
        for s in self.open:
            poll.register(s, select.POLLIN)
            if send:
                s.sendall(text)

        def heard():
            for fd, _ in poll.poll(100):
                s, parts = waiting.get(fd, (None, None))
                if s is None:
                    continue
                try:
                    data = s.recv(65536)
                except OSError:
                    data = b""
                parts.append(data)
                if not data or text in b"".join(parts):
                    poll.unregister(fd)
                    del waiting[fd]
                    if not data:
                        broken.append(s)
            return not waiting

        broken = []
        try:
            wait_until(heard, "answers", seconds, step=0)
        except AssertionError:
            pass
        return [s for s, _ in waiting.values()] + broken

    def close(self):
        """Ends all."""
        for s in self.open:
            s.close()
        self.open = []
