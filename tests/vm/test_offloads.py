# SPDX-License-Identifier: GPL-2.0
"""What devices put together and leave to be cut: streams and datagrams come as they were sent, and
without a segment that is sent twice."""

import socket

import pytest
from lab import shell
from lab import transfer as streams
from lab.capture import Capture
from lab.director import Service
from lab.fullnat import LOCALS
from lab.six import LOCALS as LOCALS6
from lab.six import VIP as VIP6
from lab.topology import VIP
from lab.transfer import both_ways, family

PORT = 5000
SIZE = 400_000
# Room for less than what a queue of the lab takes: what is lost there would hide the rest.
WINDOW = "4096 131072 131072"
# Segments that a busy lab loses, of some 300; with wrong numbers in all but the first of a packet it
# is every other one.
FEW = 50
UDP_SEGMENT = 103
# One size, and a shorter one at the end: what senders and GRO put together.
DATAGRAMS = [bytes([65 + number]) * 1200 for number in range(20)] + [b"last"]

# What `ethtool -K` is told at the director and the ends. A sender that cuts itself sends what GRO
# may put together, so that it is the director that cuts.
CUT = "tso off gso off tx-udp-segmentation off"
OFFLOADS = {
    "gro cut again": ("gro on tso off gso off tx-udp-segmentation off", CUT),
    "list": ("gro on rx-gro-list on", CUT),
    "list cut again": ("gro on rx-gro-list on tx-gso-list off", CUT),
    "list at the ends": ("gro off", f"{CUT} gro on rx-gro-list on"),
    "udp cut again": ("gro on rx-udp-gro-forwarding on tx-udp-segmentation off", CUT),
    "no sums": ("gro on tx off", f"{CUT} tx off"),
    "no sg": ("gro on sg off", "sg off"),
    "no tso": ("tso off", "tso off"),
    "nothing": ("gro off tso off gso off sg off tx off", "gro off tso off gso off sg off tx off"),
}
ALL = ("gro off rx-gro-list off rx-udp-gro-forwarding off tx on sg on gso on tso on"
       " tx-gso-list on tx-udp-segmentation on")
MODES = ["dr", "nat", "tun", "fullnat"]
CASES = [(4, mode) for mode in MODES] + [(6, mode) for mode in MODES] + [(64, "fullnat")]


def retransmitted(host):
    """Segments that a host has sent twice."""
    return int(host.run("nstat", "-asz", "TcpRetransSegs").stdout.split()[-2])


def switch(host, features):
    host.run("ethtool", "-K", "eth0", *features.split())


def prepare(six, rvs, version, mode):
    """Real servers and director for a mode, and the virtual address and the dest."""
    lab = six.lab
    if mode == "tun":
        # The client knows from the start what fits.
        six.client.ip("link set eth0 mtu 1400")
        for host in six.real.values():
            host.run("rvsadm", "rs", "setup", "--mode", "tun", "--vip",
                     VIP if version == 4 else VIP6, "--over", f"ipv{version}")
    elif mode == "fullnat":
        if version != 6:
            lab.director.ip(*(f"addr add {address}/32 dev eth0" for address in LOCALS))
            rvs.adm("laddr", "add", "--default", *LOCALS)
        if version == 6:
            six.prepare_fullnat(rvs)
        shell.modprobe("toa")
        for address in [*LOCALS, *LOCALS6]:
            six.real["rs1"].run("rvsadm", "toa", "trust", "add", address)
        six.real["rs1"].run("rvsadm", "toa", "udp", "on")
    else:
        getattr(lab if version == 4 else six, f"prepare_{mode}")()
    dest = (lab if version != 6 else six).addresses["rs1"]
    return VIP if version == 4 else VIP6, dest


def exchange(six, vip, address, toa):
    """Many datagrams at once to the server, which is at an address, and back."""
    with six.real["rs1"].inside():
        server = socket.socket(family(address), socket.SOCK_DGRAM)
    with six.client.inside():
        client = socket.socket(family(vip), socket.SOCK_DGRAM)
    with server, client:
        for s in (server, client):
            s.settimeout(20)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            s.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, len(DATAGRAMS[0]))
        server.bind((address, PORT))
        client.connect((vip, PORT))
        for turn in range(2):
            client.send(b"".join(DATAGRAMS))
            came = [server.recvfrom(9999) for _ in DATAGRAMS]
            assert [data for data, _ in came] == DATAGRAMS, turn
            peers = {peer[:2] for _, peer in came}
            assert len(peers) == 1
            if toa:
                ((address, port),) = peers
                own = client.getsockname()
                assert (address.removeprefix("::ffff:"), port) == own[:2]
            server.sendto(b"".join(DATAGRAMS), came[-1][1])
            assert [client.recv(9999) for _ in DATAGRAMS] == DATAGRAMS, turn


@pytest.fixture(name="service", params=CASES, ids=lambda case: f"{case[1]}-{case[0]}")
def _service(request, six, rvs):
    """Services of a mode: the virtual address, what the server listens at, whether UDP tells."""
    version, mode = request.param
    vip, dest = prepare(six, rvs, version, mode)
    tells = mode == "fullnat" and version != 64
    for protocol in ("tcp", "udp"):
        service = Service([(dest, 1)], mode=mode, vip=vip, port=PORT, protocol=protocol)
        rvs.add(service)
        if tells and protocol == "udp":
            rvs.adm("service", "set", service.id, "--toa", "on")
    anywhere = "::" if version == 6 else "0.0.0.0"
    yield vip, vip if mode in ("dr", "tun") else anywhere, tells
    if mode == "tun":
        for host in six.real.values():
            host.run("rvsadm", "rs", "undo")


def gather(host):
    """Has GRO of a host wait for more segments, where it is fast enough to take them one by one."""
    path = "/sys/class/net/eth0/gro_flush_timeout"
    host.run("unshare", "-m", "sh", "-c", f"mount -t sysfs none /sys && echo 200000 >{path}")


def tune(six, window):
    """Gives both ends so much room, and patience: on a slow machine no timer is to run out."""
    for host in (six.client, six.real["rs1"]):
        host.sysctl(ipv4__tcp_rmem=window, ipv4__tcp_early_retrans=0, ipv4__tcp_rto_min_us=5_000_000)


def transfer(six, vip, address, size=SIZE):
    """A stream each way, and how many segments were sent twice."""
    ends = (six.client, six.real["rs1"])
    before = [retransmitted(host) for host in ends]
    both_ways(*ends, vip, PORT, size, server_address=address)
    return max(retransmitted(host) - was for host, was in zip(ends, before))


def test_offloads(six, service, monkeypatch):
    """Each of them, and packets of more than 64 KiB at the end."""
    vip, address, tells = service
    tune(six, WINDOW)
    gather(six.director)
    for name, (at_director, at_ends) in OFFLOADS.items():
        for host in (six.director, six.client, six.real["rs1"]):
            switch(host, ALL)
            switch(host, at_director if host is six.director else at_ends)
        try:
            assert transfer(six, vip, address) < FEW
            exchange(six, vip, address, tells)
        except (AssertionError, OSError) as error:
            raise AssertionError(name) from error
    for host in (six.director, six.client, six.real["rs1"]):
        switch(host, ALL)
    sizes = " ".join(f"{kind}_max_size 200000" for kind in
                     ("gso", "gso_ipv4", "gro", "gro_ipv4"))
    lan = [f"to-{name}" for name in ("director", *six.real)]
    for host, devices in ((six.client, ["eth0"]), (six.director, ["eth0"]),
                          (six.real["rs1"], ["eth0"]), (six.router, ["wan", "lan", *lan])):
        host.ip(*(f"link set {device} {sizes}" for device in devices))
    tune(six, "4096 4000000 6000000")
    monkeypatch.setattr(streams, "CHUNK", streams.CHUNK * 32)
    with Capture(six.director, "eth0", "greater 66000") as capture:
        assert transfer(six, vip, address, 8 * SIZE) < 8 * FEW
    assert capture.lines, "no packet was large"
