# SPDX-License-Identifier: GPL-2.0
"""ipvsadm's lists of connections and templates, from ip_vs and from RVS after the same flows."""

import contextlib
import re
import socket

import pytest
from lab import shell, sip
from lab import six as v6
from lab.compat import STOCK, differences, ipvsadm, load, unload
from lab.netns import wait_until
from lab.sctp import Server, connect, says
from lab.topology import CLIENT, VIP
from lab.transfer import UdpEcho

ECHO, SILENT, NETWORK, MARKED = 5353, 5354, 5355, 5356
WEB, CLOSED, LOST = 80, 81, 82
HELD, ABORTED = 9000, 9001
# Nobody has it; an entry of the neighbour table leads nowhere.
NOBODY = "192.168.56.250"
LISTS = ["-Lnc", "-Lnc --persistent-conn", "-Lnc --sort"]


@pytest.fixture(name="director")
def _director(six):
    """The lab's director, to be run by one after the other."""
    lab = six.lab
    shell.modprobe("sctp")
    lab.prepare_nat()
    six.prepare_nat()
    lab.director.ip(f"neigh replace {NOBODY} lladdr 02:00:00:00:00:fa dev eth0")
    lab.director.run("nft", "add table ip marks; add chain ip marks marks "
                     "{ type filter hook prerouting priority mangle; }; "
                     f"add rule ip marks marks udp dport {MARKED} meta mark set 7")
    yield lab.director
    lab.director.run("ipvsadm", "-C", check=False)
    unload()


def configure(six):
    """Services of all kinds, all but the last with persistence."""
    one = six.lab.addresses["rs1"]
    for service, port, more in (
        (f"-u {VIP}:{ECHO}", ECHO, ""), (f"-u {VIP}:{SILENT}", SILENT, ""),
        (f"-u {VIP}:{NETWORK}", NETWORK, "-M 255.255.255.0"), ("-f 7", 0, ""),
        (f"-t {VIP}:{WEB}", WEB, ""), (f"-t {VIP}:{CLOSED}", CLOSED, ""),
        (f"--sctp-service {VIP}:{HELD}", HELD, ""), (f"--sctp-service {VIP}:{ABORTED}", ABORTED, ""),
        (f"-u [{v6.VIP}]:{ECHO}", ECHO, "-M 64"), (f"-t [{v6.VIP}]:{WEB}", WEB, ""),
    ):
        assert ipvsadm(six.director, f"-A {service} -s rr -p 300 {more}")[1] == 0
        dest = f"[{six.addresses['rs1']}]:{port}" if "[" in service else f"{one}:{port}"
        assert ipvsadm(six.director, f"-a {service} -r {dest} -m")[1] == 0
    for service in (f"-t {VIP}:{LOST}", f"--sctp-service {VIP}:{LOST}"):
        assert ipvsadm(six.director, f"-A {service} -s rr")[1] == 0
        assert ipvsadm(six.director, f"-a {service} -r {NOBODY}:{LOST} -m")[1] == 0


@contextlib.contextmanager
def flows(six):
    """From known ports: answered, unanswered, refused, held open while this lasts."""
    rs1 = six.real["rs1"]
    with contextlib.ExitStack() as stack:
        for port in (ECHO, NETWORK, MARKED):
            stack.enter_context(contextlib.closing(UdpEcho(rs1, port)))
        stack.enter_context(contextlib.closing(UdpEcho(rs1, ECHO, address=six.addresses["rs1"])))
        with rs1.inside():
            stack.enter_context(socket.create_server(
                ("::", WEB), family=socket.AF_INET6, dualstack_ipv6=True))
        server = Server(rs1, HELD, six.lab.addresses["rs1"])

        def opened(number, kind, address, port):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with six.client.inside():
                s = stack.enter_context(socket.socket(family, kind))
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("", number))
            s.settimeout(20)
            s.connect((address, port))
            return s

        for number, (address, port) in enumerate((
            (VIP, ECHO), (VIP, SILENT), (VIP, NETWORK), (VIP, MARKED), (v6.VIP, ECHO),
        )):
            udp = opened(32_000 + number, socket.SOCK_DGRAM, address, port)
            udp.send(b"x")
            if port != SILENT:
                udp.recv(100)
        opened(32_100, socket.SOCK_STREAM, VIP, WEB)
        opened(32_101, socket.SOCK_STREAM, v6.VIP, WEB)
        with pytest.raises(ConnectionRefusedError):
            opened(32_102, socket.SOCK_STREAM, VIP, CLOSED)
        with pytest.raises(ConnectionRefusedError):
            connect(six.client, VIP, ABORTED, 32_201)
        for protocol in (socket.IPPROTO_TCP, socket.IPPROTO_SCTP):
            with six.client.inside():
                lost = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol))
            lost.setblocking(False)
            lost.bind((CLIENT, 32_103))
            lost.connect_ex((VIP, LOST))
        association = stack.enter_context(connect(six.client, VIP, HELD, 32_200))
        assert says(association) == b"x"
        yield
    server.wait()


def rows(listed):
    """Each row without its time, with the seconds that it has left."""
    found = []
    for row in sorted(listed[2].splitlines()[2:], key=lambda row: re.sub(r" \d\d:\d\d", "", row)):
        left = re.search(r" (\d\d):(\d\d) ", row)
        found.append((row.replace(left.group(), " ") if left else row,
                      60 * int(left[1]) + int(left[2]) if left else None))
    return found


def script(six, name):
    """The lists while the flows last, and how many associations are left established after them."""
    load(name)
    configure(six)
    with flows(six):
        # The last packets may still be on their way.
        wait_until(lambda: len(re.findall("ASSURED", ipvsadm(six.director, "-Lnc")[2])) == 7,
                   "what was answered is assured", seconds=20)
        lists = [rows(ipvsadm(six.director, line)) for line in LISTS]
    six.director.run("ipvsadm", "-C")
    unload()
    return lists


def test_connections_and_templates_are_listed_as_by_ip_vs(six, director):
    assert director
    expected, found = script(six, STOCK), script(six, "rvs")
    unlike = differences(*([[row for row, _ in rows] for rows in lists] for lists in (expected, found)))
    assert not unlike, "\n".join(f"ip_vs: {a}\nRVS:   {b}" for a, b in unlike)
    states = {row.split()[1] for row, _ in found[0]}
    assert {"ASSURED", "NONE", "ESTABLISHED", "SYN_RECV", "CLOSE", "UDP", "INIT1"} <= states
    # As long as the slower of the two took at most.
    for (row, theirs), (_, ours) in zip(expected[0], found[0]):
        assert theirs == ours or abs(theirs - ours) <= 20, (row, theirs, ours)


def test_calls_are_listed_as_by_ip_vs(six, director):
    """With the engine's name and the Call-ID behind. Of ip_vs it is told here what it shows: its module could not be
    unloaded as long as there are templates."""
    load("rvs")
    assert ipvsadm(director, f"-A -u {VIP}:{sip.PORT} -s rr -p 300 -M 255.255.255.0 --pe sip")[1] == 0
    assert ipvsadm(director, f"-a -u {VIP}:{sip.PORT} -r {six.lab.addresses['rs1']}:{sip.PORT} -m")[1] == 0
    with contextlib.closing(UdpEcho(six.real["rs1"], sip.PORT)):
        with six.client.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(20)
            s.connect((VIP, sip.PORT))
            s.send(sip.message("a84b4c76e66710@pc33.example.com"))
            s.recv(1000)
    call = "sip a84b4c76e66710@pc33.example.com"

    def shown():
        return [line for line in director.run("cat", "/proc/net/ip_vs_conn").stdout.splitlines() if call in line]

    wait_until(lambda: shown() and "ASSURED" in shown()[0], "the answered call is assured")
    row = r"UDP C6336400 0000 CB00710A 13C4 C0A83865 13C4 ASSURED         29\d " + call
    assert re.fullmatch(row, shown()[0]) and len(shown()) == 1
    listed = ipvsadm(director, "-Lnc --persistent-conn")[2]
    row = r"UDP 04:5\d  ASSURED     198.51.100.0:0     203.0.113.10:5060  192.168.56.101:5060 sip +a84b4c76e66710@pc33.example.com"
    assert re.search(row, listed), listed
    assert call not in director.run("cat", "/proc/net/ip_vs_conn_sync").stdout
