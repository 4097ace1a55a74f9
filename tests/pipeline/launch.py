#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Types pipelines into gst-launch-1.0 as people write them. Prints TAP.

Every shape of a pipeline (one stream in line; several with unnamed and with named pads; tee; one
model for two elements; properties of pads) with files and with live sources, with queues and
without. Streams differ in colour and the network tells red, green and blue apart, so that each
stream's results have to be its own; every frame has to come out, in order, and gst-launch to end by
itself at the end of the streams.
"""

import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import modelfiles as m

FRAMES = 12
COLORS = ["red", "green", "blue"]
SECONDS = 120

# {a}, {b}, {c}: sources; {q}: a queue or nothing; {m}: the model; {x}, {y}, {z}: sinks.
SHAPES = [
    ("one stream in line",
     "{a} ! {q}infer {m} ! {q}{x}"),
    ("one stream in line, with the pad's properties",
     "{a} ! {q}infer {m} sink_0::priority=2 sink_0::stream-name=door ! {q}{x}"),
    ("one stream in line, overlay behind it",
     "{a} ! {q}infer {m} ! {q}inferoverlay ! videoconvert ! {x}"),
    ("two streams, the second by unnamed pads",
     "{a} ! {q}infer name=i {m} ! {x}  {b} ! {q}i. i. ! {q}{y}"),
    ("three streams by unnamed pads",
     "infer name=i {m}  {a} ! {q}i. i. ! {x}  {b} ! {q}i. i. ! {q}{y}  {c} ! i. i. ! {z}"),
    ("three streams by named pads, priority of one",
     "infer name=i {m} sink_0::priority=2 sink_2::max-frames-per-stream=1  "
     "{a} ! {q}i.sink_0 i.src_0 ! {q}{x}  {b} ! {q}i.sink_1 i.src_1 ! {y}  "
     "{c} ! i.sink_2 i.src_2 ! {q}{z}"),
    ("named pads with gaps between the numbers",
     "infer name=i {m}  {a} ! {q}i.sink_7 i.src_7 ! {x}  {b} ! {q}i.sink_3 i.src_3 ! {q}{y}"),
    ("batches of two, with a timeout",
     "infer name=i {m} batch-size=2 batch-timeout=20000000  {a} ! {q}i. i. ! {x}  "
     "{b} ! {q}i. i. ! {q}{y}"),
    ("two elements that share one model",
     "{a} ! {q}infer {m} model-instance-id=one ! {x}  "
     "{b} ! {q}infer {m} model-instance-id=one ! {q}{y}"),
    ("tee before two pads",
     "infer name=i {m}  {a} ! tee name=t ! {q}i.sink_0 i.src_0 ! {x}  "
     "t. ! {q}i.sink_1 i.src_1 ! {x2}"),
    # gst-launch links a tee's pads to requested ones only where a name or an element tells their caps.
    ("tee before pads named by their template",
     "infer name=i {m}  {a} ! tee name=t ! {q}i.sink_%u i. ! {x}  t. ! {q}i.sink_%u i. ! {x2}"),
    ("tee before unnamed pads",
     "{a} ! tee name=t ! queue ! infer name=i {m} ! {q}{x}  t. ! queue ! i. i. ! {q}{x2}"),
    ("tee, one branch without inference",
     "infer name=i {m}  {a} ! tee name=t ! {q}i.sink_0 i. ! {x}  t. ! queue ! fakesink"),
]


def make_model(path):
    """The mean of each colour, told apart."""
    nodes = [m.onnx_node("GlobalAveragePool", "pool", ["image"], ["pooled"]),
             m.onnx_node("Flatten", "flatten", ["pooled"], ["means"]),
             m.onnx_node("Mul", "mul", ["means", "ten"], ["logits"])]
    with open(path, "wb") as file:
        file.write(m.onnx_model(nodes, [m.onnx_tensor("ten", [1], [10.0])],
                                [m.onnx_info("image", ["batch", 3, 16, 16])],
                                [m.onnx_info("logits", ["batch", 3])]))


def launch(line, folder):
    return subprocess.run(["gst-launch-1.0"] + line.split(), cwd=folder, timeout=SECONDS,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)


def make_files(folder):
    for color in COLORS:
        done = launch("videotestsrc pattern=%s num-buffers=%d ! video/x-raw,width=64,height=48 ! "
                      "jpegenc ! avimux ! filesink location=%s.avi" % (color, FRAMES, color), folder)
        if done.returncode != 0:
            sys.exit("launch.py: no test video: " + done.stdout)


def source(color, live):
    if live:
        return ("videotestsrc is-live=true pattern=%s num-buffers=%d ! video/x-raw,width=64,"
                "height=48,framerate=30/1" % (color, FRAMES))
    return "filesrc location=%s.avi ! decodebin ! videoconvert" % color


def sink(name):
    return "inferpublish file-path=%s.jsonl ! fakesink sync=true" % name


def check_results(path, color, live):
    """What is wrong with the lines of one stream, or nothing."""
    with open(path, encoding="utf-8") as file:
        frames = [json.loads(line) for line in file]
    if [f["frame"] for f in frames] != list(range(FRAMES)):
        return "%s: frames %s" % (path, [f["frame"] for f in frames])
    found = [[o["classification"]["label_id"] for o in f["objects"]] for f in frames]
    wanted = [COLORS.index(color)]
    # Live frames that the machine is too slow for pass without inference.
    if any(f != wanted and not (live and f == []) for f in found) or wanted not in found:
        return "%s: %s is not %s" % (path, found, wanted)
    return ""


def run(shape, live, queue, folder):
    names = {"x": COLORS[0], "y": COLORS[1], "z": COLORS[2], "x2": COLORS[0]}
    line = shape.format(q="queue ! " if queue else "", m="model-file=toy.onnx device=cpu threads=1",
                        a=source("red", live), b=source("green", live), c=source("blue", live),
                        **{name: sink(name) for name in names})
    try:
        done = launch(line, folder)
    except subprocess.TimeoutExpired:
        return line, "no end after %d s" % SECONDS
    if done.returncode != 0 or "Got EOS" not in done.stdout:
        return line, done.stdout
    wrong = [check_results(os.path.join(folder, name + ".jsonl"), color, live)
             for name, color in names.items() if "{%s}" % name in shape]
    return line, "\n".join(filter(None, wrong))


def main():
    number = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        make_model(folder + "/toy.onnx")
        make_files(folder)
        for name, shape in SHAPES:
            for live in (False, True):
                for queue in (True, False):
                    number += 1
                    line, wrong = run(shape, live, queue, folder)
                    failed += bool(wrong)
                    print("%s %d - %s, %s, %s queues" % (
                        "not ok" if wrong else "ok", number, name, "live" if live else "file",
                        "with" if queue else "without"), flush=True)
                    print("# gst-launch-1.0 " + line)
                    for text in wrong.splitlines():
                        print("# " + text)
    print("1..%d" % number)
    return 1 if failed else 0


sys.exit(main())
