# SPDX-License-Identifier: GPL-2.0
"""A lab of network cards: virtio-net as QEMU has it, two wires (hubs) that scripts/vm plugs them into.

        client 198.51.100.2 --+-- 198.51.100.1 director 192.168.56.118 --- 192.168.56.101 rs1
                              +-- 198.51.100.101 rs1
"""

import json

from . import shell
from .netns import wait_until
from .topology import CLIENT, DIRECTOR, VIP, Lab

GATEWAY = "198.51.100.1"
# By the last octet of the card's MAC address.
CARDS = [("client", "eth0"), ("director", "eth0"), ("rs1", "eth1"), ("director", "eth1"), ("rs1", "eth0")]


def cards_here():
    """Names that the cards have in the first namespace, by that octet. They come back a while after their namespace has gone."""
    links = json.loads(shell.run("ip", "-j", "link").stdout)
    return {int(link["address"][-2:]): link["ifname"] for link in links
            if link.get("address", "").startswith("02:72:76:73:00:")}


class Wired(Lab):
    """One real server, which answers clients by a card of its own but in NAT and FullNAT."""

    def __init__(self):
        shell.modprobe("virtio_net")
        wait_until(lambda: len(cards_here()) == len(CARDS), "the cards are here")
        super().__init__(real_servers=1, web=False)

    def _connect(self):
        hosts = {host.name: host for host in self.hosts}
        for number, name in cards_here().items():
            host, device = CARDS[number]
            shell.run("ip", "link", "set", name, "netns", hosts[host].name, "name", device)
        client, director, server = self.client, self.director, self.real["rs1"]
        director.sysctl(ipv4__ip_forward=1, ipv4__conf__all__send_redirects=0, ipv4__conf__default__send_redirects=0)
        server.sysctl(ipv4__conf__all__rp_filter=0, ipv4__conf__default__rp_filter=0)
        client.ip("link set lo up", "link set eth0 up", f"addr add {CLIENT}/24 dev eth0",
                  f"route add default via {GATEWAY}")
        director.ip("link set lo up", "link set eth0 up", "link set eth1 up", f"addr add {GATEWAY}/24 dev eth0",
                    f"addr add {DIRECTOR}/24 dev eth1", f"addr add {VIP}/32 dev lo")
        server.ip("link set lo up", "link set eth0 up", "link set eth1 up",
                  f"addr add {self.addresses['rs1']}/24 dev eth0", "addr add 198.51.100.101/24 dev eth1")

    def prepare_nat(self):
        self.real["rs1"].ip("link set eth1 down", f"route add default via {DIRECTOR}")
