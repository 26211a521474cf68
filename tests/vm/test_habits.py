# SPDX-License-Identifier: GPL-2.0
"""What operators expect of any tool: another namespace by its name, a server in all its services, Tab."""

import pytest
from lab import shell
from lab.lone import ID, host_fixture, nl_fixture
from lab.netns import Host
from lab.terminal import Terminal

__all__ = ["host_fixture", "nl_fixture"]


@pytest.fixture(name="web")
def _web(nl, host):
    del nl
    host.adm("service", "add", "TCP/203.0.113.10:http", "-s", "rr", "-p", "5m")
    host.adm("service", "add", "tcp/203.0.113.10:443", "-s", "rr")
    for port in (80, 443):
        host.adm("dest", "add", f"tcp/203.0.113.10:{port}", "10.1.1.1", "--upper", "10k")
        host.adm("dest", "add", f"tcp/203.0.113.10:{port}", "10.1.1.2")


def weights(host):
    return {(d["service"], d["id"]): d["weight"] for d in host.json("dest", "list")["dests"]}


def test_namespace_by_its_name(web, host):
    del web
    there = shell.run("rvsadm", "-n", host.name, "service", "list").stdout
    assert ID in there and there == host.adm("service", "list").stdout
    assert "no such namespace" in shell.run("rvsadm", "-n", "nowhere", "save", check=False).stderr


def test_a_server_in_all_services(web, host):
    del web
    service = host.json("service", "show", ID)["service"]
    assert (service["persistence"], service["port"]) == (300, 80)
    assert {d["upper"] for d in host.json("dest", "list")["dests"]} == {0, 10_000}
    host.adm("dest", "set", "--all", "--dest", "10.1.1.1", "--weight", 0)
    assert weights(host) == {
        (f"tcp/203.0.113.10:{port}", f"10.1.1.{n}:{port}"): n - 1 for port in (80, 443) for n in (1, 2)}
    host.adm("dest", "del", "--all", "--dest", "10.1.1.1")
    assert len(weights(host)) == 2


def test_trial_of_a_real_server():
    """What a trial tells is what is done then, and the trial does nothing."""
    host = Host("trial")
    try:
        setup = ("rvsadm", "rs", "setup", "--mode", "dr", "--vip", "203.0.113.10", "-j")
        told = host.run(*setup, "--dry-run").stdout
        assert host.run(*setup, "--dry-run").stdout == told
        assert host.run(*setup).stdout == told
        host.run("rvsadm", "rs", "undo")
    finally:
        host.close()


def test_bash_completes_names(web, host):
    """As a person does it, with bash's own way of breaking words."""
    del web
    with Terminal(host, "bash --norc --noprofile -i", width=120) as terminal:
        terminal.type("PS1='ready: '; source <(rvsadm generate completion bash)", "Enter")
        terminal.wait("\nready:")
        terminal.type("rvsadm dest show tcp/203.0.113.10:8", "Tab", "10.1.1.2", "Tab")
        terminal.wait("dest show tcp/203.0.113.10:80 10.1.1.2:80")
        terminal.type("Enter")
        terminal.wait("ACTIVE", "10.1.1.2:80  dr", "\nready:")
        # From another namespace.
        terminal.type("clear; unshare --net bash --norc --noprofile -i", "Enter")
        terminal.type("PS1='there: '; source <(rvsadm generate completion bash)", "Enter")
        terminal.wait("\nthere:")
        terminal.type(f"rvsadm -n {host.name[:-1]}", "Tab", "service sh", "Tab", "tcp/203.0.113.10:4", "Tab")
        terminal.wait(f"rvsadm -n {host.name} service show tcp/203.0.113.10:443")
