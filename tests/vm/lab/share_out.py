# SPDX-License-Identifier: GPL-2.0
"""Several guests share one run: each file of tests goes to the guest that claims it first.

The guests have a folder in common, RVS_CLAIMS; making a folder in it is the claim. Every other
guest starts from the end of the list, so that the long files at either end run side by side.
"""

import os

import pytest

CLAIMS = os.environ.get("RVS_CLAIMS")
GUEST = int(os.environ.get("RVS_GUEST", "0"))


def pytest_collection_modifyitems(items):
    """Odd guests take the files in the opposite order."""
    if CLAIMS and GUEST % 2:
        files = list(dict.fromkeys(item.path for item in items))
        items.sort(key=lambda item: -files.index(item.path))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    """Says that the test is dealt with when its file is another guest's."""
    return None if not CLAIMS or _ours(item.path.name) else True


def _ours(name, known={}):  # pylint: disable=dangerous-default-value
    if name not in known:
        try:
            os.mkdir(os.path.join(CLAIMS, name))
            known[name] = True
        except FileExistsError:
            known[name] = False
    return known[name]
