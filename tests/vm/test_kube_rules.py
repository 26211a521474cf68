# SPDX-License-Identifier: GPL-2.0
"""What kube-proxy sets up in its mode ipvs, row by row, beside stock ip_vs."""

import contextlib
import socket
import time

import pytest
from lab import shell, six, topology
from lab.compat import load, unload
from lab.director import end
from lab.fixtures import lab_of_file
from lab.tracked import PROGRAMS, entries, forget
from lab.transfer import UdpEcho, ask

SYSCTLS = {"conntrack": 1, "conn_reuse_mode": 0, "expire_nodest_conn": 1, "expire_quiescent_template": 1}
CHAINS = """*nat
:KUBE-MARK-MASQ -
:KUBE-SERVICES -
:KUBE-POSTROUTING -
-A PREROUTING -j KUBE-SERVICES
-A OUTPUT -j KUBE-SERVICES
-A POSTROUTING -j KUBE-POSTROUTING
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
-A KUBE-SERVICES -d {vip} -p tcp --dport 5000 -j KUBE-MARK-MASQ
-A KUBE-SERVICES -d {vip} -p udp --dport 5000 -j KUBE-MARK-MASQ
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000
-A KUBE-POSTROUTING -j MASQUERADE --random-fully
COMMIT
*filter
:FORWARD DROP
:KUBE-SOURCE-RANGES -
:KUBE-IPVS-FILTER -
:KUBE-FORWARD -
-A INPUT -j KUBE-IPVS-FILTER
-A INPUT -j KUBE-SOURCE-RANGES
-A FORWARD -j KUBE-FORWARD
-A KUBE-SOURCE-RANGES -d {vip} -p tcp --dport 5001 -s {client} -j DROP
-A KUBE-IPVS-FILTER -d {vip} -p tcp --dport 5000:5009 -j RETURN
-A KUBE-IPVS-FILTER -d {vip} -p udp --dport 5000:5009 -j RETURN
-A KUBE-IPVS-FILTER -m conntrack --ctstate NEW -d {vip} -j REJECT
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
*mangle
-A POSTROUTING -m ipvs --vaddr {vip} --vproto tcp --vport 5000
COMMIT
"""


def prepare(lab):
    lab.names = {4: (topology, lab), 6: (six, six.Six(lab))}
    shell.modprobe("nf_conntrack_netlink")


lab = lab_of_file(real_servers=2, web=False, prepare=prepare)


class Cluster:
    """A director as kube-proxy leaves it, and what its clients see."""

    def __init__(self, lab, version):
        self.lab, self.version = lab, version
        self.names, self.hosts = lab.names[version]
        self.vip = self.names.VIP
        lab.director.sysctl(**{f"ipv4__vs__{name}": value for name, value in SYSCTLS.items()})
        text = CHAINS.format(vip=self.vip, client=self.names.CLIENT)
        lab.director.run(f"{PROGRAMS[version]}-restore", stdin=text)
        forget(lab.director)

    def adm(self, *words):
        self.lab.director.run("ipvsadm", *words)

    def service(self, port, *servers, protocol="-t", options=()):
        """A service with its endpoints."""
        of = protocol, end(self.vip, port)
        self.adm("-A", *of, "-s", "rr", *options)
        for server in servers:
            self.adm("-a", *of, "-r", end(self.hosts.addresses[server], port), "-m")

    def listen(self, server, port):
        with self.lab.real[server].inside():
            made = socket.create_server(("::" if self.version == 6 else "0.0.0.0", port),
                                        family=socket.AF_INET6 if self.version == 6 else socket.AF_INET)
        made.settimeout(0.2)
        return made

    def connect(self, port, host=None, timeout=10):
        with (host or self.lab.client).inside():
            return socket.create_connection((self.vip, port), timeout=timeout)

    def seen(self, port, *listeners, host=None, timeout=10):
        """Whom which real server sees, or what the client gets."""
        try:
            with self.connect(port, host, timeout):
                until = time.monotonic() + 10
                while time.monotonic() < until:
                    for which, listener in enumerate(listeners):
                        with contextlib.suppress(TimeoutError):
                            accepted, peer = listener.accept()
                            accepted.close()
                            return which, self.name(peer[0])
                return "nobody"
        except OSError as error:
            return type(error).__name__

    def name(self, address):
        known = {self.names.CLIENT: "client", self.names.DIRECTOR: "director", self.vip: "vip"}
        return known.get(address, address)

    def rows(self):
        """Each row's outcome by name."""
        with self.listen("rs1", 5000) as web, self.listen("rs1", 5001) as ranged, \
                self.listen("rs1", 5002) as one, self.listen("rs2", 5002) as two:
            self.service(5000, "rs1")
            self.service(5000, "rs1", protocol="-u")
            self.service(5001, "rs1")
            self.service(5002, "rs1", "rs2", options=("-p", "300"))
            self.service(5003)
            yield "masqueraded", self.seen(5000, web)
            yield "from the node", self.seen(5000, web, host=self.lab.director)
            with contextlib.closing(UdpEcho(self.lab.real["rs1"], 5000, self.hosts.addresses["rs1"])) as echo:
                yield "a datagram", ask(self.lab.client, self.vip, 5000)
                yield "large ones", ask(self.lab.client, self.vip, 5000, bytes(4000)) == b"rs1 " + bytes(4000)
                yield "their source", {self.name(peer[0]) for peer in echo.peers}
                yield "one from the node", ask(self.lab.director, self.vip, 5000)
            yield "out of its source ranges", self.seen(5001, ranged, timeout=2)
            yield "within them, from the node", self.seen(5001, ranged, host=self.lab.director)[0]
            yield "no service", self.seen(5020)
            yield "no endpoint", self.seen(5003, timeout=3)
            first = self.stays(one, two)
            yield "the client stays", {self.stays(one, two) for _ in range(3)} == {first}
            yield "a rule of the match", self.met("-m ipvs")
            yield "a stranger's RST", self.met("INVALID")
            yield "answers that rules let through", self.met("RELATED,ESTABLISHED")
            yield "entries of datagrams", {
                tuple(entry.ends[:2] + entry.ends[4:6]) for entry in entries(
                    self.lab.director, self.version, "udp", client=self.names.CLIENT, vip=self.vip,
                    rs=self.hosts.addresses["rs1"], director=self.names.DIRECTOR)
                if "client" in entry.ends}
            yield "the endpoint goes", self.removed(web)

    def stays(self, one, two):
        """Which endpoint the client gets; it is not masqueraded and finds its way back by itself."""
        return self.seen(5002, one, two)[0]

    def met(self, what):
        """Whether a rule was met."""
        listed = self.lab.director.run(f"{PROGRAMS[self.version]}-save", "-c").stdout
        return {not line.startswith("[0:0]") for line in listed.splitlines() if what in line}

    def removed(self, web):
        """A connection whose endpoint is taken out."""
        with self.connect(5000) as client:
            web.settimeout(10)
            accepted, _ = web.accept()
            with accepted:
                self.adm("-d", "-t", end(self.vip, 5000), "-r", end(self.hosts.addresses["rs1"], 5000))
                client.sendall(b"x")
                accepted.settimeout(1)
                try:
                    return accepted.recv(1)
                except OSError as error:
                    return type(error).__name__

    def close(self):
        self.lab.director.run("ipvsadm", "-C", check=False)
        for table in ("nat", "filter", "mangle"):
            program = PROGRAMS[self.version]
            for option in ("-F", "-X"):
                self.lab.director.run(program, "-t", table, option)
        self.lab.director.run(PROGRAMS[self.version], "-P", "FORWARD", "ACCEPT")


@pytest.mark.parametrize("version", [4, 6])
def test_every_row_as_stock(lab, version):
    for each in (lab, lab.names[6][1]):
        each.prepare_nat()
    found = {}
    for name in ("ip_vs", "rvs"):
        load(name)
        shell.run("modprobe", "xt_rvs" if name == "rvs" else "xt_ipvs")
        try:
            with contextlib.closing(Cluster(lab, version)) as cluster:
                found[name] = dict(cluster.rows())
        finally:
            unload()
    assert found["rvs"] == found["ip_vs"]
    assert found["rvs"]["masqueraded"] == (0, "director")
    assert found["rvs"]["out of its source ranges"] == "TimeoutError"
