# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the test functions of a file in order and prints TAP."""
import os
import signal
import sys
import time
import traceback

# How much slower than most this machine is: limits grow by so much.
SLOW = float(os.environ.get("SLOW", "1"))


class Skip(Exception):
    """Raised by a test that cannot run here; the text says why."""


class Failed(Exception):
    """An expectation that did not hold."""


def check(condition, *what):
    if not condition:
        raise Failed(" ".join(str(w) for w in what) or "condition does not hold")


def equal(got, want, what=""):
    if got != want:
        raise Failed(f"{what}: got {got!r}, want {want!r}")


def wait_for(condition, timeout=5.0, what="condition"):
    """Polls until `condition()` is true and returns its value; Failed after `timeout` seconds, or
    SLOW times as many."""
    deadline = time.monotonic() + timeout * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            text = what() if callable(what) else what
            raise Failed(f"not within {timeout} s: {text}")
        time.sleep(0.02)


def _terminated(_signo, _frame):
    raise SystemExit(143)


def diag(text):
    for line in str(text).splitlines():
        print("# " + line, flush=True)


def _one(number, name, test, arg, after):
    began = time.monotonic()
    verdict, note = "ok", ""
    try:
        test(arg)
    except Skip as reason:
        note = f" # SKIP {reason}"
    except Exception:  # noqa: B902: whatever goes wrong is this test's failure
        verdict = "not ok"
        diag(traceback.format_exc())
    try:
        after(arg, verdict != "ok")
    except Exception:
        if verdict == "ok":
            verdict, note = "not ok", ""
        diag(traceback.format_exc())
    print(f"{verdict} {number} - {name}{note}", flush=True)
    diag(f"{time.monotonic() - began:.2f} s")
    return verdict == "ok"


def run(tests, make, after=lambda arg, failed: None, final=None):
    """make() gives a context manager whose value every test gets; `after` runs behind each test,
    `final` (a test of what is left) once the context is closed."""
    signal.signal(signal.SIGTERM, _terminated)
    only = os.environ.get("TEST", "")
    tests = [t for t in tests if only in t.__name__]
    total = len(tests) + (1 if final else 0)
    print(f"1..{total}", flush=True)
    good, done = True, 0
    try:
        with make() as arg:
            for test in tests:
                done += 1
                name = test.__doc__.splitlines()[0].rstrip(".") if test.__doc__ else test.__name__
                good &= _one(done, f"{test.__name__}: {name}", test, arg, after)
    except Exception:
        diag(traceback.format_exc())
        done += 1
        print(f"not ok {done} - the lab", flush=True)
        good = False
    if final:
        good &= _one(total, "nothing_left: " + final.__doc__.splitlines()[0].rstrip("."),
                     lambda _: final(), None, lambda *_: None)
    sys.exit(0 if good else 1)
