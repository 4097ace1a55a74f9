#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Frames per second of whole pipelines over a video file: decoding alone, and with inference.

    tests/bench/pipeline.py --video VIDEO [--model MODEL] [--plugins build/gst] [--infer 'device=cpu']

Run it inside `meson devenv -C build`, which sets the paths of the plugin and of the backends, or
give the folder of the plugin with --plugins. Pipelines alternate in rounds; the table has the
median. The time is gst-launch's own, from PLAYING to the end of the stream, so that loading a plan
does not count; the first run, which is not counted, may build it. Nothing is asserted.
"""

import argparse
import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ENDED = re.compile(r"Execution ended after (\d+):(\d+):(\d+\.\d+)")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--video", required=True)
    parser.add_argument("--model", default=ROOT + "/build/demo-data/frozen_inference_graph.pb")
    parser.add_argument("--plugins", help="folder added to GST_PLUGIN_PATH")
    parser.add_argument("--infer", default="device=cpu", help="properties of infer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--timeout", type=float, default=600, help="seconds a run may take")
    args = parser.parse_args()
    for path in (args.video, args.model):
        if not os.path.exists(path):
            parser.error("%s is not there; give --video and --model (the demo fetches both)" % path)
    if shutil.which("gst-launch-1.0") is None:
        parser.error("gst-launch-1.0 is missing: apt-get install gstreamer1.0-tools")
    return args


def launch(args, pipeline, *flags):
    """Runs a pipeline; returns its output and the seconds from PLAYING to the end."""
    env = dict(os.environ)
    if args.plugins:
        old = env.get("GST_PLUGIN_PATH")
        env["GST_PLUGIN_PATH"] = os.path.abspath(args.plugins) + (os.pathsep + old if old else "")
    try:
        done = subprocess.run(["gst-launch-1.0", *flags, *pipeline], env=env, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=args.timeout)
    except subprocess.TimeoutExpired:
        sys.exit("pipeline.py: no end after %g s:\n  %s" % (args.timeout, shlex.join(pipeline)))
    ended = ENDED.search(done.stdout)
    if done.returncode != 0 or ended is None:
        sys.exit("pipeline.py: failed:\n  %s\n%s" % (shlex.join(pipeline), done.stdout))
    hours, minutes, seconds = ended.groups()
    return done.stdout, int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def count_frames(args, pipeline):
    """Frames that reach the sink; also warms the caches up."""
    output, _ = launch(args, [*pipeline, "silent=false"], "-v")
    return output.count("chain   *****")


def main():
    args = arguments()
    # One argument a word: gst-launch escapes each, so that paths may hold spaces.
    start = ["filesrc", "location=" + os.path.abspath(args.video), "!", "decodebin", "!"]
    convert = ["videoconvert", "!"]
    model = ["infer", "model-file=" + os.path.abspath(args.model), *shlex.split(args.infer), "!"]
    end = ["fakesink", "sync=false"]
    pipelines = [
        ("decode", start + end),
        ("decode, convert", start + convert + ["video/x-raw,format=RGB", "!"] + end),
        ("decode, infer", start + convert + model + end),
        ("decode, infer, overlay", start + convert + model + ["inferoverlay", "!"] + end),
    ]
    frames = [count_frames(args, pipeline) for _, pipeline in pipelines]
    if 0 in frames:
        sys.exit("pipeline.py: no frames came out of: " + shlex.join(pipelines[frames.index(0)][1]))
    seconds = [[] for _ in pipelines]
    for _ in range(args.rounds):
        for i, (_, pipeline) in enumerate(pipelines):
            seconds[i].append(launch(args, pipeline)[1])

    print("%s, %s, %d rounds" % (os.path.basename(args.video), args.infer, args.rounds))
    print("%-26s%8s%10s%10s%12s" % ("pipeline", "frames", "seconds", "fps", "ms/frame"))
    for i, (name, _) in enumerate(pipelines):
        median = statistics.median(seconds[i])
        print("%-26s%8d%10.3f%10.1f%12.3f" % (name, frames[i], median, frames[i] / median,
                                             median / frames[i] * 1e3))
    return 0


if __name__ == "__main__":
    sys.exit(main())
