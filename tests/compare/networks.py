#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compares networks of torchvision, and ONNX's light models, with ONNX Runtime.

    python3 -m venv DIR/venv
    DIR/venv/bin/pip install torch torchvision onnx onnxscript onnxruntime
    pipelines/env DIR/venv/bin/python tests/compare/networks.py [--work DIR] [MODEL ...]

Every network is made with random weights, exported to ONNX (with an open batch where the exporter
can; --dynamo takes PyTorch's newer exporter), built and run by inferexec, and run by ONNX Runtime
on the same inputs. An output's error is the largest difference over the range of the expected
values; it passes below 1e-3. Detections pass when there are as many and each has one of the same
class, score and box. Models are kept in the work folder, which --fresh makes anew.
"""
import argparse
import glob
import json
import os
import subprocess
import sys
import time

import numpy as np
import onnx
import onnxruntime

BAR = 1e-3
MODELS = {
    "resnet18": 224, "resnet50": 224, "mobilenet_v2": 224, "mobilenet_v3_large": 224,
    "efficientnet_b0": 224, "convnext_tiny": 224, "swin_t": 224, "vit_b_16": 224,
    "densenet121": 224, "inception_v3": 299, "shufflenet_v2_x1_0": 224,
    "deeplabv3_mobilenet_v3_large": 224, "lraspp_mobilenet_v3_large": 224,
    "ssdlite320_mobilenet_v3_large": 320, "retinanet_resnet50_fpn": 320,
    "fasterrcnn_mobilenet_v3_large_320_fpn": 320, "fasterrcnn_resnet50_fpn": 320,
    "keypointrcnn_resnet50_fpn": 320, "maskrcnn_resnet50_fpn": 320,
}
DETECTORS = ("ssd", "retinanet", "fasterrcnn", "keypointrcnn", "maskrcnn")


def is_detector(name):
    return name.startswith(DETECTORS)


def random_image(name, batch):
    """What both sides get, the same in every run."""
    size = MODELS[name]
    shape = (3, size, size) if is_detector(name) else (batch, 3, size, size)
    return np.random.default_rng(7).random(shape, dtype=np.float32)


def make_network(name, seed=1):
    """The network with random weights."""
    import torch
    import torchvision

    torch.manual_seed(seed)
    args = {"weights": None}
    if is_detector(name) or name.startswith(("deeplab", "lraspp")):
        args["weights_backbone"] = None
    if is_detector(name):
        # Weights that know nothing give low scores to all.
        args["score_thresh" if name.startswith(("ssd", "retina")) else "box_score_thresh"] = 0.001
        args["detections_per_img" if name.startswith(("ssd", "retina"))
             else "box_detections_per_img"] = 20
        if "rcnn" in name:
            args.update(rpn_pre_nms_top_n_test=100, rpn_post_nms_top_n_test=50)
        if not name.startswith("ssd"):
            args.update(min_size=320, max_size=320)
    if name == "inception_v3":
        args.update(init_weights=True, aux_logits=True)
    get = getattr(torchvision.models, name, None) or getattr(
        torchvision.models.detection if is_detector(name) else torchvision.models.segmentation, name)
    network = get(**args).eval()
    for parameter in network.parameters():
        if parameter.ndim > 1 and not parameter.any():  # ViT's last layer
            torch.nn.init.normal_(parameter, 0, 0.02)
    settle(network, name)
    return network


def settle(network, name):
    """Statistics of the network's own activations: without them they grow from layer to layer, and
    what rounding does to a detection of such a network is no measure of anything."""
    import torch

    layers = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for layer in layers:
        torch.nn.init.normal_(layer.bias, 0, 0.1)
        layer.momentum = 1.0
        layer.train()
    size = MODELS[name]
    images = torch.rand(4, 3, size, size)
    with torch.no_grad():
        network(list(images) if is_detector(name) else images)
    for layer in layers:
        layer.eval()
        layer.running_var.clamp_(min=0.01)


class Segmentation:
    """Makes a tensor of the dictionary that a segmentation network gives."""

    @staticmethod
    def of(network):
        import torch

        class Wrapper(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.network = network

            def forward(self, x):
                return self.network(x)["out"]
        return Wrapper().eval()


def export(name, size, path, dynamo):
    import torch

    network = make_network(name)
    if name.startswith(("deeplab", "lraspp")):
        network = Segmentation.of(network)
    if is_detector(name):
        image = [torch.from_numpy(random_image(name, 1))]
        for seed in range(2, 12):  # until there is something to compare
            with torch.no_grad():
                if len(network(image)[0]["boxes"]) > 0:
                    break
            network = make_network(name, seed)
        torch.onnx.export(network, (image,), path, input_names=["image"], opset_version=17,
                          dynamo=False)
        return
    image = torch.rand(2, 3, size, size)
    if dynamo:
        batch = torch.export.Dim("batch", min=1, max=64)
        torch.onnx.export(network, (image,), path, input_names=["image"], output_names=["output"],
                          dynamic_shapes=({0: batch},), dynamo=True, external_data=False)
    else:
        torch.onnx.export(network, (image,), path, input_names=["image"], output_names=["output"],
                          dynamic_axes={"image": {0: "batch"}, "output": {0: "batch"}},
                          opset_version=17, dynamo=False)


def our_outputs(path, inputs, work, batch):
    """Runs inferexec. Returns the outputs by name, and how long it took to build and run."""
    files = []
    for name, array in inputs.items():
        file = os.path.join(work, f"input-{len(files)}.npy")
        np.save(file, array)
        files.append(f"'{name}':{file}")
    result = os.path.join(work, "outputs.json")
    command = [os.environ.get("INFEREXEC", "build/pipelines/inferexec/inferexec"),
               f"--model={path}", "--device=cpu", "--noVerify", "--iterations=1", "--duration=0",
               "--warmUp=0", "--loadInputs=" + ",".join(files), f"--exportOutput={result}"]
    if batch:
        command.append(f"--batch={batch}")
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1200)
    if run.returncode != 0:
        raise RuntimeError((run.stderr.strip() or run.stdout.strip())[-600:])
    with open(result, encoding="utf-8") as file:
        return {entry["name"]: entry for entry in json.load(file)}


def as_array(entry, dtype):
    dims = entry["dimensions"]
    if isinstance(dims, str):
        dims = [int(d) for d in dims.split("x") if d]
    values = [{"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}.get(v, v)
              if isinstance(v, str) else v for v in entry["values"]]
    return np.array(values, dtype=dtype).reshape(dims)


def error_of(want, have):
    if want.shape != have.shape:
        raise RuntimeError(f"shape {have.shape}, expected {want.shape}")
    if want.size == 0:
        return 0.0
    if want.dtype == bool or not np.issubdtype(want.dtype, np.floating):
        return float(np.max(want != have))
    want, have = want.astype(np.float64), have.astype(np.float64)
    if not np.array_equal(np.isfinite(want), np.isfinite(have)):
        return float("inf")
    finite = np.isfinite(want)
    spread = np.ptp(want[finite]) if finite.any() else 0
    spread = spread or np.max(np.abs(want[finite]), initial=0) or 1
    return float(np.max(np.abs(want - have)[finite], initial=0) / spread)


def match(want, have, size):
    """For each expected detection its counterpart's place, each serving once; None without one."""
    boxes, labels, scores = want
    left = list(range(len(have[1])))
    places = []
    for box, label, score in zip(boxes, labels, scores):
        fits = (at for at in left if have[1][at] == label and abs(have[2][at] - score) < BAR and
                np.max(np.abs(have[0][at] - box)) < BAR * size)
        places.append(next(fits, None))
        if places[-1] is not None:
            left.remove(places[-1])
    return places


def detections(arrays):
    """Boxes, labels and scores among the outputs, told apart by shape and type."""
    boxes = next(a for a in arrays if a.ndim == 2 and a.shape[1] == 4)
    labels = next(a for a in arrays if a.ndim == 1 and a.dtype == np.int64)
    scores = next(a for a in arrays if a.ndim == 1 and a.dtype == np.float32)
    return boxes, labels, scores


def compare(path, inputs, work, batch=None, size=None):
    """A line of text and whether it is good."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    want = session.run(None, inputs)
    started = time.monotonic()
    have = our_outputs(path, inputs, work, batch)
    took = time.monotonic() - started
    have = [as_array(have[name], array.dtype) for name, array in zip(names, want)]
    if size:
        expected, found = detections(want), detections(have)
        places = match(expected, found, size)
        missing = places.count(None) + max(0, len(found[1]) - len(places))
        text = f"{len(places)} detections, {missing} differ"
        rest = [(a, b[places]) for a, b in zip(want, have) if a.ndim > 2 and missing == 0]
        worst = max([error_of(a, b) for a, b in rest], default=0.0)
        good = missing == 0 and worst < BAR and len(places) > 0
        return f"{text}, others {worst:.1e}  ({took:.0f} s)", good
    worst = max(error_of(a, b) for a, b in zip(want, have))
    return f"error {worst:.1e}  ({took:.0f} s)", worst < BAR


def run_torchvision(name, args):
    size = MODELS[name]
    path = os.path.join(args.work, f"{name}{'-dynamo' if args.dynamo else ''}.onnx")
    if args.fresh or not os.path.exists(path):
        export(name, size, path, args.dynamo)
    inputs = {"image": random_image(name, args.batch)}
    return compare(path, inputs, args.work, None if is_detector(name) else args.batch,
                   size if is_detector(name) else None)


def run_light(path, args):
    """One of ONNX's light models: the graph of a known network, its weights made by the graph."""
    graph = onnx.load(path).graph
    held = {tensor.name for tensor in graph.initializer}
    generator = np.random.default_rng(7)
    inputs = {}
    for info in graph.input:
        if info.name not in held:
            dims = [d.dim_value or 1 for d in info.type.tensor_type.shape.dim]
            inputs[info.name] = generator.random(dims, dtype=np.float32)
    return compare(path, inputs, args.work)


def light_models():
    folder = os.path.join(os.path.dirname(onnx.__file__), "backend", "test", "data", "light")
    return {os.path.basename(p)[:-5]: p for p in sorted(glob.glob(os.path.join(folder, "*.onnx")))}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", help="names (default: all)")
    parser.add_argument("--work", default="build/torchvision")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--dynamo", action="store_true", help="PyTorch's newer exporter")
    parser.add_argument("--fresh", action="store_true", help="export again")
    args = parser.parse_args()
    os.makedirs(args.work, exist_ok=True)
    light = light_models()
    bad = 0
    for name in args.models or [*MODELS, *light]:
        try:
            text, good = run_light(light[name], args) if name in light else run_torchvision(name, args)
        except Exception as error:  # a model that cannot be had must not hide the others
            text, good = f"{type(error).__name__}: {error}"[:700], False
        bad += not good
        print(f"{'passed' if good else 'FAILED'} {name:40} {text}", flush=True)
    print(f"{bad} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
