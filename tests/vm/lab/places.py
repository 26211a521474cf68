# SPDX-License-Identifier: GPL-2.0
"""One lab for all modes at once: two real servers, the director as one, and virtual addresses."""

from . import six as v6
from .fullnat import LOCALS
from .topology import DIRECTOR, REAL_SERVERS, VIP

MODES = {"dr": "-g", "nat": "-m", "tun": "-i", "fullnat": "--fullnat", "local": "--local"}
DESTS = ("remote", "own", "loopback")
# By IP version: the virtual address that is on the director, and one that is not.
VIPS = {4: (VIP, "203.0.113.11"), 6: (v6.VIP, "2001:db8:113::11")}
# The real server that has the virtual addresses, and the one that has not.
OWNER, OTHER = "rs1", "rs2"


def server_of(mode):
    """The real server whose packets travel so."""
    return OWNER if mode in ("dr", "tun") else OTHER


def place_of(mode, dest, version):
    """The address of one of DESTS."""
    if dest == "remote":
        return (REAL_SERVERS if version == 4 else v6.REAL_SERVERS)[server_of(mode)]
    own, loopback = (DIRECTOR, "127.0.0.1") if version == 4 else (v6.DIRECTOR, "::1")
    return own if dest == "own" else loopback


def prepare(lab):
    """IPv6, the second virtual addresses, and the real servers ready for their modes."""
    v6.Six(lab)
    elsewhere = [vips[1] for vips in VIPS.values()]
    lab.router.ip(f"route add {elsewhere[0]} via {DIRECTOR}",
                  f"route add {elsewhere[1]} via {v6.DIRECTOR}")
    for vip in (*VIPS[4], *VIPS[6]):
        lab.real[OWNER].run("rvsadm", "rs", "setup", "--mode", "tun", "--vip", vip)
    lab.real[OTHER].ip(f"route replace default via {DIRECTOR}",
                       f"route replace default via {v6.DIRECTOR}")
    lab.director.ip(*(f"addr add {address}/32 dev eth0" for address in LOCALS),
                    *(f"addr add {address}/128 dev eth0 nodad" for address in v6.LOCALS))
