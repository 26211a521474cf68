#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Draws docs/observe/dashboard.svg: the panels of examples/grafana/rvs.json with what Prometheus has read of
`rvsadm exporter` while there was traffic. Grafana itself draws them nicer.

usage:  make vm SHARE=docs/observe CMD='$$RVS_REPO/demo/dashboard.py >/mnt/share/dashboard.svg'
"""

import contextlib
import html
import http.client
import json
import os
import sys
import tempfile
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "tests", "vm")]

# pylint: disable=wrong-import-position
from lab.lone import VIP, LoneDirector  # noqa: E402
from screen import LINES, send  # noqa: E402

DASHBOARD = os.path.join(HERE, "..", "examples", "grafana", "rvs.json")
SECONDS, STEP = 90, 3
CONFIG = f"""
global: {{scrape_interval: {STEP}s}}
scrape_configs: [{{job_name: rvs, static_configs: [{{targets: ["127.0.0.1:9757"]}}]}}]
"""
COLOURS = ["#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2", "#b877d9", "#c0d8ff"]
CELL_W, CELL_H, GAP = 40, 26, 6
SERIES_MAX = 6


def query(path, **arguments):
    """What Prometheus answers."""
    connection = http.client.HTTPConnection("127.0.0.1", 9090, timeout=60)
    connection.request("GET", f"/api/v1/{path}?{urllib.parse.urlencode(arguments)}")
    return json.loads(connection.getresponse().read())["data"]["result"]


def filled(expression):
    """An expression of the dashboard with its variables."""
    for name, value in (("$__rate_interval", f"{5 * STEP}s"), ("$instance", ".*"), ("$netns", ".*"),
                        ("$service", ".*")):
        expression = expression.replace(name, value)
    return expression


def read():
    """Title, kind, place, unit and series of each panel, after some time of traffic."""
    host = LoneDirector("shown")
    host.ip(f"addr add {VIP}/32 dev lo", "addr add 2001:db8:56::1/64 dev d0 nodad")
    host.run("rvsadm", "restore", stdin=LINES)
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "wb") as null:
        with open(os.path.join(folder, "prometheus.yml"), "w", encoding="utf-8") as config:
            config.write(CONFIG)
        host.start("rvsadm", "exporter", stdout=null, stderr=null)
        host.start("prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                   stdout=null, stderr=null)
        begin, sent = time.time(), 0
        while time.time() - begin < SECONDS:
            with contextlib.suppress(OSError):
                send(host, sent)
            sent += 1
        panels = []
        with host.inside(), open(DASHBOARD, encoding="utf-8") as dashboard:
            for panel in json.load(dashboard)["panels"]:
                found = []
                for target in panel["targets"]:
                    found += query("query_range", query=filled(target["expr"]), start=begin + 8 * STEP,
                                   end=time.time(), step=STEP)
                unit = panel.get("fieldConfig", {}).get("defaults", {}).get("unit", "none")
                panels.append((panel["title"], panel["type"], panel["gridPos"], unit, found))
        host.close()
    return panels


def short(value, unit):
    """A number as an axis has it."""
    if unit == "percentunit":
        return f"{100 * value:.0f}%"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.1f}{letter}"
    return f"{value:.3g}" + ({"s": " s"}.get(unit, ""))


def text(x, y, words, more=""):
    """Words at a place."""
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{html.escape(words)}</text>'


def lines(place, unit, found):
    """The curves of a panel and what they are called."""
    x, y, width, height = place
    left, top, right, bottom = x + 46, y + 26, x + width - 10, y + height - 34
    curves = []
    for series in found:
        name = " ".join(value for key, value in sorted(series["metric"].items()) if key not in ("instance", "job", "netns"))
        # A share of nothing is no number.
        points = [(float(t), float(v)) for t, v in series["values"] if v != "NaN"]
        curves += [(name or "all", points)] if points else []
    curves.sort(key=lambda curve: -max(value for _, value in curve[1]))
    most = max((value for _, points in curves for _, value in points), default=0) or 1
    times = [t for _, points in curves for t, _ in points] or [0, 1]
    first, last = min(times), max(max(times), min(times) + 1)
    for part in (0, 0.5, 1):
        at = bottom - (bottom - top) * part
        yield f'<line x1="{left}" y1="{at:.1f}" x2="{right}" y2="{at:.1f}" stroke="#2c3235"/>'
        yield text(left - 4, at + 4, short(most * part, unit), 'text-anchor="end" fill="#8e8e8e"')
    for number, (_, points) in enumerate(curves):
        path = " ".join(f"{left + (right - left) * (t - first) / (last - first):.1f},"
                        f"{bottom - (bottom - top) * value / most:.1f}" for t, value in points)
        yield f'<polyline points="{path}" fill="none" stroke="{COLOURS[number % len(COLOURS)]}" stroke-width="1.5"/>'
    at = left - 36
    for number, (name, _) in enumerate(curves[:SERIES_MAX]):
        name = name if len(name) < 30 else name[:29] + "…"
        if at + 6.3 * len(name) > right:
            break
        yield text(at, bottom + 22, "● " + name, f'fill="{COLOURS[number % len(COLOURS)]}"')
        at += 6.3 * len(name) + 22
    if not curves:
        yield text((left + right) / 2, (top + bottom) / 2, "nothing", 'text-anchor="middle" fill="#8e8e8e"')


def svg(panels):
    """The dashboard as a picture."""
    width = 24 * CELL_W + GAP
    height = max(grid["y"] + grid["h"] for _, _, grid, _, _ in panels) * CELL_H + GAP
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
           'font-size="11">')
    yield "<!-- SPDX-License-Identifier: GPL-2.0, made by demo/dashboard.py -->"
    yield f'<rect width="{width}" height="{height}" fill="#111217"/>'
    for title, kind, grid, unit, found in panels:
        x, y = grid["x"] * CELL_W + GAP, grid["y"] * CELL_H + GAP
        w, h = grid["w"] * CELL_W - GAP, grid["h"] * CELL_H - GAP
        yield f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="3" fill="#181b1f"/>'
        yield text(x + 10, y + 17, title, 'fill="#d8d9da" font-size="12"')
        if kind == "stat":
            last = [float(series["values"][-1][1]) for series in found]
            words = short(last[0], unit) if last and last[0] == last[0] else "no limit"
            yield text(x + w / 2, y + h / 2 + 20, words,
                       'text-anchor="middle" fill="#73bf69" font-size="34"')
        else:
            yield from lines((x, y, w, h), unit, found)
    yield "</svg>"


if __name__ == "__main__":
    print("\n".join(svg(read())))
