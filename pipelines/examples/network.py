#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Builds a small network layer by layer, makes an engine of it, saves and loads its plan, and runs it.

    pipelines/env python3 pipelines/examples/network.py

or, after an installation, with the library's description on GI_TYPELIB_PATH. Needs PyGObject (Debian:
python3-gi); NumPy is used where it is there."""

import os
import random
import struct
import sys
import tempfile

import gi

gi.require_version("Infer", "1.0")
from gi.repository import GLib, Infer  # noqa: E402

try:
    import numpy
except ImportError:
    numpy = None


def dims(*values):
    return Infer.Dims.new(values)


def pack(values):
    """Numbers as the bytes of floats in row-major order."""
    if numpy is not None:
        return numpy.asarray(values, numpy.float32).tobytes()
    return struct.pack("%df" % len(values), *values)


def unpack(data):
    if numpy is not None:
        return numpy.frombuffer(data, numpy.float32)
    return struct.unpack("%df" % (len(data) // 4), data)


def weights(generator, *shape):
    count = 1
    for size in shape:
        count *= size
    values = [generator.uniform(-0.5, 0.5) for _ in range(count)]
    return Infer.Array.new_from_data(Infer.Type.FLOAT, dims(*shape), pack(values))


def small_network():
    generator = random.Random(1)
    network = Infer.Network.new()
    batch = network.add_symbol("batch", 1, 1, 8)
    x = network.add_input("image", Infer.Type.FLOAT, dims(batch, 3, 16, 16), None)
    x = network.add_convolution(
        input=x, n_outputs=8, kernel=dims(3, 3), weights=weights(generator, 8, 3, 3, 3),
        bias=weights(generator, 8), stride=dims(2, 2), pre_padding=dims(1, 1), post_padding=None,
        padding_mode=Infer.PaddingMode.EXPLICIT_ROUND_DOWN, dilation=None, groups=1, name="conv")
    x = network.add_activation(x, Infer.Activation.RELU, 0, 0, "relu")
    x = network.add_pooling(
        input=x, kind=Infer.Pooling.MAX, kernel=dims(2, 2), stride=None, pre_padding=None,
        post_padding=None, padding_mode=Infer.PaddingMode.EXPLICIT_ROUND_DOWN,
        exclude_padding=True, blend=0, name="pool")
    x = network.add_fully_connected(x, 5, weights(generator, 5, 8 * 4 * 4), None, "classes")
    x = network.add_soft_max(x, 1, False, "softmax")
    network.mark_output(x, "probabilities")
    return network


def main():
    network = small_network()
    builder = Infer.Builder.new()
    builder.set_device(os.environ.get("INFER_DEVICE", "cpu"))
    builder.set_max_batch(2)
    with tempfile.TemporaryDirectory() as folder:
        plan = os.path.join(folder, "network.plan")
        builder.build(network, "an example", None).save(plan)
        print("the plan has %d bytes" % os.path.getsize(plan))
        engine = Infer.Engine.new_from_file(plan, None, 0, Infer.LoadFlags.READ)

    context = Infer.Context.new(engine)
    context.set_batch(2)
    for index in range(engine.get_n_bindings()):
        binding = engine.get_binding(index)
        _, shape = context.get_dims(binding.name)
        print("%s '%s': %s %s" % ("input" if binding.is_input else "output", binding.name,
                                  Infer.type_name(binding.type), shape.to_string()))

    picture = [(index * index % 251) / 250 for index in range(2 * 3 * 16 * 16)]
    context.set_input_bytes("image", GLib.Bytes.new(pack(picture)))
    context.run()
    result = unpack(context.get_output_bytes("probabilities").get_data())
    for row in range(2):
        print("picture %d: %s" % (row, " ".join("%.4f" % value for value in result[row * 5:row * 5 + 5])))

    # What is wrong with a layer is said in an exception that names it.
    try:
        network.add_concatenation([network.get_input(0), network.find_tensor("pool")], 1, "wrong")
    except GLib.Error as error:
        print("refused:", error.message)
    else:
        sys.exit("two pictures of different sizes were concatenated")
    return 0


if __name__ == "__main__":
    sys.exit(main())
