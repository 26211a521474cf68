# SPDX-License-Identifier: GPL-2.0
"""A director alone: 10.0.0.0/8 is routable on a dummy device, nothing answers there.

Made once for a file of tests; each test finds it without services and with default settings.
"""

import os
import socket

import pytest

from . import shell
from .document import content
from .genl import Client, spec
from .netns import Host

VIP = "203.0.113.10"
SERVICE = {"protocol": 6, "address": VIP, "port": 80}
DEST = {"address": "10.1.1.1", "port": 80}
ID = f"tcp/{VIP}:80"


class LoneDirector(Host):
    """The namespace, with shortcuts to RVS in it."""

    def __init__(self, name):
        shell.modprobe("rvs")
        super().__init__(name)
        self.ip("link add d0 type dummy", "link set d0 up", "addr add 10.0.0.1/8 dev d0")

    def client(self):
        """A socket to the family here."""
        # A test may have taken the module away.
        if not os.path.exists("/sys/module/rvs"):
            shell.modprobe("rvs")
        with self.inside():
            return Client()

    def adm(self, *args, **kwargs):
        """Runs rvsadm here; see shell.run."""
        return self.run("rvsadm", *args, **kwargs)

    def json(self, *args):
        """What `rvsadm ARGS -j` says."""
        return content(self.adm(*args, "-j").stdout)


def send(host, count, first=20_000, port=53):
    """COUNT flows of UDP to the virtual address, which is the host's, from ports of their own."""
    for source in range(first, first + count):
        with host.inside():
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with s:
            s.bind((VIP, source))
            s.sendto(b"x" * 100, (VIP, port))


def services(count, first_port=1):
    """Ids of COUNT services at ports of their own."""
    return [dict(SERVICE, port=port) for port in range(first_port, first_port + count)]


def dest(number, port=80):
    """Id of a dest of its own, from 0 on."""
    return {"address": f"10.{2 + number // 62500}.{number // 250 % 250}.{number % 250 + 1}",
            "port": port}


def step(op, service=None, to=None, **settings):
    """A step of a batch that is about SERVICE, and the dest TO if there is one."""
    nests = {"service": service or SERVICE}
    if to:
        nests["dest"] = dict(to, **settings)
    else:
        nests["service"] = dict(nests["service"], **settings)
    return op, nests


def batch(client, steps):
    """Makes STEPS, (operation, nests) pairs, in one request."""
    return client.do("batch", changes(steps))


def changes(steps):
    """The attributes of a batch."""
    return [("change", {"op": spec().commands[op], **nests}) for op, nests in steps]


def state(client):
    """Everything that is configured, byte for byte."""
    dumps = ("service-get", "dest-get", "laddr-get")
    parts = [*map(client.dump, dumps), client.do("config-get")]
    return [message.attrs for part in parts for message in part]


@pytest.fixture(name="host", scope="module")
def host_fixture():
    """A director alone, for a file of tests."""
    made = LoneDirector("alone")
    made.defaults = made.client().one("config-get")["config"]
    yield made
    made.close()


@pytest.fixture(name="nl")
def nl_fixture(host):
    """A socket to the family, which has no services."""
    with host.client() as client:
        yield client
    with host.client() as client:
        client.do("service-flush")
        for message in client.dump("laddr-get"):
            client.do("laddr-del", laddr=message.content["laddr"])
        client.do("stats-zero")
        client.do("config-set", config=host.defaults)


@pytest.fixture(name="web")
def web_fixture(nl):
    """The service of SERVICE with the dest of DEST, weight 1."""
    batch(nl, [step("service-add", scheduler="rr"), step("dest-add", to=DEST, mode=1, weight=1)])
    return nl
