#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs every command of the README. Prints TAP.

Usage: readme.py ROOT BUILD

The commands run as printed, in a folder whose `build` is the build folder and in which the rest is
the checkout's. Two things differ, since a test has no screen and runs inside tests/run: a video sink
that opens a window is replaced by one that does not, and `tests/run` and the commands that make the
build folder are only looked at (they are what runs this test)."""

import os
import re
import subprocess
import sys
import tempfile

ROOT, BUILD = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
OUTSIDE = ("tests/run", "meson setup", "meson compile")
# What a command has to leave.
LEAVES = {"objects.jsonl": 795, "first.jsonl": 795, "second.jsonl": 795}


def commands():
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        blocks = re.findall(r"```sh\n(.*?)```", file.read(), re.DOTALL)
    for block in blocks:
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            if line.strip():
                yield line.strip()


def run(folder, command):
    command = command.replace("autovideosink", "fakevideosink sync=false")
    environment = dict(os.environ, INFER_BUILD_DIR=BUILD)
    done = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, timeout=900,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return done.returncode == 0, (done.stdout + done.stderr)[-2000:]


def check_files(folder, command):
    for name, lines in LEAVES.items():
        if f"file-path={name}" not in command:
            continue
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            found = len(file.readlines())
        if found != lines:
            return False, f"{name} has {found} lines, not {lines}"
    return True, ""


def main():
    number = failed = 0
    data = os.path.join(BUILD, "demo-data", "frozen_inference_graph.pb")
    if not os.path.exists(data):
        print("1..0 # SKIP the demo's model and video were not fetched")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        for name in os.listdir(ROOT):
            if not name.startswith(".") and name != "build":
                os.symlink(os.path.join(ROOT, name), os.path.join(folder, name))
        os.symlink(BUILD, os.path.join(folder, "build"))
        for command in commands():
            number += 1
            if command.startswith(OUTSIDE):
                ok = os.path.exists(os.path.join(ROOT, "meson.build"))
                ok = ok and os.access(os.path.join(ROOT, "tests", "run"), os.X_OK)
                output = ""
            else:
                ok, output = run(folder, command)
                if ok:
                    ok, output = check_files(folder, command)
            failed += not ok
            print(f"{'ok' if ok else 'not ok'} {number} - {command}", flush=True)
            for line in "" if ok else output.splitlines():
                print("#", line)
    print(f"1..{number}")
    return 1 if failed or not number else 0


sys.exit(main())
