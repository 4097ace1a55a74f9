# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes small frozen TensorFlow graphs without TensorFlow: protobuf's wire format by hand."""

import struct

FLOAT, INT32, UINT8 = 1, 3, 4


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value)


def chunk(field, data):
    return varint(field << 3 | 2) + varint(len(data)) + data


def shape(dims):
    return b"".join(chunk(2, number(1, d)) for d in dims)


def attr_type(value):
    return number(6, value)


def attr_shape(dims):
    return chunk(7, shape(dims))


def attr_string(text):
    return chunk(2, text.encode())


def attr_ints(values):
    return chunk(1, b"".join(number(3, v) for v in values))


def attr_bool(value):
    return number(5, 1 if value else 0)


def attr_tensor(dtype, dims, values):
    code = {FLOAT: "f", INT32: "i", UINT8: "B"}[dtype]
    content = struct.pack("<%d%s" % (len(values), code), *values)
    return chunk(8, number(1, dtype) + chunk(2, shape(dims)) + chunk(4, content))


def node(name, op, inputs=(), **attrs):
    """One NodeDef as a field of a GraphDef; attrs are encoded AttrValues."""
    data = chunk(1, name.encode()) + chunk(2, op.encode())
    data += b"".join(chunk(3, i.encode()) for i in inputs)
    for key, value in attrs.items():
        data += chunk(5, chunk(1, key.encode()) + chunk(2, value))
    return chunk(1, data)


def placeholder(name, dtype, dims):
    return node(name, "Placeholder", dtype=attr_type(dtype), shape=attr_shape(dims))


def constant(name, dims, values, dtype=FLOAT):
    return node(name, "Const", dtype=attr_type(dtype), value=attr_tensor(dtype, dims, values))


def graph(*nodes):
    return b"".join(nodes) + chunk(4, number(1, 27))
