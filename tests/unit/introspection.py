#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The library from Python: runs the example, and looks at what languages need beyond it. Prints TAP.

Usage: introspection.py ROOT ENGINE_DIR    (the folder with Infer-1.0.typelib and libinfer)"""

import os
import re
import subprocess
import sys

ROOT, ENGINE = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])

CHECKS = {
    "tensors keep their network": """
network = Infer.Network.new()
tensor = network.add_input("x", Infer.Type.FLOAT, D(2, 3), None)
relu = network.add_activation(tensor, Infer.Activation.RELU, 0, 0, "relu")
node = network.get_node(0)
gone = []
network.weak_ref(lambda: gone.append(1))
del network
gc.collect()
assert not gone
assert relu.name == "relu" and relu.get_dims().get_values() == [2, 3], relu.name
assert node.get_op_name() == "Relu" and node.get_output(0).name == "relu"
assert node.get_input(0).name == "x" and node.get_input(1) is None
del tensor, relu, node
gc.collect()
assert gone
""",
    "names, types and ranges of tensors": """
network = Infer.Network.new()
x = network.add_input("x", Infer.Type.FLOAT, D(4), None)
y = network.add_identity(x, None)
y.set_name("y")
assert network.find_tensor("y").name == "y"
x.set_type(Infer.Type.INT8)
assert network.find_tensor("y").type == Infer.Type.INT8
y.set_dynamic_range(-1, 2)
assert y.has_range and y.range_max == 2
for wrong in (lambda: y.set_name("x"), lambda: y.set_type(Infer.Type.FLOAT),
              lambda: y.set_dynamic_range(2, 2)):
    refuses(wrong)
""",
    "arrays and dimensions": """
array = Infer.Array.new_from_data(Infer.Type.UINT8, D(2, 2), bytes(range(4)))
assert array.get_bytes().get_data() == bytes(range(4)) and array.count() == 4
assert array.get_double(3) == 3 and array.get_int(2) == 2
assert Infer.Array.new_int64s([5, 6]).get_int(1) == 6
assert D().get_values() == [] and D(7, 8).to_string() == "7x8"
refuses(lambda: D(*range(9)))
refuses(lambda: Infer.Array.new_from_data(Infer.Type.FLOAT, D(2), b"123"))
""",
    "lists of tensors, nodes with several outputs, missing values": """
network = Infer.Network.new()
x = network.add_input("x", Infer.Type.FLOAT, D(2, 3), None)
both = network.add_concatenation([x, x], 0, None)
assert both.get_dims().get_values() == [4, 3]
top = network.add_top_k(both, Infer.TopK.MAX, 2, 1, "top")
assert top.n_outputs == 2 and top.get_output(1).type == Infer.Type.INT64
large = network.add_resize(x, None, [1, 2], Infer.ResizeMode.NEAREST,
                           Infer.Coordinates.ASYMMETRIC, Infer.ResizeRound.FLOOR, 0, False, None)
assert large.get_dims().get_values() == [2, 6]
node = network.add_node("Add", "sum", [x, x], None, 1)
assert node.get_output(0).name == "sum"
refuses(lambda: network.add_soft_max(x, 2, False, "s"))
other = Infer.Network.new().add_input("x", Infer.Type.FLOAT, D(2, 3), None)
refuses(lambda: network.add_element_wise(x, other, Infer.ElementWise.SUM, "e"))
""",
    "bindings outlive their engine; listeners, profilers and shared memory": """
import struct
network = Infer.Network.new()
x = network.add_input("x", Infer.Type.FLOAT, D(1, 4), None)
relu = network.add_activation(x, Infer.Activation.RELU, 0, 0, "relu")
y = network.add_activation(relu, Infer.Activation.TANH, 0, 0, "tanh")
network.mark_output(y, "y")
network.mark_debug(relu)
refuses(lambda: network.mark_debug(x))
builder = Infer.Builder.new()
builder.set_device("cpu")
engine = builder.build(network, "a test", None)
assert engine.get_debug_names() == ["relu"]
first = Infer.Context.new(engine)
second = Infer.Context.new_sharing(engine, first)
heard, times = [], []
second.set_debug_listener(
    lambda context, name, value: heard.append((name, [value.get_double(i) for i in range(4)])))
second.set_profiler(lambda context, name, nanoseconds: times.append((name, nanoseconds)))
for context in (first, second):
    context.set_batch(1)
    context.set_input_bytes("x", GLib.Bytes.new(struct.pack("<4f", -1, 2, -3, 0.5)))
    context.run()
assert heard == [("relu", [0, 2, 0, 0.5])], heard
assert times and all(n >= 0 for _, n in times), times
second.set_debug_state("relu", False)
second.run()
assert len(heard) == 1
assert first.get_output_bytes("y").get_data() == second.get_output_bytes("y").get_data()
bindings = [engine.get_binding(i) for i in range(engine.get_n_bindings())]
assert engine.get_binding(9) is None
del engine, first, second, context, builder, network, x, y, relu
gc.collect()
assert [(b.name, b.is_input, b.dims.get_values()) for b in bindings] == [
    ("x", True, [1, 4]), ("y", False, [1, 4])], bindings
""",
    "other weights, and plans without them": """
import struct
def network_of(factor):
    network = Infer.Network.new()
    x = network.add_input("x", Infer.Type.FLOAT, D(1, 512), None)
    data = struct.pack("<512f", *[factor] * 512)
    w = network.add_constant("w", Infer.Array.new_from_data(Infer.Type.FLOAT, D(1, 512), data))
    network.mark_output(network.add_node("Mul", "scaled", [x, w], None, 1).get_output(0), "y")
    return network
builder = Infer.Builder.new()
builder.set_device("cpu")
builder.set_stripped(True)
plan = builder.build(network_of(2), "a test", None).serialize()
hollow = Infer.Engine.new_from_bytes(plan, None, "cpu", 0)
assert hollow.is_stripped() and hollow.is_refittable()
refuses(lambda: Infer.Context.new(hollow))
refit = Infer.Refit.new(hollow)
assert refit.get_names() == ["w"] and refit.get_missing() == ["w"]
assert refit.get_weights("w") is None
refuses(lambda: refit.commit(None))
found, kind, dims = refit.get_prototype("w")
assert found and kind == Infer.Type.FLOAT and dims.get_values() == [1, 512]
weights = network_of(3).find_tensor("w").value
refit.set_weights("w", weights)
assert refit.set_from_network(network_of(5)) == 1 and refit.get_missing() == []
engine = refit.commit(None)
del hollow, refit
context = Infer.Context.new(engine)
context.set_batch(1)
context.set_input_bytes("x", GLib.Bytes.new(struct.pack("<512f", *range(512))))
context.run()
assert struct.unpack("<512f", context.get_output_bytes("y").get_data()) == tuple(
    5.0 * i for i in range(512))
""",
    "layers of plugins": """
network = Infer.Network.new()
x = network.add_input("x", Infer.Type.UINT8, D(1, 3, 8, 8), None)
refuses(lambda: network.add_plugin("example.FocusNormalize", 0, "focus", [x], None, 0))
refuses(lambda: Infer.plugin_load("/nowhere/libx.so"))
Infer.plugin_load(FOCUS)
info = Infer.plugin_find("FocusNormalize", 0)
assert (info.id, info.version, info.backends) == ("example.FocusNormalize", 1, ["cpu", "reference"])
assert info.library == FOCUS and info.get_fields()[0][:4] == ("block", "i", False, "2")
assert [one.id for one in Infer.plugin_list()] == ["example.FocusNormalize"]
fields = GLib.Variant("a{sv}", {"block": GLib.Variant("i", 4), "mean": GLib.Variant("d", 1)})
node = network.add_plugin("example.FocusNormalize", 1, "focus", [x], fields, 0)
assert node.get_op_name() == "example.FocusNormalize" and node.get_op_version() == 1
assert node.get_output(0).get_dims().get_values() == [1, 48, 2, 2]
refuses(lambda: network.add_plugin("FocusNormalize", 1, "focus", [x],
                                   GLib.Variant("a{sv}", {"block": GLib.Variant("i", 3)}), 0))
""",
}

PREAMBLE = """
import gc, gi
gi.require_version("Infer", "1.0")
from gi.repository import GLib, Infer
D = lambda *values: Infer.Dims.new(values)
def refuses(call):
    try:
        call()
    except GLib.Error as error:
        assert error.domain == "infer-error-quark" and error.message, error
    else:
        raise AssertionError("it was accepted")
"""


def find_python():
    """A Python that has PyGObject: this one, or the system's."""
    for python in (sys.executable, "/usr/bin/python3"):
        if os.path.exists(python) and subprocess.run([python, "-c", "import gi"], check=False,
                                                     stderr=subprocess.DEVNULL).returncode == 0:
            return python
    return None


def skip(reason):
    print("1..0 # SKIP " + reason)
    sys.exit(0)


def run(python, *args):
    environment = dict(os.environ, GI_TYPELIB_PATH=ENGINE, LD_LIBRARY_PATH=ENGINE)
    return subprocess.run([python, *args], env=environment, capture_output=True, text=True,
                          timeout=120, check=False)


def main():
    if not os.path.exists(os.path.join(ENGINE, "Infer-1.0.typelib")):
        skip("the library's description was not built (libgirepository1.0-dev is missing)")
    python = find_python()
    if python is None:
        skip("PyGObject is missing (python3-gi)")
    results = []
    done = run(python, os.path.join(ROOT, "pipelines/examples/network.py"))
    rows = re.findall(r"^picture \d: (.*)$", done.stdout, re.MULTILINE)
    sums = [sum(float(value) for value in row.split()) for row in rows]
    good = (done.returncode == 0 and len(rows) == 2 and rows[0] != rows[1]
            and all(abs(total - 1) < 1e-3 for total in sums) and "refused: node 'wrong'" in done.stdout)
    results.append((good, "the example runs", done.stdout + done.stderr))
    focus = os.path.join(ENGINE, "../pipelines/examples/plugin/source/libfocus.so")
    for name, text in CHECKS.items():
        done = run(python, "-c", PREAMBLE + f"FOCUS = {os.path.realpath(focus)!r}\n" + text)
        results.append((done.returncode == 0 and not done.stderr, name, done.stdout + done.stderr))
    print("1..%d" % len(results))
    for number, (good, name, text) in enumerate(results, 1):
        print("%s %d - %s" % ("ok" if good else "not ok", number, name))
        if not good:
            print("\n".join("# " + line for line in text.splitlines()))
    return 0 if all(good for good, _, _ in results) else 1


if __name__ == "__main__":
    sys.exit(main())
