# SPDX-License-Identifier: GPL-2.0
"""Messages of SIP."""

import itertools

PORT = 5060
INVITE = "INVITE sip:bob@example.com SIP/2.0"
OK = "SIP/2.0 200 OK"

_numbers = itertools.count(1)


def new_call():
    """A Call-ID that no other test has: ip_vs remembers them."""
    return f"{next(_numbers)}-a84b4c76e66710@pc33.example.com"


def message(call_id, first=INVITE, line="Call-ID: {}", end="\r\n"):
    """A message about a call, of which LINE tells; with more in front, and a body."""
    lines = [first, "Via: SIP/2.0/UDP pc33.example.com;branch=z9hG4bK776asdhds", "From: <sip:alice@example.com>",
             *([line.format(call_id)] if call_id is not None else []), "CSeq: 314159 INVITE", "", "v=0", ""]
    return end.join(lines).encode()
