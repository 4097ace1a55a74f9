#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs a test that was built with the thread sanitizer, and fails on races between accesses of ours.

GLib and GStreamer are not built with it: what they order by atomic operations of their own it
cannot see, so that it reports their reference counts, quarks and queues. A report counts where one
of the two accesses is in a file of this checkout, be it through a function of the C library.

Usage: races.py ROOT COMMAND..."""

import glob
import os
import re
import subprocess
import sys
import tempfile

ROOMS = ("engine/", "kernels/", "parsers/", "gst/", "tests/")
# Interceptors of the sanitizer, and the plain functions of GLib that only pass memory on.
THROUGH = re.compile(r"libsanitizer/|\b(g_free|g_malloc0?|g_realloc|g_memdup2?|g_strdup)\b")


def accesses(report):
    """The stacks of the two accesses, as lists of frames."""
    for part in re.split(r"\n\n", report):
        head = part.strip().splitlines()
        for number, line in enumerate(head):
            if re.search(r"^\s*(Read|Write|Previous read|Previous write|Atomic|Previous atomic) ?.*"
                         r"of size", line, re.IGNORECASE):
                yield [frame.strip() for frame in head[number + 1:]
                       if re.match(r"\s+#\d+ ", frame)]
                break


def is_ours(frames):
    for frame in frames:
        if THROUGH.search(frame):
            continue
        where = re.search(r"\.\./(\S+?):\d+", frame)
        return bool(where) and where.group(1).startswith(ROOMS)
    return False


def main():
    root, command = sys.argv[1], sys.argv[2:]
    with tempfile.TemporaryDirectory() as folder:
        options = (f"suppressions={root}/tests/unit/tsan.supp:log_path={folder}/report:exitcode=0:"
                   "report_mutex_bugs=0")
        env = dict(os.environ, TSAN_OPTIONS=options, OMP_NUM_THREADS="1", G_SLICE="always-malloc")
        status = subprocess.run(command, env=env, check=False).returncode
        reports = []
        for path in glob.glob(f"{folder}/report*"):
            with open(path, encoding="utf-8", errors="replace") as file:
                reports += re.split(r"={10,}\n", file.read())
    ours = [report for report in reports if "data race" in report and
            any(is_ours(frames) for frames in accesses(report))]
    for report in ours[:5]:
        print("\n".join("# " + line for line in report.splitlines()))
    print(f"# {len(ours)} races of ours; {sum('WARNING' in r for r in reports) - len(ours)} reports "
          "of what libraries do")
    return status or (1 if ours else 0)


sys.exit(main())
