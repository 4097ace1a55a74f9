#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compares detections with OpenVINO's on the same frames of a video.

    python3 -m venv venv && venv/bin/pip install openvino numpy
    venv/bin/python tests/compare/agreement.py --video VIDEO --model frozen_inference_graph.pb \\
        --inferexec build/pipelines/inferexec/inferexec [--objects objects.jsonl] [--min-f1 0.99]

Two comparisons, on every fifth frame (--every):

network    Both get the same 300x300 uint8 pictures, made here by a nearest-neighbour resize: what
           differs is the network and its post-processing. Ours runs through inferexec.
pipeline   With --objects: what the demo wrote (JSON lines of inferpublish) against OpenVINO on the
           full frames, which the graph resizes itself: decoding, conversion and resize count too.

Objects of both sides with a score above --score are matched one to one, best overlap first, from
an overlap (intersection over union) of --iou on and within a class. Precision, recall and F1 take
OpenVINO's objects for the truth. Exit status: 0, or 1 where an F1 is below --min-f1, 2 for other
errors, 77 where a package is missing.

Frames are decoded once, by gst-launch-1.0, to a file of raw RGB.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

try:
    import numpy
    import openvino
except ImportError as missing:
    print("agreement.py: the package '%s' is missing; install it in an environment of your own:\n"
          "  python3 -m venv venv && venv/bin/pip install openvino numpy\n"
          "  venv/bin/python %s" % (missing.name, " ".join(sys.argv)), file=sys.stderr)
    sys.exit(77)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--video", required=True)
    parser.add_argument("--model", default=ROOT + "/build/demo-data/frozen_inference_graph.pb")
    parser.add_argument("--inferexec", default=ROOT + "/build/pipelines/inferexec/inferexec")
    parser.add_argument("--objects", help="objects.jsonl of the demo")
    parser.add_argument("--input", default="image_tensor", help="name of our image input")
    parser.add_argument("--device", default="cpu", help="where inferexec runs")
    parser.add_argument("--size", type=int, default=300)
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--score", type=float, default=0.5)
    parser.add_argument("--iou", type=float, default=0.5)
    parser.add_argument("--min-f1", type=float, default=0.99)
    parser.add_argument("--folder", help="where raw frames go; kept (default: a folder that is "
                        "removed)")
    args = parser.parse_args()
    for path in (args.video, args.model, args.inferexec, args.objects):
        if path is not None and not os.path.exists(path):
            parser.error("%s is not there" % path)
    if args.every < 1 or args.batch < 1:
        parser.error("--every and --batch start at 1")
    return args


def fail(text):
    print("agreement.py: " + text, file=sys.stderr)
    sys.exit(2)


def command(*words):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    if done.returncode != 0:
        fail("%s failed:\n%s" % (words[0], done.stdout))
    return done.stdout


def decode(video, folder):
    """All frames of the video, as an array on disk of [frame, row, column, 3]."""
    raw = os.path.join(folder, "frames.rgb")
    output = command("gst-launch-1.0", "-v", "filesrc", "location=" + os.path.abspath(video), "!",
                     "decodebin", "!", "videoconvert", "!", "video/x-raw,format=RGB", "!",
                     "filesink", "name=out", "location=" + raw)
    caps = [line for line in output.splitlines() if ":out.GstPad:sink: caps" in line]
    sizes = re.search(r"width=\(int\)(\d+).*height=\(int\)(\d+)", caps[-1]) if caps else None
    if sizes is None:
        fail("no video came out of " + video)
    width, height = int(sizes.group(1)), int(sizes.group(2))
    stride = (width * 3 + 3) // 4 * 4  # rows of RGB are padded to four bytes
    data = numpy.memmap(raw, numpy.uint8, "r")
    if len(data) == 0 or len(data) % (stride * height) != 0:
        fail("%s: frames are not all of %dx%d" % (video, width, height))
    frames = data.reshape(-1, height, stride)[:, :, :width * 3]
    return frames.reshape(-1, height, width, 3)


def resize(frame, size):
    rows = (numpy.arange(size) * frame.shape[0]) // size
    columns = (numpy.arange(size) * frame.shape[1]) // size
    return frame[rows][:, columns]


def objects_of(boxes, scores, classes, count, threshold):
    """Boxes are (ymin, xmin, ymax, xmax) in 0..1; returns (score, class, x0, y0, x1, y1)."""
    found = []
    for i in range(min(int(round(count)), len(scores))):
        if scores[i] > threshold:
            y0, x0, y1, x1 = (float(v) for v in boxes[i])
            found.append((float(scores[i]), int(round(classes[i])), x0, y0, x1, y1))
    return found


class Peer:
    """OpenVINO on one frame at a time."""

    def __init__(self, model, shape):
        core = openvino.Core()
        network = core.read_model(model)
        network.reshape({network.inputs[0]: [1, *shape]})
        self.compiled = core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        self.request = self.compiled.create_infer_request()

    def detect(self, frame, threshold):
        self.request.infer({0: numpy.ascontiguousarray(frame)[None]})
        boxes, scores, classes, count = (
            self.request.get_tensor(name + ":0").data[0] for name in
            ("detection_boxes", "detection_scores", "detection_classes", "num_detections"))
        return objects_of(boxes, scores, classes, float(count), threshold)


def read_outputs(path):
    with open(path, encoding="utf-8") as file:
        outputs = {o["name"]: numpy.array(o["values"], numpy.float64).reshape(
            [int(d) for d in o["dimensions"].split("x")]) for o in json.load(file)}
    try:
        return [outputs[n] for n in ("detection_boxes", "detection_scores", "detection_classes",
                                     "num_detections")]
    except KeyError as name:
        fail("the model has no output %s; it has %s" % (name, ", ".join(outputs)))


def detect_ours(args, pictures, folder):
    """Objects of each picture, by inferexec in batches."""
    plan = os.path.join(folder, "plan")
    array, out = os.path.join(folder, "batch.npy"), os.path.join(folder, "out.json")
    most = min(args.batch, len(pictures))
    device = "--device=" + args.device
    command(args.inferexec, "--tf=" + args.model, "--saveEngine=" + plan, "--skipInference",
            "--maxBatch=%d" % most, device)
    found = []
    for first in range(0, len(pictures), most):
        batch = numpy.stack(pictures[first:first + most])
        numpy.save(array, batch)
        command(args.inferexec, "--loadEngine=" + plan, "--batch=%d" % len(batch), device,
                "--loadInputs=%s:%s" % (args.input, array), "--exportOutput=" + out,
                "--iterations=1", "--warmUp=0", "--duration=0")
        for row in zip(*read_outputs(out)):
            found.append(objects_of(*row, args.score))
    return found


def box_of(item, width, height):
    """x0, y0, x1, y1 in 0..1: the exact box where it is there, else that in whole pixels."""
    box = item["detection"].get("bounding_box")
    if box is not None:
        return box["x_min"], box["y_min"], box["x_max"], box["y_max"]
    return (item["x"] / width, item["y"] / height, (item["x"] + item["w"]) / width,
            (item["y"] + item["h"]) / height)


def published(path, threshold):
    """Objects of each frame that is in the file, by the number of the frame."""
    found = {}
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(filter(str.strip, file)):
            record = json.loads(line)
            size = record["resolution"]
            objects = found.setdefault(int(record.get("frame", number)), [])
            for item in record.get("objects", []):
                detection = item.get("detection")
                if detection is not None and detection["confidence"] > threshold:
                    objects.append((detection["confidence"], int(detection.get("label_id", 0)),
                                    *box_of(item, size["width"], size["height"])))
    return found


def overlap(a, b):
    width = min(a[4], b[4]) - max(a[2], b[2])
    height = min(a[5], b[5]) - max(a[3], b[3])
    if width <= 0 or height <= 0:
        return 0.0
    area = (a[4] - a[2]) * (a[5] - a[3]) + (b[4] - b[2]) * (b[5] - b[3])
    return width * height / (area - width * height)


def match(ours, theirs, least, with_class):
    """Returns the overlaps and score differences of the pairs."""
    pairs = sorted(((overlap(a, b), i, j) for i, a in enumerate(ours)
                    for j, b in enumerate(theirs) if not with_class or a[1] == b[1]), reverse=True)
    left, right, matched = set(), set(), []
    for value, i, j in pairs:
        if value >= least and i not in left and j not in right:
            left.add(i)
            right.add(j)
            matched.append((value, abs(ours[i][0] - theirs[j][0])))
    return matched


def report(title, args, ours, theirs, with_class):
    """Prints a line for lists of frames' objects; returns F1."""
    matched = [pair for a, b in zip(ours, theirs) for pair in match(a, b, args.iou, with_class)]
    n_ours, n_theirs = sum(map(len, ours)), sum(map(len, theirs))
    precision = len(matched) / n_ours if n_ours else 1.0 if n_theirs == 0 else 0.0
    recall = len(matched) / n_theirs if n_theirs else 1.0 if n_ours == 0 else 0.0
    f1 = 2 * len(matched) / (n_ours + n_theirs) if n_ours + n_theirs else 1.0
    mean = sum(value for value, _ in matched) / len(matched) if matched else 0.0
    worst = max((difference for _, difference in matched), default=0.0)
    print("%-10s%8d%8d%10d%9d%11.4f%9.4f%9.4f%10.4f%11.5f" % (
        title, len(ours), n_ours, n_theirs, len(matched), precision, recall, f1, mean, worst),
        flush=True)
    if n_ours + n_theirs == 0:
        fail("%s: neither side found anything; the comparison says nothing" % title)
    return f1


def compare(args, folder):
    frames = decode(args.video, folder)
    numbers = range(0, len(frames), args.every)
    print("%s: %d of %d frames, score > %g, overlap >= %g, OpenVINO %s" % (
        os.path.basename(args.video), len(numbers), len(frames), args.score, args.iou,
        openvino.__version__.split("-")[0]))
    print("%-10s%8s%8s%10s%9s%11s%9s%9s%10s%11s" % (
        "", "frames", "ours", "openvino", "matched", "precision", "recall", "F1", "mean IoU",
        "max dscore"))
    pictures = [resize(frames[n], args.size) for n in numbers]
    peer = Peer(args.model, (args.size, args.size, 3))
    worst = report("network", args, detect_ours(args, pictures, folder),
                   [peer.detect(picture, args.score) for picture in pictures], True)
    if args.objects:
        found = published(args.objects, args.score)
        lost = [n for n in numbers if n not in found]
        if lost:
            fail("%s: %d of these frames are not in it, the first is %d" % (
                args.objects, len(lost), lost[0]))
        peer = Peer(args.model, frames.shape[1:])
        # Labels are numbered from 0 in metadata and from 1 in the graph; there is one class.
        worst = min(worst, report("pipeline", args, [found[n] for n in numbers],
                                  [peer.detect(frames[n], args.score) for n in numbers], False))
    return worst


def main():
    args = arguments()
    if args.folder:
        os.makedirs(args.folder, exist_ok=True)
        worst = compare(args, args.folder)
    else:
        with tempfile.TemporaryDirectory() as folder:
            worst = compare(args, folder)
    if worst < args.min_f1:
        print("F1 %.4f is below --min-f1 %g" % (worst, args.min_f1))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
