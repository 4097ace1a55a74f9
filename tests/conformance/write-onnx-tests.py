#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes the node tests of the installed onnx package as folders for onnx-conformance.

    write-onnx-tests.py DIR

The package's own loader makes the cases; their tolerances go to a file "tolerance" beside the
model. Tests that come with the package as files (simple and PyTorch's) are copied.
"""
import os
import shutil
import sys

import onnx
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests
import onnx.backend.test.case as case
from onnx.backend.test.case.node import collect_testcases


def write_value(path, value, type_proto):
    """One input or output as the message that its type has."""
    if isinstance(value, (onnx.TensorProto, onnx.SequenceProto, onnx.OptionalProto)):
        proto = value
    elif type_proto.HasField("sequence_type"):
        proto = numpy_helper.from_list(value)
    elif type_proto.HasField("optional_type"):
        proto = numpy_helper.from_optional(value)
    else:
        proto = numpy_helper.from_array(value)
    with open(path, "wb") as file:
        file.write(proto.SerializeToString())


def write_case(test, folder):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "model.onnx"), "wb") as file:
        file.write(test.model.SerializeToString())
    with open(os.path.join(folder, "tolerance"), "w", encoding="ascii") as file:
        file.write(f"{test.rtol:g} {test.atol:g}\n")
    for number, (inputs, outputs) in enumerate(test.data_sets):
        at = os.path.join(folder, f"test_data_set_{number}")
        os.makedirs(at, exist_ok=True)
        for kind, values, infos in (("input", inputs, test.model.graph.input),
                                    ("output", outputs, test.model.graph.output)):
            for i, value in enumerate(values):
                write_value(os.path.join(at, f"{kind}_{i}.pb"), value, infos[i].type)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    written = 0
    for test in collect_testcases(None):
        if test.model is not None and test.data_sets is not None:
            write_case(test, os.path.join(sys.argv[1], "node", test.name))
            written += 1
    for kind in ("simple", "pytorch-converted", "pytorch-operator"):
        try:
            tests = load_model_tests(kind=kind)
        except (OSError, ValueError):
            continue
        for test in tests:
            if test.model_dir:
                shutil.copytree(test.model_dir, os.path.join(sys.argv[1], kind, test.name),
                                dirs_exist_ok=True)
                written += 1
    print(f"{written} tests of onnx {onnx.__version__}")


if __name__ == "__main__":
    main()
