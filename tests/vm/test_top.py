# SPDX-License-Identifier: GPL-2.0
"""rvsadm top in terminals, and lists that are printed again and again."""

import json
import re
import signal

import pytest
from lab import shell
from lab.fixtures import lone_of_file
from lab.lone import VIP, send
from lab.netns import wait_until
from lab.terminal import Terminal

ID = f"udp/{VIP}:53"
LINES = f"""\
-A -u {VIP}:53 -s rr
-a -u {VIP}:53 -r 10.1.1.1:53 -g -w 1 -x 5
-a -u {VIP}:53 -r 10.1.1.2:53 -g -w 1
-a -u {VIP}:53 -r 10.1.1.3:53 -g -w 0
-A -t {VIP}:80 -s wlc
"""
FIRST = 20_000
FLOWS = 10


_host = lone_of_file("host", "watched")


@pytest.fixture(name="flows")
def _flows(host):
    """Five flows of each dest that takes any."""
    shell.modprobe("rvs")
    host.adm("restore", stdin=LINES)
    send(host, FLOWS, FIRST)


def words(screen, name):
    """The words of the line that names it."""
    return next(line.split() for line in screen.splitlines() if name in line)


def test_services_dests_and_connections(host, flows):
    del flows
    with Terminal(host, "rvsadm top --delay 1 --sort name") as terminal:
        screen = terminal.wait(ID, f"tcp/{VIP}:80", "q quit")
        assert f"connections {FLOWS} " in screen
        assert words(screen, ID)[:4] == [ID, "3", "1", str(FLOWS)]
        assert words(screen, ID)[-1] == "full"
        assert all(len(line) <= 80 for line in screen.splitlines())
        terminal.type("Down", "Enter")
        screen = terminal.wait(f"Dests of {ID} (3)")
        # Name, weight, connections, share.
        assert words(screen, "10.1.1.1:53")[:4] == ["10.1.1.1:53", "1", "5", "50%"]
        assert words(screen, "10.1.1.1:53")[-1] == "full"
        assert words(screen, "10.1.1.3:53")[-1] == "off"
        red = next(line for line in terminal.screen(colours=True).splitlines() if ".1.1.1:53" in line)
        assert "\x1b[38;5;1m" in red
        terminal.type("Enter")
        terminal.wait("Connections of", "10.1.1.1:53 (5)")
        screen = terminal.wait(" udp ")
        clients = [line.split() for line in screen.splitlines() if line.startswith(f"{VIP}:200")]
        assert len(clients) == 5 and all(line[1:3] == [f"{VIP}:53", "udp"] for line in clients)
        terminal.type("Escape")
        terminal.wait(f"Dests of {ID}")
        terminal.type("/", "1", ".", "3", "Enter")
        assert "10.1.1.2:53" not in terminal.wait("filter: 1.3", "(1)")
        terminal.type("q")
        # The screen is as it was before.
        assert terminal.wait("status 0").strip() == "status 0"
    with Terminal(host, "rvsadm top") as terminal:
        terminal.wait(ID)
    wait_until(lambda: not is_running(), "it ends with its terminal", 20)


def is_running():
    return shell.run("pgrep", "-x", "rvsadm", check=False).returncode == 0


def test_it_bears_small_terminals_and_a_module_that_goes(host, flows):
    del flows
    with Terminal(host, "rvsadm top --delay 1") as terminal:
        terminal.wait(ID)
        terminal.resize(30, 5)
        terminal.wait("terminal too small")
        terminal.resize(100, 30)
        terminal.wait(ID, "h help")
        terminal.type("p")
        terminal.wait("PAUSED")
        terminal.type("p")
        host.adm("unload")
        terminal.wait("the rvs module is not loaded; shown is what was last read", ID)
        shell.modprobe("rvs")
        host.adm("restore", stdin=LINES)
        terminal.wait(ID, "Services (2)")
        pid = shell.run("pgrep", "-x", "rvsadm").stdout.split()[0]
        shell.run("kill", f"-{signal.SIGTERM.value}", pid)
        assert terminal.wait(f"status {128 + signal.SIGTERM.value}").count("\n\n") >= 1
    done = host.adm("top", "--once", check=False)
    assert done.returncode == 0
    host.adm("unload")
    for args in (("top", "--once"), ("top", "-j"), ("service", "list", "--watch", "1")):
        done = host.adm(*args, check=False)
        assert done.returncode == 1 and "the rvs module is not loaded" in done.stderr
    with Terminal(host, "rvsadm top") as terminal:
        # Told before the screen is cleared.
        terminal.wait("the rvs module is not loaded", "status 1")
    shell.modprobe("rvs")


def test_for_scripts(host, flows):
    del flows
    document = host.json("top", "--once", "--sort", "name")
    service = next(s for s in document["services"] if s["id"] == ID)
    assert service["inactive"] == FLOWS and service["state"] == "full"
    assert [d["state"] for d in service["dests"]] == ["full", "ok", "off"] or \
        [d["state"] for d in service["dests"]] == ["full", "idle", "off"]
    assert service["dests"][0]["share"] == 0.5
    assert document["counters"]["conns_now"] == FLOWS
    table = host.adm("top", "--once", "--filter", "10.1.1.3").stdout
    assert words(table, "10.1.1.3:53")[:4] == [ID, "10.1.1.3:53", "off", "0"]
    assert "10.1.1.1" not in table


WATCHED = {
    "top": "top -j --delay 1",
    "stats": "stats show --watch 1 -j",
    "services": "service list --watch 1 -j",
    "dests": "dest list --stats --watch 1 -j",
    "connections": "conn list --count --watch 1 -j",
}


@pytest.mark.parametrize("command", WATCHED.values(), ids=WATCHED)
def test_it_goes_on_until_nobody_reads(host, flows, command):
    del flows
    with host.inside():
        done = shell.run("bash", "-c", f"rvsadm {command} | head -n 2; echo ${{PIPESTATUS[0]}}")
    *documents, status = done.stdout.splitlines()
    # Whoever has had enough has got what was wanted.
    assert len(documents) == 2 and status == "0", done.stdout + done.stderr
    assert all(json.loads(line) for line in documents)


def test_a_watched_table_clears_a_terminal(host, flows):
    del flows
    with Terminal(host, "rvsadm service list --watch 1") as terminal:
        first = terminal.wait("every 1 s", ID)
        wait_until(lambda: time_of(terminal.screen()) > time_of(first), "printed again", 30)
        assert terminal.screen().count(ID) == 1


def time_of(screen):
    found = re.match(r"(\S+Z), every 1 s", screen)
    return found.group(1) if found else ""
