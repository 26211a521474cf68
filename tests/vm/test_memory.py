# SPDX-License-Identifier: GPL-2.0
"""Who pays for the memory of a namespace that a user made, and how many connections it may have."""

import contextlib
import json
import os
import shutil
import socket
import subprocess

import pytest
from lab import shell
from lab.lone import VIP, LoneDirector
from lab.netns import Host, wait_until
from lab.packets import udp

ROOT = "/sys/fs/cgroup"
BOX = f"{ROOT}/rvs-user"
ID = f"udp/{VIP}:53"
# Where the user may run it.
ADM = "/tmp/rvsadm-of-user"

SET_UP = f"""
ip link set lo up && ip link add d0 type dummy && ip link set d0 up
ip addr add 10.0.0.1/8 dev d0 && ip route add default dev d0
{ADM} config set --udp-timeout 86400
{ADM} service add {ID} -s rr && {ADM} dest add {ID} 10.1.1.1:53 --mode dr --weight 1
echo ready
while read -r line; do eval "$line"; echo ready; done
"""


class User:
    """A user's namespace in a memory cgroup of its own, who runs commands in it."""

    def __init__(self):
        shell.modprobe("rvs")
        # Who makes a namespace pays, not who loads the module.
        shell.modprobe("toa")
        if not os.path.exists(f"{ROOT}/cgroup.controllers"):
            shell.run("mount", "-t", "cgroup2", "none", ROOT)
        write(f"{ROOT}/cgroup.subtree_control", "+memory")
        shutil.copy(shutil.which("rvsadm"), ADM)
        os.chmod(ADM, 0o755)
        os.makedirs(BOX, exist_ok=True)
        enter = (f"echo $$ > {BOX}/cgroup.procs && exec setpriv --reuid 65534 --regid 65534 "
                 "--clear-groups unshare -U -r -n sh -c \"$0\"")
        self._shell = subprocess.Popen(["sh", "-c", enter, SET_UP], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True)
        self._ready()
        shell.run("ip", "netns", "attach", "user", str(self._shell.pid))
        self.host = Host("user", made=True)

    def _ready(self):
        assert "ready\n" in iter(self._shell.stdout.readline, ""), "the user's shell has ended"

    def run(self, line):
        """Runs a command as the user."""
        self._shell.stdin.write(line + "\n")
        self._shell.stdin.flush()
        self._ready()

    def counters(self):
        """What happened there."""
        return json.loads(self.host.run("rvsadm", "stats", "show", "-j").stdout)["counters"]

    def send(self, ports):
        """Datagrams by somebody else."""
        send(self.host, ports)

    def tell(self, ports):
        """Datagrams of a director that the user trusts, each with the client of a flow of its own."""
        with self.host.inside():
            s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        with s:
            for port in ports:
                option = bytes([31, 8]) + port.to_bytes(2, "big") + bytes([198, 18, 0, 1])
                s.sendto(udp(("10.9.9.9", port), ("10.0.0.1", 53), options=option), ("10.0.0.1", 0))

    def now(self, kind):
        """Connections or flows that there are."""
        if kind == "connections":
            return self.counters()["conns_now"]
        return json.loads(self.host.run("rvsadm", "--json", "toa", "stats").stdout)["counters"]["flows_now"]

    def close(self):
        """Nothing of the user is left."""
        self._shell.stdin.close()
        self._shell.wait(timeout=20)
        self.host.close()
        os.unlink(ADM)
        wait_until(self._is_gone, "the user's cgroup is empty")

    def _is_gone(self):
        with contextlib.suppress(OSError):
            os.rmdir(BOX)
        return not os.path.exists(BOX)


def write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(str(text))


def memory():
    """Bytes that the user's cgroup has."""
    with open(f"{BOX}/memory.current", encoding="ascii") as f:
        return int(f.read())


def events():
    """How often the user's cgroup met a limit, and what came of it."""
    with open(f"{BOX}/memory.events", encoding="ascii") as f:
        return {name: int(count) for name, count in map(str.split, f)}


def send(host, ports):
    """A datagram of a flow of its own from each port, without a sum."""
    with host.inside():
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    packet = bytearray(udp(("10.0.0.1", 1), (VIP, 53)))
    packet[26:28] = bytes(2)
    with s:
        for port in ports:
            packet[20:22] = port.to_bytes(2, "big")
            # Who is refused is told.
            with contextlib.suppress(PermissionError):
                s.sendto(packet, (VIP, 0))


def charged(name="slab_unreclaimable"):
    """Bytes that the user's cgroup is charged for, as far as the kernel has added them up: every two
    seconds, or when a CPU has 256 KB of its own."""
    with open(f"{BOX}/memory.stat", encoding="ascii") as f:
        return int(dict(line.split() for line in f)[name])


def charged_at_rest():
    """The same once all is added up."""
    seen = [charged()]

    def rests():
        seen.append(charged())
        return len(seen) > 5 and len(set(seen[-5:])) == 1

    wait_until(rests, "the cgroup's sums rest", step=1)
    return seen[-1]


@pytest.fixture(name="user")
def _user():
    made = User()
    yield made
    made.close()


def test_a_user_pays_for_connections_and_dests_and_has_a_limit(user):
    before = charged_at_rest()
    user.send(range(1024, 1024 + 15_000))
    assert user.counters()["conns_now"] == 15_000
    # The smallest connection has 64 bytes.
    wait_until(lambda: charged() - before > 15_000 * 60, "connections are paid for", step=0.3)
    user.host.run("rvsadm", "conn", "flush")
    wait_until(lambda: charged() - before < 15_000 * 20, "what has ended is not paid for", step=0.3)
    # Dests too.
    before = charged_at_rest()
    lines = "".join(f"-a -u {VIP}:53 -r 10.2.{n // 250}.{n % 250 + 1}:53 -g -w 1\\n" for n in range(500))
    user.run(f"printf '#rvsadm\\n-A -u {VIP}:53 -s rr\\n{lines}' | {ADM} restore -")
    wait_until(lambda: charged() - before > 500 * 256, "dests are paid for", step=0.3)
    # Whoever sends, the limit holds.
    write(f"{BOX}/memory.max", memory() + (1 << 20))
    user.send(range(1024, 1024 + 40_000))
    counters = user.counters()
    assert counters["drop_no_memory"] > 0
    assert counters["conns_now"] + counters["drop_no_memory"] == 40_000


@pytest.mark.parametrize("kind", ("connections", "flows"))
def test_nobody_is_killed_for_what_others_send(user, kind):
    send_from = user.send
    if kind == "flows":
        user.run(f"{ADM} toa trust add 10.9.9.9 && {ADM} toa udp on")
        send_from = user.tell
    # The next array of buckets is larger than what CPUs have of charged pages to give.
    port = 1024 + 32_000
    send_from(range(1024, port))
    assert user.now(kind) == 32_000
    # Little by little, so that the array is what is too much.
    write(f"{BOX}/memory.max", memory())
    while user.now(kind) < 33_000:
        assert port < 60_000
        write(f"{BOX}/memory.max", memory() + (32 << 10))
        send_from(range(port, port + 500))
        port += 500
    # The worker, too, has met the limit.
    before = events()
    wait_until(lambda: events()["max"] > before["max"], "a larger array is asked for", step=0.3)
    assert events()["oom_kill"] == 0
    assert user.now(kind) >= 33_000


def test_a_user_pays_for_clients_that_are_told_of(user):
    user.run(f"{ADM} toa trust add 10.9.9.9 && {ADM} toa udp on")
    before = charged_at_rest()
    user.tell(range(1000, 7000))
    assert user.now("flows") == 6000
    # Key, client, time, links.
    wait_until(lambda: charged() - before > 6000 * 60, "flows are paid for", step=0.3)


@pytest.fixture(name="limited")
def _limited():
    shell.modprobe("rvs")
    old = LoneDirector("older")
    shell.run("rvsadm", "config", "set", "--conn-max-others", 5)
    new = LoneDirector("newer")
    yield old, new
    shell.run("rvsadm", "config", "set", "--conn-max-others", 0)
    old.close()
    new.close()


def test_the_host_limits_connections_of_other_namespaces(limited):
    old, new = limited
    assert [host.json("config", "show")["conn_max"] for host in limited] == [0, 5]
    for value, text in ((6, "1 to 5"), (0, "1 to 5")):
        refused = new.adm("config", "set", "--conn-max", value, check=False)
        assert refused.returncode != 0 and text in refused.stderr and "conn-max-others" in refused.stderr
    refused = new.adm("config", "set", "--conn-max-others", 9, check=False)
    assert refused.returncode != 0 and "conn-max-others is the host's" in refused.stderr
    new.adm("config", "set", "--conn-max", 3)
    shown = json.loads(shell.run("rvsadm", "config", "show", "-j").stdout)
    assert shown["conn_max_others"] == 5
    saved = shell.run("rvsadm", "save", "--settings").stdout
    assert "--conn-max-others 5" in saved
    assert "--conn-max-others" not in new.adm("save", "--settings").stdout
    # Also where it came later.
    for host, limit in ((old, 5), (new, 3)):
        host.ip("route add default dev d0")
        host.adm("service", "add", ID, "-s", "rr")
        host.adm("dest", "add", ID, "10.1.1.1:53", "--mode", "dr", "--weight", 1)
        send(host, range(2000, 2010))
        counters = host.json("stats", "show")["counters"]
        assert (counters["conns_now"], counters["drop_conn_max"]) == (limit, 10 - limit)
