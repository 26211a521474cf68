# SPDX-License-Identifier: GPL-2.0
"""The measured path: client - director - sink, one namespace each, fresh for each case."""

import dataclasses

from lab.netns import Host, wire

VIP = "203.0.113.10"
CLIENT = "10.1.0.2"
SINK = "10.2.0.2"
PORT = 80

# Clients of a case with many flows: CLIENTS.format(0) and the ones after it.
CLIENTS = "10.1.0.{}"
FIRST_CLIENT = 10
MAX_CLIENTS = 160


# The same in IPv6. Documentation addresses, which nothing treats in a way of its own.
VIP6 = "2001:db8:10::10"
CLIENT6 = "2001:db8:1::2"
SINK6 = "2001:db8:2::2"


@dataclasses.dataclass
class Way:
    """One direction: who sends, into which device of the director, who gets it.

    STRAYS is how many packets more may arrive: hosts say now and then which groups they are in.
    """

    sender: Host
    to_mac: str
    receiver: Host
    strays: int


class Path:
    """Three hosts in a row. The client's packets come to the director on `in0`, leave on `out0`.

    With DROPS both ends drop whatever reaches them, before it costs them anything, and count it.
    VERSION is that of the packets: `vip` and the others are of it.
    """

    def __init__(self, drops=True, version=4):
        self.hosts, self.version = [], version
        self.vip, self.client_address, self.sink_address, self.director_out = (
            (VIP, CLIENT, SINK, "10.2.0.1") if version == 4
            else (VIP6, CLIENT6, SINK6, "2001:db8:2::1")
        )
        self.client, self.director, self.sink = (
            self._host(name) for name in ("client", "director", "sink")
        )
        wire(self.client, self.director, "eth0", "in0")
        wire(self.director, self.sink, "out0", "eth0")
        self.client.ip(f"addr add {CLIENT}/24 dev eth0")
        self.sink.ip(f"addr add {SINK}/24 dev eth0")
        clients = [CLIENT, *(CLIENTS.format(FIRST_CLIENT + i) for i in range(MAX_CLIENTS))]
        near = self.client.mac("eth0")
        self.director.ip(
            "addr add 10.1.0.1/24 dev in0",
            "addr add 10.2.0.1/24 dev out0",
            f"addr add {VIP}/32 dev lo",
            f"neigh replace {SINK} lladdr {self.sink.mac('eth0')} dev out0 nud permanent",
            *(f"neigh replace {a} lladdr {near} dev in0 nud permanent" for a in clients),
        )
        self.director.sysctl(ipv4__ip_forward=1)
        if version == 6:
            self._add_version_6()
        strays = 0 if version == 4 else 4
        self.forward = Way(self.client, self.director.mac("in0"), self.sink, strays)
        self.backward = Way(self.sink, self.director.mac("out0"), self.client, strays)
        if drops:
            for host in (self.client, self.sink):
                self._drop(host)

    def _add_version_6(self):
        near, far = self.client.mac("eth0"), self.sink.mac("eth0")
        self.client.ip(f"addr add {CLIENT6}/64 dev eth0 nodad")
        self.sink.ip(f"addr add {SINK6}/64 dev eth0 nodad")
        self.director.ip(
            "addr add 2001:db8:1::1/64 dev in0 nodad",
            "addr add 2001:db8:2::1/64 dev out0 nodad",
            f"addr add {VIP6}/128 dev lo nodad",
            f"neigh replace {SINK6} lladdr {far} dev out0 nud permanent",
            f"neigh replace {CLIENT6} lladdr {near} dev in0 nud permanent",
        )
        self.director.sysctl(ipv6__conf__all__forwarding=1)

    def _drop(self, host):
        host.run("tc qdisc add dev eth0 clsact")
        host.run("tc filter add dev eth0 ingress matchall action drop")
        # What pktgen sends on: see bench/module.
        host.ip("link add burst link eth0 type rvs_bench", "link set burst up")

    def _host(self, name):
        host = Host(name)
        self.hosts.append(host)
        # No neighbour discovery between the packets that are counted.
        if self.version == 4:
            host.sysctl(
                ipv6__conf__all__disable_ipv6=1, ipv6__conf__default__disable_ipv6=1
            )
        else:
            host.sysctl(ipv6__conf__default__accept_dad=0,
                        ipv6__conf__default__router_solicitations=0,
                        ipv6__conf__default__accept_ra=0,
                        ipv6__conf__default__addr_gen_mode=1)
        return host

    def close(self):
        """Removes the hosts."""
        for host in reversed(self.hosts):
            host.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
