# SPDX-License-Identifier: GPL-2.0
"""Each document of rvsadm -j is as its schema in docs/ says, and what is saved as JSON is restored."""

import json

from lab import shell
from lab.document import check
from lab.lone import DEST, ID, SERVICE, host_fixture, nl_fixture

__all__ = ["host_fixture", "nl_fixture"]

RS = "10.1.1.1:80"


def test_documents_are_as_the_schema_says(nl, host, tmp_path):
    file = str(tmp_path / "conns")
    nl.do("service-add", service=dict(SERVICE, scheduler="rr", persistence=300))
    nl.do("dest-add", service=SERVICE, dest=dict(DEST, mode=3, weight=1))
    conn = ("tcp", "198.51.100.2:40000", "203.0.113.10:80")
    for command, args in {
        "config show": (), "conn end": ("--client", "198.51.100.2"), "conn list": (),
        "conn list --count": (), "conn save": (file,), "conn restore": (file,), "conn templates": (), "dest list": ("--stats", "--rate"),
        "dest show": (ID, RS), "explain": conn, "laddr list": (), "save": (), "service list": ("--stats",),
        "service show": (ID,), "stats show": (), "sync show": (), "top": ("--once",),
    }.items():
        printed = host.adm(*command.split(), *args, "-j").stdout
        document = check(command, printed)
        assert document["version"] == 1, command
    assert check("version", host.adm("version", "-j").stdout)["rvs"] == host.adm("--version").stdout.split()[1]
    misread = host.adm("status", "-j", check=False)
    assert (misread.returncode, check("error", misread.stderr)["error"]["what"]) == (2, "read the command line")
    assert check("done", host.adm("service", "add", "fwmark/7", "-j").stdout)["ok"]
    refused = host.adm("conn", "show", *conn, "-j", check=False)
    assert check("error", refused.stderr)["error"]["reason"] == "there is none"
    found = host.adm("doctor", "-j", check=False)
    assert found.returncode == 3
    checks = {each["check"] for each in check("doctor", found.stdout)["findings"]}
    assert {"no-dest", "vip", "mtu"} <= checks, checks
    saved = host.adm("save", "-j").stdout
    check("restore --check", host.adm("restore", "--check", "-", "-j", stdin=saved).stdout)
    check("monitor", host.adm("monitor", "--timeout", "1", "-j", check=False).stdout or
          json.dumps({"version": 1, "time": "", "event": "lost"}))


def test_json_is_restored_as_it_was_saved(nl, host):
    host.adm("service", "add", ID, "-s", "mh", "--sched-flags", "mh-port", "--mh-size", 251)
    host.adm("dest", "add", ID, RS, "--mode", "tun", "--tun-type", "gue", "--tun-port", 6000, "--weight", 3)
    host.adm("service", "add", "fwmark6/7", "-s", "wlc", "--tcp-timeout", "established=60")
    host.adm("config", "set", "--udp-timeout", 77, "--sloppy-tcp", "on", "--expire-nodest", "on")
    lines, saved = host.adm("save", "--settings").stdout, host.adm("save", "-j").stdout
    nl.do("service-flush")
    host.adm("config", "set", "--udp-timeout", 300, "--sloppy-tcp", "off")
    done = check("restore", host.adm("restore", "-", "-j", stdin=saved).stdout)
    assert done["services"]["added"] == 2 and done["dests"]["added"] == 1 and done["settings_changed"]
    assert host.adm("save", "--settings").stdout == lines
    again = json.loads(host.adm("restore", "-", "-j", stdin=saved).stdout)
    assert again["services"]["unchanged"] == 2 and not again["settings_changed"]
    wrong = json.loads(saved)
    wrong["services"][0]["service"]["colour"] = "red"
    refused = host.adm("restore", "-", stdin=json.dumps(wrong), check=False)
    assert refused.returncode == 1 and '"colour"' in refused.stderr


def test_schema_of_one_document():
    schema = json.loads(shell.run("rvsadm", "schema", "service list").stdout)
    assert schema["allOf"][0]["$ref"] == "#/$defs/ServiceList"
    unknown = shell.run("rvsadm", "schema", "services", check=False)
    assert unknown.returncode == 1 and "service list" in unknown.stderr
