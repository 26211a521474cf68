# SPDX-License-Identifier: GPL-2.0
"""save and restore: all or nothing, differences only, and the lines of stock ipvsadm."""

import json
import os
import resource
import socket
import subprocess
import time

import pytest
from lab import shell
from lab.director import Service
from lab.lone import ID, VIP, dest, host_fixture, nl_fixture, state
from lab.topology import VIP as LAB_VIP
from lab.web import get

__all__ = ["host_fixture", "nl_fixture"]


def line_of(service_port, number=None, weight=1, address=None, scheduler="rr"):
    """A line of ipvsadm-save: of a service, or of its dest NUMBER."""
    which = f"-t {VIP}:{service_port}"
    if number is None:
        return f"-A {which} -s {scheduler}"
    to = address or dest(number)["address"]
    return f"-a {which} -r {to}:{service_port} -g -w {weight}"


def file_of(dests_by_port, weight=1):
    """The lines of services with so many dests each."""
    lines = []
    for port, count in dests_by_port.items():
        lines.append(line_of(port))
        lines += [line_of(port, number, weight) for number in range(count)]
    return lines


def restore(host, lines, *args, check=True):
    return host.adm("restore", *args, "-", stdin="\n".join(lines) + "\n", check=check)


def tally(host, lines):
    """What a restore says it did."""
    done = restore(host, lines, "-j")
    return json.loads(done.stdout)


def counts(added=0, changed=0, removed=0, unchanged=0):
    return {"added": added, "changed": changed, "removed": removed, "unchanged": unchanged}


BROKEN = {
    "not an option": "add service web",
    "weight out of range": line_of(80, 35, weight=2**31),
    "no host's address": line_of(80, 35, address="0.0.0.1"),
    "the virtual address": line_of(80, 35, address=VIP),
    "no port": f"-A -t {VIP} -s rr",
    "persistence": f"-A -t {VIP}:81 -s rr -p 0",
    "service that is not there": line_of(8080, 1),
    "same dest again": line_of(80, 0),
    # Only the kernel knows.
    "no route": line_of(80, 35, address="172.31.0.1"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_line_37_is_named_and_nothing_applied(nl, host, name):
    restore(host, file_of({9: 3}))
    before = state(nl)
    lines = file_of({80: 60})
    lines[36] = BROKEN[name]
    done = restore(host, lines, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("line 37: "), done.stderr
    assert "nothing was applied" in done.stderr
    assert state(nl) == before


def test_settings_stay_when_the_kernel_refuses_a_line(nl, host):
    before = state(nl)
    lines = [*file_of({80: 3}), BROKEN["no route"], "#rvsadm config --udp-timeout 77"]
    done = restore(host, lines, check=False)
    assert done.stderr.startswith("line 5: no route to 172.31.0.1"), done.stderr
    # Not for a moment were they others: the generation is the same.
    assert state(nl) == before


def test_every_broken_line_is_named(nl, host):
    lines = file_of({80: 10})
    lines[3] = "nonsense"
    lines[7] = line_of(80, 7, weight=-1)
    done = restore(host, lines, check=False)
    assert [line.split(":")[0] for line in done.stderr.splitlines()[:2]] == ["line 4", "line 8"]
    assert nl.dump("service-get") == []


def test_save_and_restore_are_each_others_inverse(nl, host):
    del nl
    lines = [*file_of({80: 5, 81: 0}), line_of(82, scheduler="wrr"), line_of(82, 3, weight=0)]
    restore(host, lines)
    assert host.adm("save").stdout.splitlines() == lines


def test_settings_are_saved_and_restored(nl, host):
    nl.do("config-set", config={"udp-timeout": 123, "conn-max": 4567, "expire-nodest": 1})
    saved = host.adm("save", "--settings").stdout
    nl.do("config-set", config=host.defaults)
    host.adm("restore", "-", stdin=saved)
    config = nl.one("config-get")["config"]
    assert (config["udp-timeout"], config["conn-max"], config["expire-nodest"]) == (123, 4567, 1)


def test_settings_stay_without_their_line(nl, host):
    nl.do("config-set", config={"udp-timeout": 123})
    restore(host, file_of({80: 1}))
    assert nl.one("config-get")["config"]["udp-timeout"] == 123


def test_restore_of_the_same_changes_nothing(nl, host):
    lines = file_of({80: 5, 81: 5})
    restore(host, lines)
    before = state(nl)
    nl.listen()
    assert tally(host, lines)["dests"] == counts(unchanged=10)
    # Not even the generation, which is part of the state.
    assert state(nl) == before
    assert nl.events() == []


def test_restore_changes_what_differs(nl, host):
    restore(host, file_of({80: 5, 81: 5}))
    nl.listen()
    wanted = file_of({80: 6, 82: 1})
    wanted[1] = line_of(80, 0, weight=9)
    done = tally(host, wanted)
    assert done["services"] == counts(added=1, removed=1, unchanged=1)
    assert done["dests"] == counts(added=2, changed=1, removed=5, unchanged=4)
    assert sorted(name.removesuffix("-ntf") for name, _ in nl.events()) == [
        "dest-add", "dest-add", "dest-set", "service-add", "service-del",
    ]
    saved = host.adm("save").stdout.splitlines()
    assert sorted(saved) == sorted(wanted)


def test_dry_run_shows_and_changes_nothing(nl, host):
    restore(host, file_of({80: 2}))
    before = state(nl)
    out = restore(host, file_of({80: 1, 81: 0}), "--dry-run").stdout
    assert f"add service tcp/{VIP}:81 scheduler rr" in out
    assert f"remove dest 10.2.0.2:80 of {ID}" in out
    assert "nothing was applied" in out
    assert state(nl) == before


def test_what_is_empty_or_cut_removes_nothing_unless_it_is_meant(nl, host):
    restore(host, file_of({80: 2}))
    before = state(nl)
    whole = ["#rvsadm begin", *file_of({81: 2}), "#rvsadm end"]
    for lines in ([], ["# nothing"], ["#rvsadm config --udp-timeout 60"], whole[:-1], whole[:1]):
        for options in ((), ("--dry-run",), ("--check",)):
            done = restore(host, lines, *options, check=False)
            assert (done.returncode, done.stdout) == (1, ""), (lines, options)
            assert "hint: " in done.stderr and "--empty" in done.stderr
    done = host.run("bash", "-c", "true | rvsadm restore", check=False)
    assert done.returncode == 1 and "--empty" in done.stderr
    assert state(nl) == before
    restore(host, whole[:-1], "--empty")
    assert [m.content["service"]["port"] for m in nl.dump("service-get")] == [81]
    restore(host, ["# nothing"], "--empty")
    assert nl.dump("service-get") == []


def test_a_file_is_replaced_as_a_whole_or_not_at_all(nl, host, tmp_path):
    restore(host, file_of({80: 300}))
    path = tmp_path / "rvs.conf"
    host.adm("save", "-o", path)
    saved = path.read_text(encoding="ascii").splitlines()
    assert saved == ["#rvsadm begin", *file_of({80: 300}), "#rvsadm end"]
    # No room for another one: what is there stays, and nothing is left beside it.
    disk = tmp_path / "disk"
    disk.mkdir()
    host.run("mount", "-t", "tmpfs", "-o", "size=16k", "none", disk)
    try:
        small = disk / "rvs.conf"
        small.write_text("old\n", encoding="ascii")
        done = host.adm("save", "-o", small, check=False)
        assert done.returncode == 1 and os.strerror(28) in done.stderr
        assert small.read_text(encoding="ascii") == "old\n"
        assert os.listdir(disk) == ["rvs.conf"]
    finally:
        host.run("umount", disk)
    # What is saved of nothing is restored, and the settings are in it where they are asked for.
    nl.do("config-set", config={"udp-timeout": 123})
    nl.do("service-flush")
    host.adm("save", "--settings", "-o", path)
    restore(host, file_of({81: 1}))
    nl.do("config-set", config=host.defaults)
    host.adm("restore", path)
    assert nl.dump("service-get") == []
    assert nl.one("config-get")["config"]["udp-timeout"] == 123


@pytest.fixture(name="ip_vs")
def _ip_vs(host):
    """Stock ip_vs in the same namespace."""
    shell.modprobe("ip_vs", "ip_vs_rr", "ip_vs_wrr")
    yield
    host.run("ipvsadm", "-C")


STOCK = [
    f"-A -t {VIP}:443 -s wrr", f"-a -t {VIP}:443 -r 10.1.1.1:443 -g -w 3",
    f"-a -t {VIP}:443 -r 10.1.1.2:443 -g -w 0", f"-A -t {VIP}:8443 -s rr",
    f"-A -u {VIP}:53 -s rr", f"-a -u {VIP}:53 -r 10.1.1.1:53 -g -w 65535",
]


def ipvsadm_save(host):
    """What stock ipvsadm has, in an order of its own."""
    return sorted(line.strip() for line in host.run("ipvsadm", "-S", "-n").stdout.splitlines())


def test_lines_that_stock_ipvsadm_saved(nl, host, ip_vs):
    del nl, ip_vs
    host.run("ipvsadm", "-R", stdin="\n".join(STOCK) + "\n")
    saved = host.run("ipvsadm", "-S", "-n").stdout
    host.adm("restore", "-", stdin=saved)
    assert sorted(host.adm("save").stdout.splitlines()) == sorted(STOCK)


def test_lines_for_stock_ipvsadm(nl, host, ip_vs):
    del nl, ip_vs
    restore(host, STOCK)
    saved = host.adm("save").stdout
    host.run("ipvsadm", "-R", stdin=saved)
    assert ipvsadm_save(host) == sorted(STOCK)


def test_kill_in_the_middle_leaves_nothing_half_done(nl, host, tmp_path):
    wholes = [({80: 1000}, 71), ({81: 600, 82: 400}, 72)]
    paths = [tmp_path / str(number) for number in range(2)]
    for path, (dests, timeout) in zip(paths, wholes):
        lines = [*file_of(dests), f"#rvsadm config --udp-timeout {timeout}"]
        path.write_text("\n".join(lines) + "\n", encoding="ascii")

    def start(number):
        return host.start("rvsadm", "restore", paths[number], stdout=subprocess.DEVNULL)

    begin = time.monotonic()
    assert start(1).wait(timeout=60) == 0
    duration = time.monotonic() - begin
    killed = 0
    for attempt in range(12):
        child = start(attempt % 2)
        # From its start to its end.
        time.sleep(duration * attempt / 12)
        child.kill()
        killed += child.wait() == -9
        now = {m.content["service"]["port"]: m.content["service"]["dests"]
               for m in nl.dump("service-get")}
        assert (now, nl.one("config-get")["config"]["udp-timeout"]) in wholes
    assert killed >= 3, "the kills came too late to test anything"


def cpu_time(*args, stdin):
    """Runs a program; seconds it took of a CPU, the kernel's part included, and of the clock."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(args, input=stdin, text=True, check=True, timeout=100)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    took = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    return took, time.monotonic() - begin


def test_a_thousand_services_of_ten_dests_beside_ipvsadm(nl, host, ip_vs, capsys):
    del ip_vs
    text = "\n".join(file_of({port: 10 for port in range(1, 1001)})) + "\n"
    with host.inside():
        stock = cpu_time("ipvsadm", "-R", stdin=text)
        ours = cpu_time("rvsadm", "restore", "-", stdin=text)
        again = cpu_time("rvsadm", "restore", "-", stdin=text)
        flush = cpu_time("rvsadm", "service", "flush", stdin="")
    with capsys.disabled():
        print("\nrestore of 1000 services x 10 dests, seconds of CPU (of the clock):")
        for name, (cpu, clock) in {
            "ipvsadm -R": stock, "rvsadm restore": ours, "the same again": again, "flush": flush,
        }.items():
            print(f"  {name:<16} {cpu:6.2f} ({clock:.2f})")
    assert nl.dump("service-get") == []
    assert ours[0] < 5 * stock[0]


@pytest.mark.usefixtures("web")
def test_connections_and_counters_of_what_stays_survive(lab, rvs):
    lab.prepare_dr()
    service = Service([(address, 1) for address in lab.addresses.values()])
    rvs.add(service)
    with lab.client.inside():
        open_ones = [socket.create_connection((LAB_VIP, 80), timeout=10) for _ in range(3)]
    before = {d["address"]: d for d in rvs.json("dest", "list")["dests"]}
    assert [d["active"] for d in before.values()] == [1, 1, 1]
    # The second goes, the third gets another weight; a new service comes.
    keep, gone, changed = lab.addresses.values()
    text = (
        f"-A -t {LAB_VIP}:80 -s wrr\n-a -t {LAB_VIP}:80 -r {keep}:80 -g -w 1\n"
        f"-a -t {LAB_VIP}:80 -r {changed}:80 -g -w 5\n-A -t {LAB_VIP}:81 -s rr\n"
    )
    rvs.adm("restore", "-", stdin=text)
    after = {d["address"]: d for d in rvs.json("dest", "list")["dests"]}
    assert set(after) == {keep, changed}
    for address, dest_now in after.items():
        assert dest_now["active"] == 1
        assert dest_now["stats"]["connections"] == 1
        assert dest_now["stats"]["in_packets"] >= before[address]["stats"]["in_packets"] > 0
    # Every connection still works, also that of the dest that is gone.
    answered = set()
    for each in open_ones:
        with each:
            each.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = b""
            while chunk := each.recv(4096):
                answer += chunk
            answered.add(answer.split()[-1].decode())
    assert answered == {"rs1", "rs2", "rs3"}
    assert get(lab.client, LAB_VIP) in ("rs1", "rs3")
    assert gone not in after


def test_file_that_is_not_there(nl, host):
    del nl
    done = host.adm("restore", "/nowhere/rvs.conf", check=False)
    assert done.returncode == 1
    assert "cannot restore /nowhere/rvs.conf" in done.stderr
    assert os.strerror(2) in done.stderr
