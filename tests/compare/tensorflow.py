#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compares TensorFlow graphs and SavedModels with TensorFlow itself.

    python3 -m venv DIR/venv && DIR/venv/bin/pip install tensorflow-cpu
    pipelines/env DIR/venv/bin/python tests/compare/tensorflow.py [--work DIR] [NAME ...]

Every graph is made here, with random weights, and run by TensorFlow and by inferexec on the same
inputs: networks of Keras as frozen graphs and as SavedModels, recurrent layers, conditions and
loops of TensorFlow 2 and 1, SavedModels of TensorFlow 1 with sharded and partitioned variables, and
single operators. An output's error is the largest difference over the range of the expected values;
it passes below 1e-3. NAME may be a group (networks, layers, control, saved, ops) or the beginning of
a name; --files takes frozen graphs: "FILE INPUT OUTPUT DIMENSIONS", comma between dimensions.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
# This file has the name of the package.
sys.path[:] = [p for p in sys.path if os.path.abspath(p or ".") != os.path.dirname(os.path.abspath(__file__))]
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
import tensorflow_ops

BAR = 1e-3
V1 = tf.compat.v1
KERAS = {"MobileNetV2": 224, "EfficientNetB0": 224, "ResNet50": 224, "InceptionV3": 299,
         "DenseNet121": 224, "Xception": 299, "NASNetMobile": 224}


def our_outputs(path, inputs, work, batch):
    files = []
    for name, array in inputs.items():
        file = os.path.join(work, f"input-{len(files)}.npy")
        np.save(file, np.ascontiguousarray(array))
        files.append(f"'{name}':{file}")
    result = os.path.join(work, "outputs.json")
    command = [os.environ.get("INFEREXEC", "build/pipelines/inferexec/inferexec"), f"--tf={path}",
               "--device=cpu", "--noVerify", "--iterations=1", "--duration=0", "--warmUp=0",
               f"--exportOutput={result}"]
    if files:
        command.append("--loadInputs=" + ",".join(files))
    if batch:
        command.append(f"--batch={batch}")
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    if run.returncode != 0:
        raise RuntimeError((run.stderr.strip() or run.stdout.strip())[-500:])
    with open(result, encoding="utf-8") as file:
        return {entry["name"]: entry for entry in json.load(file)}


def as_array(entry, dtype):
    dims = entry["dimensions"]
    if isinstance(dims, str):
        dims = [int(d) for d in dims.split("x") if d.isdigit()]
    special = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}
    values = [special.get(v, v) if isinstance(v, str) else v for v in entry["values"]]
    return np.array(values, dtype=dtype).reshape(dims)


def error_of(want, have):
    if want.shape != have.shape:
        raise RuntimeError(f"shape {have.shape}, expected {want.shape}")
    if want.size == 0:
        return 0.0
    if not np.issubdtype(want.dtype, np.floating):
        return float(np.max(want != have))
    want, have = want.astype(np.float64), have.astype(np.float64)
    if not np.array_equal(np.isfinite(want), np.isfinite(have)):
        return float("inf")
    finite = np.isfinite(want)
    spread = np.ptp(want[finite]) if finite.any() else 0
    spread = spread or np.max(np.abs(want[finite]), initial=0) or 1
    return float(np.max(np.abs(want - have)[finite], initial=0) / spread)


def compare(path, inputs, want, work, batch=None):
    """@want: name -> array. Returns the largest error and the seconds that inferexec took."""
    started = time.monotonic()
    have = our_outputs(path, inputs, work, batch)
    took = time.monotonic() - started
    missing = [name for name in want if name not in have]
    if missing:
        raise RuntimeError(f"no output {missing}; there are {sorted(have)}")
    return max(error_of(a, as_array(have[name], a.dtype)) for name, a in want.items()), took


# --- models as files ---

def write_graph(graph_def, path):
    with open(path, "wb") as file:
        file.write(graph_def.SerializeToString())


def flat(result):
    return [np.asarray(v) for v in tf.nest.flatten(result)]


def compare_function(function, inputs, work, batch=None, freeze=False):
    """A function of TensorFlow 2 as a frozen graph."""
    specs = [tf.TensorSpec([None, *a.shape[1:]] if batch else a.shape, a.dtype, name=n)
             for n, a in inputs.items()]
    concrete = tf.function(function).get_concrete_function(*specs)
    want = flat(concrete(*[tf.constant(a) for a in inputs.values()]))
    if freeze:
        concrete = convert_variables_to_constants_v2(concrete, lower_control_flow=freeze == "lower")
    path = os.path.join(work, "graph.pb")
    graph = concrete.graph.as_graph_def()
    write_graph(graph, path)
    names = [t.name.replace(":0", "") if t.name.endswith(":0") else t.name
             for t in concrete.outputs]
    held = {n.name for n in graph.node}
    feed = {n: a for n, a in inputs.items() if n in held}
    return compare_outputs(path, feed, dict(zip(names, want)), work, batch)


def compare_outputs(path, inputs, want, work, batch):
    """Frozen graphs do not say their outputs: those that nothing reads are taken."""
    started = time.monotonic()
    have = our_outputs(path, inputs, work, batch)
    took = time.monotonic() - started
    worst = 0.0
    for name, array in want.items():
        if name not in have:
            raise RuntimeError(f"no output {name}; there are {sorted(have)}")
        worst = max(worst, error_of(array, as_array(have[name], array.dtype)))
    return worst, took


def compare_saved(model, inputs, work, batch=None, signatures=None):
    """A tf.Module or Keras model as a SavedModel."""
    folder = os.path.join(work, "saved")
    shutil.rmtree(folder, ignore_errors=True)
    tf.saved_model.save(model, folder, signatures=signatures)
    return compare_folder(folder, inputs, work, batch)


def compare_folder(folder, inputs, work, batch=None):
    loaded = tf.saved_model.load(folder)
    serve = loaded.signatures["serving_default"]
    want = {k: np.asarray(v) for k, v in
            serve(**{n: tf.constant(a) for n, a in inputs.items()}).items()}
    return compare(folder, inputs, want, work, batch)


def shake(model, seed=3):
    """Random statistics of normalizations and biases, which are zeros and ones at first."""
    random = np.random.default_rng(seed)
    for weight in model.weights:
        value = np.asarray(weight)
        if "variance" in weight.path:
            weight.assign(random.uniform(.6, 1.4, value.shape))
        elif value.ndim == 1:
            weight.assign(value + random.uniform(-.2, .2, value.shape))
    return model


def network_case(name, saved):
    def run(work):
        tf.keras.utils.set_random_seed(1)
        size = KERAS[name]
        model = shake(getattr(tf.keras.applications, name)(weights=None, classifier_activation=None))
        image = np.random.default_rng(7).uniform(-1, 1, (2, size, size, 3)).astype(np.float32)
        if name == "EfficientNetB0":
            image = (image + 1) * 127.5
        if saved:
            folder = os.path.join(work, "saved")
            shutil.rmtree(folder, ignore_errors=True)
            model.export(folder, verbose=False)
            name_of = list(tf.saved_model.load(folder).signatures["serving_default"]
                           .structured_input_signature[1])[0]
            return compare_folder(folder, {name_of: image}, work, 2)
        return compare_function(lambda x: model(x, training=False), {"x": image}, work, 2, True)
    return run


def layer_case(make, shape, saved, batch=2):
    def run(work):
        tf.keras.utils.set_random_seed(2)
        layers = make() if isinstance(make(), list) else [make()]
        steps = None if saved == "open" else shape[0]
        inputs = tf.keras.Input((steps, *shape[1:]))
        out = inputs
        for layer in layers:
            out = layer(out)
        model = shake(tf.keras.Model(inputs, out))
        x = np.random.default_rng(7).uniform(-1, 1, (batch, *shape)).astype(np.float32)
        if saved == "frozen":
            return compare_function(lambda x: model(x, training=False), {"x": x}, work, batch, True)
        if saved == "lowered":
            return compare_function(lambda x: model(x, training=False), {"x": x}, work, batch, "lower")

        class Module(tf.Module):
            def __init__(self):
                super().__init__()
                self.model = model

            @tf.function(input_signature=[tf.TensorSpec([None, steps, *shape[1:]], tf.float32, "x")])
            def serve(self, x):
                return {"out": self.model(x, training=False)}
        module = Module()
        folder = os.path.join(work, "saved")
        shutil.rmtree(folder, ignore_errors=True)
        tf.saved_model.save(module, folder, signatures=module.serve)
        if saved == "open":
            want = {"out": np.asarray(model(x))}
            return compare_shapes(folder, {"x": x}, want, work)
        return compare_folder(folder, {"x": x}, work, batch)
    return run


def compare_shapes(path, inputs, want, work):
    """Where more than the batch is open."""
    shapes = ",".join(f"{n}:" + "x".join(map(str, a.shape)) for n, a in inputs.items())
    started = time.monotonic()
    file, result = os.path.join(work, "input-0.npy"), os.path.join(work, "outputs.json")
    np.save(file, next(iter(inputs.values())))
    run = subprocess.run(
        [os.environ.get("INFEREXEC", "build/pipelines/inferexec/inferexec"), f"--tf={path}",
         "--device=cpu", "--noVerify", "--iterations=1", "--duration=0", "--warmUp=0",
         f"--exportOutput={result}", f"--shapes={shapes}", f"--loadInputs='{next(iter(inputs))}':{file}"],
        capture_output=True, text=True, check=False, timeout=900)
    if run.returncode != 0:
        raise RuntimeError((run.stderr.strip() or run.stdout.strip())[-500:])
    with open(result, encoding="utf-8") as source:
        have = {entry["name"]: entry for entry in json.load(source)}
    return (max(error_of(a, as_array(have[n], a.dtype)) for n, a in want.items()),
            time.monotonic() - started)


# --- conditions and loops ---

def rand(*shape, seed=5):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def branches(x):
    return tf.cond(tf.reduce_sum(x) > 0, lambda: tf.nn.relu(x) @ tf.constant(rand(4, 4, seed=1)),
                   lambda: tf.tanh(x) - 1)


def nested(x):
    return tf.cond(tf.reduce_max(x) > 0, lambda: tf.cond(tf.reduce_min(x) < 0, lambda: x * 2,
                                                         lambda: x + 5), lambda: x - 1)


def counted(x):
    weights = tf.constant(rand(4, 4, seed=1))
    return tf.while_loop(lambda i, y: i < 5, lambda i, y: (i + 1, tf.tanh(y @ weights)), (0, x))[1]


def until(x):
    return tf.while_loop(lambda i, y: tf.reduce_sum(tf.abs(y)) > 0.5,
                         lambda i, y: (i + 1, y * 0.7), (tf.constant(0), x))


def collected(x):
    array = tf.TensorArray(tf.float32, size=tf.shape(x)[0])
    loop = tf.while_loop(lambda i, s, a: i < tf.shape(x)[0],
                         lambda i, s, a: (i + 1, s + x[i], a.write(i, s * x[i])),
                         (0, tf.zeros([4]), array))
    return loop[2].stack(), loop[1]


def mapped(x):
    return tf.map_fn(lambda row: tf.sqrt(tf.abs(row)) + tf.reduce_sum(row), x)


def chosen(x):
    return tf.switch_case(tf.constant(1), [lambda: x, lambda: x * 3, lambda: x - 1])


def control_case(function, sign, kind):
    def run(work):
        x = rand(3, 4) + (0.1 if sign > 0 else -0.1)
        x = np.abs(x) * sign if sign else x
        if kind == "v1":
            return compare_v1(function, {"x": x.astype(np.float32)}, work)
        return compare_function(function, {"x": x.astype(np.float32)}, work,
                                freeze={"v2": False, "lower": "lower"}[kind])
    return run


def compare_v1(function, inputs, work):
    """A graph of TensorFlow 1, with Switch, Merge, Enter and Exit."""
    V1.disable_control_flow_v2()
    try:
        with tf.Graph().as_default() as graph, V1.Session(graph=graph) as session:
            places = {n: V1.placeholder(a.dtype, a.shape, n) for n, a in inputs.items()}
            outputs = [tf.identity(t, f"out{i}") for i, t in enumerate(
                tf.nest.flatten(function(**places)))]
            want = session.run(outputs, {places[n]: a for n, a in inputs.items()})
            path = os.path.join(work, "graph.pb")
            write_graph(V1.graph_util.extract_sub_graph(
                graph.as_graph_def(), [f"out{i}" for i in range(len(outputs))]), path)
    finally:
        V1.enable_control_flow_v2()
    return compare_outputs(path, inputs, {f"out{i}": np.asarray(a) for i, a in enumerate(want)}, work,
                           None)


# --- SavedModels of TensorFlow 1 ---

def saved_v1(resource, partitions, sharded):
    def run(work):
        folder = os.path.join(work, "saved")
        shutil.rmtree(folder, ignore_errors=True)
        x = rand(2, 30)
        with tf.Graph().as_default() as graph, V1.Session(graph=graph) as session:
            place = V1.placeholder(tf.float32, [None, 30], "input")
            split = V1.fixed_size_partitioner(3) if partitions else None
            with V1.variable_scope("net", use_resource=resource, partitioner=split):
                weights = V1.get_variable("weights", [30, 7], tf.float32,
                                          V1.random_uniform_initializer(-1, 1, seed=3))
                bias = V1.get_variable("bias", [7], initializer=V1.random_uniform_initializer(seed=4),
                                       partitioner=None)
            out = tf.nn.relu(tf.matmul(place, tf.convert_to_tensor(weights)) + tf.convert_to_tensor(bias))
            session.run(V1.global_variables_initializer())
            want = session.run(out, {place: x})
            builder = V1.saved_model.builder.SavedModelBuilder(folder)
            signature = V1.saved_model.signature_def_utils.predict_signature_def(
                {"image": place}, {"scores": out})
            builder.add_meta_graph_and_variables(
                session, ["serve"], {"serving_default": signature},
                saver=V1.train.Saver(sharded=sharded, allow_empty=True))
            builder.save()
        return compare(folder, {"image": x}, {"scores": want}, work, 2)
    return run


def op_case(function, inputs):
    return lambda work: compare_function(function, inputs, work)


def all_cases():
    cases = {}
    for name in KERAS:
        cases[f"networks/{name}/frozen"] = network_case(name, False)
        cases[f"networks/{name}/saved"] = network_case(name, True)
    k = tf.keras.layers
    recurrent = {
        "LSTM": lambda: k.LSTM(8), "LSTM-sequences": lambda: k.LSTM(8, return_sequences=True),
        "GRU": lambda: k.GRU(8), "GRU-reset-before": lambda: k.GRU(8, reset_after=False),
        "Bidirectional": lambda: k.Bidirectional(k.LSTM(5, return_sequences=True)),
        "SimpleRNN": lambda: k.SimpleRNN(6, return_sequences=True),
        "stack": lambda: [k.GRU(8, return_sequences=True), k.LSTM(6), k.Dense(3)],
    }
    for name, make in recurrent.items():
        for kind in ("frozen", "lowered", "saved", "open"):
            cases[f"layers/{name}/{kind}"] = layer_case(make, (7, 5), kind)
    others = {
        "LayerNormalization": lambda: k.LayerNormalization(), "Conv1D": lambda: k.Conv1D(6, 3, 2),
        "SeparableConv1D": lambda: k.SeparableConv1D(6, 3, padding="same"),
        "Attention": lambda: SelfAttention(),
    }
    for name, make in others.items():
        cases[f"layers/{name}/saved"] = layer_case(make, (8, 6), "saved")
    images = {
        "Conv2DTranspose": lambda: k.Conv2DTranspose(4, 3, 2, padding="same"),
        "UpSampling2D": lambda: k.UpSampling2D(2, interpolation="bilinear"),
        "DepthwiseConv2D": lambda: k.DepthwiseConv2D(3, depth_multiplier=2),
        "GroupNormalization": lambda: k.GroupNormalization(2),
        "PReLU": lambda: k.PReLU(), "ZeroPadding2D": lambda: k.ZeroPadding2D(((1, 2), (0, 3))),
    }
    for name, make in images.items():
        cases[f"layers/{name}/saved"] = layer_case(make, (8, 6, 4), "saved")
    for name, make in {"Conv3D": lambda: k.Conv3D(4, 3, padding="same"),
                       "Conv3DTranspose": lambda: k.Conv3DTranspose(3, 2, 2)}.items():
        cases[f"layers/{name}/saved"] = layer_case(make, (4, 6, 5, 2), "saved")
    functions = {"If": branches, "If-nested": nested, "While-counted": counted, "While-until": until,
                 "While-list": collected, "map": mapped, "Case": chosen}
    for name, function in functions.items():
        for kind in ("v2", "lower", "v1"):
            for sign in ((1, -1) if name.startswith("If") else (0,)):
                tag = {1: "/true", -1: "/false", 0: ""}[sign]
                cases[f"control/{name}/{kind}{tag}"] = control_case(function, sign, kind)
    for resource in (False, True):
        for partitions in (False, True):
            for sharded in (False, True):
                tag = "-".join(t for t, on in (("resource", resource), ("partitioned", partitions),
                                               ("sharded", sharded)) if on) or "plain"
                cases[f"saved/v1-{tag}"] = saved_v1(resource, partitions, sharded)
    for name, (function, inputs) in tensorflow_ops.all_cases().items():
        cases[f"ops/{name}"] = op_case(function, inputs)
    return cases


class SelfAttention(tf.keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.inner = tf.keras.layers.MultiHeadAttention(2, 4)

    def call(self, x):
        return self.inner(x, x)


def run_file(text, work):
    path, place, output, dims = text.split()
    shape = [int(d) for d in dims.split(",")]
    graph_def = V1.GraphDef()
    with open(path, "rb") as file:
        graph_def.ParseFromString(file.read())
    with tf.Graph().as_default() as graph, V1.Session(graph=graph) as session:
        tf.import_graph_def(graph_def, name="")
        tensor = graph.get_tensor_by_name(place + ":0")
        x = np.random.default_rng(7).uniform(0, 1, shape)
        x = (x * 255 if tensor.dtype == tf.uint8 else x).astype(tensor.dtype.as_numpy_dtype)
        want = session.run(output + ":0", {tensor: x})
    result = os.path.join(work, "outputs.json")
    file = os.path.join(work, "input-0.npy")
    np.save(file, x)
    return compare_outputs(path, {place: x}, {output: want}, work, None)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--work", default="build/tensorflow")
    parser.add_argument("--files", nargs="*", default=[])
    args = parser.parse_args()
    os.makedirs(args.work, exist_ok=True)
    print("TensorFlow", tf.__version__, flush=True)
    cases = {f"files/{os.path.basename(f.split()[0])}": lambda work, f=f: run_file(f, work)
             for f in args.files}
    if args.names or not args.files:
        everything = all_cases()
        cases.update({n: c for n, c in everything.items() if not args.names or any(
            n.startswith(want) or n.startswith("ops/" + want) for want in args.names)})
    bad = []
    for name, case in cases.items():
        try:
            worst, took = case(args.work)
            text, good = f"error {worst:.1e}  ({took:.1f} s)", worst < BAR
        except Exception as error:  # one that cannot be had must not hide the others
            text, good = f"{type(error).__name__}: {error}"[:600], False
        bad += [] if good else [name]
        print(f"{'passed' if good else 'FAILED'} {name:44} {text}", flush=True)
    print(f"{len(cases) - len(bad)} passed, {len(bad)} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
