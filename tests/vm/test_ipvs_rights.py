# SPDX-License-Identifier: GPL-2.0
"""Who may drive RVS by the family IPVS: whom ip_vs lets, unless the host says otherwise."""

import pytest
from lab import shell
from lab.compat import load, unload

# In a namespace of their own, of which they are root.
ASK = ("unshare", "-U", "-r", "-n", "ipvsadm", "-A", "-t", "203.0.113.10:80", "-s", "rr")


@pytest.mark.parametrize(("name", "options", "may"), [
    ("ip_vs", (), False), ("rvs", ("ipvs=1",), False), ("rvs", ("ipvs=2",), True)])
def test_administrators_of_other_users(name, options, may):
    unload()
    if name == "ip_vs":
        load(name)
        shell.modprobe("ip_vs_rr")
    else:
        shell.run("modprobe", name, *options)
    try:
        done = shell.run(*ASK, check=False)
        assert (done.returncode == 0) == may, done.stderr
        assert may or "Permission denied" in done.stderr or "not permitted" in done.stderr
    finally:
        unload()
