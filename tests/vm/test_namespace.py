# SPDX-License-Identifier: GPL-2.0
"""The director's namespace is deleted while it balances; then the module can be unloaded."""

import time

import pytest
from lab import shell
from lab.director import Service
from lab.netns import wait_until
from lab.packets import tcp, udp
from lab.raw import Observed, Wire
from lab.topology import CLIENT, VIP, Lab

DNS = Service([("192.168.56.101", 1), ("192.168.56.102", 1)], protocol="udp", port=53)
WEB = Service(DNS.dests)


@pytest.mark.parametrize("flooded", [True, False], ids=["flood", "idle"])
def test_a_namespace_goes_with_all_its_state(flooded):
    lab = Lab(web=False, real_servers=3)
    wire = Wire(lab)
    rvs = Observed(lab.director)
    for service in (DNS, WEB):
        rvs.add(service)
    wire.send(*(udp((CLIENT, 6000 + i), (VIP, 53)) for i in range(6)))
    wire.send(tcp((CLIENT, 6000), (VIP, 80), 2))
    wire.settle()
    assert rvs.counters()["conns_now"] == 7
    director = lab.hosts.pop(lab.hosts.index(lab.director))
    if flooded:
        # From a host whose device stays.
        with wire.flood("udp_src_min 10000", "udp_src_max 14000", host=lab.real["rs3"]) as flood:
            wait_until(lambda: flood.sent() > 300, "the flood runs")
            director.close()
            time.sleep(0.5)
    else:
        director.close()
    # Unloading waits for the clean-up of namespaces to end.
    began = time.monotonic()
    shell.rmmod("rvs")
    assert time.monotonic() - began < 8
    wire.close()
    lab.close()
