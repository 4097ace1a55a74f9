#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Measures models that come in more than one format: they have to agree.

    pipelines/env python3 tests/compare/lenet.py --data DIR [--device cpu]

lenet   LeNet as Caffe (lenet_iter_9000.caffemodel) and as UFF (lenet5.uff) on the 1,000 handwritten
        digits of mnist.data, records of 784 pixels from 0 to 255 and ten numbers, of which one is 1,
        all float32. Reported is how many digits each has right. The prototxt is written here, as the
        weights come without one.
rfb     The face detector RFB-320 (Ultra-Light-Fast-Generic-Face-Detector-1MB) as Caffe
        (rfb320.prototxt, rfb320.caffemodel), which gives codes, and as ONNX (rfb320.onnx), which
        gives boxes. Codes are decoded here, and all 4,420 boxes and scores are compared on images
        that are the same in every run.

Exit status: 0; 1 where LeNet has fewer than --least right or the largest difference of a box or a
score is above --bar; 2 where something did not run. Only Python's own library is needed.
"""
import argparse
import array
import json
import math
import os
import random
import struct
import subprocess
import sys
import tempfile

LENET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 1, 28, 28] } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 20 kernel_size: 5 } }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2"
  convolution_param { num_output: 50 kernel_size: 5 } }
layer { name: "pool2" type: "Pooling" bottom: "conv2" top: "pool2"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "ip1" type: "InnerProduct" bottom: "pool2" top: "ip1"
  inner_product_param { num_output: 500 } }
layer { name: "relu1" type: "ReLU" bottom: "ip1" top: "ip1" }
layer { name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2"
  inner_product_param { num_output: 10 } }
layer { name: "prob" type: "Softmax" bottom: "ip2" top: "prob" }
"""
WIDTH, HEIGHT = 320, 240
MIN_BOXES = ((10, 16, 24), (32, 48), (64, 96), (128, 192, 256))
STRIDES = (8, 16, 32, 64)


class Failed(Exception):
    pass


def run(args, model, inputs, batch):
    """The outputs of a model by name. @inputs: bytes by name."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out.json")
        named = []
        for name, content in inputs.items():
            path = os.path.join(folder, name + ".raw")
            with open(path, "wb") as file:
                file.write(content)
            named.append("%s:%s" % (name, path))
        command = [args.inferexec, "--device=" + args.device, "--batch=%d" % batch, "--iterations=1",
                   "--duration=0", "--warmUp=0", "--exportOutput=" + out,
                   "--loadInputs=" + ",".join(named)] + model
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise Failed("%s\n%s" % (" ".join(command), done.stdout))
        with open(out) as file:
            return {output["name"]: output["values"] for output in json.load(file)}


def floats(values):
    return struct.pack("<%df" % len(values), *values)


def read_digits(path):
    """Images of 784 floats, and digits."""
    numbers = array.array("f")
    with open(path, "rb") as file:
        numbers.frombytes(file.read())
    if sys.byteorder == "big":
        numbers.byteswap()
    records = [numbers[i:i + 794] for i in range(0, len(numbers) - 793, 794)]
    return ([record[:784] for record in records],
            [max(range(10), key=lambda k, r=record: r[784 + k]) for record in records])


def count_right(scores, digits):
    right = 0
    for i, digit in enumerate(digits):
        row = scores[10 * i:10 * i + 10]
        right += row.index(max(row)) == digit
    return right


def lenet(args):
    images, digits = read_digits(os.path.join(args.data, "mnist.data"))
    good = True
    for form, divisor, name in (("caffe", 256, "data"), ("uff", 255, "in")):
        with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as text:
            text.write(LENET)
            text.flush()
            model = ["--deploy=" + text.name,
                     "--model=" + os.path.join(args.data, "lenet_iter_9000.caffemodel")]
            if form == "uff":
                model = ["--uff=" + os.path.join(args.data, "lenet5.uff"), "--uffInput=in,1,28,28"]
            pixels = b"".join(floats([p / divisor for p in image]) for image in images)
            (scores,) = run(args, model, {name: pixels}, len(images)).values()
        right = count_right(scores, digits)
        good = good and right >= args.least * len(digits)
        print("lenet %-5s %d of %d right (%.1f %%)" % (form, right, len(digits),
                                                    100 * right / len(digits)))
    return good


def priors():
    """Centres and sizes relative to the image, in the order of the codes."""
    for stride, sizes in zip(STRIDES, MIN_BOXES):
        rows, columns = math.ceil(HEIGHT / stride), math.ceil(WIDTH / stride)
        for y in range(rows):
            for x in range(columns):
                for size in sizes:
                    yield ((x + 0.5) / columns, (y + 0.5) / rows, size / WIDTH,
                           size / HEIGHT)


def decode(codes):
    boxes = []
    for i, (x, y, w, h) in enumerate(priors()):
        code = codes[4 * i:4 * i + 4]
        x, y = min(x, 1) + code[0] * 0.1 * min(w, 1), min(y, 1) + code[1] * 0.1 * min(h, 1)
        w, h = min(w, 1) * math.exp(code[2] * 0.2), min(h, 1) * math.exp(code[3] * 0.2)
        boxes += [x - w / 2, y - h / 2, x + w / 2, y + h / 2]
    return boxes


def rfb(args):
    path = os.path.join(args.data, "rfb320")
    worst = {"boxes": 0.0, "scores": 0.0}
    for seed in range(args.images):
        noise = random.Random(seed)
        pixels = floats([noise.uniform(-1, 1) for _ in range(3 * WIDTH * HEIGHT)])
        caffe = run(args, ["--deploy=%s.prototxt" % path, "--model=%s.caffemodel" % path],
                    {"input": pixels}, 1)
        onnx = run(args, ["--onnx=%s.onnx" % path], {"input": pixels}, 1)
        for name, values in (("boxes", decode(caffe["boxes"])), ("scores", caffe["scores"])):
            if len(values) != len(onnx[name]):
                raise Failed("%d and %d %s" % (len(values), len(onnx[name]), name))
            worst[name] = max([worst[name]] + [abs(a - b) for a, b in zip(values, onnx[name])])
    print("rfb   %d images of 4420 boxes: largest difference of a box %.2e, of a score %.2e"
          % (args.images, worst["boxes"], worst["scores"]))
    return max(worst.values()) <= args.bar


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="the folder with the models and mnist.data")
    parser.add_argument("--inferexec", default="inferexec")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--images", type=int, default=2, help="images for the face detector")
    parser.add_argument("--least", type=float, default=0.98, help="share of digits that is enough")
    parser.add_argument("--bar", type=float, default=1e-4, help="difference that is allowed")
    parser.add_argument("only", nargs="*", help="lenet, rfb (default: both)")
    args = parser.parse_args()
    try:
        done = [what(args) for what in (lenet, rfb) if not args.only or what.__name__ in args.only]
    except (Failed, OSError) as error:
        print("lenet.py: %s" % error, file=sys.stderr)
        return 2
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main())
