# SPDX-License-Identifier: GPL-2.0
"""IP_VS_SO_GET_*: the socket options that ip_vs was asked by before it had a netlink family."""

import contextlib
import ctypes
import errno
import socket
import struct

import pytest
from lab.compat import VIP, _host, ipvsadm, load, same, unload  # noqa: F401
from lab.director import Rvs, Service
from lab.netns import wait_until
from lab.transfer import UdpEcho, ask

BASE = 64 + 1024 + 64
VERSION, INFO, SERVICES, SERVICE, DESTS, DEST, TIMEOUT, DAEMON = range(BASE, BASE + 8)
# Of the structures of linux/ip_vs.h; before the table of a list its head.
STATS = "IIIxxxxQQIIIIIxxxx"
SERVICE_ENTRY = struct.Struct("=H2x4s2s2xI16sIIII" + STATS)
DEST_ENTRY = struct.Struct("=4s2s2xIiIIIIIxxxx" + STATS)
LIBC = ctypes.CDLL(None, use_errno=True)

LINES = [
    f"-A -t {VIP}:80 -s wrr", f"-a -t {VIP}:80 -r 10.1.1.1:80 -m -w 3", f"-a -t {VIP}:80 -r 10.1.1.2:8080 -m -w 0",
    f"-A -u {VIP}:53 -s mh -b mh-fallback,mh-port -p 200 -M 255.255.255.0",
    f"-a -u {VIP}:53 -r 10.1.1.3:53 -g -x 100 -y 50", f"-a -u {VIP}:53 -r 10.1.1.4:53 -i -w 7",
    "-A -f 7 -s rr -o", "-a -f 7 -r 10.1.1.1 -g", "-A -t [2001:db8::1]:80 -s rr", "-A -f 9 -6 -s rr",
    "--set 1000 70 200",
    "--start-daemon backup --mcast-interface d0 --syncid 7",
]


@pytest.fixture(name="rvs")
def _rvs(lab):
    """RVS in ip_vs's place."""
    load("rvs")
    yield Rvs(lab.director)
    lab.director.run("rvsadm", "service", "flush")
    unload()


def asked(option, given, size=None):
    """What getsockopt() makes of a buffer that begins with GIVEN: bytes, or the name of an error."""
    size = len(given) if size is None else size
    buffer = ctypes.create_string_buffer(bytes(given), max(size, len(given)) + 16)
    length = ctypes.c_uint32(size)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
        if LIBC.getsockopt(s.fileno(), socket.IPPROTO_IP, option, buffer, ctypes.byref(length)):
            return errno.errorcode[ctypes.get_errno()]
    assert buffer.raw[max(size, len(given)):] == bytes(16), "something is written behind the buffer"
    return buffer.raw[:length.value]


def name(protocol, address, port, mark=0):
    """The first bytes of what names a service."""
    return struct.pack("=H2x4s2s2xI", protocol, socket.inet_aton(address), port.to_bytes(2, "big"), mark)


def names():
    """Services that are there, and some that are not."""
    return [name(6, VIP, 80), name(17, VIP, 53), name(0, "0.0.0.0", 0, 7), name(6, VIP, 81),
            name(17, VIP, 80), name(99, VIP, 80), name(0, "0.0.0.0", 0, 8), name(0, "0.0.0.0", 0, 9)]


def services(number):
    """What SERVICES says to a program that expects so many, in an order of its own."""
    given = struct.pack("=I4x", number)
    told = asked(SERVICES, given, 8 + number * SERVICE_ENTRY.size)
    if isinstance(told, str):
        return told
    return told[:8], sorted(SERVICE_ENTRY.iter_unpack(told[8:]))


def dests(of, number):
    """What DESTS says of a service to a program that expects so many."""
    told = asked(DESTS, of + struct.pack("=I4x", number), 24 + number * DEST_ENTRY.size)
    return told if isinstance(told, str) else (told[:24], list(DEST_ENTRY.iter_unpack(told[24:])))


def questions(host):
    """All that can be asked, well and badly."""
    for line in LINES:
        assert ipvsadm(host, line)[1] == 0, line
    with host.inside():
        version, info = asked(VERSION, bytes(64)), asked(INFO, bytes(12))
        # Tables have other sizes here.
        said = [version[:version.index(b"(size=")], info[:4], info[8:], len(info)]
        said += [asked(TIMEOUT, bytes(12)), asked(DEST, bytes(200)), asked(DAEMON + 1, bytes(200))]
        said += [asked(DAEMON, bytes(48)), asked(DAEMON, bytes(47)), asked(DAEMON, bytes(60))]
        said += [services(number) for number in (0, 1000)]
        said.append(services(3)[0] == struct.pack("=I4x", 3))
        said.append(services(3))
        for of in names():
            said.append(asked(SERVICE, of, SERVICE_ENTRY.size))
            said += [dests(of, number) for number in (0, 1, 2, 50)]
        # Lengths that are short, long, or not as many entries as are said.
        for option, size in ((VERSION, 64), (INFO, 12), (TIMEOUT, 12), (SERVICE, SERVICE_ENTRY.size),
                             (SERVICES, 8), (SERVICES, 112), (DESTS, 24), (DESTS, 120)):
            for off in (-size, -1, 1, 40):
                given = name(6, VIP, 80) + struct.pack("=I", 1) if option == DESTS else bytes([1, 0, 0, 0])
                told = asked(option, given, size + off)
                said.append((option, size, off, told if isinstance(told, str) else len(told)))
        said.append(asked(SERVICES, struct.pack("=I4x", 0xffff_ffff), 8))
        said.append(asked(DESTS, name(6, VIP, 80) + struct.pack("=I4x", 0xffff_ffff), 24))
    # It would keep ip_vs from going.
    assert ipvsadm(host, "--stop-daemon backup")[1] == 0
    return said


def test_answers_are_those_of_ip_vs(host):
    found = same(host, questions)
    assert sum(isinstance(each, tuple) and isinstance(each[1], list) and len(each[1]) > 0 for each in found) > 3


def test_only_an_administrator_is_told(host):
    def outcome(of):
        program = (f"import socket; s = socket.socket(); s.getsockopt(socket.IPPROTO_IP, {INFO}, 12)")
        return of.run("setpriv", "--reuid", 65534, "--clear-groups", "python3", "-c", program,
                      check=False).stderr.splitlines()[-1:]
    assert "PermissionError" in same(host, outcome)[0]


def test_counts_are_those_of_the_family(lab, rvs):
    """After traffic: at their places in the structures."""
    lab.prepare_nat()
    service = Service([(lab.addresses["rs1"], 1)], mode="nat", port=5000, protocol="udp")
    rvs.add(service)

    def told():
        shown = rvs.json("service", "show", service.id)
        with lab.director.inside():
            of = name(17, VIP, 5000)
            entry = SERVICE_ENTRY.unpack(asked(SERVICE, of, SERVICE_ENTRY.size))
            (dest,) = dests(of, 1)[1]
        keys = ("connections", "in_packets", "out_packets", "in_bytes", "out_bytes")
        pairs = [(entry[9:], shown["service"]), (dest[9:], shown["dests"][0])]
        return [(list(found[:5]), [of["stats"][key] for key in keys],
                 list(found[5:]), [of["rates"][key] for key in keys]) for found, of in pairs]

    def agree():
        ask(lab.client, VIP, 5000, data=b"x" * 100)
        return all(counts == stats and speeds == rates and rates[3] for counts, stats, speeds, rates in told())

    # Rates are estimated every two seconds, and may be between the two that ask.
    with contextlib.closing(UdpEcho(lab.real["rs1"], 5000)):
        wait_until(agree, "all numbers are where they belong", seconds=60, step=0.3)


@pytest.mark.parametrize("option", [SERVICES, SERVICE, DESTS, INFO])
def test_memory_that_is_not_there(lab, rvs, option):
    rvs.adm("service", "add", f"tcp/{VIP}:80")
    length = ctypes.c_uint32(8)
    with lab.director.inside():
        with socket.socket() as s:
            assert LIBC.getsockopt(s.fileno(), 0, option, ctypes.c_void_p(0x1000), ctypes.byref(length)) == -1
            assert ctypes.get_errno() in (errno.EFAULT, errno.EINVAL)


ADD, EDIT, DEL, FLUSH, _, ADD_DEST, DEL_DEST, EDIT_DEST, SET_TIMEOUT, START, STOP = range(BASE + 2, BASE + 13)
ZERO = BASE + 15
PERSISTENT = 1


def told(option, given):
    """What setsockopt() makes of that: OK, or the name of an error."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
        if LIBC.setsockopt(s.fileno(), socket.IPPROTO_IP, option, given, len(given)):
            return errno.errorcode[ctypes.get_errno()]
    return "OK"


def user(of, scheduler=b"rr", flags=0, timeout=0, netmask="255.255.255.255"):
    """A struct ip_vs_service_user."""
    return of + struct.pack("=16sII4s", scheduler, flags, timeout, socket.inet_aton(netmask))


def to(address, port, method=0, weight=1, upper=0, lower=0):
    """A struct ip_vs_dest_user."""
    return struct.pack("=4s2s2xIIII", socket.inet_aton(address), port.to_bytes(2, "big"), method,
                       weight, upper, lower)


WEB, DNS, MARK = name(6, VIP, 80), name(17, VIP, 53), name(6, "0.0.0.0", 0, 7)
SETS = [
    (ADD, user(WEB)), (ADD, user(WEB)), (ADD, user(DNS, b"wrr", PERSISTENT, 300, "255.255.255.0")),
    (ADD, user(MARK, b"wlc")), (ADD, user(name(17, "0.0.0.0", 0, 9))), (ADD, user(name(6, VIP, 82), b"nosuch")),
    (ADD, user(name(99, VIP, 83))), (ADD, user(name(6, VIP, 84), b"x" * 16)),
    (ADD, user(WEB)[:-1]), (ADD, user(WEB) + b"\0"), (ADD, bytes(300)), (ADD, b""),
    (EDIT, user(WEB, b"wlc")), (EDIT, user(name(6, VIP, 99))), (EDIT, user(DNS, b"rr", PERSISTENT, 200)),
    (ADD_DEST, user(WEB) + to("10.1.1.1", 80)), (ADD_DEST, user(WEB) + to("10.1.1.1", 80)),
    (ADD_DEST, user(WEB) + to("10.1.1.2", 80, 3, 70_000, 9, 5)), (ADD_DEST, user(DNS) + to("10.1.1.3", 53, 2)),
    (ADD_DEST, user(DNS) + to("10.1.1.4", 53, 1, 0)), (ADD_DEST, user(WEB) + to("10.1.1.5", 80, 0, 1 << 31)),
    (ADD_DEST, user(WEB) + to("10.1.1.6", 80, 0, 1, 5, 9)), (ADD_DEST, user(MARK) + to("10.1.1.7", 0)),
    (ADD_DEST, user(name(6, VIP, 99)) + to("10.1.1.1", 80)), (ADD_DEST, user(WEB)), (ADD_DEST, to("10.1.1.1", 80)),
    (EDIT_DEST, user(WEB) + to("10.1.1.1", 80, 0, 5)), (EDIT_DEST, user(WEB) + to("10.1.1.9", 80)),
    (DEL_DEST, user(WEB) + to("10.1.1.2", 80)), (DEL_DEST, user(WEB) + to("10.1.1.2", 80)),
    (ZERO, user(WEB)), (ZERO, user(name(0, "0.0.0.0", 0))), (ZERO, user(name(6, VIP, 99))), (ZERO, b""),
    (SET_TIMEOUT, struct.pack("=III", 1000, 0, 200)), (SET_TIMEOUT, struct.pack("=III", 0, 1 << 31, 0)),
    (SET_TIMEOUT, b"abc"), (BASE, b""), (BASE + 1, b""), (BASE + 6, b""), (BASE + 13, b""), (BASE + 14, b""),
    (START, struct.pack("=I16sI", 2, b"d0", 7)), (START, struct.pack("=I16sI", 2, b"d0", 7)),
    (START, struct.pack("=I16sI", 1, b"nosuch", 7)), (START, b"d0"), (STOP, struct.pack("=I16sI", 1, b"", 0)),
]


def test_what_sets_something(host):
    """Each option, with what is right, too short, too long and wrong."""
    def script(host):
        with host.inside():
            done = [told(option, given) for option, given in SETS]
        shown = [ipvsadm(host, line) for line in ("-Sn", "-Ln --timeout", "-Ln --daemon")]
        shown[0] = sorted(shown[0][2].splitlines())
        with host.inside():
            done += [told(STOP, struct.pack("=I16sI", 2, b"", 0)), told(DEL, user(DNS)), told(DEL, user(DNS)),
                     told(FLUSH, b"x"), told(FLUSH, b"")]
        return list(zip([option - BASE for option, _ in SETS] + ["end"] * 5, done)), shown, ipvsadm(host, "-Ln")

    done, shown, _ = same(host, script)
    assert {what for _, what in done} >= {"OK", "EINVAL", "EEXIST", "ESRCH", "ENOENT", "ERANGE"}
    assert any("10.1.1.7" in line for line in shown[0])
