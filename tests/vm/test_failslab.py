# SPDX-License-Identifier: GPL-2.0
"""Allocations fail: requests are refused cleanly, nothing is half done, packets are only dropped.

Needs failslab, which stock kernels lack: `make test-debug`. Only allocations made by code of rvs,
or below it, fail.
"""

import contextlib
import ctypes
import errno
import os
import random
import time

import pytest
from lab import debug, shell
from lab.director import Rvs, Service
from lab.flood import flood
from lab.genl import Client, Refused
from lab.lone import DEST, SERVICE, batch, dest, host_fixture, services, step
from lab.netns import wait_until
from lab.topology import VIP
from lab.web import get

__all__ = ["host_fixture"]

pytestmark = pytest.mark.skipif(
    not os.path.exists(debug.FAILSLAB), reason="no failslab in this kernel (make test-debug)"
)

FAIL_NTH = "/proc/thread-self/fail-nth"
# More than any request makes.
MOST = 3000


@contextlib.contextmanager
def failing_nth(number):
    """This thread's allocation of that NUMBER fails, counted from 1; yields what is left."""
    left = []
    file = os.open(FAIL_NTH, os.O_RDWR)
    os.write(file, str(number).encode())
    try:
        yield left
    finally:
        left.append(int(os.pread(file, 20, 0)))
        os.write(file, b"0")
        os.close(file)


def base():
    """Two services, the first with dests 0 to 2."""
    first = {"mode": 1, "weight": 1}
    return [
        step("service-add", SERVICE, scheduler="wrr"),
        step("service-add", services(1, 90)[0], scheduler="rr"),
        *(step("dest-add", SERVICE, dest(i), **first) for i in range(3)),
    ]


def long_batch():
    """Steps enough for lists to grow on the way."""
    return [
        step("dest-del", SERVICE, dest(1)),
        *(step("service-add", each, scheduler="rr") for each in services(9, 1000)),
        *(step("dest-add", SERVICE, dest(i), mode=1, weight=i) for i in range(10, 30)),
        step("dest-set", SERVICE, dest(0), weight=7),
        step("service-del", services(1, 90)[0]),
        step("service-set", SERVICE, scheduler="rr"),
    ]


def single(name, **nests):
    """A request of one change."""
    return lambda nl: nl.do(name, **nests)


TARGET = dict(DEST, address="10.1.1.2")
CHANGES = {
    "service-add": single("service-add", service=dict(SERVICE, port=81, scheduler="rr")),
    "service-set": single("service-set", service=dict(SERVICE, scheduler="rr")),
    "service-del": single("service-del", service=SERVICE),
    "service-flush": single("service-flush"),
    "dest-add": single("dest-add", service=SERVICE, dest=dict(TARGET, mode=1, weight=1)),
    "dest-set": single("dest-set", service=SERVICE, dest=dict(dest(1), weight=9)),
    "dest-del": single("dest-del", service=SERVICE, dest=dest(1)),
    "config-set": single("config-set", config={"udp-timeout": 17}),
    "batch": lambda nl: batch(nl, long_batch()),
}
READS = {
    "service-get": single("service-get", service=SERVICE),
    "dest-get": single("dest-get", service=SERVICE, dest=dest(0)),
    "config-get": single("config-get"),
    "stats-get": single("stats-get"),
    "stats-zero": single("stats-zero"),
    "conn-flush": single("conn-flush"),
    "dump of services": lambda nl: nl.dump("service-get"),
    "dump of dests": lambda nl: nl.dump("dest-get"),
    "dump of connections": lambda nl: nl.dump("conn-get"),
}


def without(content, *names):
    """A reply's content but for what changes by itself."""
    return {
        name: without(value, *names) if isinstance(value, dict) else value
        for name, value in content.items()
        if name not in names
    }


def configured(nl):
    """What is configured, without counts."""
    parts = [nl.dump("service-get"), nl.dump("dest-get"), nl.do("config-get")]
    return [without(m.content, "generation", "stats") for part in parts for m in part]


@pytest.fixture(name="nl")
def _nl(host):
    with host.client() as nl:
        yield nl
        nl.do("service-flush")
        nl.do("config-set", config=host.defaults)


def start_over(nl, host):
    """Back to `base`."""
    nl.do("service-flush")
    nl.do("config-set", config=host.defaults)
    batch(nl, base())


def each_failure(request, nl, prepare):
    """Does REQUEST with its first allocation failing, then its second ... until none is left.

    Of very many, which are for one thing again and again, some are left out.
    Yields (number, refusal or None) for each that failed.
    """
    number = 0
    with debug.failing("rvs"):
        while number < MOST:
            number += 1 if number < 30 else number // 10
            prepare()
            refused = None
            with failing_nth(number) as left:
                try:
                    request(nl)
                except Refused as e:
                    refused = e
            if left[0]:
                assert refused is None
                return
            yield number, refused
    raise AssertionError(f"still allocating after {MOST} times")


@pytest.mark.parametrize("listening", [False, True], ids=["alone", "with-a-listener"])
@pytest.mark.parametrize("name", CHANGES)
def test_each_allocation_of_a_change(host, nl, name, listening):
    start_over(nl, host)
    before = configured(nl)
    CHANGES[name](nl)
    after = configured(nl)
    assert after != before
    failed = 0
    with contextlib.ExitStack() as stack:
        if listening:
            listener = stack.enter_context(host.client())
            listener.listen()
        for number, refused in each_failure(CHANGES[name], nl, lambda: start_over(nl, host)):
            failed += 1
            now = configured(nl)
            if refused:
                assert refused.errno == "ENOMEM" and "memory" in refused.text, (number, refused)
                assert now == before, f"allocation {number} failed and left something behind"
            else:
                assert now == after, f"allocation {number} failed and something is missing"
            if listening:
                # Read or lost; an event that could not be built says so.
                with contextlib.suppress(OSError):
                    listener.events()
    if name != "config-set" or listening:
        assert failed, "nothing was allocated?"
    start_over(nl, host)
    CHANGES[name](nl)
    assert configured(nl) == after


@pytest.mark.parametrize("name", READS)
def test_each_allocation_of_a_read(host, nl, name):
    start_over(nl, host)
    before = configured(nl)
    for number, refused in each_failure(READS[name], nl, lambda: None):
        assert refused is None or refused.errno in ("ENOMEM", "ENOBUFS"), number
    assert configured(nl) == before


def test_each_allocation_of_a_new_namespace(host):
    del host
    refused = 0
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    with debug.failing("rvs"):
        for number in range(1, MOST):
            error = None
            with failing_nth(number) as left:
                try:
                    os.unshare(os.CLONE_NEWNET)
                except OSError as e:
                    error = e
            os.setns(home, os.CLONE_NEWNET)
            if left[0]:
                break
            assert error is None or error.errno == errno.ENOMEM, number
            refused += error is not None
    os.close(home)
    assert refused


def code_of(function):
    """Where a function of the kernel is."""
    with open("/proc/kallsyms", encoding="ascii") as f:
        code = [line.split() for line in f if line.split()[1] in "tT" and "[" not in line]
    addresses = sorted(int(fields[0], 16) for fields in code)
    start = next(int(fields[0], 16) for fields in code if fields[2] == function)
    return start, next(address for address in addresses if address > start)


def test_each_allocation_of_loading(unloaded):
    path = shell.run("modinfo", "-n", "rvs").stdout.strip()
    finit_module = 313
    libc = ctypes.CDLL(None, use_errno=True)
    start, end = code_of("do_one_initcall")
    # The kernel says with a whole stack when a cache cannot be made.
    of_cache = code_of("__kmem_cache_create_args")
    but = {"reject_start": hex(of_cache[0]), "reject_end": hex(of_cache[1])}
    refused = 0
    # What is loaded along with it the first time would move the numbers of the other allocations.
    shell.modprobe("nf_defrag_ipv4", "nf_defrag_ipv6")
    for number in range(1, MOST):
        failing = debug.failing_in(start, end, **but)
        with open(path, "rb") as f, failing, failing_nth(number) as left:
            result = libc.syscall(finit_module, f.fileno(), b"", 0)
            error = ctypes.get_errno()
        if result == 0:
            shell.rmmod("rvs")
            if left[0]:
                break
        else:
            assert error == errno.ENOMEM, (number, os.strerror(error))
            refused += 1
    # Few are left: caches are not made to fail, and hooks come with the first service.
    assert refused


def test_rvsadm_while_any_allocation_may_fail(host, nl):
    """Through the tool: it says what is wrong, and what it was told is done or not done."""
    rng = random.Random(4)
    batch(nl, base())
    known = {f"10.2.0.{i + 1}": 1 for i in range(3)}
    wrong = done = 0
    with debug.failing("rvs", probability=8, task_filter="Y", times=1000):
        for _ in range(60):
            address, weight = f"10.2.0.{rng.randrange(1, 12)}", rng.randrange(100)
            if address not in known:
                verb, more = "add", f"--mode dr --weight {weight}"
            elif rng.random() < 0.5:
                verb, more = "set", f"--weight {weight}"
            else:
                verb, more = "del", ""
            line = f"rvsadm dest {verb} tcp/{VIP}:80 {address}:80 {more}"
            # Not checked for status here: both are right.
            said = host.run(
                "sh", "-c", f"echo 1 >/proc/self/make-it-fail; exec {line}", check=False
            )
            if said.returncode == 0:
                done += 1
                if verb == "del":
                    del known[address]
                else:
                    known[address] = weight
            else:
                wrong += 1
                assert said.returncode == 1 and "memory" in said.stderr, said
                assert "panicked" not in said.stderr
    assert done and wrong
    dests = {
        d["address"]: d["weight"]
        for d in (m.content["dest"] for m in nl.dump("dest-get", service=SERVICE))
    }
    assert dests == known


def test_attaching_a_device_while_any_allocation_may_fail(lab, rvs):
    """It gives its frames or it does not, and what is said is true."""
    done = wrong = 0
    attach = "echo 1 >/proc/self/make-it-fail; exec rvsadm xdp attach eth0 --mode generic"
    # The kernel says with a whole stack when there are no pages for a program.
    of_pages = code_of("__vmalloc_node_range_noprof")
    but = {"reject_start": hex(of_pages[0]), "reject_end": hex(of_pages[1])}
    with debug.failing_in(*code_of("__sys_bpf"), probability=1, task_filter="Y", times=1000, **but):
        for _ in range(40):
            said = rvs.host.run("sh", "-c", attach, check=False)
            devices = [one["device"] for one in rvs.json("xdp", "show")["devices"]]
            if said.returncode == 0:
                assert devices == ["eth0"]
                rvs.adm("xdp", "detach", "eth0")
                done += 1
            else:
                assert said.returncode == 1 and devices == [], said
                # The latter of the file system, for an inode.
                assert "memory" in said.stderr or "No space left" in said.stderr, said
                wrong += 1
    assert done and wrong, (done, wrong)
    rvs.adm("xdp", "attach", "eth0", "--mode", "generic")
    assert lab.director.run("ip", "link", "show", "eth0").stdout.count("xdpgeneric") == 1
    rvs.adm("xdp", "detach", "eth0")


@pytest.mark.usefixtures("web")
def test_packets_while_allocations_fail(lab, rvs):
    """New flows are dropped and counted; what is established goes on; later all is well."""
    lab.prepare_dr()
    rvs.restore(
        Service([(a, 1) for a in lab.addresses.values()], protocol="udp"),
        Service([(a, 1) for a in lab.addresses.values()]),
    )
    rvs.adm("config", "set", "--udp-timeout", "1")
    with lab.director.inside():
        nl = Client()
    with nl, flood(lab, VIP, flows=30000) as sent:
        for probability in (5, 50, 100):
            before = sent.seen()
            with debug.failing("rvs", probability=probability, times=20000):
                end = time.monotonic() + 6
                while time.monotonic() < end:
                    with contextlib.suppress(Refused):
                        nl.do("dest-set", service=dict(SERVICE, protocol=17),
                              dest={"address": "192.168.56.101", "port": 80, "weight": 2})
                    with contextlib.suppress(Refused):
                        nl.do("conn-flush")
                    # The way to a dest is looked up anew.
                    lab.director.run("ip", "neigh", "flush", "dev", "eth0", check=False)
            assert sent.seen() > before
        with contextlib.suppress(Refused):
            nl.dump("conn-get")
    counters = rvs.json("stats", "show")["counters"]
    assert counters["drop_no_memory"] > 0, counters
    wait_until(
        lambda: rvs.json("stats", "show")["counters"]["conns_now"] == 0, "expired", seconds=60
    )
    assert get(lab.client, VIP) in lab.web


def test_unload_while_allocations_fail(lab, unloaded):
    lab.prepare_dr()
    rvs = Rvs(lab.director)
    rvs.restore(Service([(a, 1) for a in lab.addresses.values()], protocol="udp"))
    with flood(lab, VIP, flows=30000):
        with debug.failing("rvs", probability=30, times=100000):
            time.sleep(3)
            shell.rmmod("rvs")
