#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whole pipelines over a video file: this project beside GStreamer's own onnxinference.

    tests/newest-root /var/tmp/sid meta
    tests/bench/peers.py --root /var/tmp/sid --video VIDEO.mp4 --models FOLDER

FOLDER holds FastestDet.onnx and rfb320.onnx. onnxinference came with GStreamer 1.28, which newest-root
makes a root of, with this checkout built in it (make it again after a change); without --root the
pipelines run as they are. For each model there are ours, upstream's as one would write it first, and
upstream's at its best: all optimizations and a thread for each part. All read the same file and
decode it the same way. Rounds alternate (A B C A B C ...), the table has their medians. Frames per
second are from PLAYING to the end of the stream, as gst-launch tells, so that loading does not
count; CPU time is what a run takes beyond one of the same pipeline over few frames. Ours finds
objects in every case; upstream has a decoder for the face detector alone. Nothing is asserted.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys

ENDED = re.compile(r"Execution ended after (\d+):(\d+):(\d+\.\d+)")
FACES = "ultra-lightweight-face-detection-rfb-320-v1-variant-1-out"
# Name: file, size, tensors (name, identifier, dimensions, direction), ranges, upstream's decoder and
# overlay, and our overlay.
MODELS = {
    "FastestDet": {
        "file": "FastestDet.onnx", "size": (352, 352), "group": "fastestdet-out",
        "tensors": [("input.1", "fastestdet-in", "1,3,352,352", "input"),
                    ("758", "fastestdet-out-grid", "1,85,22,22", "output")],
        "ranges": "0.0,1.0;0.0,1.0;0.0,1.0", "theirs": "", "ours": ""},
    "RFB-320, overlay": {
        "file": "rfb320.onnx", "size": (320, 240), "group": FACES,
        "tensors": [("input", FACES + "-in", "1,3,240,320", "input"),
                    ("scores", FACES + "-scores", "1,4420,2", "output"),
                    # The decoder's caps name it so.
                    ("boxes", "ssd-mobilenet-v1-variant-1-out-boxes", "1,4420,4", "output")],
        "ranges": "-1.0,1.0;-1.0,1.0;-1.0,1.0",
        "theirs": "! ultralightfacedetectortensordec ! objectdetectionoverlay",
        "ours": "! inferoverlay"},
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--video", required=True)
    parser.add_argument("--models", required=True, help="folder of the models")
    parser.add_argument("--root", help="root that tests/newest-root has made")
    parser.add_argument("--infer", default="device=cpu", help="properties of infer")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--few", type=int, default=40, help="frames of the short run")
    parser.add_argument("--cpus", help="processors to run on, as taskset takes them")
    args = parser.parse_args()
    for path in [args.video] + [os.path.join(args.models, m["file"]) for m in MODELS.values()]:
        if not os.path.exists(path):
            parser.error("%s is not there" % path)
    if args.root and not os.path.exists(args.root + "/etc/newest-root-ready"):
        parser.error("%s is no root of tests/newest-root" % args.root)
    return args


def place(args):
    """Puts models and video where the pipelines see them; returns the folder as they name it."""
    folder = "/root/peers" if args.root else os.path.join(os.getcwd(), "peers-data")
    real = (args.root or "") + folder
    for side in ("ours", "theirs"):
        os.makedirs(os.path.join(real, side), exist_ok=True)
        for model in MODELS.values():
            shutil.copy(os.path.join(args.models, model["file"]), os.path.join(real, side))
    shutil.copy(args.video, os.path.join(real, "video"))
    for model in MODELS.values():
        with open(os.path.join(real, "theirs", model["file"] + ".modelinfo"), "w",
                  encoding="utf-8") as file:
            file.write("[modelinfo]\nversion=1.0\ngroup-id=%s\n" % model["group"])
            for name, identifier, dims, direction in model["tensors"]:
                file.write("\n[%s]\nid=%s\ntype=float32\ndims=%s\ndir=%s\n"
                           % (name, identifier, dims, direction))
                if direction == "input":
                    file.write("ranges=%s\n" % model["ranges"])
    return folder


def pipelines(args, folder, model):
    """Their names and what stands between the decoder and the sink."""
    scale = "videoconvertscale ! video/x-raw,format=RGB,width=%d,height=%d" % model["size"]
    theirs = "onnxinference model-file=%s/theirs/%s" % (folder, model["file"])
    return [
        ("ours", "infer model-file=%s/ours/%s %s %s"
         % (folder, model["file"], args.infer, model["ours"])),
        ("upstream", "%s ! %s %s" % (scale, theirs, model["theirs"])),
        ("upstream's best", "queue ! %s ! queue ! %s optimization-level=enable-all ! queue %s"
         % (scale, theirs, model["theirs"])),
    ]


def command(args, words):
    if args.cpus:
        words = ["taskset", "-c", args.cpus] + words
    if not args.root:
        return words
    build = "/root/gst-infer/build"
    inside = ["env", "-i", "HOME=/root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
              "GST_PLUGIN_PATH=%s/gst" % build, "INFER_BACKEND_PATH=%s/kernels/cpu" % build]
    mounts = "mount -t proc proc $0/proc && mount --rbind /sys $0/sys && exec chroot \"$0\" \"$@\""
    return ["unshare", "--mount", "sh", "-c", mounts, args.root] + inside + words


def launch(args, folder, middle, frames):
    """Runs a pipeline; returns the frames that came out, seconds, and seconds of CPU."""
    line = ("filesrc location=%s/video ! decodebin ! identity eos-after=%d ! %s ! fakesink "
            "sync=false silent=false" % (folder, frames, middle))
    words = ["gst-launch-1.0", "-v"] + line.split()
    with subprocess.Popen(command(args, words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True) as process:
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    ended = ENDED.search(output)
    if process.returncode != 0 or not ended:
        sys.exit("peers.py: failed:\n  %s\n%s" % (line, output[-3000:]))
    hours, minutes, seconds = ended.groups()
    return (output.count("chain   *****"), int(hours) * 3600 + int(minutes) * 60 + float(seconds),
            usage.ru_utime + usage.ru_stime)


def measure(args, folder, middle):
    few, _, least = launch(args, folder, middle, args.few)
    frames, seconds, cpu = launch(args, folder, middle, 1 << 30)
    if frames <= few:
        sys.exit("peers.py: %d frames came out; the video is too short" % frames)
    return frames / seconds, 1e3 * (cpu - least) / (frames - few)


def main():
    args = arguments()
    folder = place(args)
    for name, model in MODELS.items():
        lines = pipelines(args, folder, model)
        results = [[] for _ in lines]
        launch(args, folder, lines[0][1], args.few)  # builds the plan
        for _ in range(args.rounds):
            for result, (_, middle) in zip(results, lines):
                result.append(measure(args, folder, middle))
        medians = [[statistics.median(column) for column in zip(*result)] for result in results]
        print("%s, %s, %d rounds" % (name, os.path.basename(args.video), args.rounds))
        print("%-18s%10s%14s%22s" % ("pipeline", "fps", "CPU ms/frame", "ours / it, fps"))
        for (what, _), (fps, cpu) in zip(lines, medians):
            print("%-18s%10.1f%14.2f%22.2f" % (what, fps, cpu, medians[0][0] / fps), flush=True)
        ratios = [statistics.median(ours[0] / it[0] for ours, it in zip(results[0], other))
                  for other in results[1:]]
        print("median of the rounds' ratios: %.2f of upstream, %.2f of its best\n"
              % tuple(ratios), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
