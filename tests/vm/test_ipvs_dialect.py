# SPDX-License-Identifier: GPL-2.0
"""The family IPVS: ipvsadm and bare messages get from RVS what stock ip_vs answers.

Each script runs twice in the same namespace, first with ip_vs loaded and then with RVS.
"""

import contextlib
import os
import pathlib
import re
import socket

import pytest
from lab import shell
from lab.compat import STOCK, TCP, UDP, VIP, balancer, commands, ipvsadm, same, unload
from lab.genl import Client, Refused, attribute
from lab.ipvs_messages import (
    ADDRESS, DEL_DAEMON, DEL_DEST, DEL_SERVICE, DEST, FLUSH, GET_CONFIG, GET_DAEMON, GET_DEST,
    GET_INFO, GET_SERVICE, ID, NESTED, NEW_DAEMON, NEW_DEST, NEW_SERVICE, SET_CONFIG, SET_DEST,
    SET_INFO, SET_SERVICE, ZERO, FULL, ask, attrs, be16, daemon, dest, errors_script, service, u16,
    u32, u8,
)
from lab.kernel_log import KernelLog

LISTS = ["-Ln", "-Ln --stats", "-Ln --exact --stats", "-Ln --rate", "-Ln --thresholds",
         "-Ln --persistent-conn", "-L --timeout", "-L --daemon", "-Sn"]
# What shows a change.
CHANGED = ["-Ln", "-Ln --stats", "-Sn"]

VIP6 = "2001:db8:113::10"
TCP6 = f"-t [{VIP6}]:80"
SCTP, SCTP6 = f"--sctp-service {VIP}:80", f"--sctp-service [{VIP6}]:80"

SCRIPTS = {
    "empty": LISTS,
    "services": [
        f"-A {TCP} -s rr", f"-A {UDP} -s wlc", f"-A {TCP} -s rr", f"-A -t {VIP}:81 -s nosuch",
        f"-E {TCP} -s wrr", f"-E -t {VIP}:82 -s rr", f"-E {UDP} -s nosuch", *LISTS,
        f"-Ln {TCP}", f"-Ln -t {VIP}:83", f"-D {UDP}", f"-D {UDP}", "-Ln", "-C", "-Ln",
    ],
    "dests": [
        f"-a {TCP} -r 10.1.1.1 -g", f"-A {TCP} -s wrr", f"-A {UDP} -s sh",
        f"-a {TCP} -r 10.1.1.1 -g -w 3", f"-a {TCP} -r 10.1.1.2 -i -w 0",
        f"-a {TCP} -r 10.1.1.3:8080 -m", f"-a {TCP} -r 10.1.1.1 -g", f"-a {UDP} -r 10.1.1.9 -g",
        f"-e {TCP} -r 10.1.1.2 -m -w 7", f"-e {TCP} -r 10.1.1.8 -g", f"-e {UDP} -r 10.1.1.1 -g",
        f"-a {TCP} -r 10.1.1.4 -g -x 1 -y 2", *LISTS, f"-Ln {TCP}",
        f"-d {TCP} -r 10.1.1.1", f"-d {TCP} -r 10.1.1.1", f"-d -t {VIP}:99 -r 10.1.1.1",
        "-Ln", f"-Z {TCP}", "-Z", f"-Z -t {VIP}:99", "-C", "-Sn",
    ],
    "tunnels": [
        f"-A {TCP} -s rr", f"-a {TCP} -r 10.1.1.1 -i", f"-a {TCP} -r 10.1.1.2 -i --tun-type gue",
        f"-a {TCP} -r 10.1.1.2 -i --tun-type gue --tun-port 6080",
        f"-a {TCP} -r 10.1.1.3 -i --tun-type gue --tun-port 6081 --tun-csum",
        f"-a {TCP} -r 10.1.1.4 -i --tun-type gue --tun-port 6081 --tun-remcsum",
        f"-a {TCP} -r 10.1.1.5 -i --tun-type gre", f"-a {TCP} -r 10.1.1.6 -i --tun-type gre --tun-csum",
        "-Ln --tun-info", *LISTS, f"-e {TCP} -r 10.1.1.1 -i --tun-type gre --tun-csum",
        f"-e {TCP} -r 10.1.1.3 -i", f"-e {TCP} -r 10.1.1.6 -m", "-Ln --tun-info", "-Sn", "-C",
    ],
    "marks": [
        "-A -f 7 -s rr", "-A -f 7 -s rr", "-A -f 7 -6 -s wlc -p 30 -M 64", "-A -f 0 -s rr",
        "-a -f 7 -r 10.1.1.1 -g -w 2", "-a -f 7 -r 10.1.1.2:8080 -m", "-a -f 8 -r 10.1.1.1",
        "-A -f 4294967295 -s rr -o", *LISTS, "-E -f 7 -s wrr -p 90", "-e -f 7 -r 10.1.1.1 -w 0",
        "-d -f 7 -r 10.1.1.2:8080", "-Z -f 7", "-D -f 7 -6", "-D -f 7 -6", *CHANGED, "-C",
    ],
    "persistence": [
        f"-A {TCP} -s rr -p 100", f"-A {UDP} -s wlc -p", f"-A -t {VIP}:81 -s rr -p 50 -M 255.255.255.0",
        f"-A -t {VIP}:0 -s rr -p 60", f"-a -t {VIP}:0 -r 10.1.1.1:0 -g",
        f"-A {TCP6} -s rr -p 30 -M 64", f"-a {TCP} -r 10.1.1.1 -m", *LISTS, f"-E {TCP} -s wrr",
        f"-E -t {VIP}:81 -s rr -p 70 -M 255.255.0.0", f"-E {UDP} -s rr -p 9", *CHANGED, "-C",
    ],
    "IPv6": [
        f"-A {TCP6} -s wrr", f"-A {TCP6} -s rr", f"-A -u [{VIP6}]:53 -s sh -b sh-port",
        f"-A -t {VIP}:80 -s rr", f"-a {TCP6} -r [2001:db8:1::1]:80 -g -w 3",
        f"-a {TCP6} -r [2001:db8:1::2]:8080 -m -x 9", f"-a {TCP6} -r [2001:db8:1::1]:80 -g",
        f"-e {TCP6} -r [2001:db8:1::1]:80 -g -w 0", f"-a {TCP6} -r [ff02::1]:80 -g", *LISTS,
        f"-Ln {TCP6}", f"-E {TCP6} -s rr", f"-d {TCP6} -r [2001:db8:1::2]:8080",
        f"-d {TCP6} -r [2001:db8:1::2]:8080", "-Ln", f"-Z {TCP6}", f"-D {TCP6}", f"-D {TCP6}",
        "-Sn", "-C",
    ],
    "SCTP": [
        f"-A {SCTP} -s rr", f"-A {SCTP} -s rr", f"-A {TCP} -s rr", f"-A {SCTP6} -s wrr -p 30 -M 64",
        f"-a {SCTP} -r 10.1.1.1 -g -w 3", f"-a {SCTP} -r 10.1.1.2:8080 -m -x 9", f"-a {SCTP} -r 10.1.1.3 -i",
        f"-a {SCTP} -r 10.1.1.1 -g", f"-a {SCTP6} -r [2001:db8:1::1]:80 -g", *LISTS, f"-Ln {SCTP}",
        f"-E {SCTP} -s wlc -p 90", f"-e {SCTP} -r 10.1.1.1 -g -w 0", f"-d {SCTP} -r 10.1.1.2:8080",
        f"-Z {SCTP}", f"-D {SCTP6}", f"-D {SCTP6}", *CHANGED, "-C",
    ],
    "flags": [
        f"-A {TCP} -s sh -b sh-fallback,sh-port", f"-A {UDP} -s mh -b mh-fallback,mh-port -o",
        f"-A -t {VIP}:81 -s sh -b sh-fallback", f"-A -t {VIP}:82 -s mh -b mh-port",
        f"-A -t {VIP}:83 -s rr -b flag-1,flag-3", f"-A -u {VIP}:84 -s rr -o",
        f"-A -u {VIP}:85 -s sh -b mh-port", f"-A -u {VIP}:86 -s rr -b nosuch", "-A -f 7 -s sh -b sh-port -o",
        *LISTS, f"-E {TCP} -s sh", f"-E {TCP} -s sh -b sh-port", f"-E -u {VIP}:84 -s wrr",
        f"-E {UDP} -s mh -b mh-port -o", f"-E -t {VIP}:81 -s wrr", f"-E -t {VIP}:83 -s rr -b flag-2",
        *CHANGED, "-C",
    ],
    "an engine that is none": [
        f"-A {UDP} -s rr -p 60 --pe nosuch", f"-A {UDP} -s rr -p 60", f"-E {UDP} -s rr -p 60 --pe nosuch",
        f"-A {TCP} -s rr -p 60 --pe nosuch", f"-A {UDP} -s rr -p 60 --pe off", *CHANGED, "-C",
    ],
    "an engine": [
        f"-A {UDP} -s rr -p 60 -M 255.255.255.0 --pe sip -o", f"-A -u {VIP}:84 -s rr --pe sip",
        "-A -f 7 -s rr -p 60 --pe sip", "-A -f 8 -6 -s rr -p 60 --pe sip", *LISTS, f"-E {UDP} -s rr -p 60",
        "-E -f 7 -s wrr -p 70 --pe sip", f"-E -u {VIP}:84 -s rr -p 60 --pe sip", *CHANGED, "-C",
    ],
    "timeouts": ["--set 100 20 30", "-L --timeout", "--set 0 0 31", "-L --timeout",
                 "--set 900 120 300", "-L --timeout"],
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_ipvsadm_says_what_it_says_of_ip_vs(host, name):
    said = same(host, commands(*SCRIPTS[name]))
    assert any(status == 0 for _, status, _, _ in said)


def test_save_and_restore(host):
    def script(host):
        lines = [
            f"-A {TCP} -s wrr", f"-a {TCP} -r 10.1.1.1:80 -g -w 5",
            f"-a {TCP} -r 10.1.1.2:81 -m -w 1", f"-A {UDP} -s lc", f"-a {UDP} -r 10.1.1.3:53 -i",
        ]
        restored = ipvsadm(host, "-R", stdin="\n".join(lines) + "\n")
        return [restored, ipvsadm(host, "-Sn"), ipvsadm(host, "-Ln")]

    assert same(host, script)[1][2].count("-a ") == 3


# -- bare messages --------------------------------------------------------------------------------

WITHOUT_SERVICE = [
    (f"{command} {what}", command, data)
    for command in (NEW_SERVICE, SET_SERVICE, DEL_SERVICE, GET_SERVICE, NEW_DEST, SET_DEST,
                    DEL_DEST, ZERO)
    for what, data in {
        "nothing": b"",
        "empty nest": attribute(1, b""),
        "no family": service(_1=None),
        "no protocol": service(_2=None),
        "no address": service(_3=None),
        "no port": service(_4=None),
        "short family": service(_1=b"\2"),
        "short port": service(_4=b"\0"),
        "long address": service(_3=bytes(17)),
        "other family": service(_1=u16(7)),
        "endless scheduler": service(_6=b"rr"),
        "long scheduler": service(_6=b"r" * 16 + b"\0"),
        "no scheduler's attribute": service(_6=None),
        "no flags": service(_7=None),
        "no timeout": service(_8=None),
        "no netmask": service(_9=None),
        "long flags": service(_7=bytes(9)),
    }.items()
    # What stock takes as an order is tested with an order.
    if not (command == ZERO and not data)
]


def test_errors_of_malformed_services(host):
    said = dict(same(host, errors_script(WITHOUT_SERVICE)))
    assert said[f"{NEW_SERVICE} nothing"] == "EINVAL"
    assert said[f"{NEW_SERVICE} other family"] == "EAFNOSUPPORT"
    assert said[f"{DEL_SERVICE} no netmask"] == "ESRCH"


FULL6 = {**FULL, 1: u16(10), 3: bytes([0x20, 1, 0xD, 0xB8] + [0] * 11 + [9]), 9: u32(128)}
LIFE = [
    ("unknown scheduler", NEW_SERVICE, service(_6=b"nosuch\0")),
    ("empty scheduler", NEW_SERVICE, service(_6=b"\0")),
    ("unknown engine", NEW_SERVICE, service(_11=b"nosuch\0")),
    ("address of 4 bytes", NEW_SERVICE, service(_3=ADDRESS)),
    ("again, unknown scheduler", NEW_SERVICE, service(_6=b"nosuch\0")),
    ("flagged nest, unknown attributes", NEW_SERVICE,
     attribute(1 | NESTED, attrs({**FULL, 4: be16(81), 40: b"x", 300: b"abc"})) + attribute(77, b"")),
    ("long numbers", NEW_SERVICE, service(_1=u16(2) + b"xx", _4=be16(82) + b"yy")),
    ("attribute twice", NEW_SERVICE,
     attribute(1, attrs(dict(FULL)) + attribute(4, be16(83)))),
    ("flags of a client", NEW_SERVICE, service(_4=be16(84)), 0x600),
    ("hashed already", NEW_SERVICE, service(_4=be16(85), _7=u32(2) + u32(-1))),
    ("get", GET_SERVICE, service()),
    ("get by id", GET_SERVICE, service(ID)),
    ("all", GET_SERVICE, b"", 0, True),
    ("dest of no service", NEW_DEST, service(_4=be16(9)) + dest()),
    ("no dest", NEW_DEST, service(ID)),
    ("no address", NEW_DEST, service(ID) + dest(_1=None)),
    ("no port", NEW_DEST, service(ID) + dest(_2=None)),
    ("no method", NEW_DEST, service(ID) + dest(_3=None)),
    ("no weight", NEW_DEST, service(ID) + dest(_4=None)),
    ("no upper threshold", NEW_DEST, service(ID) + dest(_5=None)),
    ("no lower threshold", NEW_DEST, service(ID) + dest(_6=None)),
    ("weight below 0", NEW_DEST, service(ID) + dest(_4=u32(-1))),
    ("thresholds crossed", NEW_DEST, service(ID) + dest(_6=u32(1))),
    ("gue without port", NEW_DEST, service(ID) + dest(_3=u32(2), _13=u8(1))),
    ("other family", NEW_DEST, service(ID) + dest(_11=u16(7))),
    ("short weight", NEW_DEST, service(ID) + dest(_4=b"\1")),
    ("set before it is there", SET_DEST, service(ID) + dest()),
    ("delete before it is there", DEL_DEST, service(ID) + dest(DEST)),
    ("add", NEW_DEST, service(ID) + dest()),
    ("add again", NEW_DEST, service(ID) + dest()),
    ("add one with its family", NEW_DEST,
     service(ID) + dest(_1=bytes([10, 1, 1, 2]), _11=u16(2), _3=u32(0x100), _2=be16(8080))),
    ("set", SET_DEST, service(ID) + dest(_4=u32(9), _3=u32(2))),
    ("dests", GET_DEST, service(ID), 0, True),
    ("dests of no service", GET_DEST, service(_4=be16(9)), 0, True),
    ("dests without a name", GET_DEST, b"", 0, True),
    ("dests, not as a dump", GET_DEST, service(ID)),
    ("zero", ZERO, service(ID)),
    ("zero of no service", ZERO, service(_4=be16(9))),
    ("set service", SET_SERVICE, service(_6=b"wrr\0")),
    ("set service, unknown scheduler", SET_SERVICE, service(_6=b"nosuch\0")),
    ("delete", DEL_DEST, service(ID) + dest(DEST)),
    ("delete again", DEL_DEST, service(ID) + dest(DEST)),
    ("all again", GET_SERVICE, b"", 0, True),
    ("delete service", DEL_SERVICE, service()),
    ("delete service again", DEL_SERVICE, service()),
    ("zero all", ZERO),
    ("flush", FLUSH),
    ("flush again", FLUSH),
    ("none", GET_SERVICE, b"", 0, True),
    ("timeouts", GET_CONFIG),
    ("set timeouts", SET_CONFIG, attrs({4: u32(10), 6: u32(30)})),
    ("timeouts of 0", SET_CONFIG, attrs({5: u32(0)})),
    ("timeouts now", GET_CONFIG),
    ("timeout below 0", SET_CONFIG, attrs({4: u32(-1)})),
    ("timeout too long", SET_CONFIG, attrs({5: u32(1 << 30)})),
    ("short timeout", SET_CONFIG, attrs({4: b"\1"})),
    ("nothing to set", SET_CONFIG),
    ("IPv6", NEW_SERVICE, service(FULL6)),
    ("IPv6 again", NEW_SERVICE, service(FULL6)),
    ("prefix of none", NEW_SERVICE, service({**FULL6, 4: be16(81), 9: u32(0)})),
    ("prefix too long", SET_SERVICE, service({**FULL6, 9: u32(129)})),
    ("IPv6 is listed", GET_SERVICE, b"", 0, True),
    ("IPv6 dest, 4 bytes", NEW_DEST, service(FULL6) + dest()),
    ("IPv6 dest", NEW_DEST, service(FULL6) + dest(_1=bytes([0x20, 1] + [0] * 13 + [1]))),
    ("IPv6 dests", GET_DEST, service(FULL6), 0, True),
    ("IPv6 goes", DEL_SERVICE, service(FULL6)),
    ("set info", SET_INFO),
    ("no such command", 18),
]


def test_life_of_services_in_bare_messages(host):
    said = dict(same(host, errors_script(LIFE)))
    expected = {
        "unknown scheduler": "ENOENT", "again, unknown scheduler": "EEXIST",
        "dest of no service": "ESRCH", "weight below 0": "ERANGE", "add again": "EEXIST",
        "set before it is there": "ENOENT", "set info": "EOPNOTSUPP", "add": [],
        "dests of no service": [],
    }
    assert {what: said[what] for what in expected} == expected
    assert len(said["all"]) == 6 and len(said["dests"]) == 2


NO_DAEMONS = [
    ("none", GET_DAEMON, b"", 0, True),
    ("no nest", NEW_DAEMON),
    ("no state", NEW_DAEMON, daemon(_1=None)),
    ("no device", NEW_DAEMON, daemon(_2=None)),
    ("no id", NEW_DAEMON, daemon(_3=None)),
    ("unknown device", NEW_DAEMON, daemon(_2=b"nosuch\0")),
    ("unknown state", NEW_DAEMON, daemon(_1=u32(3))),
    ("group of one", NEW_DAEMON, daemon(_5=bytes([10, 0, 0, 1]))),
    ("stop without a state", DEL_DAEMON, daemon(_1=None)),
    ("stop an unknown state", DEL_DAEMON, daemon(_1=u32(0))),
    ("stop what is not there", DEL_DAEMON, daemon()),
]

# Not beside stock ip_vs: now and then it gives no answer to who starts or stops its threads, and
# cannot be removed after that. What is expected here it answered whenever it did.
DAEMONS = [
    ("master", NEW_DAEMON, daemon()),
    ("master again", NEW_DAEMON, daemon()),
    ("backup", NEW_DAEMON, daemon(_1=u32(2), _4=u16(100), _5=bytes([239, 1, 2, 3]), _7=u16(999),
                                  _8=u8(5))),
    ("both", GET_DAEMON, b"", 0, True),
    ("stop", DEL_DAEMON, daemon()),
    ("stop again", DEL_DAEMON, daemon()),
    ("one", GET_DAEMON, b"", 0, True),
    ("stop the other", DEL_DAEMON, daemon(_1=u32(2))),
    ("none", GET_DAEMON, b"", 0, True),
]


def test_messages_that_start_no_daemon(host):
    assert dict(same(host, errors_script(NO_DAEMONS)))["unknown device"] == "ENODEV"


def test_daemons_are_kept_and_reported(host):
    with balancer(host, "rvs"):
        said = dict(errors_script(DAEMONS)(host))
    assert said["master again"] == "EEXIST" and said["stop again"] == "ESRCH"
    assert len(said["both"]) == 2 and len(said["one"]) == 1 and said["none"] == []
    assert all(said[what] == [] for what in ("master", "backup", "stop", "stop the other"))


def test_ipvsadm_starts_and_stops_daemons(host):
    script = commands("--start-daemon master --mcast-interface d0 --syncid 7", "-L --daemon",
                      "--start-daemon master --mcast-interface d0", "--stop-daemon master",
                      "--stop-daemon master", "-L --daemon")
    with balancer(host, "rvs"):
        said = script(host)
    assert "syncid=7" in said[1][2] and "syncid" not in said[5][2]
    assert [bool(each[1]) for each in said] == [False, False, True, False, True, False]


def test_a_dest_without_a_route_is_taken_and_told_of(host):
    host.ip("route del 10.0.0.0/8 dev d0")

    def script(host):
        return [ipvsadm(host, line) for line in (f"-A {TCP} -s rr", f"-a {TCP} -r 10.1.1.1 -m", "-Ln")]

    assert "10.1.1.1" in same(host, script)[2][2]
    with balancer(host, "rvs"), host.inside(), Client(family="IPVS") as client:
        for command, data in ((NEW_SERVICE, service()), (NEW_DEST, service(ID) + dest())):
            client.send(command, data)
            client.receive()
        assert client.note == "there is no route to 10.1.1.1 yet"
        done = host.run("rvsadm", "dest", "add", f"tcp/{VIP}:80", "10.1.1.2:80", check=False)
        assert done.returncode == 1 and "no route" in done.stderr


def test_files_in_proc(host):
    def script(host):
        setup = [f"-A {TCP} -s rr", f"-A {UDP} -s wlc", f"-a {TCP} -r 10.1.1.1 -g -w 3",
                 f"-a {TCP} -r 10.1.1.3:8080 -m", "-A -f 7 -s rr -o", "-A -f 255 -6 -s wlc -p 60 -M 64",
                 "-A -f 8 -s rr -p 360", "-a -f 8 -r 10.1.1.1 -g", "-Lnc"]
        said = [ipvsadm(host, line) for line in setup]
        read = {name: host.run("cat", f"/proc/net/{name}").stdout
                for name in ("ip_vs", "ip_vs_conn", "ip_vs_stats", "ip_vs_stats_percpu")}
        # The order of services is the hash table's there.
        services = re.sub(r"size=\d+", "size=N", read.pop("ip_vs"))
        return said, sorted(re.split(r"\n(?=TCP|UDP|FWM)", services.rstrip("\n"))), read

    assert len(same(host, script)[1]) == 6


def test_connections_in_proc(host):
    """A flow of each protocol whose dest is silent: SYN_RECV and UDP."""
    def script(host):
        for line in (f"-A {TCP} -s rr", f"-a {TCP} -r 10.1.1.1 -m", f"-A {UDP} -s rr",
                     f"-a {UDP} -r 10.1.1.2:5353 -m"):
            ipvsadm(host, line)
        host.ip(f"addr replace {VIP}/32 dev lo", "link set lo up")
        with host.inside():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                udp.bind(("10.0.0.1", 4001))
                udp.sendto(b"x", (VIP, 53))
            with socket.socket() as tcp:
                tcp.bind(("10.0.0.1", 4002))
                tcp.setblocking(False)
                tcp.connect_ex((VIP, 80))
                listed = ipvsadm(host, "-Lnc")[2].splitlines()
        # The seconds left may differ by one or two.
        return sorted(re.sub(r"\d\d:\d\d", "MM:SS", line) for line in listed)

    assert len(same(host, script)) == 4


def test_info_has_the_version(host):
    with balancer(host, "rvs"), host.inside(), Client(family="IPVS") as client:
        (reply,) = ask(client, GET_INFO)
    assert reply.startswith(attribute(1, u32(0x010201)))


def refusal(client, command, data):
    """Error and text of a refused request."""
    with pytest.raises(Refused) as refused:
        client.send(command, data)
        client.receive()
    return refused.value.errno, refused.value.text


def test_what_rvs_lacks_is_refused_with_a_text(host):
    with balancer(host, "rvs"), host.inside(), Client(family="IPVS") as client:
        ask(client, NEW_SERVICE, service())
        assert refusal(client, NEW_SERVICE, service(_4=be16(9), _2=u16(33)))[0] \
            == "EPROTONOSUPPORT"
        errno, text = refusal(client, NEW_DEST, service(ID) + dest(_3=u32(4)))
        assert errno == "EOPNOTSUPP" and "4" in text


def test_a_persistence_engine_of_udp_only(host):
    """ip_vs takes one for TCP too, whose packets it then drops."""
    with balancer(host, "rvs"):
        assert ipvsadm(host, f"-A {TCP} -s rr -p 60 --pe sip")[1] != 0
        with host.inside(), Client(family="IPVS") as client:
            errno, text = refusal(client, NEW_SERVICE, service(_11=b"sip\0"))
            assert errno == "EINVAL" and text == "persistence engine sip is for udp, not tcp"
            errno, text = refusal(client, NEW_SERVICE, service(_11=b"ftp\0"))
            assert errno == "ENOENT" and text == 'no persistence engine "ftp": there is sip'


def test_both_families_show_the_same(host):
    with balancer(host, "rvs"):
        host.run("ipvsadm", "-A", *TCP.split(), "-s", "rr")
        host.run("ipvsadm", "-a", *TCP.split(), "-r", "10.1.1.1", "-g", "-w", "4")
        with host.inside(), Client() as client:
            (found,) = client.dump("dest-get")
            client.listen()
            host.run("ipvsadm", "-D", *TCP.split())
            events = client.events()
        assert found.content["dest"]["weight"] == 4
        assert [name for name, _ in events] == ["service-del-ntf"]


def test_modprobe_brings_rvs_once_it_is_installed(host):
    """By the names that keepalived and ipvsadm ask for."""
    compat = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "compat"
    shell.run(compat, "install")
    try:
        for ask_for in (["modprobe", "ip_vs"], ["modprobe", "ip_vs_wlc"], ["ipvsadm", "-A", *TCP.split()]):
            unload()
            host.run(*ask_for)
            assert os.path.exists("/sys/module/rvs") and not os.path.exists("/sys/module/ip_vs")
            assert ipvsadm(host, "-Ln")[1] == 0
            host.run("ipvsadm", "-C")
    finally:
        shell.run(compat, "uninstall")
    unload()
    shell.modprobe("ip_vs")
    assert os.path.exists("/sys/module/ip_vs")


def test_the_name_is_left_alone_unless_asked_for(host):
    """Without the parameter, and with it when ip_vs has the name."""
    with balancer(host, STOCK):
        shell.run("modprobe", "rvs", "ipvs=1")
        host.run("rvsadm", "service", "add", f"tcp/{VIP}:80", "--scheduler", "rr")
        assert VIP not in ipvsadm(host, "-Ln")[2]
        shell.rmmod("rvs")
        shell.modprobe("rvs")
        assert ipvsadm(host, "-Ln")[1] == 0
    shell.modprobe("rvs")
    assert not host.run("find", "/proc/net/", "-name", "ip_vs*").stdout
    # Whoever asks for the family makes the kernel load ip_vs.
    assert ipvsadm(host, "-Ln")[1] == 0 and os.path.exists("/sys/module/ip_vs")


def test_ip_vs_is_kept_out_while_rvs_has_its_place(host):
    log = KernelLog()
    with contextlib.closing(log), balancer(host, "rvs"):
        host.run("ipvsadm", "-A", *TCP.split(), "-s", "rr")
        for name in ("ip_vs", "ip_vs_rr"):
            done = shell.run("modprobe", name, check=False)
            assert done.returncode != 0 and "busy" in done.stderr
        assert any("RVS has its place" in line for line in log.read())
        assert not os.path.exists("/sys/module/ip_vs") and VIP in ipvsadm(host, "-Ln")[2]
        # Other modules load as ever.
        shell.modprobe("sch_netem")
    shell.modprobe("ip_vs")
    assert os.path.exists("/sys/module/ip_vs")
