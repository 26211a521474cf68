# SPDX-License-Identifier: GPL-2.0
"""A network namespace that plays one host."""

import contextlib
import os
import subprocess
import time

from . import shell


class Host:
    """One namespace. `run` runs a program there; `inside` moves this thread there for a while."""

    def __init__(self, name, made=False):
        self.name = name
        self.path = f"/run/netns/{name}"
        self._children = []
        if not made:
            shell.run("ip", "netns", "add", name)
        # Nobody has an address twice, and a link that still looks for that is mute for up to a second.
        self.sysctl(ipv6__conf__default__accept_dad=0)
        if not made:
            self.ip("link set lo up")

    def run(self, *args, **kwargs):
        """Runs a program here to its end; see shell.run."""
        with self.inside():
            return shell.run(*args, **kwargs)

    def start(self, *args, **kwargs):
        """Starts a program here that ends with the host."""
        argv = args[0].split() if len(args) == 1 else [str(a) for a in args]
        with self.inside():
            child = subprocess.Popen(argv, **kwargs)
        self._children.append(child)
        return child

    def ip(self, *lines):
        """Runs `ip` commands here, all in one process."""
        shell.run("ip", "-n", self.name, "-batch", "-", stdin="\n".join(lines) + "\n")

    def sysctl(self, **values):
        """Sets sysctls here; `__` stands for the dot: ipv4__ip_forward=1."""
        with self.inside():
            for key, value in values.items():
                path = "/proc/sys/net/" + key.replace("__", "/")
                with open(path, "w", encoding="ascii") as f:
                    f.write(str(value))

    @contextlib.contextmanager
    def inside(self):
        """Moves this thread into the namespace: sockets and programs opened there stay there."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(self.path, os.O_RDONLY)
        try:
            os.setns(there, os.CLONE_NEWNET)
            yield self
        finally:
            os.setns(home, os.CLONE_NEWNET)
            os.close(there)
            os.close(home)

    def mac(self, device):
        """The Ethernet address of a device here."""
        with self.inside():
            # /sys shows the namespace it was mounted in, so ask netlink.
            out = shell.run("ip", "-br", "link", "show", "dev", device).stdout
        return out.split()[2]

    def stop(self, child):
        """Ends a program started here."""
        child.terminate()
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(timeout=10)
        self._children.remove(child)

    def stop_all(self):
        """Ends every program started here."""
        for child in self._children:
            child.terminate()
        for child in list(self._children):
            self.stop(child)

    def close(self):
        """Ends the programs and removes the namespace."""
        self.stop_all()
        shell.run("ip", "netns", "del", self.name)


def _batch(lines):
    shell.run("ip", "-batch", "-", stdin="\n".join(lines) + "\n")


def make_hosts(names):
    """Hosts with their loopback still down, with one program start."""
    _batch([f"netns add {name}" for name in names])
    return [Host(name, made=True) for name in names]


def close_hosts(hosts):
    """Ends the programs of hosts and removes them, with one program start."""
    for host in hosts:
        host.stop_all()
    if hosts:
        _batch([f"netns del {host.name}" for host in hosts])


def make_wires(wires):
    """A veth pair, its ends still down, for each (host, host, device, device)."""
    _batch([
        f"link add {name_a} netns {a.name} type veth peer name {name_b} netns {b.name}"
        for a, b, name_a, name_b in wires
    ])


def wire(a, b, name_a, name_b):
    """A veth pair between two hosts, both ends up."""
    make_wires([(a, b, name_a, name_b)])
    a.ip(f"link set {name_a} up")
    b.ip(f"link set {name_b} up")


def wait_until(condition, what, seconds=30, step=0.05):
    """Waits until CONDITION() is true and returns its value; fails naming WHAT."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(step)
    raise AssertionError(f"not within {seconds} s: {what}")
