# SPDX-License-Identifier: GPL-2.0
"""The lab: a client on another network, a router, a director and real servers on one LAN.

        client 198.51.100.2 --- 198.51.100.1 router 192.168.56.1 --+-- director 192.168.56.118
                                (203.0.113.10 via the director)    +-- rs1..3   192.168.56.101-103
"""

from . import shell
from .netns import close_hosts, make_hosts, make_wires
from .web import WebServer

VIP = "203.0.113.10"
CLIENT = "198.51.100.2"
DIRECTOR = "192.168.56.118"
ROUTER = "192.168.56.1"
REAL_SERVERS = {f"rs{i}": f"192.168.56.{100 + i}" for i in (1, 2, 3)}


class Lab:
    """All hosts of the lab. `close` removes them."""

    def __init__(self, real_servers=3, web=True):
        names = list(REAL_SERVERS)[:real_servers]
        self.hosts = make_hosts(["router", "client", "director", *names])
        self.router, self.client, self.director = self.hosts[:3]
        self.real = dict(zip(names, self.hosts[3:]))
        self.addresses = {name: REAL_SERVERS[name] for name in names}
        self._connect()
        self.web = {}
        if web:
            self.start_web()

    def start_web(self):
        """nginx on every real server."""
        for name, host in self.real.items():
            self.web[name] = WebServer(host, name)
        for server in self.web.values():
            server.wait()

    def _connect(self):
        """One `ip` for all links and one for each host: starting it is what takes time."""
        self.router.sysctl(ipv4__ip_forward=1)
        self.director.sysctl(
            ipv4__ip_forward=1,
            # Without these a director tells the router to go round it.
            ipv4__conf__all__send_redirects=0,
            ipv4__conf__default__send_redirects=0,
        )
        on_lan = {self.director: DIRECTOR}
        on_lan.update((self.real[name], address) for name, address in self.addresses.items())
        wires = [(self.client, self.router, "eth0", "wan")]
        wires += [(host, self.router, "eth0", f"to-{host.name}") for host in on_lan]
        make_wires(wires)
        # The bridge learns nothing worth a delay: forward at once.
        self.router.ip(
            "link set lo up", "link set wan up",
            "link add lan type bridge forward_delay 0", f"addr add {ROUTER}/24 dev lan",
            "link set lan up", "addr add 198.51.100.1/24 dev wan",
            *(f"link set to-{host.name} up master lan" for host in on_lan),
            f"route add {VIP}/32 via {DIRECTOR}",
        )
        self.client.ip(
            "link set lo up", "link set eth0 up", f"addr add {CLIENT}/24 dev eth0",
            "route add default via 198.51.100.1",
        )
        for host, address in on_lan.items():
            host.ip(
                "link set lo up", "link set eth0 up", f"addr add {address}/24 dev eth0",
                f"route add default via {ROUTER}",
                *([f"addr add {VIP}/32 dev lo"] if host is self.director else []),
            )

    def prepare_dr(self):
        """Gives every real server the VIP without answering ARP for it."""
        for host in self.real.values():
            host.sysctl(ipv4__conf__all__arp_ignore=1, ipv4__conf__all__arp_announce=2)
            host.ip(f"addr add {VIP}/32 dev lo")

    def prepare_tun(self):
        """Lets every real server take the VIP's packets out of IPIP tunnels."""
        shell.modprobe("ipip")
        for host in self.real.values():
            host.ip("link set tunl0 up")
            host.sysctl(
                ipv4__conf__all__arp_ignore=1, ipv4__conf__all__arp_announce=2,
                ipv4__conf__all__rp_filter=0, ipv4__conf__tunl0__rp_filter=0,
            )
            host.ip(f"addr add {VIP}/32 dev lo")

    def prepare_nat(self):
        """Lets every real server answer through the director."""
        for host in self.real.values():
            host.ip(f"route replace default via {DIRECTOR}")

    def close(self):
        """Removes every host."""
        close_hosts(self.hosts)
        self.hosts = []
