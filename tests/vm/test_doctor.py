# SPDX-License-Identifier: GPL-2.0
"""rvsadm doctor: nothing where nothing is wrong, and each thing that is made wrong, with a command that mends it."""

import json

import pytest
from lab.director import Service
from lab.topology import VIP

RS1 = "192.168.56.101"


def look(host, *args):
    """The names of what is found, and all of it."""
    done = host.run("rvsadm", "doctor", *args, "-j", check=False)
    findings = json.loads(done.stdout)["findings"]
    assert done.returncode == (3 if findings else 0), done.stderr
    assert all(each["why"] and each["mend"] for each in findings)
    return {each["check"]: each["mend"] for each in findings}


@pytest.fixture(name="site")
def _site(lab, rvs):
    rvs.add(Service([(address, 1) for address in lab.addresses.values()]))
    director = lab.director
    for address in lab.addresses.values():
        director.run("ping", "-c", "1", "-W", "5", address)
    return director


def test_a_director(rvs, site):
    found = look(site)
    found.pop("ip-vs", None)  # other tests compare with it
    assert found == {}, found
    assert site.run("rvsadm", "doctor", check=False).stdout.splitlines()[-1].startswith("director: ")

    service = f"tcp/{VIP}:80"
    rvs.adm("dest", "add", service, "192.168.56.77:80", "--mode", "dr")
    site.run("ping", "-c", "1", "-W", "1", "192.168.56.77", check=False)
    rvs.adm("service", "add", f"udp/{VIP}:53", "-s", "rr")
    found = look(site)
    assert {"dest-neighbour", "no-dest"} <= set(found)
    # What mends it is a command of rvsadm's.
    assert found["no-dest"].startswith(f"rvsadm dest add udp/{VIP}:53")
    rvs.adm("service", "del", f"udp/{VIP}:53")
    rvs.adm("dest", "del", service, "192.168.56.77:80")

    site.ip(f"addr del {VIP}/32 dev lo")
    found = look(site)
    assert found["vip"] == f"ip addr add {VIP}/32 dev lo"
    site.run(*found["vip"].split())
    assert "vip" not in look(site)


def test_a_real_server(lab):
    server = lab.real["rs1"]
    found = look(server, "--vip", VIP)
    assert {"vip", "arp"} <= set(found), found
    for check in ("vip", "arp"):
        assert found[check] == f"rvsadm rs setup --mode dr --vip {VIP}"
    server.run(*found["vip"].split())
    try:
        left = look(server, "--vip", VIP)
        assert not {"vip", "arp"} & set(left), left
    finally:
        server.run("rvsadm", "rs", "undo")
