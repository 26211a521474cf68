# SPDX-License-Identifier: GPL-2.0
"""The measured path: client - director - sink, one namespace each, fresh for each case."""

from lab import shell
from lab.netns import Host, wire

VIP = "203.0.113.10"
CLIENT = "10.1.0.2"
SINK = "10.2.0.2"
PORT = 80


class Path:
    """Three hosts in a row. Packets come to the director on `in0` and leave on `out0`."""

    def __init__(self):
        self.hosts = []
        self.client, self.director, self.sink = (
            self._host(name) for name in ("client", "director", "sink")
        )
        wire(self.client, self.director, "eth0", "in0")
        wire(self.director, self.sink, "out0", "eth0")
        self.client.ip(f"addr add {CLIENT}/24 dev eth0")
        self.sink.ip(f"addr add {SINK}/24 dev eth0")
        self.director.ip(
            "addr add 10.1.0.1/24 dev in0",
            "addr add 10.2.0.1/24 dev out0",
            f"addr add {VIP}/32 dev lo",
            f"neigh replace {SINK} lladdr {self.sink.mac('eth0')} dev out0 nud permanent",
            f"neigh replace {CLIENT} lladdr {self.client.mac('eth0')} dev in0 nud permanent",
        )
        self.director.sysctl(ipv4__ip_forward=1)
        self.sink.run("tc qdisc add dev eth0 clsact")
        self.sink.run("tc filter add dev eth0 ingress matchall action drop")
        # What pktgen sends on: see bench/module.
        self.client.ip("link add burst link eth0 type rvs_bench", "link set burst up")

    def _host(self, name):
        host = Host(name)
        self.hosts.append(host)
        # No neighbour discovery between the packets that are counted.
        host.sysctl(
            ipv6__conf__all__disable_ipv6=1, ipv6__conf__default__disable_ipv6=1
        )
        return host

    def delivered(self):
        """Packets that have reached the sink."""
        out = self.sink.run("tc -s filter show dev eth0 ingress").stdout
        return int(out.split("Sent ")[1].split()[2])

    def close(self):
        """Removes the hosts."""
        for host in reversed(self.hosts):
            host.close()
