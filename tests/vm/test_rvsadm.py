# SPDX-License-Identifier: GPL-2.0
"""rvsadm with the module: refusals a person can act on, and JSON that agrees with the tables."""

import json

import pytest
from lab import shell
from lab.lone import DEST, ID, SERVICE, batch, dest, host_fixture, nl_fixture, state, step, web_fixture

__all__ = ["host_fixture", "nl_fixture", "web_fixture"]

RS = "10.1.1.2:80"
# What was asked for: the arguments, and what the answer has to say: the value and how to mend it.
REFUSED = {
    "service exists": (f"service add {ID}", ["service tcp/203.0.113.10:80 exists already",
                                            "rvsadm service set"]),
    "no service to remove": ("service del udp/203.0.113.10:53",
                             ["no service udp/203.0.113.10:53", "rvsadm service list"]),
    "no service to change": ("service set tcp/203.0.113.10:81 --scheduler rr",
                             ["no service tcp/203.0.113.10:81", "rvsadm service list"]),
    "no service to show": ("service show tcp/203.0.113.10:81",
                           ["no service tcp/203.0.113.10:81", "rvsadm service list"]),
    "unknown scheduler": ("service add tcp/203.0.113.10:81 --scheduler nope",
                          ['no scheduler is called "nope"', "there are", "wrr"]),
    "unknown scheduler, of a service that is there": (
        f"service set {ID} --scheduler nope", ['no scheduler is called "nope"', "there are"]),
    "multicast service": ("service add tcp/224.0.0.1:80",
                          ["224.0.0.1 cannot be a virtual address", "not multicast"]),
    "link-local service": ("service add tcp/[fe80::1]:80",
                           ["fe80::1 cannot be a virtual address"]),
    "too long a persistence": ("service add tcp/203.0.113.10:443 -p 2678401",
                               ["persistence 2678401 s is out of range", "31 days"]),
    "dest exists": (f"dest add {ID} 10.1.1.1:80",
                    ["dest 10.1.1.1:80 exists already", "rvsadm dest set"]),
    "no dest to remove": (f"dest del {ID} {RS}", [f"no dest {RS} in the service",
                                                 "rvsadm dest list"]),
    "no dest to change": (f"dest set {ID} {RS} --weight 2",
                          [f"no dest {RS} in the service", "rvsadm dest list"]),
    "no dest to show": (f"dest show {ID} {RS}",
                        [f"no dest {RS} in the service", "rvsadm dest list"]),
    "dest of no service": (f"dest add tcp/203.0.113.10:81 10.1.1.2:81",
                           ["no service tcp/203.0.113.10:81", "rvsadm service list"]),
    "dests of no service": ("dest list tcp/203.0.113.10:81",
                            ["no service tcp/203.0.113.10:81", "rvsadm service list"]),
    "weight out of range": (f"dest add {ID} {RS} --weight 2147483648",
                            ["weight 2147483648 is out of range, 0 to 2147483647", "relative"]),
    "new weight out of range": (f"dest set {ID} 10.1.1.1:80 --weight 2147483648",
                                ["weight 2147483648 is out of range, 0 to 2147483647", "relative"]),
    "dest is the virtual address": (f"dest add {ID} 203.0.113.10:80",
                                    ["203.0.113.10 is the virtual address itself",
                                     "its own address"]),
    "multicast dest": (f"dest add {ID} 224.0.0.1:80",
                       ["224.0.0.1 cannot be a real server", "not multicast"]),
    "loopback dest at another port": (
        f"dest add {ID} 127.0.0.1:8080 --mode nat",
        ["port 8080: mode local cannot change the port, use 80", "hint: "]),
    "broadcast dest": (f"dest add {ID} 255.255.255.255:80",
                       ["255.255.255.255 cannot be a real server", "not broadcast"]),
    "dest without a route": (f"dest add {ID} 172.31.0.1:80",
                             ["no route to 172.31.0.1", "ip route get 172.31.0.1"]),
    "dest at another port": (f"dest add {ID} 10.1.1.2:81",
                             ["port 81: mode dr cannot change the port, use 80", "listen"]),
    "IPv6 dest": (f"dest add {ID} [2001:db8::1]:80",
                  ["2001:db8::1 is not of the service's family", "IPv4"]),
    "connections of no service": ("conn flush tcp/203.0.113.10:81",
                                  ["no service tcp/203.0.113.10:81", "rvsadm service list"]),
    "statistics of no service": ("stats zero tcp/203.0.113.10:81",
                                 ["no service tcp/203.0.113.10:81", "rvsadm service list"]),
    "timeout 0": ("config set --udp-timeout 0", ["timeout 0 s", "1 second to 31 days"]),
    "timeout too long": ("config set --tcp-timeout fin-wait=2678401",
                         ["timeout 2678401 s", "1 second to 31 days"]),
}
# Command lines that cannot be read, and what the answer has to say.
USAGE = {
    "service without port": ("service add tcp/203.0.113.10", ['"203.0.113.10" has no port']),
    "service without protocol": ("service add 203.0.113.10:80", ["PROTOCOL/ADDRESS:PORT"]),
    "unknown protocol": ("service add dccp/203.0.113.10:80", ['"dccp" is not tcp, udp']),
    "name instead of address": ("service add tcp/www:80", ['"www" is not an IP address']),
    "port 65536": ("service add tcp/203.0.113.10:65536", ['"65536" is not a port, 0 to 65535']),
    "dest of no port": (f"dest add {ID} 10.1.1.2:", ['"" is not a port']),
    "weight that is no number": (f"dest add {ID} {RS} --weight heavy", ["heavy"]),
    "negative weight": (f"dest add {ID} {RS} --weight=-1", ["-1"]),
    "unknown mode": (f"dest add {ID} {RS} --mode direct", ["direct", "dr, nat, tun"]),
    "dest set without a setting": (f"dest set {ID} 10.1.1.1:80", ["--weight"]),
    "unknown state": ("config set --tcp-timeout asleep=5", ["asleep", "established"]),
    "config set without a setting": ("config set", ["--udp-timeout"]),
    "unknown command": ("service ad", ["'ad'"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(web, host, name):
    args, words = REFUSED[name]
    before = state(web)
    done = host.adm(*args.split(), check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("rvsadm: cannot ")
    assert [word for word in words if word not in done.stderr] == [], done.stderr
    assert "\nhint: " in done.stderr
    assert state(web) == before


@pytest.mark.parametrize("name", USAGE)
def test_command_line_that_cannot_be_read(host, name):
    args, words = USAGE[name]
    done = host.adm(*args.split(), check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert [word for word in words if word not in done.stderr] == [], done.stderr


def test_refusal_as_json(web, host):
    del web
    done = host.adm("-j", "dest", "add", ID, "172.31.0.1:80", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    error = json.loads(done.stderr)["error"]
    assert error["what"] == f"add dest 172.31.0.1:80 to {ID}"
    assert error["reason"] == "no route to 172.31.0.1"
    assert (error["errno"], error["attribute"]) == (101, "dest.address")
    assert "ip route get 172.31.0.1" in error["hint"]


def test_changes_say_nothing_and_end_with_0(nl, host):
    for args in (
        f"service add {ID} --scheduler rr", f"dest add {ID} {RS} --weight 0",
        f"dest set {ID} {RS} --weight 65535", f"service set {ID} --scheduler wrr",
        "config set --udp-timeout 2678400", "stats zero", "conn flush", f"dest del {ID} {RS}",
        f"service del {ID}", "service flush",
    ):
        done = host.adm(*args.split())
        assert (done.stdout, done.stderr) == ("", ""), args
    assert nl.dump("service-get") == []


def test_change_as_json(nl, host):
    del nl
    assert host.json("service", "add", ID) == {"ok": True}


def rows(host, *args):
    """The cells of a table, without its heading."""
    return [line.split() for line in host.adm(*args).stdout.splitlines()[1:]]


def cells(*values):
    return [str(value) for value in values]


def numbers(thing):
    # Drops and what was not answered are in JSON only.
    return cells(*list(thing["stats"].values())[:5])


@pytest.fixture(name="two")
def _two(nl):
    """Two services, three dests."""
    other = dict(SERVICE, protocol=17, port=53)
    batch(nl, [
        step("service-add", scheduler="wrr"),
        step("dest-add", to=dest(0), mode=1, weight=1),
        step("dest-add", to=dest(1), mode=1, weight=65535),
        step("service-add", other, scheduler="rr"),
        step("dest-add", other, to=dest(2, 53), mode=1, weight=0),
    ])


def test_services_as_table_and_as_json(two, host):
    del two
    services = host.json("service", "list")["services"]
    assert [s["id"] for s in services] == [ID, "udp/203.0.113.10:53"]
    assert rows(host, "service", "list", "--stats") == [
        [*cells(s["id"], s["scheduler"], s["dests"], s["active"], s["inactive"]), *numbers(s)]
        for s in services
    ]


def test_dests_as_table_and_as_json(two, host):
    del two
    dests = host.json("dest", "list")["dests"]
    assert [d["weight"] for d in dests] == [1, 65535, 0]
    assert rows(host, "dest", "list", "--stats") == [
        [*cells(d["service"], d["id"], d["mode"], d["weight"], d["active"], d["inactive"]),
         *numbers(d)]
        for d in dests
    ]


def test_dests_of_one_service(two, host):
    del two
    (found,) = host.json("dest", "list", "udp/203.0.113.10:53")["dests"]
    assert (found["id"], found["service"]) == ("10.2.0.3:53", "udp/203.0.113.10:53")


def test_service_show_has_what_the_lists_have(two, host):
    del two
    shown = host.json("service", "show", ID)
    assert shown["service"] == host.json("service", "list")["services"][0]
    assert shown["dests"] == host.json("dest", "list", ID)["dests"]
    out = host.adm("service", "show", ID).stdout
    assert ID in out and "10.2.0.1:80" in out and "10.2.0.2:80" in out


def test_statistics_as_table_and_as_json(two, host):
    del two
    shown = host.json("stats", "show")
    # The table has drops and what was not answered as counters.
    traffic, rates = (dict(list(shown[key].items())[:5]) for key in ("traffic", "rates"))
    rates = {f"{name}/s": rate for name, rate in rates.items()}
    expected = {**traffic, **rates, **shown["counters"]}
    table = {name.replace("-", "_"): int(value) for name, value in rows(host, "stats", "show")}
    assert table == expected
    assert "drop_no_dest" in table and "conns_now" in table


def test_settings_as_table_and_as_json(nl, host):
    nl.do("config-set", config={"udp-timeout": 44, "conn-max": 1000, "expire-nodest": 1})
    shown = host.json("config", "show")
    assert (shown["udp_timeout"], shown["conn_max"], shown["expire_nodest"]) == (44, 1000, "on")
    table = {" ".join(words) for words in rows(host, "config", "show")}
    assert {"udp-timeout 44 s", "conn-max 1000", "expire-nodest on"} <= table
    states = shown["tcp_timeouts"].items()
    assert {f"tcp-timeout {s.replace('_', '-')} {n} s" for s, n in states} <= table


@pytest.mark.parametrize("what", ["service", "dest", "conn"])
def test_empty_list(nl, host, what):
    del nl
    assert len(host.adm(what, "list").stdout.splitlines()) == 1
    (content,) = [v for v in host.json(what, "list").values() if isinstance(v, list)]
    assert content == []


def test_reader_that_has_enough_is_no_error(nl, host):
    batch(nl, [step("service-add", scheduler="rr"),
               *(step("dest-add", to=dest(i), mode=1, weight=1) for i in range(2000))])
    for command in ("dest list", "dest list -j", "save"):
        done = host.run("bash", "-o", "pipefail", "-c", f"rvsadm {command} | head -c 100")
        assert (len(done.stdout), done.stderr) == (100, ""), command


def test_full_disk_is_an_error(nl, host):
    del nl
    done = host.run("bash", "-c", "rvsadm service list > /dev/full", check=False)
    assert done.returncode == 1
    assert "cannot write the output" in done.stderr


def test_it_works_in_the_namespace_it_runs_in(web, host):
    del web
    assert len(host.json("service", "list")["services"]) == 1
    outside = shell.run("rvsadm", "service", "list", "-j").stdout
    assert json.loads(outside)["services"] == []


def test_dest_set_keeps_what_is_not_given(web, host):
    host.adm("dest", "set", ID, "10.1.1.1:80", "--weight", 9)
    found = web.one("dest-get", service=SERVICE, dest=DEST)["dest"]
    assert (found["mode"], found["weight"]) == (1, 9)


NEEDS_MODULE = [
    "service list", f"service add {ID}", "dest list", "conn list", "stats show", "config show",
    "save", "restore /dev/null", "monitor --timeout 1",
]


@pytest.mark.parametrize("args", NEEDS_MODULE)
def test_without_the_module_it_says_how_to_load_it(unloaded, args):
    del unloaded
    done = shell.run("rvsadm", *args.split(), check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "the rvs module is not loaded" in done.stderr
    assert "modprobe rvs" in done.stderr


def test_without_the_module_files_can_be_checked(unloaded):
    del unloaded
    good = "-A -t 203.0.113.10:80 -s rr\n-a -t 203.0.113.10:80 -r 10.1.1.1:80 -g -w 1\n"
    done = shell.run("rvsadm", "restore", "--check", "-", stdin=good)
    assert done.stdout == "fine: 1 services, 1 dests\n"
    done = shell.run("rvsadm", "restore", "--check", "-", stdin=good + "-A -t nonsense\n", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("line 3: ")
