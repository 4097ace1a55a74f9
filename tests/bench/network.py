#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Latency of a detection network: this project beside OpenVINO in FP32, in one run.

    python3 -m venv venv && venv/bin/pip install openvino numpy
    venv/bin/python tests/bench/network.py --inferexec build/pipelines/inferexec/inferexec \\
        --model build/demo-data/frozen_inference_graph.pb

Both read the same frozen graph and the same random picture, on the same number of threads, with the
network's post-processing and without the resize before it: the picture has the network's size.
Rounds alternate (A B A B ...), so that a machine that slows down slows both. A round's figure is
the median of its runs; the table has the median of the rounds. Nothing is asserted.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

try:
    import numpy
    import openvino
except ImportError as missing:
    print("network.py: the package '%s' is missing; install it in an environment of your own:\n"
          "  python3 -m venv venv && venv/bin/pip install openvino numpy\n"
          "  venv/bin/python %s" % (missing.name, " ".join(sys.argv)), file=sys.stderr)
    sys.exit(77)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=ROOT + "/build/demo-data/frozen_inference_graph.pb")
    parser.add_argument("--inferexec", default=ROOT + "/build/pipelines/inferexec/inferexec")
    parser.add_argument("--input", default="image_tensor", help="name of the image input")
    parser.add_argument("--size", type=int, default=300, help="side of the network's image")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    args = parser.parse_args()
    for path in (args.model, args.inferexec):
        if not os.path.exists(path):
            parser.error("%s is not there; give it with --model or --inferexec (the demo fetches "
                         "the model, meson builds the tool)" % path)
    return args


class Ours:
    name = "inferexec"

    def __init__(self, args, picture, folder):
        self.args, self.folder = args, folder
        self.picture = folder + "/picture.npy"
        self.plan = folder + "/plan"
        numpy.save(self.picture, picture)
        self.call("--tf=" + args.model, "--saveEngine=" + self.plan, "--skipInference",
                  "--maxBatch=%d" % args.batch)

    def call(self, *flags):
        done = subprocess.run([self.args.inferexec, "--device=cpu",
                               "--threads=%d" % self.args.threads, *flags],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            sys.exit("inferexec failed:\n" + done.stdout + done.stderr)

    def round(self):
        times = self.folder + "/times.json"
        self.call("--loadEngine=" + self.plan, "--batch=%d" % self.args.batch, "--warmUp=300",
                  "--duration=%g" % self.args.seconds, "--exportTimes=" + times,
                  "--loadInputs=%s:%s" % (self.args.input, self.picture))
        with open(times, encoding="utf-8") as file:
            return [t["computeMs"] for t in json.load(file)]


class Peer:
    name = "OpenVINO f32"

    def __init__(self, args, picture):
        self.args, self.picture = args, picture
        core = openvino.Core()
        model = core.read_model(args.model)
        model.reshape({model.inputs[0]: list(picture.shape)})
        compiled = core.compile_model(model, "CPU", {
            "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": args.threads,
            "PERFORMANCE_HINT": "LATENCY"})
        self.request = compiled.create_infer_request()
        self.request.set_input_tensor(openvino.Tensor(self.picture, shared_memory=True))

    def round(self):
        times = []
        end = time.perf_counter() + 0.3
        while time.perf_counter() < end:
            self.request.infer()
        end = time.perf_counter() + self.args.seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            self.request.infer()
            times.append((time.perf_counter() - start) * 1e3)
        return times


def main():
    args = arguments()
    shape = (args.batch, args.size, args.size, 3)
    picture = numpy.random.default_rng(1).integers(0, 256, shape, dtype=numpy.uint8)
    with tempfile.TemporaryDirectory() as folder:
        sides = [Ours(args, picture, folder), Peer(args, picture)]
        medians = {side.name: [] for side in sides}
        least = {side.name: float("inf") for side in sides}
        print("%s, batch %d, %d threads, %d rounds of %g s, OpenVINO %s" % (
            os.path.basename(args.model), args.batch, args.threads, args.rounds, args.seconds,
            openvino.__version__.split("-")[0]))
        print("%-8s" % "round" + "".join("%16s" % (side.name + " ms") for side in sides)
              + "%10s" % "ratio")
        for number in range(args.rounds):
            for side in sides:
                times = side.round()
                medians[side.name].append(statistics.median(times))
                least[side.name] = min(least[side.name], min(times))
            row(str(number + 1), [medians[side.name][-1] for side in sides])
        row("median", [statistics.median(medians[side.name]) for side in sides])
        row("least", [least[side.name] for side in sides])
        print("ratio: OpenVINO's time over ours; above 1 ours is faster")
    return 0


def row(title, values):
    print("%-8s" % title + "".join("%16.3f" % v for v in values)
          + "%10.3f" % (values[1] / values[0]), flush=True)


if __name__ == "__main__":
    sys.exit(main())
