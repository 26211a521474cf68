# SPDX-License-Identifier: GPL-2.0
"""A director with local addresses."""

import pytest

from .director import Service

LOCALS = [f"192.168.56.{n}" for n in (201, 202)]


@pytest.fixture(name="fullnat")
def _fullnat(lab, rvs):
    for address in LOCALS:
        lab.director.ip(f"addr add {address}/32 dev eth0")
    rvs.adm("laddr", "add", "--default", *LOCALS)
    return rvs


def one(lab, port, protocol="tcp"):
    """A service whose only dest is rs1."""
    return Service([(lab.addresses["rs1"], 1)], mode="fullnat", port=port, protocol=protocol)
