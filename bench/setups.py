# SPDX-License-Identifier: GPL-2.0
"""What the director can be: RVS and its peers. Each function sets up the director of a path."""

from lab import shell
from lab.director import Ipvs, Rvs

from path import PORT, SINK, VIP

# The director, on the side of the sink.
DIRECTOR_OUT = "10.2.0.1"
LOCAL_PORT = 20_000
# Enough for a million flows to one dest: each address has 60,536 ports.
LOCAL_ADDRESSES = [f"10.2.0.{number}" for number in range(100, 132)]

FLAGS = {"dr": "-g", "tun": "-i", "nat": "-m", "fullnat": "--fullnat"}


def floor(path):
    """Received and sent again, nothing in between."""
    path.director.ip(
        "link add floor link out0 type rvs_bench", "link set floor up",
        "link set in0 master floor",
    )


def tc_redirect(path):
    """The shortest way that tc knows."""
    path.director.run("tc qdisc add dev in0 clsact")
    path.director.run(
        "tc filter add dev in0 ingress matchall action mirred egress redirect dev out0"
    )


def ip_forward(_path):
    """Plain routing."""


def nft(text):
    """nftables with these rules."""

    def setup(path):
        path.director.run("nft", "-f", "-", stdin=text)

    return setup


DNAT = f"""table ip translate {{
    chain pre {{
        type nat hook prerouting priority dstnat;
        ip daddr {VIP} udp dport {PORT} dnat to {SINK}:{PORT};
    }}
}}
"""
FLOWTABLE = """table ip fast {
    flowtable f { hook ingress priority 0; devices = { in0, out0 }; }
    chain forward { type filter hook forward priority 0; meta l4proto udp flow add @f; }
}
"""
# A rule that makes the kernel track the connections of all packets.
CONNTRACK = """table ip track {
    chain forward { type filter hook forward priority 0; ct state established accept; }
}
"""


# What kube-proxy has for packets to real servers.
MASQUERADE = f"""table ip source {{
    chain post {{ type nat hook postrouting priority srcnat; ip daddr {SINK} masquerade; }}
}}
"""


class IpvsDirector:
    """ip_vs as a fair peer: its stock table has only 4,096 buckets."""

    def __init__(self, host):
        shell.run("modprobe ip_vs conn_tab_bits=20")
        self.host = host
        Ipvs(host)

    def restore(self, lines):
        """Adds services and dests, lines as ipvsadm(8) has them."""
        for name in {line.split()[line.split().index("-s") + 1] for line in lines
                     if line.startswith("-A")}:
            shell.modprobe(f"ip_vs_{name}")
        self.host.run("ipvsadm", "-R", stdin="\n".join(lines) + "\n")

    def udp_timeout(self, seconds):
        """How long a silent flow is remembered."""
        self.host.run("ipvsadm", "--set", 0, 0, seconds)

    def conntrack(self, how):
        """Has the host track what is balanced: on."""
        assert how == "on"
        self.host.sysctl(ipv4__vs__conntrack=1)


class RvsDirector:
    """RVS."""

    def __init__(self, host):
        self.adm = Rvs(host).adm

    def restore(self, lines):
        """As IpvsDirector's."""
        self.adm("restore", "-", stdin="\n".join(lines) + "\n")

    def udp_timeout(self, seconds):
        """As IpvsDirector's."""
        self.adm("config", "set", "--udp-timeout", seconds)

    def conntrack(self, how):
        """As IpvsDirector's, or fast."""
        self.adm("config", "set", "--conntrack", how)


DIRECTORS = {"ip_vs": IpvsDirector, "rvs": RvsDirector}


def service(dests, mode="dr", scheduler="rr", protocol="udp", vip=VIP):
    """Lines that make a service."""
    which = f"-{protocol[0]} {_bracketed(vip)}:{PORT}"
    yield f"-A {which} -s {scheduler}"
    for address in dests:
        yield f"-a {which} -r {_bracketed(address)}:{PORT} {FLAGS[mode]} -w 1"


def _bracketed(address):
    return f"[{address}]" if ":" in address else address


def balanced(who, mode="dr", scheduler="rr", protocol="udp", local=(), conntrack=None):
    """A service whose only dest is the sink. LOCAL are addresses of FullNAT besides the director's
    own. CONNTRACK is how the host tracks what is balanced, if it does: on, or fast."""

    def setup(path):
        director = DIRECTORS[who](path.director)
        if conntrack:
            director.conntrack(conntrack)
        path.director.ip(*(f"addr add {address}/24 dev out0" for address in local))
        addresses = [path.director_out, *local] if mode == "fullnat" else []
        lines = service([path.sink_address], mode, scheduler, protocol, path.vip)
        director.restore([*(f"#rvsadm laddr {address}" for address in addresses), *lines])
        return director

    return setup


def fullnat_on_one_port(path):
    """A FullNAT director with one port, so that it is known where replies go."""
    balanced("rvs", "fullnat")(path).adm("config", "set", "--local-ports", f"{LOCAL_PORT}-{LOCAL_PORT}")


def among(who, scheduler, count):
    """A service of COUNT dests, all of them the sink."""

    def setup(path):
        addresses = [f"10.2.{4 + i // 250}.{1 + i % 250}" for i in range(count)]
        mac = path.sink.mac("eth0")
        path.director.ip(
            "route add 10.2.0.0/16 dev out0",
            *(f"neigh replace {a} lladdr {mac} dev out0 nud permanent" for a in addresses),
        )
        DIRECTORS[who](path.director).restore(list(service(addresses, "dr", scheduler)))

    return setup


def other_service(who):
    """A service that the packets are not for."""

    def setup(path):
        other = "203.0.113.99" if path.version == 4 else "2001:db8:10::99"
        DIRECTORS[who](path.director).restore(list(service([path.sink_address], vip=other)))

    return setup


def both(*setups):
    """One after the other."""

    def setup(path):
        for one in setups:
            one(path)

    return setup
