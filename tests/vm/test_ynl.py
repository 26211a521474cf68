# SPDX-License-Identifier: GPL-2.0
"""The kernel's own `ynl` drives the family with the specification of this repository."""

import glob
import json
import os

from lab.director import Service

SPEC = os.path.join(os.environ["RVS_REPO"], "rust", "netlink", "rvs.yaml")


def ynl(host, *args):
    """The answer of tools/net/ynl to one request."""
    source = glob.glob("/usr/src/rvs/*/source")[0]
    out = host.run(
        "python3", f"{source}/tools/net/ynl/pyynl/cli.py", "--spec", SPEC,
        "--schema", f"{source}/Documentation/netlink/genetlink.yaml",
        "--output-json", *args,
    ).stdout
    return json.loads(out)


def test_dump_of_services_and_dests(lab, rvs):
    rvs.add(Service([(a, 1) for a in lab.addresses.values()]))
    services = ynl(lab.director, "--dump", "service-get")
    assert len(services) == 1
    dests = ynl(lab.director, "--dump", "dest-get")
    assert len(dests) == 3
