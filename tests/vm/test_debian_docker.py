# SPDX-License-Identifier: GPL-2.0
"""Docker in swarm mode, as Debian has it, with RVS in ip_vs's place and with ip_vs."""

import pathlib
import re

import pytest
from lab import shell
from lab.compat import load, unload
from lab.docker import Docker
from lab.netns import Host, make_wires, wait_until

PROGRAMS = pathlib.Path("/rvs/clients/usr")
if not PROGRAMS.is_dir():
    pytest.skip("scripts/test-clients has these programs", allow_module_level=True)

NODES, OUTSIDE, PORT = ("172.31.255.1", "172.31.255.3"), "172.31.255.2", 8080
NODE = NODES[0]
PAGE = "/cgi-bin/who"
SERVE = ["/bin/httpd", "-f", "-p", "80", "-h", "/www"]


@pytest.fixture(name="hosts", params=["ip_vs", "rvs"])
def _hosts(request):
    """Two hosts for dockerd, and one outside, with a switch; a swarm's module is there."""
    load(request.param)
    shell.run("modprobe", "xt_rvs" if request.param == "rvs" else "xt_ipvs")
    shell.modprobe("overlay", "vxlan", "br_netfilter")
    # Namespaces that dockerd makes have what the host has, whose dockerd sets it.
    pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")
    nodes, outside = [Host(f"node{number}") for number in range(len(NODES))], Host("outside")
    make_wires([(node, outside, "eth0", node.name) for node in nodes])
    outside.ip("link add switch type bridge", "link set switch up", f"addr add {OUTSIDE}/24 dev switch",
               *(f"link set {node.name} master switch up" for node in nodes))
    for node, address in zip(nodes, NODES):
        node.ip("link set eth0 up", f"addr add {address}/24 dev eth0")
    yield nodes, outside
    for host in (*nodes, outside):
        host.close()
    # Namespaces go by and by, and services keep modules until they have.
    wait_until(_unloaded, "the modules go", 60, 0.5)


def _unloaded():
    try:
        unload()
    except AssertionError:
        return False
    return True


def who(run, address, port=80):
    """Which container answers, and whom it sees; None where nobody does."""
    got = run("curl", "-s", "-m", "10", f"http://{address}:{port}{PAGE}", check=False).stdout.split()
    return (got[0], re.search(r"[\d.]+$", got[1].strip("[]"))[0]) if len(got) == 2 else None


def asked(run, address, port=80, number=6):
    """The containers that answer so many questions, and whom they see."""
    answers = [who(run, address, port) for _ in range(number)]
    assert None not in answers, answers
    return {name for name, _ in answers}, {peer for _, peer in answers}


def settled(run, address, port, number):
    """Waits until so many containers answer."""
    def answers():
        found = [who(run, address, port) for _ in range(2 * number)]
        return None not in found and len({name for name, _ in found}) == number

    wait_until(answers, f"{number} containers answer", 120, 0.5)


def asked_within(docker, manager, name, network, number):
    """A container of the service "asks" on a node asks another service by its virtual address."""
    inside = docker.inside(docker.running("asks")[0])

    def run(*words, **kwargs):
        return shell.run(*inside, *words, **kwargs)

    address = manager.address(name, network)
    settled(run, address, 80, number)
    found, peers = asked(run, address)
    assert len(found) == number and len(peers) == 1
    own = run("ip", "-o", "-4", "addr").stdout
    # Only in mode dsr they see who asks.
    assert (f" {peers.pop()}/" in own) == (network == "direct")
    return found


@pytest.mark.seconds(1500)
def test_docker_swarm(hosts):
    """A published port from outside and from the node, virtual addresses from a container of a plain
    network and of one in mode dsr; tasks come and go."""
    (node, _), outside = hosts
    docker = Docker(node)
    try:
        docker.begin(NODE)
        docker.network("plain")
        docker.network("direct", dsr="")
        docker.service("web", ["plain"], 3, SERVE, [(PORT, 80)])
        docker.service("returns", ["direct"], 2, SERVE)
        docker.service("asks", ["plain", "direct"], 1, ["/bin/sleep", "100000"])
        for name, number in (("web", 3), ("returns", 2), ("asks", 1)):
            docker.wait_for(name, number)
        settled(outside.run, NODE, PORT, 3)
        # Each in turn, as that of the node in the network "ingress".
        containers, peers = asked(outside.run, NODE, PORT)
        assert len(containers) == 3 and len(peers) == 1 and peers.pop().startswith("10.0.0.")
        for address in (NODE, "127.0.0.1"):
            assert asked(node.run, address, PORT)[0] == containers
        for name, network, number in (("web", "plain", 3), ("returns", "direct", 2)):
            asked_within(docker, docker, name, network, number)
        docker.scale("web", 1)
        docker.wait_for("web", 1)
        settled(outside.run, NODE, PORT, 1)
        for name in ("web", "returns", "asks"):
            docker.ask("DELETE", f"/services/{name}")
        wait_until(lambda: not docker.ask("GET", "/containers/json"), "all have gone", 120, 1)
        assert who(outside.run, NODE, PORT) is None
    except AssertionError:
        print(docker.said())
        raise
    finally:
        docker.end()


@pytest.mark.seconds(1800)
def test_docker_swarm_of_two_nodes(hosts):
    """Tasks on both nodes of a swarm: each node's published port, and virtual addresses from a container of each,
    lead to all of them."""
    nodes, outside = hosts
    dockers = []
    try:
        dockers.extend(Docker(node) for node in nodes)
        first, second = dockers
        first.begin(NODES[0])
        second.join(NODES[1], first)
        first.network("plain")
        first.network("direct", dsr="")
        first.service("web", ["plain"], 4, SERVE, [(PORT, 80)])
        first.service("returns", ["direct"], 4, SERVE)
        first.service("asks", ["plain", "direct"], 2, ["/bin/sleep", "100000"])
        # As a swarm spreads them.
        for name, number in (("web", 2), ("returns", 2), ("asks", 1)):
            for docker in dockers:
                docker.wait_for(name, number)
        for address in NODES:
            settled(outside.run, address, PORT, 4)
        found = [asked(outside.run, address, PORT)[0] for address in NODES]
        assert found[0] == found[1] and len(found[0]) == 4
        for docker in dockers:
            assert asked_within(docker, first, "web", "plain", 4) == found[0]
            asked_within(docker, first, "returns", "direct", 4)
        # A node that goes takes its tasks along, and the other has them all.
        dockers.remove(second)
        second.end()
        first.wait_for("web", 4)
        settled(outside.run, NODES[0], PORT, 4)
    except AssertionError:
        for docker in dockers:
            print(docker.said())
        raise
    finally:
        for docker in reversed(dockers):
            docker.end()
