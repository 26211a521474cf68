# SPDX-License-Identifier: GPL-2.0
"""The kernel's own `ynl` drives the family with the spec of this repository, nothing else known."""

import glob
import json

import pytest
from lab.genl import SPEC, spec
from lab.lone import DEST, SERVICE, batch, host_fixture, nl_fixture, step
from lab.netns import wait_until

__all__ = ["host_fixture", "nl_fixture"]

(SOURCE,) = glob.glob("/usr/src/rvs/*/source")[:1] or [""]
COMMAND = ["python3", f"{SOURCE}/tools/net/ynl/pyynl/cli.py", "--spec", str(SPEC)]
SCHEMA = f"{SOURCE}/Documentation/netlink/genetlink.yaml"


def ynl(host, how, operation, attrs=None):
    """What an operation answers."""
    done = run(host, how, operation, attrs)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def run(host, how, operation, attrs=None):
    """Runs an operation. Without the schema, which one test checks: it takes as long again."""
    args = ["--no-schema", "--output-json", f"--{how}", operation]
    if attrs is not None:
        args += ["--json", json.dumps(attrs)]
    return host.run(*COMMAND, *args, check=False)


@pytest.fixture(name="web")
def _web(nl):
    batch(nl, [step("service-add", scheduler="rr"), step("dest-add", to=DEST, mode=1, weight=3)])
    return nl


def test_spec_meets_the_kernels_schema(host):
    host.run(*COMMAND, "--schema", SCHEMA, "--validate")


def test_spec_of_the_receiver_meets_the_kernels_schema(host):
    spec_of_toa = SPEC.parents[2] / "toa" / "toa.yaml"
    host.run(*COMMAND[:-1], str(spec_of_toa), "--schema", SCHEMA, "--validate")


def test_service_add(nl, host):
    assert ynl(host, "do", "service-add", {"service": dict(SERVICE, scheduler="rr")}) is None
    assert nl.one("service-get", service=SERVICE)["service"]["scheduler"] == "rr"


def test_service_get(web, host):
    del web
    answer = ynl(host, "do", "service-get", {"service": SERVICE})["service"]
    assert {name: answer[name] for name in SERVICE} == SERVICE
    assert (answer["scheduler"], answer["dests"]) == ("rr", 1)
    assert answer["stats"]["connections"] == 0


def test_dump_of_services(web, host):
    batch(web, [step("service-add", dict(SERVICE, port=81), scheduler="wrr")])
    found = [answer["service"] for answer in ynl(host, "dump", "service-get")]
    assert [(s["port"], s["scheduler"]) for s in found] == [(80, "rr"), (81, "wrr")]


def test_dest_add_with_a_mode_by_name(web, host):
    new = dict(DEST, address="10.1.1.2")
    attrs = {"service": SERVICE, "dest": dict(new, mode="dr", weight=7)}
    assert ynl(host, "do", "dest-add", attrs) is None
    assert web.one("dest-get", service=SERVICE, dest=new)["dest"]["weight"] == 7


def test_dump_of_dests(web, host):
    del web
    (answer,) = ynl(host, "dump", "dest-get", {"service": SERVICE})
    assert answer["service"] == SERVICE
    assert answer["dest"]["address"] == "10.1.1.1"
    assert (answer["dest"]["mode"], answer["dest"]["weight"]) == ("dr", 3)


def test_batch(nl, host):
    steps = [
        {"op": 1, "service": dict(SERVICE, scheduler="rr")},
        {"op": 6, "service": SERVICE, "dest": dict(DEST, mode="dr", weight=1)},
    ]
    assert ynl(host, "do", "batch", {"change": steps}) is None
    assert len(nl.dump("dest-get")) == 1


def test_stats_get(web, host):
    del web
    answer = ynl(host, "do", "stats-get")
    assert answer["stats"]["connections"] == 0
    assert answer["counters"]["conns-now"] == 0
    assert answer["counters"]["table-buckets"] > 0


def test_config_set(nl, host):
    config = {"tcp-timeouts": {"fin-wait": 77}, "conn-max": 1 << 40}
    assert ynl(host, "do", "config-set", {"config": config}) is None
    now = nl.one("config-get")["config"]
    assert (now["tcp-timeouts"]["fin-wait"], now["conn-max"]) == (77, 1 << 40)


def test_config_get(nl, host):
    expected = nl.one("config-get")["config"]
    names = {"conn-reuse": "closed", "drop-entry": "off", "drop-packet": "off", "echo": "host",
             "places": "early", "conntrack": "off"}
    assert {name: expected[name] for name in names} == {
        "conn-reuse": 1, "drop-entry": 0, "drop-packet": 0, "echo": 0, "places": 0, "conntrack": 0}
    assert ynl(host, "do", "config-get")["config"] == {**expected, **names}


def test_refusal_has_the_familys_text_and_names_the_attribute(web, host):
    del web
    attrs = {"service": SERVICE, "dest": dict(DEST, address="10.1.1.2", mode="dr", weight=2147483648)}
    done = run(host, "do", "dest-add", attrs)
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "weight 2147483648 is out of range, 0 to 2147483647: Numerical result out of range" in said
    assert ".dest.weight" in said


def test_refusal_names_the_missing_attribute(web, host):
    del web
    attrs = {"service": SERVICE, "dest": dict(DEST, address="10.1.1.2", mode="dr")}
    done = run(host, "do", "dest-add", attrs)
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "weight is missing: Invalid argument" in said
    # Of an attribute in a nest it has the number only.
    number = spec().sets["dest"]["weight"].number
    assert f"'miss-type': {number}" in said and "'miss-nest'" in said


def test_subscribe(web, host, tmp_path):
    path = tmp_path / "events"
    with open(path, "w", encoding="utf-8") as out:
        child = host.start(
            "env", "PYTHONUNBUFFERED=1", *COMMAND, "--no-schema", "--output-json",
            "--subscribe", "events", "--duration", 100, stdout=out,
        )
    # It does not say when it listens.
    weights = iter(range(10, 10000))

    def heard():
        web.do("dest-set", service=SERVICE, dest=dict(DEST, weight=next(weights)))
        return path.read_text(encoding="utf-8").count("\n") >= 2

    wait_until(heard, "ynl hears of changes", seconds=90, step=0.2)
    host.stop(child)
    events = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert {event["name"] for event in events} == {"dest-set-ntf"}
    heard_weights = [event["msg"]["dest"]["weight"] for event in events]
    assert heard_weights == list(range(heard_weights[0], heard_weights[0] + len(events)))
