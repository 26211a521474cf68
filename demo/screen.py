#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Draws docs/observe/top.svg: `rvsadm top` in a terminal of 80x24, with traffic, as it comes out.

usage:  make vm SHARE=docs/observe CMD='$$RVS_REPO/demo/screen.py >/mnt/share/top.svg'
"""

import contextlib
import html
import os
import re
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "vm"))

# pylint: disable=wrong-import-position
from lab.lone import VIP, LoneDirector  # noqa: E402
from lab.terminal import Terminal  # noqa: E402

SIX = "2001:db8:113::10"
LINES = f"""\
-A -u {VIP}:53 -s wrr
-a -u {VIP}:53 -r 10.1.1.1:53 -g -w 3
-a -u {VIP}:53 -r 10.1.1.2:53 -g -w 2 -x 60
-a -u {VIP}:53 -r 10.1.1.3:53 -g -w 0
-A -u {VIP}:514 -s lc
-a -u {VIP}:514 -r 10.1.2.1:514 -g -w 1
-a -u {VIP}:514 -r 10.1.2.2:514 -g -w 1
-A -t {VIP}:443 -s wlc
-a -t {VIP}:443 -r 10.1.3.1:443 -g -w 1
-A -t [{SIX}]:443 -s mh
-a -t [{SIX}]:443 -r [2001:db8:56::101]:443 -g -w 1
-A -u {VIP}:123 -s rr
"""
SECONDS = 12
COLOURS = {"38;5;1": "#e55", "38;5;3": "#db3", "38;5;5": "#d6d", "38;5;8": "#888"}
WIDTH, HEIGHT, LEFT, TOP = 8.4, 17, 10, 22


def send(host, sent):
    """A datagram of each of some flows."""
    for port, size, count in ((53, 60, 8), (514, 900, 5), (123, 48, 1)):
        for n in range(count):
            with host.inside():
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            with s:
                # New ones of port 53 all the time, of the others always the same.
                s.bind((VIP, 20_000 + n + (sent % 2000 * count if port == 53 else 0)))
                # The service without dests refuses.
                with contextlib.suppress(PermissionError):
                    s.sendto(b"x" * size, (VIP, port))


def capture():
    """The screen after some seconds of traffic, with its escapes."""
    host = LoneDirector("shown")
    host.ip(f"addr add {VIP}/32 dev lo", "addr add 2001:db8:56::1/64 dev d0 nodad")
    host.run("rvsadm", "restore", stdin=LINES)
    with Terminal(host, "rvsadm top --delay 2") as terminal:
        end, sent = time.monotonic() + SECONDS, 0
        while time.monotonic() < end:
            send(host, sent)
            sent += 1
        screen = terminal.screen(colours=True)
    host.close()
    return screen


def spans(line):
    """Parts of a line: text and the codes that are in force."""
    codes = set()
    for code, text in re.findall(r"(?:\x1b\[([\d;]*)m)?([^\x1b]*)", line):
        for one in re.findall(r"38;5;\d+|\d+", code or ""):
            if one == "0":
                codes = set()
            elif one == "39":
                codes -= set(COLOURS)
            elif one == "27":
                codes -= {"7"}
            elif one == "22":
                codes -= {"1"}
            else:
                codes = codes | {one}
        if text:
            yield text, codes


def svg(screen):
    """The screen as a picture."""
    rows = screen.splitlines()
    width, height = 80 * WIDTH + 2 * LEFT, len(rows) * HEIGHT + TOP
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" '
           'font-family="monospace" font-size="14" xml:space="preserve">')
    yield "<!-- SPDX-License-Identifier: GPL-2.0, made by demo/screen.py -->"
    yield f'<rect width="{width:.0f}" height="{height}" rx="6" fill="#1c1c1c"/>'
    for number, line in enumerate(rows):
        y, x = TOP + number * HEIGHT, LEFT
        for text, codes in spans(line):
            length = len(text) * WIDTH
            colour = next((COLOURS[code] for code in codes if code in COLOURS), "#ddd")
            if "7" in codes:
                yield f'<rect x="{x:.1f}" y="{y - 13}" width="{length:.1f}" height="{HEIGHT}" fill="{colour}"/>'
                colour = "#1c1c1c"
            weight = ' font-weight="bold"' if "1" in codes else ""
            if text.strip():
                yield (f'<text x="{x:.1f}" y="{y}" fill="{colour}"{weight} textLength="{length:.1f}" '
                       f'lengthAdjust="spacingAndGlyphs">{html.escape(text)}</text>')
            x += length
    yield "</svg>"


if __name__ == "__main__":
    print("\n".join(svg(capture())))
