#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks of the source text: format, headers that compile alone, the direction of includes, and
licence lines. Prints TAP.

Usage: lint.py ROOT CC [CFLAGS...]"""

import os
import re
import subprocess
import sys

ROOT = os.path.abspath(sys.argv[1])
CC = sys.argv[2:]
ROOMS = ("engine", "kernels", "parsers", "gst", "pipelines", "tests")
# room -> rooms whose headers it may include
ARROWS = {
    "engine": {"engine"},
    "kernels": {"engine", "kernels"},
    "parsers": {"engine", "parsers"},
    "gst": {"engine", "parsers", "gst"},
    "pipelines": {"engine", "parsers", "gst", "pipelines"},
}
MAX_LINES = 900
results = 0
failures = 0


def report(ok, name, detail=""):
    global results, failures
    results += 1
    failures += not ok
    print(f"{'ok' if ok else 'not ok'} {results} - {name}")
    for line in detail.splitlines()[:20]:
        print("#", line)


def sources(*suffixes):
    for room in ROOMS:
        for folder, _, files in os.walk(os.path.join(ROOT, room)):
            for name in sorted(files):
                if name.endswith(suffixes):
                    yield os.path.join(folder, name)


def check_format():
    files = list(sources(".c", ".h"))
    done = subprocess.run(["clang-format", "--dry-run", "--Werror", *files], cwd=ROOT,
                          capture_output=True, text=True, check=False)
    report(done.returncode == 0, "clang-format finds nothing to change", done.stderr)


def can_include(header):
    return subprocess.run([*CC, "-fsyntax-only", "-x", "c", "-"], input=f"#include <{header}>\n",
                          capture_output=True, text=True, check=False).returncode == 0


def check_headers():
    cuda = can_include("cuda.h")
    for path in sources(".h"):
        name = os.path.relpath(path, ROOT)
        if name.startswith("kernels/cuda/") and not cuda:
            continue
        done = subprocess.run([*CC, "-fsyntax-only", "-Werror=implicit-function-declaration",
                               "-x", "c", "-include", path, "/dev/null"],
                              capture_output=True, text=True, check=False)
        report(done.returncode == 0, f"{name} compiles alone", done.stderr)


def room_of_include(folder, include):
    """The room that an include comes from, None for system headers."""
    beside = os.path.normpath(os.path.join(folder, include))
    if os.path.exists(beside):
        return os.path.relpath(beside, ROOT).split(os.sep)[0]
    for room in ("engine", "parsers", "gst", "kernels/cpu", "kernels/cuda"):
        if os.path.exists(os.path.join(ROOT, room, include)):
            return room.split("/")[0]
    return None


def check_arrows():
    wrong = []
    for path in sources(".c", ".h"):
        room = os.path.relpath(path, ROOT).split(os.sep)[0]
        if room not in ARROWS:
            continue
        with open(path, encoding="utf-8") as file:
            for include in re.findall(r'^#include ["<]([^">]+)[">]', file.read(), re.MULTILINE):
                source = room_of_include(os.path.dirname(path), include)
                if source and source not in ARROWS[room]:
                    wrong.append(f"{os.path.relpath(path, ROOT)} includes {include} of {source}/")
    report(not wrong, "includes point the way of the design", "\n".join(wrong))


def check_text():
    no_licence, too_long = [], []
    for path in sources(".c", ".h", ".py", ".sh"):
        name = os.path.relpath(path, ROOT)
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
        if not any("SPDX-License-Identifier: LGPL-2.1-or-later" in line for line in lines[:3]):
            no_licence.append(name)
        if len(lines) > MAX_LINES:
            too_long.append(f"{name} has {len(lines)} lines")
    report(not no_licence, "every source names its licence", "\n".join(no_licence))
    report(not too_long, f"no file is longer than {MAX_LINES} lines", "\n".join(too_long))


check_format()
check_arrows()
check_text()
check_headers()
print(f"1..{results}")
sys.exit(1 if failures else 0)
