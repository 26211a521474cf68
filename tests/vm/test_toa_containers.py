# SPDX-License-Identifier: GPL-2.0
"""Containers on a real server: their namespaces believe whom the host believes."""

import contextlib
import json
import socket
import threading

import pytest
from lab import shell
from lab.document import content
from lab.fullnat import LOCALS, one
from lab.netns import Host, wait_until, wire
from lab.topology import CLIENT, VIP
from lab.transfer import UdpEcho, ask

PORT, INSIDE = 8080, 80
TRUSTED = "192.168.56.200/29"
NODE, ADDRESS = "10.88.0.1", "10.88.0.2"


def adm(*args, **kwargs):
    """rvsadm toa in the host's own namespace, the first one."""
    return shell.run("rvsadm", "toa", *args, **kwargs)


def shown(host):
    """The settings of a namespace."""
    return content(host.run("rvsadm", "--json", "toa", "show").stdout)


@pytest.fixture(name="told")
def _told():
    """The host is told whom to believe, before any container is there."""
    shell.rmmod("toa")
    shell.modprobe("toa")
    adm("trust", "add", TRUSTED)
    adm("udp", "on")
    yield
    shell.rmmod("toa")


@pytest.fixture(name="node")
def _node(lab):
    """rs1 as a host whose container has a published port."""
    host = lab.real["rs1"]
    host.sysctl(ipv4__ip_forward=1)
    rules = " ".join(
        f"add rule ip publish in {protocol} dport {PORT} dnat to {ADDRESS}:{INSIDE};"
        for protocol in ("tcp", "udp")
    )
    chain = "{ type nat hook prerouting priority -100; }"
    host.run("nft", f"add table ip publish; add chain ip publish in {chain}; {rules}")
    return host


@contextlib.contextmanager
def container(node):
    """A container's namespace behind the node, started anew each time."""
    host = Host("container")
    try:
        wire(node, host, "veth-c", "eth0")
        node.ip(f"addr add {NODE}/24 dev veth-c")
        host.ip(f"addr add {ADDRESS}/24 dev eth0", f"route add default via {NODE}")
        yield host
    finally:
        # A namespace ends some time after its name; the device must be gone for the next container.
        node.run("ip", "link", "del", "veth-c", check=False)
        host.close()


def accepted_name(lab, host):
    """Whom a listener in HOST says that a client of the service is."""
    with host.inside():
        listener = socket.create_server((ADDRESS, INSIDE))
    listener.settimeout(10)
    names = []

    def serve():
        connection, name = listener.accept()
        with connection:
            names.extend([name[0], connection.getpeername()[0]])
            connection.sendall(b"hello")

    thread = threading.Thread(target=serve)
    thread.start()
    with listener, lab.client.inside(), socket.create_connection((VIP, PORT), 10) as s:
        assert s.recv(99) == b"hello"
        thread.join()
    assert names[0] == names[1]
    return names[0]


@pytest.mark.usefixtures("told")
def test_published_ports(lab, fullnat, node):
    fullnat.add(one(lab, PORT))
    fullnat.add(one(lab, PORT, "udp"))
    fullnat.adm("service", "set", f"udp/{VIP}:{PORT}", "--toa", "on")
    for _ in range(2):
        with container(node) as host:
            assert accepted_name(lab, host) == CLIENT
            with contextlib.closing(UdpEcho(host, INSIDE)) as echo:
                assert ask(lab.client, VIP, PORT) == b"container x"
                assert echo.peers[0][0] == CLIENT


@pytest.mark.usefixtures("told")
def test_settings_are_inherited_until_something_is_set(lab, fullnat, node):
    fullnat.add(one(lab, PORT))
    with container(node) as host:
        inherited = {"trusted": [TRUSTED], "kinds": [254], "udp": True, "require": False,
                     "inherited": True}
        assert shown(host) == inherited
        assert not json.loads(shell.run("rvsadm", "--json", "toa", "show").stdout)["inherited"]
        assert "first network namespace" in host.run("rvsadm", "toa", "show").stdout
        adm("kind", "add", "200")
        assert shown(host)["kinds"] == [200, 254]
        host.run("rvsadm", "toa", "trust", "del", TRUSTED)
        own = inherited | {"trusted": [], "kinds": [200, 254], "inherited": False}
        assert shown(host) == own
        assert accepted_name(lab, host) in LOCALS
        adm("kind", "del", "200")
        adm("udp", "off")
        assert shown(host) == own
        host.run("rvsadm", "toa", "inherit")
        assert shown(host) == inherited | {"udp": False}
        assert accepted_name(lab, host) == CLIENT
    refused = adm("inherit", check=False)
    assert refused.returncode == 1 and "others inherit from" in refused.stderr


@pytest.mark.usefixtures("told")
def test_udp_goes_on_and_off_for_all_that_inherit(lab, fullnat, node):
    fullnat.add(one(lab, PORT, "udp"))
    fullnat.adm("service", "set", f"udp/{VIP}:{PORT}", "--toa", "on")
    with container(node) as host, contextlib.closing(UdpEcho(host, INSIDE)) as echo:

        def seen():
            ask(lab.client, VIP, PORT)
            return echo.peers[-1][0]

        def flows():
            stats = json.loads(host.run("rvsadm", "--json", "toa", "stats").stdout)
            return stats["counters"]["flows_now"]

        assert seen() == CLIENT and flows() == 1
        adm("udp", "off")
        assert seen() in LOCALS
        wait_until(lambda: flows() == 0, "flows are forgotten")
        host.run("rvsadm", "toa", "udp", "on")
        assert seen() == CLIENT
        host.run("rvsadm", "toa", "inherit")
        assert seen() in LOCALS
        adm("udp", "on")
        assert seen() == CLIENT
