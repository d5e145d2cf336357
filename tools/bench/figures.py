# SPDX-License-Identifier: GPL-2.0-or-later
"""Arithmetic and text of the benchmarks: nothing here runs anything."""
import csv
import os
import re
import statistics

BUCKET = re.compile(r'rtpfwd_setup_seconds_bucket\{(?:[^}]*,)?le="([^"]+)"')


class Spread:
    """The median of some rounds, and how far they lie apart."""

    def __init__(self, values):
        self.values = [v for v in values if v is not None]

    def __bool__(self):
        return bool(self.values)

    @property
    def median(self):
        return statistics.median(self.values)

    def text(self, form="{:.0f}"):
        if not self.values:
            return "-"
        low, middle, high = (form.format(v) for v in
                             (min(self.values), self.median, max(self.values)))
        return middle if low == high else f"{middle} ({low}-{high})"


def quantile(values, share):
    """The smallest of the values that at least this share of them does not exceed."""
    ordered = sorted(values)
    if not ordered:
        return None
    need = -(-share * len(ordered) // 1)
    return ordered[max(0, int(need) - 1)]


def histogram(metrics):
    """{upper bound in seconds: samples up to it} of rtpfwd_setup_seconds as scraped."""
    found = {}
    for key, value in metrics.items():
        bucket = BUCKET.match(key)
        if bucket:
            found[float(bucket.group(1).replace("+Inf", "inf"))] = value
    return found


def share_within(before, after, bound):
    """Which share of the samples between two histograms lies at or below one of the bounds."""
    total = after[float("inf")] - before.get(float("inf"), 0)
    return (after[bound] - before.get(bound, 0)) / total if total else None


def bound_of(before, after, share):
    """The bound at or below which at least this share of the new samples lies."""
    return next(b for b in sorted(after) if share_within(before, after, b) >= share)


def per_second(rows, column, less=()):
    """[how much a column of SIPp's statistics, less others, grew each second], by its own clock.

    `rows`: dictionaries of text with cumulative columns and CurrentTime, "DATE TIME EPOCH"."""
    points = []
    for row in rows:
        when = float(row["CurrentTime"].split()[-1])
        points.append((when, int(row[column]) - sum(int(row[c]) for c in less)))
    return [(after[1] - before[1]) / (after[0] - before[0])
            for before, after in zip(points, points[1:]) if after[0] - before[0] > 0.5]


def steady(rates, first, last):
    """The median of the full seconds between two points in time of a run; None: none there."""
    inside = rates[first:last]
    return statistics.median(inside) if inside else None


def rows_of(path):
    """Lines of a statistics file of SIPp as dictionaries; a line not wholly written is left out."""
    with open(path) as f:
        return [r for r in csv.DictReader(f, delimiter=";") if None not in r.values()]


def response_times(path):
    """Seconds from the lines of SIPp's -trace_rtt: time; milliseconds; its name. It writes them
    when it ends in peace."""
    if not os.path.exists(path):
        return []
    with open(path) as f:
        found = (line.split(";") for line in f)
        return [float(p[1]) / 1000 for p in found if len(p) >= 3 and p[1][:1].isdigit()]


def ladder(lowest, highest, steps=4):
    """Rates that grow by the same ratio, `steps` to a doubling, rounded to two digits."""
    rates, n = [], 0
    while True:
        exact = lowest * 2 ** (n / steps)
        n += 1
        digit = 10 ** (len(str(int(exact))) - 2)
        rate = int(round(exact / digit) * digit)
        if rate > highest:
            return rates
        rates.append(rate)


def climb(rungs, start, clean):
    """The highest rung at which clean(rate) holds, found from rung number `start`; None: not one.

    Up as long as it holds, else down until it does."""
    i = start
    if clean(rungs[i]):
        while i + 1 < len(rungs) and clean(rungs[i + 1]):
            i += 1
        return i
    while i > 0:
        i -= 1
        if clean(rungs[i]):
            return i
    return None


def table(rows):
    """Lines of a plain table: the first column to the left, the others to the right."""
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for name, *values in rows:
        cells = [f"{v:>{w}}" for v, w in zip(values, widths[1:])]
        lines.append("   " + "  ".join([f"{name:<{widths[0]}}", *cells]).rstrip())
    return lines


def ratio(value, reference, form="{:.2f}"):
    """`value` as a multiple of `reference`, both Spreads; "-" where one is missing."""
    if not value or not reference or not reference.median:
        return "-"
    return form.format(value.median / reference.median)
