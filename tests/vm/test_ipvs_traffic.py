# SPDX-License-Identifier: GPL-2.0
"""ipvsadm's lists after the same commands and the same traffic, from ip_vs and from RVS, line by line."""

import contextlib
import re
import socket

import pytest
from lab.compat import STOCK, differences, ipvsadm, load, unload
from lab.director import Rvs
from lab.fullnat import LOCALS
from lab.genl import Client
from lab.netns import wait_until
from lab.topology import VIP
from lab.transfer import UdpEcho, ask
from lab.web import get

ECHO, CLOSED, SILENT = 5353, 81, 5354
MARKED, MARKS = (5355, 5356), "udp dport { 5355, 5356 } meta mark set 7"
LISTS = [
    "-Ln", "-Ln --stats", "-Ln --stats --exact", "-Ln --rate", "-Ln --thresholds",
    "-Ln --persistent-conn", "-Ln --sort", f"-Ln -u {VIP}:{ECHO} --stats", "-Lnc",
    "-Ln -f 7", "-Ln -f 7 -6", "-Ln -f 9 -6 --stats",
    "-Lnc --sort", "-Lnc --persistent-conn", "-L --timeout", "-L --daemon", "-Sn",
]


@pytest.fixture(name="director")
def _director(lab):
    """The lab's director, to be run by one after the other."""
    yield lab.director
    lab.director.run("ipvsadm", "-C", check=False)
    unload()


def sort_services(text):
    """Services in an order of their own: ip_vs has that of its hash table."""
    head, *services = re.split(r"\n(?=TCP|UDP|FWM|-A)", text.rstrip("\n"))
    return [head, *sorted(services)]


def plain(said):
    """An answer without what two runs never share: seconds left, rates, the order of services."""
    line, status, out, err = said
    if "-Lnc" in line:
        head, *rows = out.splitlines()
        return line, status, [head, *sorted(re.sub(r"\d\d:\d\d", "MM:SS", row) for row in rows)], err
    if "--rate" in line:
        out = re.sub(r"( +\d+){5}$", " RATES", out, flags=re.MULTILINE)
    return line, status, sort_services(out), err


def traffic(lab):
    """Flows of all kinds, from known ports: answered, refused, unanswered."""
    with contextlib.ExitStack() as stack:
        for host in lab.real.values():
            stack.enter_context(contextlib.closing(UdpEcho(host, ECHO)))
        with lab.client.inside():
            for number in range(6):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                    udp.bind(("", 30_000 + number))
                    udp.settimeout(20)
                    udp.sendto(b"x" * (10 * number), (VIP, ECHO))
                    udp.recv(2000)
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                    udp.bind(("", 30_100 + number))
                    udp.sendto(b"y" * 99, (VIP, SILENT))
            for number in range(8):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                    udp.bind(("", 30_300 + number // 2))
                    udp.sendto(b"z" * number, (VIP, MARKED[number % 2]))
            for number in range(4):
                with socket.socket() as tcp:
                    tcp.bind(("", 30_200 + number))
                    tcp.settimeout(20)
                    with pytest.raises(ConnectionRefusedError):
                        tcp.connect((VIP, CLOSED))


def script(lab, name):
    """The commands, the traffic, and all lists before and after counts are set to zero."""
    director = lab.director
    load(name)
    one, two, three = lab.addresses.values()
    said = [ipvsadm(director, line) for line in (
        f"-A -u {VIP}:{ECHO} -s wrr",
        f"-a -u {VIP}:{ECHO} -r {one}:{ECHO} -m -w 3", f"-a -u {VIP}:{ECHO} -r {two}:{ECHO} -m -w 2",
        f"-a -u {VIP}:{ECHO} -r {three}:{ECHO} -m -w 1",
        f"-A -t {VIP}:{CLOSED} -s rr",
        f"-a -t {VIP}:{CLOSED} -r {one}:{CLOSED} -m", f"-a -t {VIP}:{CLOSED} -r {two}:8181 -m",
        f"-A -u {VIP}:{SILENT} -s mh -b mh-fallback,mh-port -p 200 -M 255.255.255.0",
        f"-a -u {VIP}:{SILENT} -r {three}:{SILENT} -g -x 100 -y 50",
        f"-A -u {VIP}:9 -s rr -o", f"-a -u {VIP}:9 -r {three}:9 -m",
        "-A -f 7 -s rr -p 300", *(f"-a -f 7 -r {each} -g" for each in (one, two, three)),
        "-A -f 9 -6 -s wlc -o -p 60 -M 64", "-A -f 8 -s rr -p 90 -M 255.255.0.0",
        f"-a -f 8 -r {one}:8080 -m -w 4", "-A -f 7 -s rr", "-A -f 7 -6 -s rr", "-D -f 7 -6",
    )]
    director.run("nft", "add table ip marks; add chain ip marks marks "
                 "{ type filter hook prerouting priority mangle; }; "
                 f"add rule ip marks marks {MARKS}")
    traffic(lab)
    # ip_vs shows counts as of its last look at them.
    wait_until(lambda: len(re.findall(r" 6 +6 ", ipvsadm(director, "-Ln --stats")[2])) >= 2,
               "all is counted", seconds=20, step=0.5)
    wait_until(lambda: re.search(rf":{CLOSED} +4 +4 +4 ", ipvsadm(director, "-Ln --stats")[2]),
               "all is counted", seconds=20, step=0.5)
    # Refused ones stay 10 s, which the other lists may take together on a slow machine.
    # RVS counts them until its worker has come, not just until they are no longer listed.
    said += [ipvsadm(director, line) for line in ("-Ln", "-Lnc")]
    wait_until(lambda: f"{VIP}:{CLOSED}" not in ipvsadm(director, "-Lnc")[2]
               and re.search(rf":{CLOSED} rr\n(.*:(?:8181|{CLOSED}) .* 0 +0 *\n){{2}}", ipvsadm(director, "-Ln")[2]),
               "the refused connections are gone", seconds=40, step=0.5)
    said += [ipvsadm(director, line) for line in LISTS]
    said += [ipvsadm(director, line) for line in (
        f"-Z -u {VIP}:{ECHO}", "-Ln --stats", "-Z", "-Ln --stats",
        f"-e -u {VIP}:{ECHO} -r {one}:{ECHO} -m -w 0 -x 7 -y 3", f"-d -u {VIP}:{ECHO} -r {two}:{ECHO}",
        f"-E -u {VIP}:{SILENT} -s sh", f"-E -u {VIP}:{SILENT} -s mh -b mh-port",
        f"-E -u {VIP}:9 -s wlc", "-E -f 7 -s wrr -p 30", f"-e -f 7 -r {one} -g -w 0",
        f"-d -f 7 -r {two}", "-Z -f 7", "-D -f 99", "-Ln", "-Ln --thresholds", "-Sn",
    )]
    # Dests that come back get their old connections there, and none here: no counts.
    saved = ipvsadm(director, "-Sn")[2]
    said += [ipvsadm(director, "-C"), ipvsadm(director, "-R", stdin=saved),
             ipvsadm(director, "-Sn"), ipvsadm(director, "-C")]
    director.run("nft", "delete table ip marks")
    unload()
    return [plain(each) for each in said]


def test_lists_are_those_of_ip_vs(lab, director):
    assert director
    lab.prepare_nat()
    # With one, what only the first packet does is done: ARP.
    for host in lab.real.values():
        lab.director.run("ping", "-c", "1", lab.addresses[host.name])
    expected, found = script(lab, STOCK), script(lab, "rvs")
    unlike = differences(expected, found)
    assert not unlike, "\n".join(f"ip_vs: {a}\nRVS:   {b}" for a, b in unlike)


# -- FullNAT for clients that cannot say it -------------------------------------------------------

PRIVATE = 0x100


def modes(rvs, service):
    """Mode by address of a service's dests, as rvsadm tells them."""
    return {each["address"]: each["mode"] for each in rvs.json("dest", "list", service)["dests"]}


@pytest.mark.usefixtures("web")
def test_masqueraded_dests_become_fullnat_where_the_operator_wants_it(lab, director):
    """Without a route of the real servers through the director, so masquerading alone would fail."""
    load("rvs")
    rvs, service = Rvs(director), f"tcp/{VIP}:80"
    one, two, three = lab.addresses.values()
    web = f"-t {VIP}:80"
    for address in LOCALS:
        director.ip(f"addr add {address}/32 dev eth0")
    rvs.adm("config", "set", "--nat-as-fullnat", "on")
    assert "on" in re.search("nat-as-fullnat.*", rvs.adm("config", "show").stdout).group()
    ipvsadm(director, f"-A {web} -s rr")
    # There are no local addresses yet.
    ipvsadm(director, f"-a {web} -r {three} -m")
    rvs.adm("laddr", "add", "--default", *LOCALS)
    assert ipvsadm(director, f"-a {web} -r {one} -m")[1] == 0
    assert ipvsadm(director, f"-a {web} -r {two} -g")[1] == 0
    expected = {one: "fullnat", two: "dr", three: "nat"}
    assert modes(rvs, service) == expected
    # ipvsadm shows what it knows, and what it writes back changes nothing but the weight.
    listed = ipvsadm(director, f"-Ln {web}")[2]
    assert listed.count("Masq") == 2 and "null" not in listed
    assert ipvsadm(director, f"-e {web} -r {one} -m -w 5")[1] == 0
    assert ipvsadm(director, f"-e {web} -r {three} -m -w 0")[1] == 0
    rvs.adm("config", "set", "--nat-as-fullnat", "off")
    assert ipvsadm(director, f"-e {web} -r {one} -m -w 6")[1] == 0
    assert modes(rvs, service) == expected
    assert ipvsadm(director, f"-d {web} -r {two}")[1] == 0
    assert {get(lab.client, VIP) for _ in range(4)} == {"rs1"}
    assert lab.web["rs1"].log()[-1][0] in LOCALS
    # Whoever knows RVS finds the truth behind the attributes of ip_vs.
    with director.inside(), Client(family="IPVS") as client:
        ident = {1: b"\2\0", 2: b"\6\0", 3: socket.inet_aton(VIP), 4: b"\0\x50"}
        client.send(8, nest(1, ident), 0x301)
        dests = [dict(parts(dict(parts(reply.attrs))[2])) for reply in client.receive()]
    private = [parts(dest[PRIVATE]) for dest in dests if PRIVATE in dest]
    assert private == [[(1, b"\4\0\0\0")]]


def nest(number, values):
    """A nest of attributes by number."""
    body = b"".join(one(kind, value) for kind, value in values.items())
    return one(number, body)


def one(number, payload):
    """One attribute, padded."""
    length = (4 + len(payload)).to_bytes(2, "little") + number.to_bytes(2, "little")
    return length + payload + bytes(-len(payload) % 4)


def parts(data):
    """(number, payload) of attributes."""
    found = []
    while len(data) >= 4:
        length = int.from_bytes(data[:2], "little")
        found.append((int.from_bytes(data[2:4], "little") & 0x3FFF, data[4:length]))
        data = data[(length + 3) & ~3:]
    return found


# -- sysctls that change what packets meet ---------------------------------------------------------

def sysctl(director, **values):
    director.sysctl(**{f"ipv4__vs__{name}": value for name, value in values.items()})


def connection(director, port):
    """State of the connection from a port, as ipvsadm lists it."""
    rows = [row.split() for row in ipvsadm(director, "-Lnc")[2].splitlines() if f":{port} " in row]
    return [(row[2], row[-1]) for row in rows]


@pytest.mark.parametrize("name", [STOCK, "rvs"])
def test_sloppy_tcp_and_conn_reuse_mode(lab, director, name):
    """Packets of a client whose director this was not; a SYN on the ports of a connection that ended."""
    lab.prepare_nat()
    load(name)
    web = f"-t {VIP}:{CLOSED}"
    for line in (f"-A {web} -s rr", *(f"-a {web} -r {each} -m" for each in lab.addresses.values())):
        assert ipvsadm(director, line)[1] == 0

    def refused(port):
        with lab.client.inside(), socket.socket() as tcp:
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tcp.bind(("", port))
            tcp.settimeout(20)
            with pytest.raises(ConnectionRefusedError):
                tcp.connect((VIP, CLOSED))
        ((state, dest),) = connection(director, port)
        assert state == "CLOSE"
        return dest

    # With 1, the default, each SYN goes to the next dest; with 0 to the one it had.
    assert refused(31_000) != refused(31_000)
    sysctl(director, conn_reuse_mode=0)
    assert refused(31_000) == refused(31_000)

    def stray(port):
        """A segment with ACK alone, of a connection that this director has not seen."""
        with lab.client.inside(), socket.socket(socket.AF_INET, socket.SOCK_RAW,
                                                socket.IPPROTO_TCP) as raw:
            segment = (port.to_bytes(2, "big") + CLOSED.to_bytes(2, "big") + bytes(8)
                       + b"\x50\x10\x01\x00" + bytes(4))
            pseudo = socket.inet_aton("198.51.100.2") + socket.inet_aton(VIP) + b"\0\6\0\x14"
            total = sum(int.from_bytes(both[i:i + 2], "big") for both in (pseudo, segment)
                        for i in range(0, len(both), 2))
            total = (total & 0xFFFF) + (total >> 16)
            checksum = (~((total & 0xFFFF) + (total >> 16)) & 0xFFFF).to_bytes(2, "big")
            raw.sendto(segment[:16] + checksum + segment[18:], (VIP, 0))

    stray(31_001)
    ask_anything(lab)
    assert not connection(director, 31_001)
    sysctl(director, sloppy_tcp=1)
    stray(31_002)
    assert len(wait_until(lambda: connection(director, 31_002), "a connection begins")) == 1


def ask_anything(lab):
    """What was sent before has come."""
    lab.client.run("ping", "-c", "1", VIP)


@pytest.mark.parametrize("name", [STOCK, "rvs"])
def test_sloppy_sctp(lab, director, name):
    """Packets of an association that this director has not seen: any but an ABORT may begin one."""
    load(name)
    for line in (f"-A --sctp-service {VIP}:9000 -s rr",
                 f"-a --sctp-service {VIP}:9000 -r {lab.addresses['rs1']} -g"):
        assert ipvsadm(director, line)[1] == 0

    def stray(port, kind):
        with lab.client.inside(), socket.socket(socket.AF_INET, socket.SOCK_RAW, 132) as raw:
            head = port.to_bytes(2, "big") + (9000).to_bytes(2, "big") + bytes.fromhex("0000000100000000")
            raw.sendto(head + bytes([kind, 3, 0, 20]) + bytes(16), (VIP, 0))

    stray(31_000, 0)
    ask_anything(lab)
    assert not connection(director, 31_000)
    sysctl(director, sloppy_sctp=1)
    stray(31_001, 6)
    stray(31_002, 0)
    assert len(wait_until(lambda: connection(director, 31_002), "an association begins")) == 1
    assert not connection(director, 31_001)


@pytest.mark.parametrize("name", [STOCK, "rvs"])
def test_snat_reroute(lab, director, name):
    """Replies go by the route of the virtual address, or by that of the real server's packet."""
    lab.prepare_nat()
    load(name)
    for line in (f"-A -u {VIP}:{ECHO} -s rr", f"-a -u {VIP}:{ECHO} -r {lab.addresses['rs1']} -m"):
        assert ipvsadm(director, line)[1] == 0
    sysctl(director, conntrack=1)
    director.ip(f"rule add from {VIP} pref 100 unreachable")
    with contextlib.closing(UdpEcho(lab.real["rs1"], ECHO)):
        with pytest.raises(TimeoutError):
            ask(lab.client, VIP, ECHO, timeout=2)
        sysctl(director, snat_reroute=0)
        assert ask(lab.client, VIP, ECHO) == b"rs1 x"
