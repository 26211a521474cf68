# SPDX-License-Identifier: GPL-2.0
"""The lab itself works before anything is balanced."""

import pytest
from lab.capture import Capture
from lab.topology import CLIENT
from lab.web import get


@pytest.mark.usefixtures("web")
def test_every_real_server_answers_with_its_name(lab):
    for name, address in lab.addresses.items():
        assert get(lab.client, address) == name
        assert lab.web[name].log()[-1][0] == CLIENT


@pytest.mark.usefixtures("web")
def test_real_curl_reaches_a_real_server(lab):
    out = lab.client.run("curl", "-sS", "-m", 10, f"http://{lab.addresses['rs2']}/").stdout
    assert out == "rs2\n"


def test_capture_sees_a_ping(lab):
    with Capture(lab.director, "eth0", "icmp") as seen:
        lab.client.run("ping", "-c", 1, "-W", 5, "192.168.56.118")
    assert any("echo request" in line for line in seen.lines)
