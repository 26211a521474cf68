# SPDX-License-Identifier: GPL-2.0
"""Fixtures for tests that make their packets by hand: import those that a module needs.

The lab is the module's, not the test's. Real servers do not know the virtual address unless a
module says `prepare_dr`: they take what comes and say nothing, so a test decides alone which
packets a connection has.
"""

import json
import time

import pytest

from . import director as directors
from .fixtures import lab_of_file
from .flood import Pktgen
from .netns import wait_until
from .packets import Tap, icmp, mac_bytes
from .topology import VIP

DEFAULT_CONFIG = (
    "--tcp-timeout",
    "none=2,established=900,syn-sent=120,syn-recv=60,fin-wait=120,time-wait=120,close=10,"
    "close-wait=60,last-ack=30,listen=120,synack=120",
    "--udp-timeout", "300", "--conn-max", "0", "--expire-nodest", "off",
    "--local-ports", "5000-65535", "--toa", "254",
    "--drop-entry", "off", "--drop-packet", "off", "--drop-rate", "10", "--memory-min", "4",
    "--cache-bypass", "off", "--echo", "host",
    "--places", "early", "--conntrack", "off",
)


class Wire:
    """The network between router and director: packets put on it, and what reaches whom."""

    def __init__(self, lab):
        self.lab = lab
        self.refresh()

    def refresh(self):
        """Opens the taps anew: after a device was made anew."""
        self.tap = Tap(self.lab.router, "to-director", incoming_only=True)
        self.real = {n: Tap(h, "eth0", incoming_only=True) for n, h in self.lab.real.items()}
        self.director_mac = self.lab.director.mac("eth0")

    def send(self, *packets):
        """Sends packets to the director as the router would."""
        self.tap.send(mac_bytes(self.director_mac), *packets)

    def settle(self):
        """Until the director has dealt with what was sent."""
        self.tap.drain()
        self.send(icmp("198.51.100.2", "192.168.56.118", 8, 0, b"\0\0\0\1"))
        done = self.tap.see(lambda seen: seen.protocol == 1 and seen.icmp[0] == 0)
        assert done, "the director does not answer a ping"

    def took(self, which=lambda seen: True, seconds=0.0):
        """Who got packets that WHICH takes: one name a packet, by real server."""
        if seconds:
            time.sleep(seconds)
        found = []
        for name, tap in self.real.items():
            found += [name] * len(self.only(tap.drain(which)))
        return found

    @staticmethod
    def only(packets):
        """Without what belongs to the lab itself."""
        return [seen for seen in packets if seen.destination == VIP]

    def clear(self):
        """Forgets what was seen so far."""
        for tap in (self.tap, *self.real.values()):
            tap.drain()

    def flood(self, *options, destination=VIP, port=53, cpu=0, host=None):
        """A pktgen that floods the director, from the router's port or from a real server."""
        device = "eth0" if host else "to-director"
        return Pktgen(host or self.lab.router, device, self.director_mac, destination, port,
                      *options, cpu=cpu)

    def close(self):
        """Closes the taps."""
        for tap in (self.tap, *self.real.values()):
            tap.close()


class Observed(directors.Rvs):
    """RVS with what tests ask of it."""

    def __init__(self, host):
        super().__init__(host)
        self._configured = True

    def adm(self, *args, **kwargs):
        """As in Rvs."""
        self._configured |= args[:2] == ("config", "set")
        return super().adm(*args, **kwargs)

    def counters(self):
        """The namespace's counters."""
        return self.json("stats", "show")["counters"]

    def traffic(self):
        """The namespace's traffic."""
        return self.json("stats", "show")["traffic"]

    def connections(self, *args):
        """The connections."""
        return self.json("conn", "list", *args)["connections"]

    def dests(self, service):
        """The dests of a service by address, statistics included."""
        dests = self.json("dest", "list", service.id, "--stats")["dests"]
        return {dest["address"]: dest for dest in dests}

    def reset(self):
        """No services, no connections, settings as at the start, statistics zero."""
        self.flush()
        self.adm("conn", "flush")
        if self._configured:
            self.adm("config", "set", *DEFAULT_CONFIG)
            self._configured = False
        self.adm("stats", "zero")


# The hosts, without nginx.
_lab = lab_of_file(web=False)


@pytest.fixture(name="wire", scope="module")
def _wire(lab):
    made = Wire(lab)
    yield made
    made.close()


@pytest.fixture(name="director_rvs", scope="module")
def _director_rvs(lab):
    return Observed(lab.director)


@pytest.fixture(name="rvs")
def _rvs(director_rvs):
    """RVS on the director, as new at the start of each test."""
    director_rvs.reset()
    return director_rvs


@pytest.fixture(name="ipvs")
def _ipvs(lab):
    """Stock ip_vs on the director; no services at the end."""
    made = directors.Ipvs(lab.director)
    yield made
    made.flush()


def counted(rvs, before, **expected):
    """Asserts how counters changed since BEFORE, and that no other drop was counted."""
    now = rvs.counters()
    changed = {
        key: now[key] - before[key]
        for key in now
        if now[key] != before[key] and (key.startswith("drop_") or key in expected)
    }
    assert changed == expected, f"counters changed by {json.dumps(changed)}"


__all__ = ["Observed", "Wire", "counted", "wait_until"]
