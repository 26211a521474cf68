# SPDX-License-Identifier: GPL-2.0
"""Services keep the module, as with ip_vs; rvsadm unload removes both."""

import os

import pytest
from lab import shell
from lab.netns import Host, wait_until

LINES = "-A -t 203.0.113.10:80 -s rr\n-a -t 203.0.113.10:80 -r 10.1.1.1:80 -g -w 1\n"


def users():
    """How many hold the module; None when it is not loaded."""
    with open("/proc/modules", encoding="ascii") as f:
        found = [line.split() for line in f if line.startswith("rvs ")]
    return int(found[0][2]) if found else None


@pytest.fixture(name="hosts")
def _hosts():
    shell.rmmod("rvs")
    shell.modprobe("rvs")
    made = [Host("one"), Host("two")]
    for host in made:
        host.ip("link add d0 type dummy", "link set d0 up", "addr add 10.0.0.1/8 dev d0")
    yield made
    for host in made:
        host.close()
    shell.rmmod("rvs")


def test_each_namespace_with_services_keeps_it(hosts):
    assert users() == 0
    for host in hosts:
        host.run("rvsadm", "restore", stdin=LINES)
    assert users() == 2
    done = shell.run("rmmod", "rvs", check=False)
    assert done.returncode and "in use" in done.stderr
    # Not for each change, and not by what is refused.
    hosts[0].run("rvsadm", "service", "add", "tcp/203.0.113.10:81")
    hosts[0].run("rvsadm", "service", "add", "tcp/203.0.113.10:81", check=False)
    assert users() == 2
    # By flushing, by the end of a namespace.
    hosts[0].run("rvsadm", "service", "flush")
    assert users() == 1
    hosts.pop().close()
    wait_until(lambda: users() == 0, "the namespace is gone", 30)
    shell.run("rmmod", "rvs")
    assert users() is None


def test_unload_where_nothing_may_be_written(hosts):
    """As a unit has it: /sys is read-only, with the folder of programs of devices that may be there."""
    hosts[0].run("rvsadm", "restore", stdin=LINES)
    shell.run("unshare", "--mount", "sh", "-ec", "mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf\n"
              "mount -o remount,bind,ro /sys/fs/bpf\n! rmdir /sys/fs/bpf/x 2>/dev/null\nrvsadm unload")
    assert users() is None


def test_unload_takes_the_services_of_all_namespaces(hosts):
    for host in hosts:
        host.run("rvsadm", "restore", stdin=LINES)
    done = hosts[0].run("setpriv", "--bounding-set", "-sys_module", "--inh-caps", "-sys_module",
                        "rvsadm", "unload", check=False)
    assert done.returncode == 1 and "CAP_SYS_MODULE" in done.stderr
    assert users() == 2
    shell.run("rvsadm", "unload")
    assert users() is None and not os.path.exists("/sys/module/rvs")
    done = shell.run("rvsadm", "unload", check=False)
    assert done.returncode == 1 and "not loaded" in done.stderr
