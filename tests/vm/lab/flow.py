# SPDX-License-Identifier: GPL-2.0
"""One UDP flow through a director, its packets sent one by one, and what becomes of each."""

import contextlib
import re
import select
import socket
import struct
import time

from . import shell, six
from . import topology as four
from .director import Service
from .fullnat import LOCALS
from .transfer import new_port

PORT = 5353
PROBE = 3  # of IP_MTU_DISCOVER: not to be cut, whatever was learned of the path
LENGTHS = {4: 28, 6: 48}
TRANSLATING = ("nat", "fullnat", "nat64")


def _socket(host, version, address, port):
    with host.inside():
        made = socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET, socket.SOCK_DGRAM)
    level, discover, errors = (41, 23, 25) if version == 6 else (0, 10, 11)
    made.setsockopt(level, discover, PROBE)
    made.setsockopt(level, errors, 1)
    made.setsockopt(level, 51 if version == 6 else 12, 1)
    made.bind((address, port))
    return made


def _errors(s):
    """What ICMP errors say that came for a socket: (type, code, information) of each."""
    found = []
    while True:
        try:
            _, said, _, _ = s.recvmsg(2048, 512, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
        except BlockingIOError:
            s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            return found
        for level, what, data in said:
            if (level, what) not in ((0, 11), (41, 25)):
                continue
            _, origin, kind, code, _, info = struct.unpack_from("=IBBBBI", data)
            if origin in (2, 3):
                found.append((kind, code, info))


class Hosts:
    """A lab whose real servers take packets in every mode, of both IP versions."""

    def __init__(self, lab):
        self.lab, self.six = lab, six.Six(lab)
        for here in (lab, self.six):
            here.prepare_dr()
            here.prepare_nat()
        shell.modprobe("ipip")
        lab.director.ip(*(f"addr add {address}/32 dev eth0" for address in LOCALS))
        lab.director.ip(*(f"addr add {address}/128 dev eth0 nodad" for address in six.LOCALS))
        for host in lab.real.values():
            host.ip("link set tunl0 up")
            host.sysctl(ipv4__conf__all__rp_filter=0, ipv4__conf__tunl0__rp_filter=0)

    def of(self, version):
        """The lab of an IP version, and the module with its addresses."""
        return (self.six, six) if version == 6 else (self.lab, four)


class Flow:
    """A flow of the client to a service whose only dest is rs1, or has another address there."""

    def __init__(self, hosts, director, version, mode, dest=None):
        names = hosts.of(version)[1]
        inner = 4 if mode == "nat64" else version
        self.version, self.mode, self.lab = version, mode, hosts.lab
        self.dest = dest or hosts.of(inner)[0].addresses["rs1"]
        self.vip, self.router, self.beyond = names.VIP, names.ROUTER, names.CLIENT
        # By how much packets are longer behind the director, toward the dest.
        self.around = {"tun": 20, "nat64": -20}.get(mode, 0)
        if mode in ("fullnat", "nat64"):
            director.adm("laddr", "add", "--default", *(six.LOCALS if inner == 6 else LOCALS),
                         check=False)
        self.director = director
        mode = "fullnat" if mode == "nat64" else mode
        director.add(Service([(self.dest, 1)], mode=mode, port=PORT, protocol="udp", vip=self.vip))
        at = self.dest if self.mode in TRANSLATING else self.vip
        self.versions = [inner, version]
        self.sockets = [_socket(hosts.lab.real["rs1"], inner, at, PORT),
                        _socket(hosts.lab.client, version, names.CLIENT, new_port())]
        self.sockets[1].connect((self.vip, PORT))
        self.peer, self.sent, self.hops = None, 0, None

    def toward(self, size=100, seconds=3):
        """A packet of that length to the dest: True when it comes there, the MTU that the client is
        told, or None when neither happens."""
        return self._pass(1, 0, size, seconds)

    def back(self, size=100, seconds=3):
        """The same of an answer to the client."""
        return self._pass(0, 1, size, seconds)

    def both(self, size=100, seconds=3):
        """A packet each way, where answers come by the director."""
        there = self.toward(size, seconds)
        if self.mode not in TRANSLATING or there is not True:
            return there
        return self.back(size, seconds)

    def _pass(self, sender, receiver, size, seconds):
        headers = LENGTHS[self.versions[sender]]
        sender, receiver = self.sockets[sender], self.sockets[receiver]
        for s in self.sockets:
            _errors(s)
        self.sent += 1
        head = struct.pack("!I", self.sent)
        data = head + bytes(size - headers - len(head))
        if sender is self.sockets[1]:
            sender.send(data)
        else:
            sender.sendto(data, self.peer)
        poll = select.poll()
        for s in self.sockets:
            poll.register(s, select.POLLIN)
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            poll.poll(left * 1000)
            for kind, code, info in _errors(sender):
                if (kind, code) in ((3, 4), (2, 0)):
                    return info
            with contextlib.suppress(BlockingIOError):
                while True:
                    got, said, _, peer = receiver.recvmsg(65535, 64, socket.MSG_DONTWAIT)
                    if got[:4] == head:
                        self.hops = struct.unpack("=i", said[0][2])[0]
                        if receiver is self.sockets[0]:
                            self.peer = peer
                        return True
        return None

    def ip(self, *lines, host=None):
        """`ip` commands, on the director where HOST is none: of the client's IP version where they
        name no address."""
        for line in lines:
            version = 4 if re.search(r"\d+\.\d+\.", line) else 6 if ":" in line else self.version
            (host or self.lab.director).run("ip", f"-{version}", *line.split())

    @contextlib.contextmanager
    def changed(self, line, back):
        """While an `ip` command on the director is in force, until another one takes it back."""
        self.ip(line)
        try:
            yield
        finally:
            self.ip(back)

    def close(self):
        """Closes the sockets and removes the service."""
        for s in self.sockets:
            s.close()
        self.director.flush()

