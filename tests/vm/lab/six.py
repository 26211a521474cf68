# SPDX-License-Identifier: GPL-2.0
"""The lab's hosts with IPv6 addresses besides those of IPv4."""

import pytest

VIP = "2001:db8:113::10"
CLIENT = "2001:db8:100::2"
DIRECTOR = "2001:db8:56::118"
ROUTER = "2001:db8:56::1"
REAL_SERVERS = {f"rs{i}": f"2001:db8:56::10{i}" for i in (1, 2, 3)}
LOCALS = ["2001:db8:56::201", "2001:db8:56::202"]


class Six:
    """A lab whose hosts have IPv6 addresses. Attributes as the lab's."""

    def __init__(self, lab):
        self.lab = lab
        self.client, self.router, self.director = lab.client, lab.router, lab.director
        self.real, self.web = lab.real, lab.web
        self.addresses = {name: REAL_SERVERS[name] for name in lab.real}
        for host in (self.router, self.director):
            host.sysctl(ipv6__conf__all__forwarding=1)
        self.router.ip(
            f"addr add {ROUTER}/64 dev lan nodad", "addr add 2001:db8:100::1/64 dev wan nodad",
            f"route add {VIP}/128 via {DIRECTOR}",
        )
        self.client.ip(
            f"addr add {CLIENT}/64 dev eth0 nodad", "route add default via 2001:db8:100::1",
        )
        on_lan = {self.director: DIRECTOR}
        on_lan.update((lab.real[name], address) for name, address in self.addresses.items())
        for host, address in on_lan.items():
            host.ip(
                f"addr add {address}/64 dev eth0 nodad", f"route add default via {ROUTER}",
                *([f"addr add {VIP}/128 dev lo nodad"] if host is self.director else []),
            )

    def prepare_dr(self):
        """Gives every real server the VIP; neighbour discovery does not answer for lo."""
        for host in self.real.values():
            host.ip(f"addr add {VIP}/128 dev lo nodad")

    def prepare_nat(self):
        """Lets every real server answer through the director."""
        for host in self.real.values():
            host.ip(f"route replace default via {DIRECTOR}")

    def prepare_fullnat(self, rvs):
        """Gives the director local addresses."""
        for address in LOCALS:
            self.director.ip(f"addr add {address}/128 dev eth0 nodad")
        rvs.adm("laddr", "add", "--default", *LOCALS)

    def prepare(self, mode, rvs):
        """What MODE needs."""
        match mode:
            case "dr":
                self.prepare_dr()
            case "nat":
                self.prepare_nat()
            case "fullnat":
                self.prepare_fullnat(rvs)


@pytest.fixture(name="six")
def _six(lab):
    return Six(lab)
