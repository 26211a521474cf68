# SPDX-License-Identifier: GPL-2.0
"""toa.ko beside what else a real server has, and the ways to ask it for a client."""

import contextlib
import ctypes
import os
import socket
import struct
import subprocess
import threading

import pytest
from lab import genl, shell
from lab.handshake import Connection, toa
from lab.netns import wait_until
from lab.receiver import CLIENT, CLIENT6, DIRECTOR, PORT, SERVER, Server

CLIENT_GET, SOCKET, ADDRESS, END_PORT = 9, 8, 1, 2
WHOLE = toa(*CLIENT)


def client_of(asker, descriptor):
    """What the receiver says of a socket of this process."""
    asker.send(CLIENT_GET, genl.attribute(SOCKET, struct.pack("I", descriptor)))
    (reply,) = asker.receive()
    ((_, _, nest),) = genl.attributes(reply.attrs)
    parts = {number: payload for number, _, payload in genl.attributes(nest)}
    address = parts[ADDRESS]
    family = socket.AF_INET if len(address) == 4 else socket.AF_INET6
    return socket.inet_ntop(family, address), struct.unpack("!H", parts[END_PORT])[0]


def test_a_program_asks_for_the_address_that_does_not_fit(server):
    """An IPv6 client on a socket of the family IPv4: without a privilege, of its own sockets."""
    listener = server.listen()
    connection = server.connect(toa(*CLIENT6))
    plain = server.connect()
    accepted, name = listener.accept()
    other, _ = listener.accept()
    genl.spec()  # whoever has no privilege cannot read it
    with accepted, other, server.host.inside():
        assert name == connection.source
        asked, answer = os.pipe()
        child = os.fork()
        if not child:
            with contextlib.suppress(BaseException):
                os.setgid(65534)
                os.setuid(65534)
                with genl.Client(privileged=False, family="toa") as asker:
                    said = [client_of(asker, accepted.fileno())]
                    for descriptor in (other.fileno(), listener.fileno(), asked, 9999):
                        try:
                            said.append(client_of(asker, descriptor))
                        except genl.Refused as refused:
                            said.append((refused.errno, refused.text))
                os.write(answer, repr(said).encode())
            os._exit(0)
        os.waitpid(child, 0)
        os.close(answer)
        with open(asked, encoding="ascii") as f:
            said = f.read()
    assert CLIENT6[0] in said and str(CLIENT6[1]) in said, said
    assert said.count("ENODATA") == 2 and "ENOTSOCK" in said and "EBADF" in said, said
    plain.finish()


def test_an_operator_looks_up(server):
    listener = server.listen(socket.AF_INET6)
    connection = server.connect(WHOLE)
    connection6 = server.connect(toa(*CLIENT6), v6=True)
    accepted = [listener.accept()[0] for _ in range(2)]
    wire = "%s:%d" % connection.source
    found = server.json("lookup", f"{SERVER}:{PORT}", wire)
    assert found == {"client": "%s:%d" % CLIENT}
    found = server.json("lookup", f"[2001:db8::2]:{PORT}", "[%s]:%d" % connection6.source)
    assert found == {"client": "[%s]:%d" % CLIENT6}
    for ends, text in (
        ((f"{SERVER}:{PORT}", f"{DIRECTOR}:1"), "no connection of"),
        ((f"{SERVER}:{PORT}", f"[2001:db8::1]:{PORT}"), "different families"),
    ):
        done = server.adm("lookup", *ends, check=False)
        assert done.returncode and text in done.stderr
    other = server.connect()
    accepted.append(listener.accept()[0])
    done = server.adm("lookup", f"{SERVER}:{PORT}", "%s:%d" % other.source, check=False)
    assert done.returncode and "is not known" in done.stderr
    for each in accepted:
        each.close()


@pytest.mark.parametrize("device", ["eth0", "red"])
def test_an_operator_looks_up_what_is_bound_to_a_device(server, device):
    """To one that the segments come by, or to a VRF."""
    if device == "red":
        shell.modprobe("vrf")
        mac = server.wire.mac("eth0")
        server.host.ip(
            "link add red type vrf table 10", "link set red up", "link set eth0 master red",
            f"neigh replace {DIRECTOR} lladdr {mac} dev eth0 nud permanent",
        )
    listener = server.listen()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    connection = server.connect(WHOLE)
    accepted, name = listener.accept()
    with accepted:
        assert name == CLIENT
        found = server.json("lookup", f"{SERVER}:{PORT}", "%s:%d" % connection.source)
        assert found == {"client": "%s:%d" % CLIENT}
        done = server.adm("lookup", f"{SERVER}:{PORT}", f"{DIRECTOR}:1", check=False)
        assert done.returncode == 1 and "ss -tn" in done.stderr


def test_many_namespaces(module):
    """Each has its own word on the same addresses."""
    del module
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(contextlib.closing(Server(f"rs-{i}"))) for i in range(12)]
        for number, server in enumerate(servers):
            if number % 2:
                server.adm("trust", "add", DIRECTOR)
            listener = server.listen()
            name = server.seen(listener, toa(f"198.51.100.{number + 1}", 1000 + number))
            expected = (f"198.51.100.{number + 1}", 1000 + number) if number % 2 else None
            assert name[:2] == (expected or (DIRECTOR, name[2]))


def test_the_map_grows_and_shrinks(server):
    """Hundreds of sockets, each with its own client, while the map is made anew around them."""
    listener = server.listen()
    held = []
    for number in range(600):
        client = (f"198.51.{number // 250}.{number % 250 + 1}", 1024 + number)
        server.connect(toa(*client))
        accepted, name = listener.accept()
        assert name == client
        held.append((accepted, client))
    for accepted, client in held:
        assert accepted.getpeername() == client
    assert server.count("sockets_now") == len(held)
    for accepted, _ in held:
        accepted.close()
    with contextlib.suppress(TimeoutError):
        listener.settimeout(0.01)
        listener.accept()


def test_a_multipath_listener(server):
    """A client without MPTCP falls back to TCP; the program's socket is MPTCP's, which says the
    director, and nothing else happens."""
    with server.host.inside():
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_MPTCP)
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("", PORT))
        listener.listen(8)
        listener.settimeout(10)
        connection = Connection(server.hand, DIRECTOR, (SERVER, PORT))
        connection.open(WHOLE)
        accepted, name = listener.accept()
        with accepted:
            assert name in (connection.source, CLIENT)
            connection.data(b"question", WHOLE)
            assert accepted.recv(99) == b"question"
            accepted.sendall(b"answer")
            assert connection.read() == b"answer"


def enable_tls(sock):
    """Gives a socket the kernel's TLS, sending side, as a library does."""
    tcp_ulp, sol_tls, tls_tx = 31, 282, 1
    sock.setsockopt(socket.IPPROTO_TCP, tcp_ulp, b"tls")
    info = struct.pack("HH", 0x0303, 51) + bytes(8 + 16 + 4 + 8)  # TLS 1.2, AES-GCM 128
    sock.setsockopt(sol_tls, tls_tx, info)


def test_kernel_tls(server):
    """kTLS puts operations of its own into the socket; the address stays known, and unloading with
    such sockets is harmless."""
    shell.modprobe("tls")
    listener = server.listen()
    connection = server.connect(WHOLE)
    accepted, name = listener.accept()
    with accepted:
        assert name == CLIENT
        enable_tls(accepted)
        assert accepted.getpeername() == CLIENT
        accepted.sendall(b"x")
        assert connection.read()[:3] == b"\x17\x03\x03"
        shell.rmmod("toa")
        assert accepted.getpeername() == connection.source
        shell.modprobe("toa")


def bpf(command, attributes):
    """The system call."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(attributes.ljust(128, b"\0"), 128)
    result = libc.syscall(321, command, buffer, 128)
    assert result >= 0, os.strerror(ctypes.get_errno())
    return result


def test_a_sockmap(server):
    """A socket in a BPF map has that map's data in sk_user_data, and its client all the same."""
    map_create, map_update, sockmap = 0, 2, 15
    listener = server.listen()
    connection = server.connect(WHOLE)
    accepted, _ = listener.accept()
    descriptor = bpf(map_create, struct.pack("IIII", sockmap, 4, 4, 4))
    with accepted:
        key, value = (ctypes.c_uint32(n) for n in (0, accepted.fileno()))
        addresses = (ctypes.addressof(key), ctypes.addressof(value))
        bpf(map_update, struct.pack("IIQQQ", descriptor, 0, *addresses, 0))
        assert accepted.getpeername() == CLIENT
        connection.data(b"question", WHOLE)
        assert accepted.recv(99) == b"question"
        accepted.sendall(b"answer")
        assert connection.read() == b"answer"
        shell.rmmod("toa")
        assert accepted.getpeername() == connection.source
        shell.modprobe("toa")
    os.close(descriptor)


SERVE = """
import socketserver, sys
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(repr(self.client_address).encode())
socketserver.ThreadingTCPServer.allow_reuse_address = True
with socketserver.ThreadingTCPServer(("", int(sys.argv[1])), Handler) as server:
    server.serve_forever()
"""


@pytest.mark.parametrize("program", ["socketserver", "socat", "redis"])
def test_unmodified_programs(server, program):
    with open(f"/run/toa-{program}.log", "w", encoding="utf-8") as log:
        command = {
            "socketserver": ["python3", "-c", SERVE, str(PORT)],
            "socat": ["socat", f"TCP-LISTEN:{PORT},fork,reuseaddr",
                      "SYSTEM:echo $SOCAT_PEERADDR $SOCAT_PEERPORT"],
            "redis": ["redis-server", "--port", str(PORT), "--protected-mode", "no", "--save", ""],
        }[program]
        child = server.host.start(*command, stdout=log, stderr=subprocess.STDOUT)
        def listens():
            return f":{PORT} " in server.host.run("ss", "-Hltn").stdout
        wait_until(listens, f"{program} listens")
        connection = server.connect(WHOLE)
        if program == "redis":
            connection.data(b"CLIENT INFO\r\n", WHOLE)
        said = connection.read()
        assert CLIENT[0].encode() in said and b"%d" % CLIENT[1] in said, said
        # The kernel's own tables have what is on the wire.
        listed = server.host.run("ss", "-Hant").stdout
        assert CLIENT[0] not in listed
        connection.finish()
        server.host.stop(child)


def test_unloading_under_many_connections(server):
    """Sockets come and go all the time, tagged, while the module does too."""
    listener = server.listen()
    stop, failures = threading.Event(), []

    def serve():
        while not stop.is_set():
            try:
                accepted, name = listener.accept()
            except TimeoutError:
                continue
            if name[0] not in (CLIENT[0], DIRECTOR):
                failures.append(name)
            accepted.close()

    listener.settimeout(0.2)
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        for _ in range(8):
            shell.rmmod("toa")
            for _ in range(20):
                server.connect(WHOLE).finish()
            shell.modprobe("toa")
            server.adm("trust", "add", DIRECTOR)
            for _ in range(20):
                server.connect(WHOLE).finish()
    finally:
        stop.set()
        thread.join()
    assert not failures
