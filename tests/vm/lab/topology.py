# SPDX-License-Identifier: GPL-2.0
"""The lab: a client on another network, a router, a director and real servers on one LAN.

        client 198.51.100.2 --- 198.51.100.1 router 192.168.56.1 --+-- director 192.168.56.118
                                (203.0.113.10 via the director)    +-- rs1..3   192.168.56.101-103
"""

from .netns import Host, wire
from .web import WebServer

VIP = "203.0.113.10"
CLIENT = "198.51.100.2"
DIRECTOR = "192.168.56.118"
ROUTER = "192.168.56.1"
REAL_SERVERS = {f"rs{i}": f"192.168.56.{100 + i}" for i in (1, 2, 3)}


class Lab:
    """All hosts of the lab. `close` removes them."""

    def __init__(self, real_servers=3, web=True):
        self.hosts = []
        self.router = self._host("router")
        self.client = self._host("client")
        self.director = self._host("director")
        names = list(REAL_SERVERS)[:real_servers]
        self.real = {name: self._host(name) for name in names}
        self.addresses = {name: REAL_SERVERS[name] for name in names}
        self._connect()
        self.web = {}
        if web:
            for name, host in self.real.items():
                self.web[name] = WebServer(host, name)
            for server in self.web.values():
                server.wait()

    def _host(self, name):
        host = Host(name)
        self.hosts.append(host)
        return host

    def _connect(self):
        self.router.sysctl(ipv4__ip_forward=1)
        self.director.sysctl(
            ipv4__ip_forward=1,
            # Without these a director tells the router to go round it.
            ipv4__conf__all__send_redirects=0,
            ipv4__conf__default__send_redirects=0,
        )
        # The bridge learns nothing worth a delay: forward at once.
        self.router.ip(
            "link add lan type bridge forward_delay 0", f"addr add {ROUTER}/24 dev lan",
            "link set lan up",
        )
        wire(self.client, self.router, "eth0", "wan")
        self.client.ip(f"addr add {CLIENT}/24 dev eth0", "route add default via 198.51.100.1")
        self.router.ip("addr add 198.51.100.1/24 dev wan")
        for host, address in [
            (self.director, DIRECTOR),
            *((host, self.addresses[name]) for name, host in self.real.items()),
        ]:
            wire(host, self.router, "eth0", f"to-{host.name}")
            self.router.ip(f"link set to-{host.name} master lan")
            host.ip(f"addr add {address}/24 dev eth0", f"route add default via {ROUTER}")
        self.director.ip(f"addr add {VIP}/32 dev lo")
        self.router.ip(f"route add {VIP}/32 via {DIRECTOR}")

    def prepare_dr(self):
        """Gives every real server the VIP without answering ARP for it."""
        for host in self.real.values():
            host.sysctl(ipv4__conf__all__arp_ignore=1, ipv4__conf__all__arp_announce=2)
            host.ip(f"addr add {VIP}/32 dev lo")

    def close(self):
        """Removes every host, the last made first."""
        for host in reversed(self.hosts):
            host.close()
        self.hosts = []
