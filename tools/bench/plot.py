# SPDX-License-Identifier: GPL-2.0-or-later
"""A plot of the media figures: packets a second of each relay and the delay that it adds, both on
logarithmic axes, as an SVG that reads on light and dark pages."""
import math
from xml.sax.saxutils import escape

STYLE = """
  text { font: 13px sans-serif; fill: #24292f }
  .axis { font-size: 12px; fill: #57606a } .grid { stroke: #d0d7de }
  .bar { fill: #8c959f } .ours { fill: #0969da } .spread { stroke: #24292f; stroke-width: 1.5 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .axis { fill: #9198a1 } .grid { stroke: #3d444d }
    .bar { fill: #6e7681 } .ours { fill: #4493f8 } .spread { stroke: #e6edf3 }
  }
"""
NAMES, PANEL, GAP, ROW, TOP, FOOT = 200, 290, 70, 30, 34, 44


class Axis:
    """Decades from below the least value to above the most."""

    def __init__(self, left, values):
        self.left = left
        self.low = math.floor(math.log10(min(values) / 1.5))    # the shortest bar is one
        self.high = max(self.low + 1, math.ceil(math.log10(max(values))))

    def x(self, value):
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.left + PANEL * min(1, max(0, share))

    def decades(self):
        return [10.0 ** n for n in range(self.low, self.high + 1)]


def scale(value):
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def panel(axis, rows, label, unit, height):
    """`rows`: (ours, Spread or None) from top to bottom."""
    out = [f'<text x="{axis.left}" y="16">{escape(label)}</text>']
    for value in axis.decades():
        x = axis.x(value)
        out.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" '
                   f'y2="{height - FOOT}"/>')
        out.append(f'<text class="axis" x="{x:.1f}" y="{height - FOOT + 16}" '
                   f'text-anchor="middle">{scale(value)}</text>')
    for i, (ours, spread) in enumerate(rows):
        if not spread:
            continue
        y, low, high = TOP + i * ROW, axis.x(min(spread.values)), axis.x(max(spread.values))
        end = axis.x(spread.median)
        out.append(f'<rect class="{"ours" if ours else "bar"}" x="{axis.left}" y="{y}" '
                   f'width="{end - axis.left:.1f}" height="18"/>')
        out.append(f'<line class="spread" x1="{low:.1f}" x2="{high:.1f}" y1="{y + 9}" '
                   f'y2="{y + 9}"/>')
    out.append(f'<text class="axis" x="{axis.left}" y="{height - 8}">{escape(unit)}</text>')
    return out


def draw(rows):
    """The SVG's text; `rows`: (title, Spread of packets/s, Spread of microseconds)."""
    height = TOP + ROW * len(rows) + FOOT
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 '
           f'{NAMES + 2 * PANEL + 2 * GAP} {height}" role="img" '
           f'aria-label="packets per second and added latency of media relays">',
           f"<style>{STYLE}</style>"]
    for i, (title, _, _) in enumerate(rows):
        out.append(f'<text x="0" y="{TOP + i * ROW + 14}">{escape(title)}</text>')
    for n, label, unit in (
            (1, "packets/s without loss", "packets/s, logarithmic; more is better"),
            (2, "median latency at 10,000 packets/s", "µs, logarithmic; less is better")):
        bars = [(row[0].startswith("rtpfwd"), row[n]) for row in rows]
        axis = Axis(NAMES + (n - 1) * (PANEL + GAP), [v for _, s in bars for v in s.values])
        out += panel(axis, bars, label, unit, height)
    return "\n".join(out) + "\n</svg>\n"


def write(path, rows):
    with open(path, "w") as out:
        out.write(draw(rows))
