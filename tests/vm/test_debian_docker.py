# SPDX-License-Identifier: GPL-2.0
"""Docker in swarm mode, as Debian has it, with RVS in ip_vs's place and with ip_vs."""

import pathlib
import re

import pytest
from lab import shell
from lab.compat import load, unload
from lab.docker import Docker
from lab.netns import Host, wait_until, wire

PROGRAMS = pathlib.Path("/rvs/clients/usr")
if not PROGRAMS.is_dir():
    pytest.skip("scripts/test-clients has these programs", allow_module_level=True)

NODE, OUTSIDE, PORT = "172.31.255.1", "172.31.255.2", 8080
PAGE = "/cgi-bin/who"


@pytest.fixture(name="node", params=["ip_vs", "rvs"])
def _node(request):
    """A host for dockerd, and one outside; a swarm's module is there."""
    load(request.param)
    shell.run("modprobe", "xt_rvs" if request.param == "rvs" else "xt_ipvs")
    shell.modprobe("overlay", "vxlan", "br_netfilter")
    # Namespaces that dockerd makes have what the host has, whose dockerd sets it.
    pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")
    node, outside = Host("node"), Host("outside")
    wire(node, outside, "eth0", "eth0")
    node.ip(f"addr add {NODE}/24 dev eth0")
    outside.ip(f"addr add {OUTSIDE}/24 dev eth0")
    yield node, outside
    for host in (node, outside):
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


@pytest.mark.seconds(1500)
def test_docker_swarm(node):
    """A published port from outside and from the node, virtual addresses from a container of a plain
    network and of one in mode dsr; tasks come and go."""
    node, outside = node
    docker = Docker(node)
    try:
        docker.begin(NODE)
        docker.network("plain")
        docker.network("direct", dsr="")
        serve = ["/bin/httpd", "-f", "-p", "80", "-h", "/www"]
        docker.service("web", ["plain"], 3, serve, [(PORT, 80)])
        docker.service("returns", ["direct"], 2, serve)
        docker.service("asks", ["plain", "direct"], 1, ["/bin/sleep", "100000"])
        for name, number in (("web", 3), ("returns", 2), ("asks", 1)):
            docker.wait_for(name, number)
        settled(outside.run, NODE, PORT, 3)
        # Each in turn, as that of the node in the network "ingress".
        containers, peers = asked(outside.run, NODE, PORT)
        assert len(containers) == 3 and len(peers) == 1 and peers.pop().startswith("10.0.0.")
        for address in (NODE, "127.0.0.1"):
            assert asked(node.run, address, PORT)[0] == containers
        inside = docker.inside(docker.running("asks")[0])

        def run(*words, **kwargs):
            return shell.run(*inside, *words, **kwargs)

        for name, network, number in (("web", "plain", 3), ("returns", "direct", 2)):
            address = docker.address(name, network)
            settled(run, address, 80, number)
            found, peers = asked(run, address)
            assert len(found) == number and len(peers) == 1
            own = run("ip", "-o", "-4", "addr").stdout
            # Only in mode dsr they see who asks.
            assert (f" {peers.pop()}/" in own) == (network == "direct")
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
