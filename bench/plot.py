# SPDX-License-Identifier: GPL-2.0
"""Plots of a bench as SVG, without any library.

usage: plot.py BENCH.json FOLDER
"""

import json
import math
import os
import re
import sys

WIDTH, HEIGHT = 760, 400
LEFT, RIGHT, TOP, BOTTOM = 80, 190, 40, 50
COLOURS = ["#0b6e4f", "#c1440e", "#2f4b9b", "#a05195", "#d4a017", "#5f6b6d", "#18a1a8", "#7a3b10",
           "#8a8d00", "#e0607e", "#4c9f38", "#6c4ab6", "#b0413e", "#1f78b4"]


class Chart:
    """A chart with a title; text is collected in `parts`."""

    def __init__(self, title, y_title):
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            'font-family="sans-serif" font-size="12">',
            "<!-- SPDX-License-Identifier: GPL-2.0; made by bench/plot.py -->",
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        ]
        self.text(WIDTH / 2, 20, title, 'text-anchor="middle" font-size="15"')
        middle = (TOP + HEIGHT - BOTTOM) / 2
        self.text(18, middle, y_title, f'text-anchor="middle" transform="rotate(-90 18 {middle})"')

    def text(self, x, y, words, more=""):
        """Words at a place."""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" {more}>{words}</text>')

    def line(self, x1, y1, x2, y2, more):
        """A straight line."""
        self.parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {more}/>')

    def write(self, path):
        """Ends it."""
        with open(path, "w", encoding="ascii") as f:
            f.write("\n".join([*self.parts, "</svg>", ""]))


def _ticks(top):
    """Round numbers from 0 to a bit more than TOP."""
    step = 10 ** math.floor(math.log10(top))
    step = next(step * m for m in (0.2, 0.5, 1, 2) if top / (step * m) <= 7)
    return [i * step for i in range(math.ceil(top / step) + 1)]


def lines(title, y_title, x_title, series, path):
    """A chart of lines over a logarithmic x axis. SERIES: name to [(x, y)]."""
    series = {name: sorted(points) for name, points in series.items() if points}
    if not series:
        return
    xs = sorted({x for points in series.values() for x, _ in points})
    ticks = _ticks(max(y for points in series.values() for _, y in points))
    low, high = math.log10(xs[0]), math.log10(xs[-1])

    def at(x, y):
        part = (math.log10(x) - low) / ((high - low) or 1)
        return (LEFT + part * (WIDTH - LEFT - RIGHT),
                HEIGHT - BOTTOM - y / ticks[-1] * (HEIGHT - TOP - BOTTOM))

    chart = Chart(title, y_title)
    for tick in ticks:
        y = at(xs[0], tick)[1]
        chart.line(LEFT, y, WIDTH - RIGHT, y, 'stroke="#ddd"')
        chart.text(LEFT - 8, y + 4, f"{tick:,.0f}", 'text-anchor="end"')
    for x in xs:
        chart.text(at(x, 0)[0], HEIGHT - BOTTOM + 18, f"{x:,}", 'text-anchor="middle"')
    chart.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, x_title, 'text-anchor="middle"')
    ends = sorted(series, key=lambda name: -series[name][-1][1])
    below = TOP - 14
    for number, name in enumerate(ends):
        colour = COLOURS[number % len(COLOURS)]
        dash = ' stroke-dasharray="5 4"' if name.startswith("ip_vs") else ""
        points = " ".join("{:.1f},{:.1f}".format(*at(*point)) for point in series[name])
        chart.parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        for point in series[name]:
            x, y = at(*point)
            chart.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')
        below = max(below + 14, at(*series[name][-1])[1] + 4)
        chart.text(WIDTH - RIGHT + 10, min(below, HEIGHT - 4), name, f'fill="{colour}"')
    chart.write(path)


def bars(title, x_title, values, path):
    """Horizontal bars. VALUES: name to figure."""
    chart = Chart(title, "")
    left, step = 170, (HEIGHT - TOP - 30) / len(values)
    ticks = _ticks(max(values.values()))
    scale = (WIDTH - left - 70) / ticks[-1]
    for tick in ticks:
        chart.line(left + tick * scale, TOP - 8, left + tick * scale, HEIGHT - 30, 'stroke="#ddd"')
        chart.text(left + tick * scale, HEIGHT - 16, f"{tick:,.0f}", 'text-anchor="middle"')
    chart.text(WIDTH / 2, HEIGHT - 3, x_title, 'text-anchor="middle"')
    for number, (name, value) in enumerate(values.items()):
        y = TOP - 4 + number * step
        colour = COLOURS[0] if "rvs" in name else COLOURS[1] if "ip_vs" in name else COLOURS[5]
        chart.parts.append(f'<rect x="{left}" y="{y:.1f}" width="{max(value, 0) * scale:.1f}" '
                           f'height="{step * 0.75:.1f}" fill="{colour}"/>')
        chart.text(left - 8, y + step * 0.6, name, 'text-anchor="end"')
        chart.text(left + max(value, 0) * scale + 6, y + step * 0.6, f"{value:,.0f}")
    chart.write(path)


ONE_FLOW = (
    "tc_redirect", "rvs/dr", "rvs/nat", "rvs/nat-reply", "rvs/fullnat", "rvs/fullnat-reply",
    "rvs/tun", "nft_flowtable", "nft_flowtable_dnat", "ip_forward", "nft_dnat", "nft_dnat-reply",
    "ip_vs/dr", "ip_vs/nat", "ip_vs/nat-reply", "ip_vs/tun",
)


def main():
    """All plots that there are figures for."""
    source, folder = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)
    with open(source, encoding="ascii") as f:
        bench = json.load(f)
    cases, floor = bench["cases"], bench["floor"]
    one = {name: cases[name] - floor for name in ONE_FLOW if name in cases}
    bars("A packet of one established flow, 64 bytes", "instructions above the floor", one,
         os.path.join(folder, "one-flow.svg"))
    flows = {}
    for name, value in cases.items():
        if found := re.fullmatch(r"(.*)/(\d+)-flows", name):
            flows.setdefault(found.group(1), []).append((int(found.group(2)), value - floor))
    for name, points in flows.items():
        if name in cases:
            points.append((1, cases[name] - floor))
    lines("Cost of a packet with many flows", "instructions above the floor", "flows", flows,
          os.path.join(folder, "flows.svg"))
    for who in ("rvs", "ip_vs"):
        dests = {}
        for name, value in cases.items():
            if found := re.fullmatch(rf"{who}/new-flow/(\w+)/(\d+)", name):
                dests.setdefault(found.group(1), []).append((int(found.group(2)), value))
        lines(f"First packet of a flow, {who}, by scheduler", "instructions", "dests", dests,
              os.path.join(folder, f"dests-{who}.svg"))


if __name__ == "__main__":
    main()
