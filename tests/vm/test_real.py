# SPDX-License-Identifier: GPL-2.0
"""Real programs through the director (DR): bulk data, path MTU, local clients, firewalls."""

import hashlib
import socket
import threading

import pytest
from lab.director import Service
from lab.raw import _director_rvs, _rvs, counted  # noqa: F401
from lab.topology import CLIENT, DIRECTOR, VIP, Lab
from lab.web import get

ELSEWHERE = "203.0.113.20"


@pytest.fixture(name="lab", scope="module")
def _lab():
    made = Lab()
    made.prepare_dr()
    for host in made.real.values():
        host.ip(f"addr add {ELSEWHERE}/32 dev lo")
    made.router.ip(f"route add {ELSEWHERE}/32 via {DIRECTOR}")
    yield made
    made.close()


def web(lab, **kwargs):
    return Service([(a, 1) for a in lab.addresses.values()], **kwargs)


class Sink:
    """On every real server: takes one upload and answers its SHA-256."""

    def __init__(self, lab, port):
        self.sockets = []
        for host in lab.real.values():
            with host.inside():
                listening = socket.create_server(("", port))
            self.sockets.append(listening)
            threading.Thread(target=self._serve, args=(listening,), daemon=True).start()

    @staticmethod
    def _serve(listening):
        try:
            while True:
                connection = listening.accept()[0]
                with connection:
                    connection.settimeout(60)
                    seen = hashlib.sha256()
                    while chunk := connection.recv(1 << 18):
                        seen.update(chunk)
                    connection.sendall(seen.hexdigest().encode())
        except OSError:
            pass

    def close(self):
        for listening in self.sockets:
            listening.shutdown(socket.SHUT_RDWR)
            listening.close()


def upload(lab, data, port):
    """Uploads DATA to the virtual address; what the real server answers."""
    with lab.client.inside():
        s = socket.socket()
    with s:
        s.settimeout(60)
        s.connect((VIP, port))
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        return s.recv(1000).decode()


@pytest.fixture(name="sink", scope="module")
def _sink(lab):
    made = Sink(lab, 9000)
    yield made
    made.close()


def noise(size):
    return hashlib.shake_128(b"rvs").digest(1 << 16) * (size >> 16)


def test_curl_gets_answers_from_all_real_servers(lab, rvs):
    rvs.add(web(lab))
    seen = [lab.client.run("curl", "-sf", "--max-time", "10", f"http://{VIP}/").stdout.strip()
            for _ in range(3)]
    assert sorted(seen) == ["rs1", "rs2", "rs3"]
    log = [entry for server in lab.web.values() for entry in server.log()]
    # The real servers see the client itself.
    assert {entry[0] for entry in log[-3:]} == {CLIENT}


def test_a_bulk_upload_arrives_whole_in_gso_packets(lab, rvs, sink):
    del sink
    rvs.add(web(lab, port=9000))
    data = noise(20 << 20)
    assert upload(lab, data, 9000) == hashlib.sha256(data).hexdigest()
    traffic = rvs.traffic()
    assert traffic["in_bytes"] > len(data)
    # Packets of several segments went through whole.
    assert traffic["in_packets"] < len(data) / 1448 / 2


def test_a_bulk_upload_over_a_smaller_mtu_adapts(lab, rvs, sink):
    del sink
    rvs.add(web(lab, port=9000))
    for address in lab.addresses.values():
        lab.director.ip(f"route add {address}/32 dev eth0 mtu 1000")
    before = rvs.counters()
    data = noise(1 << 20)
    try:
        assert upload(lab, data, 9000) == hashlib.sha256(data).hexdigest()
    finally:
        for address in lab.addresses.values():
            lab.director.ip(f"route del {address}/32 dev eth0")
        lab.client.ip("route flush cache")
    assert rvs.counters()["drop_too_big"] > before["drop_too_big"]


def test_iperf3_runs_through(lab, rvs):
    rvs.add(Service([(lab.addresses["rs1"], 1)], port=5201))
    server = lab.real["rs1"].start("iperf3", "-s", "-1", stdout=-3)
    for _ in range(50):
        done = lab.client.run("iperf3", "-c", VIP, "-n", "4M", "--connect-timeout", "3000",
                              check=False)
        if done.returncode == 0:
            break
    server.wait(timeout=20)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_local_client_gets_through_to_a_vip_that_is_elsewhere(lab, rvs):
    rvs.add(web(lab, vip=ELSEWHERE))
    assert sorted(get(lab.director, ELSEWHERE) for _ in range(3)) == ["rs1", "rs2", "rs3"]
    assert rvs.traffic()["connections"] == 3


def test_a_local_client_gets_through_to_a_vip_of_this_host(lab, rvs):
    """The answers come from an address of this host, which wants accept_local (and a source)."""
    rvs.add(web(lab))
    lab.director.sysctl(ipv4__conf__all__accept_local=1, ipv4__conf__eth0__rp_filter=0)
    seen = [
        lab.director.run("curl", "-sf", "--max-time", "10", "--interface", DIRECTOR,
                         f"http://{VIP}/").stdout.strip()
        for _ in range(3)
    ]
    lab.director.sysctl(ipv4__conf__all__accept_local=0)
    assert sorted(seen) == ["rs1", "rs2", "rs3"]


def test_a_local_bulk_upload_arrives_whole(lab, rvs, sink):
    del sink
    rvs.add(web(lab, port=9000, vip=ELSEWHERE))
    data = noise(4 << 20)
    with lab.director.inside():
        s = socket.socket()
    with s:
        s.settimeout(60)
        s.connect((ELSEWHERE, 9000))
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        assert s.recv(1000).decode() == hashlib.sha256(data).hexdigest()


RULES = """
table inet rvstest {
  chain pre { type filter hook prerouting priority 0; ct state invalid counter drop; }
  chain local { type filter hook input priority 0; policy drop; ct state established accept;
    icmp type echo-request accept; }
  chain way { type filter hook forward priority 0; policy drop; }
  chain post { type nat hook postrouting priority 100; masquerade; }
}
"""


def test_a_strict_firewall_on_the_director_does_not_hinder(lab, rvs):
    rvs.add(web(lab))
    lab.director.run("nft", "-f", "-", stdin=RULES)
    try:
        assert sorted(get(lab.client, VIP) for _ in range(3)) == ["rs1", "rs2", "rs3"]
    finally:
        lab.director.run("nft", "delete", "table", "inet", "rvstest")


def test_a_udp_answer_larger_than_the_mtu_gets_through(lab, rvs):
    """A question and an answer of several fragments each, by real sockets."""
    rvs.add(web(lab, protocol="udp", port=9001))
    sockets = []
    for name, host in lab.real.items():
        with host.inside():
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        # A DR real server answers from the virtual address.
        s.bind((VIP, 9001))
        s.settimeout(10)
        sockets.append((name, s))

    def answer(name, s):
        try:
            data, client = s.recvfrom(65536)
            s.sendto(name.encode() + data, client)
        except OSError:
            pass
    for pair in sockets:
        threading.Thread(target=answer, args=pair, daemon=True).start()
    with lab.client.inside():
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with client:
        client.settimeout(10)
        client.sendto(b"q" * 4000, (VIP, 9001))
        data = client.recv(65536)
    for _, s in sockets:
        s.close()
    assert data[:3].decode() in lab.real and data[3:] == b"q" * 4000


def test_ping_to_the_vip_is_answered(lab, rvs):
    rvs.add(web(lab))
    lab.client.run("ping", "-c", "2", "-i", "0.2", "-W", "5", VIP)
    counted(rvs, rvs.counters())
