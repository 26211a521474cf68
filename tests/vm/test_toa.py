# SPDX-License-Identifier: GPL-2.0
"""toa.ko: unmodified programs on a real server are told the client that a director names."""

import contextlib
import socket
import threading
import time

import pytest
from lab import shell
from lab.handshake import Connection, padded, toa
from lab.netns import wait_until
from lab.packets import SYN
from lab.receiver import CLIENT, CLIENT6, DIRECTOR, PORT, SERVER, Server

def test_an_ipv4_client(server):
    assert server.seen(server.listen(), toa(*CLIENT))[:2] == CLIENT
    assert server.count("learned") == 1
    assert server.count("answered") == 2


def test_an_ipv6_client(server):
    listener = server.listen(socket.AF_INET6)
    assert server.seen(listener, toa(*CLIENT6), v6=True)[:2] == CLIENT6


def test_an_ipv4_client_on_a_dual_stack_listener(server):
    listener = server.listen(socket.AF_INET6)
    assert server.seen(listener, toa(*CLIENT))[:2] == (f"::ffff:{CLIENT[0]}", CLIENT[1])


def test_an_ipv4_client_over_ipv6(server):
    listener = server.listen(socket.AF_INET6)
    name = server.seen(listener, toa(*CLIENT), v6=True)
    assert name[:2] == (f"::ffff:{CLIENT[0]}", CLIENT[1])


def test_an_ipv6_client_does_not_fit_an_ipv4_socket(server):
    name = server.seen(server.listen(), toa(*CLIENT6))
    assert name[:2] == (DIRECTOR, name[2])
    # It does fit where the socket is of the family IPv6.
    listener = server.listen(socket.AF_INET6, port=PORT + 1)
    connection = server.hand.connect(DIRECTOR, (SERVER, PORT + 1), options=toa(*CLIENT6))
    accepted, name = listener.accept()
    accepted.close()
    connection.finish()
    assert name[:2] == CLIENT6


def test_without_the_option_nothing_changes(server):
    name = server.seen(server.listen())
    assert name[:2] == (DIRECTOR, name[2])
    assert server.json("stats")["counters"] == dict.fromkeys(
        server.json("stats")["counters"], 0
    )


def test_nobody_is_believed_who_is_not_trusted(distrustful):
    listener = distrustful.listen()
    name = distrustful.seen(listener, toa(*CLIENT))
    assert name[:2] == (DIRECTOR, name[2])
    assert distrustful.count("untrusted") == 1
    assert "nobody is trusted" in distrustful.adm("show").stderr
    distrustful.adm("trust", "add", "192.0.2.2")
    name = distrustful.seen(listener, toa(*CLIENT))
    assert name[:2] == (DIRECTOR, name[2])
    distrustful.adm("trust", "add", "192.0.2.0/30")
    assert distrustful.seen(listener, toa(*CLIENT))[:2] == CLIENT
    distrustful.adm("trust", "del", "192.0.2.0/30")
    name = distrustful.seen(listener, toa(*CLIENT))
    assert name[:2] == (DIRECTOR, name[2])
    assert distrustful.count("untrusted") == 3


WHOLE = toa(*CLIENT)
BROKEN = {
    "wrong-length": [WHOLE[:1] + b"\x06" + WHOLE[2:6], WHOLE[:1] + b"\x0a" + WHOLE[2:] + b"\0\0"],
    "twice": [WHOLE + WHOLE, WHOLE + toa(*CLIENT6)],
    "bad-address": [toa("0.0.0.0", 80), toa("224.0.0.1", 80), toa("198.51.100.7", 0),
                    toa("ff02::1", 80), toa("::", 80)],
}


@pytest.mark.parametrize("counter", BROKEN)
def test_broken_options_are_ignored_and_counted(server, counter):
    listener = server.listen()
    for options in BROKEN[counter]:
        name = server.seen(listener, options)
        assert name[:2] == (DIRECTOR, name[2]), options
    assert server.count(counter.replace("-", "_")) == len(BROKEN[counter])
    assert server.count("learned") == 0


def test_other_kinds(server):
    listener = server.listen()
    name = server.seen(listener, toa(*CLIENT, kind=200))
    assert name[:2] == (DIRECTOR, name[2])
    server.adm("kind", "add", "200")
    assert server.seen(listener, toa(*CLIENT, kind=200))[:2] == CLIENT
    assert server.seen(listener, toa(*CLIENT))[:2] == CLIENT
    server.adm("kind", "del", "254")
    name = server.seen(listener, toa(*CLIENT))
    assert name[:2] == (DIRECTOR, name[2])
    assert server.json("kind", "list") == {"kinds": [200]}


@pytest.mark.parametrize("v6", [False, True], ids=["v4", "v6"])
def test_syn_cookies(server, v6):
    server.host.sysctl(ipv4__tcp_syncookies=2)
    listener = server.listen(socket.AF_INET6 if v6 else socket.AF_INET)
    client = CLIENT6 if v6 else CLIENT
    assert server.seen(listener, toa(*client), v6=v6)[:2] == client


def test_the_first_data_makes_the_socket_with_defer_accept(server):
    listener = server.listen(TCP_DEFER_ACCEPT=30)
    connection = server.connect(WHOLE)
    connection.data(b"hello", WHOLE)
    accepted, name = listener.accept()
    with accepted:
        assert name == CLIENT
        assert accepted.recv(9) == b"hello"


def test_a_lost_handshake_ack(server):
    listener = server.listen()
    connection = server.connect(acknowledge=False)
    connection.data(b"hello", WHOLE)
    accepted, name = listener.accept()
    with accepted:
        assert (name, accepted.recv(9)) == (CLIENT, b"hello")


def test_fast_open(server):
    """The first segment makes the socket, so it has the option."""
    # The server takes data on a SYN, without a cookie, on every listener.
    server.host.sysctl(ipv4__tcp_fastopen=0x602)
    listener = server.listen(TCP_FASTOPEN=16)
    connection = Connection(server.hand, DIRECTOR, (SERVER, PORT))
    connection.send(SYN, b"hello", b"\2\4\5\264" + WHOLE)
    accepted, name = listener.accept()
    with accepted:
        assert (name, accepted.recv(9)) == (CLIENT, b"hello")


def test_options_among_others(server):
    listener = server.listen()
    timestamps = b"\1\1\x08\x0a" + b"\0\0\0\1" * 2
    assert server.seen(listener, timestamps + WHOLE)[:2] == CLIENT
    assert server.seen(listener, padded(WHOLE) + timestamps)[:2] == CLIENT


def test_namespaces_are_apart(server):
    with contextlib.closing(Server("other")) as other:
        assert server.seen(server.listen(), WHOLE)[:2] == CLIENT
        name = other.seen(other.listen(), WHOLE)
        assert name[:2] == (DIRECTOR, name[2])
        assert (other.count("untrusted"), other.count("learned")) == (1, 0)
        assert other.json("show") == {
            "trusted": [], "kinds": [254], "udp": False, "require": False, "inherited": True
        }
        assert server.json("show")["trusted"] == [f"{DIRECTOR}/32", "2001:db8::/64"]


def test_sockets_are_forgotten(server):
    listener = server.listen()
    held = []
    for _ in range(50):
        connection = server.connect(WHOLE)
        held.append((connection, listener.accept()[0]))
    assert server.count("sockets_now") == 50
    for connection, accepted in held:
        accepted.close()
        connection.finish()
    wait_until(lambda: server.count("sockets_now") == 0, "every socket is forgotten")
    assert server.count("learned") == 50


def test_without_the_module_programs_see_the_director_again(server):
    listener = server.listen()
    connection = server.connect(WHOLE)
    accepted, name = listener.accept()
    with accepted:
        assert name == CLIENT
        shell.rmmod("toa")
        assert accepted.getpeername() == connection.source
        shell.modprobe("toa")
        assert accepted.getpeername() == connection.source


def test_loading_and_unloading_under_traffic(server):
    """A program that asks all the time gets one of the two answers, and no other."""
    listener = server.listen()
    connection = server.connect(WHOLE)
    accepted, _ = listener.accept()
    stop, answers = threading.Event(), set()

    def ask():
        while not stop.is_set():
            answers.add(accepted.getpeername())

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            shell.rmmod("toa")
            shell.modprobe("toa")
            server.adm("trust", "add", DIRECTOR)
            assert server.seen(listener, WHOLE)[:2] == CLIENT
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    accepted.close()
    assert answers == {CLIENT, connection.source}


def test_unloading_with_calls_that_sleep(server):
    """getpeername() sleeps while another has the socket's lock: it returns into no module."""
    listener = server.listen()
    connection = server.connect(WHOLE)
    accepted, _ = listener.accept()
    stop = threading.Event()
    # A sender without room holds and drops the lock again and again.
    accepted.setblocking(False)

    def write():
        while not stop.is_set():
            with contextlib.suppress(BlockingIOError, OSError):
                accepted.send(b"x" * 65536)
            accepted.getpeername()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            time.sleep(0.2)
            shell.rmmod("toa")
            shell.modprobe("toa")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert accepted.getpeername() == connection.source
    accepted.close()


def test_refusals_say_why(distrustful):
    server = distrustful

    def refused(*args):
        done = server.adm(*args, check=False)
        assert done.returncode != 0
        return done.stderr

    server.adm("trust", "add", "192.0.2.0/24")
    for args, text in (
        (("trust", "add", "192.0.2.0/24"), "192.0.2.0/24 is trusted already"),
        (("kind", "add", "254"), "kind 254 is there already"),
    ):
        again = server.adm(*args)
        assert text in again.stderr and "service" not in again.stderr
    assert "--all" in refused("trust", "add", "0.0.0.0/0")
    server.adm("trust", "add", "::/0", "--all")
    server.adm("trust", "del", "::/0")
    assert "198.51.100.0/24 is not trusted" in refused("trust", "del", "198.51.100.0/24")
    assert "the network is 192.0.2.0/24" in refused("trust", "add", "192.0.2.1/24")
    assert "kind 253 is not there" in refused("kind", "del", "253")
    assert "8" in refused("kind", "add", "8")
    shell.rmmod("toa")
    assert "modprobe toa" in refused("show")


def test_a_namespace_goes_with_its_sockets(module):
    del module
    for _ in range(3):
        server = Server("gone")
        server.adm("trust", "add", DIRECTOR)
        listener = server.listen()
        server.connect(WHOLE)
        accepted, name = listener.accept()
        assert name == CLIENT
        accepted.close()
        server.close()


def test_data_goes_both_ways(server):
    """What the program sends and gets is the same with the option as without."""
    listener = server.listen()
    connection = Connection(server.hand, DIRECTOR, (SERVER, PORT))
    connection.open(WHOLE)
    accepted, _ = listener.accept()
    with accepted:
        connection.data(b"question", WHOLE)
        assert accepted.recv(99) == b"question"
        accepted.sendall(b"answer")
        assert connection.read() == b"answer"
