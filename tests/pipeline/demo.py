#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the demo on its own video and looks at what came out, then gives it what it cannot take.
Prints TAP.

Usage: demo.py ROOT BUILD"""

import json
import os
import subprocess
import sys
import tempfile

ROOT, BUILD = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
DATA = os.path.join(BUILD, "demo-data")
MODEL = os.path.join(DATA, "frozen_inference_graph.pb")
VIDEO = os.path.join(DATA, "vtest.avi")
number = failures = 0


def check(ok, name, detail=""):
    global number, failures
    number += 1
    failures += not ok
    print(f"{'ok' if ok else 'not ok'} {number} - {name}", flush=True)
    for line in "" if ok else str(detail).splitlines()[-20:]:
        print("#", line)
    return ok


def demo(*args, timeout=900):
    environment = dict(os.environ, INFER_BUILD_DIR=BUILD)
    return subprocess.run([os.path.join(ROOT, "pipelines", "env"), "inferdemo", *args],
                          env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=timeout, check=False)


def good_frame(line, frame):
    known = {"timestamp", "frame", "stream", "resolution", "objects"}
    if not known <= line.keys() or line["frame"] != frame:
        return False
    if line["resolution"] != {"width": 768, "height": 576}:
        return False
    for thing in line["objects"]:
        box = thing["detection"]["bounding_box"]
        if not (0 <= box["x_min"] < box["x_max"] <= 1 and 0 <= box["y_min"] < box["y_max"] <= 1):
            return False
        if abs(thing["x"] - box["x_min"] * 768) > 1.5 or abs(thing["h"] - (
                box["y_max"] - box["y_min"]) * 576) > 1.5:
            return False
        if thing["roi_type"] != "person" or not 0.5 <= thing["detection"]["confidence"] <= 1:
            return False
    return True


def discover_frames(path):
    done = subprocess.run(["gst-launch-1.0", "-v", "filesrc", f"location={path}", "!", "decodebin",
                           "!", "video/x-raw", "!", "fakesink", "silent=false", "sync=false"],
                          capture_output=True, text=True, timeout=300, check=False)
    return sum("chain" in line for line in done.stdout.splitlines())


def check_results(folder):
    labels = os.path.join(folder, "labels.txt")
    with open(labels, "w", encoding="utf-8") as file:
        file.write("person\n")
    output = os.path.join(folder, "out")
    done = demo("--source", VIDEO, "--model", MODEL, "--labels", labels, "--output", output)
    if not check(done.returncode == 0, "the demo runs", done.stderr):
        return
    with open(os.path.join(output, "objects.jsonl"), encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    check(len(lines) == 795, "a line for every frame", len(lines))
    check(all(good_frame(line, i) for i, line in enumerate(lines)), "lines hold what they should")
    found = sum(len(line["objects"]) for line in lines)
    check(2500 < found < 3500, "about as many pedestrians as there are", found)
    check(f"795 frames, {found} objects" in done.stdout, "the summary counts them", done.stdout)
    check(sorted(os.listdir(output)) == ["annotated.mp4", "objects.jsonl"], "nothing else is left",
          os.listdir(output))
    frames = discover_frames(os.path.join(output, "annotated.mp4"))
    check(frames == 795, "the video has every frame", frames)


def check_refusals(folder):
    truncated = os.path.join(folder, "truncated.pb")
    with open(MODEL, "rb") as file, open(truncated, "wb") as copy:
        copy.write(file.read()[:100000])
    empty = os.path.join(folder, "empty.avi")
    with open(VIDEO, "rb") as file, open(empty, "wb") as copy:
        copy.write(file.read()[:3000])
    many = os.path.join(folder, "many.txt")
    with open(many, "w", encoding="utf-8") as file:
        file.write("a\nb\nc\n")
    cases = [
        ("a video that is not there", ["--source", "/nowhere.avi", "--model", MODEL], "/nowhere.avi"),
        ("a video without frames", ["--source", empty, "--model", MODEL], ""),
        ("a model that is not there", ["--source", VIDEO, "--model", "/nowhere.pb"], "/nowhere.pb"),
        ("a truncated graph", ["--source", VIDEO, "--model", truncated], "truncated.pb"),
        ("a device that is not there",
         ["--source", VIDEO, "--model", MODEL, "--device", "cuda:7"], "cuda"),
        ("a label file that is not there",
         ["--source", VIDEO, "--model", MODEL, "--labels", "/nowhere.txt"], "/nowhere.txt"),
        ("a label file with too many labels",
         ["--source", VIDEO, "--model", MODEL, "--labels", many], "3 labels"),
    ]
    for name, args, word in cases:
        output = os.path.join(folder, "refused")
        done = demo(*args, "--output", output, timeout=120)
        check(done.returncode == 1 and word in done.stderr and "inferdemo:" in done.stderr, name,
              f"status {done.returncode}\n{done.stderr}")
        left = os.listdir(output) if os.path.isdir(output) else []
        check(not left, f"{name}: no output is left", left)


def main():
    if not (os.path.exists(MODEL) and os.path.exists(VIDEO)):
        print("1..0 # SKIP the demo's model and video were not fetched")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        check_results(folder)
        check_refusals(folder)
    print(f"1..{number}")
    return 1 if failures else 0


sys.exit(main())
