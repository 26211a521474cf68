# SPDX-License-Identifier: GPL-2.0
"""What is dropped is counted for the service and the dest that it was for."""

import socket

import pytest
from lab.topology import VIP


def test_drops_are_of_the_service_and_the_dest(lab, rvs):
    """What was dropped before a dest was chosen is of the service, what was after is of the dest too; they stay in
    the service's when the dest goes."""
    rs1 = lab.addresses["rs1"]
    empty, routeless = f"tcp/{VIP}:81", f"tcp/{VIP}:80"
    rvs.adm("service", "add", empty, "-s", "rr")
    lab.director.ip("route add 192.0.2.0/24 via 192.168.56.102")
    rvs.adm("service", "add", routeless, "-s", "rr")
    rvs.adm("dest", "add", routeless, "192.0.2.7:80", "--mode", "dr")
    lab.director.ip("route del 192.0.2.0/24", "route replace unreachable 192.0.2.0/24")

    def stats():
        services = {each["id"]: each["stats"] for each in rvs.json("service", "list", "--stats")["services"]}
        dests = {each["id"]: each["stats"] for each in rvs.json("dest", "list", "--stats")["dests"]}
        return services, dests

    for port in (80, 81):
        with lab.client.inside(), socket.socket() as flow:
            flow.settimeout(10)
            with pytest.raises(OSError):
                flow.connect((VIP, port))
    services, dests = stats()
    assert services[empty]["drops"] >= 1
    assert services[routeless]["drops"] == dests["192.0.2.7:80"]["drops"] >= 1
    before = services[routeless]["drops"]
    rvs.adm("dest", "del", routeless, "192.0.2.7:80")
    rvs.adm("dest", "add", routeless, f"{rs1}:80", "--mode", "dr")
    services, dests = stats()
    assert (services[routeless]["drops"], dests[f"{rs1}:80"]["drops"]) == (before, 0)
    rvs.adm("stats", "zero", routeless)
    assert stats()[0][routeless]["drops"] == 0
