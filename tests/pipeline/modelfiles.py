# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes small ONNX, UFF and Caffe models by hand: protobuf's wire format, see graphdef.py."""

import struct

from graphdef import chunk, number

FLOAT = 1


def floats(values):
    return struct.pack("<%df" % len(values), *values)


# --- ONNX ---

def onnx_tensor(name, dims, values):
    return (b"".join(number(1, d) for d in dims) + number(2, FLOAT) + chunk(8, name.encode())
            + chunk(9, floats(values)))


def onnx_info(name, dims):
    """A ValueInfoProto; a dimension that is a string is open."""
    shape = b"".join(chunk(1, chunk(2, d.encode()) if isinstance(d, str) else number(1, d))
                     for d in dims)
    return chunk(1, name.encode()) + chunk(2, chunk(1, number(1, FLOAT) + chunk(2, shape)))


def onnx_node(op, name, inputs, outputs, domain=""):
    data = b"".join(chunk(1, i.encode()) for i in inputs)
    data += b"".join(chunk(2, o.encode()) for o in outputs)
    data += chunk(3, name.encode()) + chunk(4, op.encode())
    return data + (chunk(7, domain.encode()) if domain else b"")


def onnx_model(nodes, constants, inputs, outputs, opset=17, domains=()):
    graph = b"".join(chunk(1, n) for n in nodes) + chunk(2, b"graph")
    graph += b"".join(chunk(5, c) for c in constants)
    graph += b"".join(chunk(11, i) for i in inputs) + b"".join(chunk(12, o) for o in outputs)
    sets = chunk(8, number(2, opset))
    sets += b"".join(chunk(8, chunk(1, d.encode()) + number(2, 1)) for d in domains)
    return number(1, 8) + chunk(7, graph) + sets


# --- UFF ---

def uff_entry(key, data):
    return chunk(4, chunk(1, key.encode()) + chunk(2, data))


def uff_ints(values):
    return chunk(8, chunk(1, b"".join(struct.pack("B", v) if v >= 0 else b"\xff" * 9 + b"\x01"
                                      for v in values)))


def uff_node(name, operation, inputs=(), fields=b""):
    return chunk(2, chunk(1, name.encode()) + b"".join(chunk(2, i.encode()) for i in inputs)
                 + chunk(3, operation.encode()) + fields)


def uff_model(*nodes):
    return number(1, 1) + chunk(4, chunk(1, b"main") + b"".join(nodes))


# --- Caffe ---

def caffe_blob(dims, values):
    shape = chunk(1, b"".join(struct.pack("B", d) for d in dims))
    return chunk(7, chunk(7, shape) + chunk(5, floats(values)))


def caffe_layer(name, kind, *blobs):
    return chunk(100, chunk(1, name.encode()) + chunk(2, kind.encode()) + b"".join(blobs))
