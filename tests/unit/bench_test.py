#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The arithmetic behind the figures of the benchmarks."""
import contextlib
import os
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, "tools", "bench"), os.path.join(TOP, "tests", "netns")]
sys.dont_write_bytecode = True

import figures   # noqa: E402
import tap   # noqa: E402
from tap import check, equal   # noqa: E402


def file_of(text):
    f = tempfile.NamedTemporaryFile("w+")
    f.write(text)
    f.flush()
    return f


def spread(_):
    """median and extremes; a round without a value is left out"""
    s = figures.Spread([3.0, None, 1.0, 2.0])
    equal(s.text("{:.1f}"), "2.0 (1.0-3.0)", "text")
    equal(figures.Spread([4, 4]).text(), "4", "text of equal values")
    equal(figures.Spread([None]).text(), "-", "text of none")
    check(not figures.Spread([None]), "empty")
    equal(figures.ratio(s, figures.Spread([4])), "0.50", "ratio")
    equal(figures.ratio(s, figures.Spread([])), "-", "ratio to none")


def quantiles(_):
    """the smallest value that the share does not exceed"""
    equal([figures.quantile(range(1, 101), q) for q in (0, 0.5, 0.99, 1)], [1, 50, 99, 100], "100")
    equal(figures.quantile([7], 0.5), 7, "one")
    equal(figures.quantile([], 0.5), None, "none")


def histograms(_):
    """only what is new between two scrapes counts"""
    name = 'rtpfwd_setup_seconds_bucket{le="%s"}'
    before = figures.histogram({name % "0.005": 10, name % "+Inf": 10, "other": 5})
    after = figures.histogram({name % "0.005": 13, name % "+Inf": 14})
    equal(before, {0.005: 10, float("inf"): 10}, "buckets")
    equal(figures.share_within(before, after, 0.005), 0.75, "share")
    equal(figures.share_within(after, after, 0.005), None, "share of none")
    equal(figures.bound_of(before, after, 0.75), 0.005, "bound of three in four")
    equal(figures.bound_of(before, after, 0.99), float("inf"), "bound of nearly all")


STATISTICS = """StartTime;CurrentTime;SuccessfulCall(C);refused(C);
d;2026-01-01\t10:00:00.0\t100.0;0;0;
d;2026-01-01\t10:00:01.0\t101.0;100;20;
d;2026-01-01\t10:00:03.0\t103.0;500;20;
d;2026-01-01\t10:00:03.1\t103.1;600;20;
d;2026-01-01\t10:0"""


def statistics(_):
    """rates by the generator's clock; lines cut short and remains of a second are left out"""
    with file_of(STATISTICS) as f:
        rows = figures.rows_of(f.name)
    equal(len(rows), 4, "whole lines")
    equal(figures.per_second(rows, "SuccessfulCall(C)"), [100, 200], "rates")
    equal(figures.per_second(rows, "SuccessfulCall(C)", ("refused(C)",)), [80, 200], "less refused")
    equal(figures.steady([1, 5, 7, 6, 100], 1, 4), 6, "steady")
    equal(figures.steady([1], 1, 4), None, "steady of too short a run")


def response_times(_):
    """milliseconds of SIPp as seconds, its heading left out; none where it wrote none"""
    with file_of("Date_ms;response_time_ms;rtd_name\n1.0;52.5;1\n2.0;60;1\n") as f:
        equal(figures.response_times(f.name), [0.0525, 0.06], "times")
    equal(figures.response_times("/nonexistent/rtt"), [], "no file")


def ladder(_):
    """rates grow evenly and stay below the highest"""
    equal(figures.ladder(100, 250), [100, 120, 140, 170, 200, 240], "ladder")


def climb(_):
    """up while it is clean, else down until it is"""
    rungs = [1, 2, 3, 4, 5]
    for best in range(-1, 5):
        for start in range(5):
            got = figures.climb(rungs, start, lambda rate: rate <= best + 1)   # noqa: B023
            equal(got, best if best >= 0 else None, f"best {best} from {start}")


def table(_):
    """columns as wide as they must be"""
    lines = figures.table([["", "a", "bb"], ["name", "1", "-"]])
    equal(lines, ["         a  bb", "   name  1   -"], "table")


TESTS = [spread, quantiles, histograms, statistics, response_times, ladder, climb, table]

if __name__ == "__main__":
    tap.run(TESTS, contextlib.nullcontext)
