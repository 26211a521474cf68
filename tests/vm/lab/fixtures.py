# SPDX-License-Identifier: GPL-2.0
"""Fixtures that files of tests share: each file says which it has."""

import contextlib

import pytest

from .flow import Hosts
from .lone import VIP, LoneDirector
from .topology import Lab


def lab_of_file(*, prepare=None, **options):
    """The fixture `lab` of a file whose tests share one, made ready by `prepare`."""

    @pytest.fixture(name="lab", scope="module")
    def made():
        with contextlib.closing(Lab(**options)) as lab:
            if prepare:
                prepare(lab)
            yield lab

    return made


def lone_of_file(fixture, host):
    """The fixture FIXTURE of a file: a director alone, of that name, that has the virtual address."""

    @pytest.fixture(name=fixture, scope="module")
    def made():
        with contextlib.closing(LoneDirector(host)) as director:
            director.ip(f"addr add {VIP}/32 dev lo")
            yield director

    return made


@pytest.fixture(name="hosts", scope="module")
def _hosts(lab):
    return Hosts(lab)


def flow_by(a_flow):
    """The fixture `flow`, whose parameter is (director, IP version, mode), as the context A_FLOW makes it."""

    @pytest.fixture(name="flow")
    def made(request, hosts, rvs, ipvs):
        name, version, mode = request.param
        with a_flow(hosts, rvs if name == "rvs" else ipvs, version, mode) as flow:
            yield flow

    return made
