# SPDX-License-Identifier: GPL-2.0
"""Which real server each connection gets: RVS as ip_vs, flow by flow."""

import pytest
from lab.director import Service
from lab.topology import VIP
from lab.web import sequence

CASES = [
    pytest.param("rr", (1, 1, 1), id="rr"),
    pytest.param("rr", (1, 0, 1), id="rr-one-drained"),
    pytest.param("wrr", (1, 1, 1), id="wrr-equal"),
    pytest.param("wrr", (5, 3, 1), id="wrr-5-3-1"),
    pytest.param("wrr", (6, 0, 4), id="wrr-6-0-4"),
]


def service(lab, scheduler, weights):
    return Service(list(zip(lab.addresses.values(), weights)), scheduler=scheduler)


@pytest.mark.usefixtures("web")
def test_ip_vs_rr_takes_turns(lab, ipvs):
    lab.prepare_dr()
    ipvs.add(service(lab, "rr", (1, 1, 1)))
    seen = sequence(lab.client, VIP, 9)
    assert sorted(seen[:3]) == ["rs1", "rs2", "rs3"]
    assert seen == seen[:3] * 3


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize("scheduler, weights", CASES)
def test_sequence_equals_that_of_ip_vs(lab, ipvs, rvs, scheduler, weights):
    lab.prepare_dr()
    ipvs.add(service(lab, scheduler, weights))
    expected = sequence(lab.client, VIP, 24)
    ipvs.flush()
    rvs.add(service(lab, scheduler, weights))
    assert sequence(lab.client, VIP, 24, first_source_port=41000) == expected
