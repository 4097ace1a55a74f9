#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs inferexec with the flags that choose formats, layers, streams and references.

Usage: inferexec-flags.py PATH-OF-INFEREXEC      (prints TAP)
"""

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import modelfiles as m
from inferexec import (QUICK, check, close, fails, npy, passes, read_output, results, run, section,
                       told, write)

X = [1.0, -2.0, 3.0, 0.5]


def gemm_model(op="Relu", domain="", domains=()):
    """x[1,4] -> MatMul by twos -> Add ones -> op -> y"""
    return m.onnx_model(
        [m.onnx_node("MatMul", "product", ["x", "w"], ["p"]),
         m.onnx_node("Add", "sum", ["p", "b"], ["s"]),
         m.onnx_node(op, "last", ["s"], ["y"], domain)],
        [m.onnx_tensor("w", [4, 2], [2.0] * 8), m.onnx_tensor("b", [2], [1.0, -9.0])],
        [m.onnx_info("x", [1, 4])], [m.onnx_info("y", [1, 2])], domains=domains)


WANTED = [max(2 * sum(X) + 1, 0), max(2 * sum(X) - 9, 0)]


def values_of(name, done, out, output, wanted):
    if passes(name, done):
        found = read_output(out, output)["values"]
        check("values, " + name, close(found, wanted), "%s\n%s" % (found, wanted))


def test_formats(folder):
    out, raw = folder + "/out.json", write(folder + "/x.raw", m.floats(X))
    load = ["--exportOutput=" + out, *QUICK]
    onnx = write(folder + "/gemm.onnx", gemm_model())
    values_of("--onnx", run("--onnx=" + onnx, "--loadInputs=x:" + raw, *load), out, "y", WANTED)

    uff = write(folder + "/relu.uff", m.uff_model(
        m.uff_node("in", "Input", (), m.uff_entry("shape", m.uff_ints([-1, 4]))),
        m.uff_node("act", "Activation", ["in"], m.uff_entry("func", m.chunk(1, b"relu"))),
        m.uff_node("out", "MarkOutput", ["act"])))
    done = run("--uff=" + uff, "--loadInputs=in:" + raw, *load)
    if passes("--uff", done):
        found = json.load(open(out, encoding="utf-8"))[0]["values"]
        check("values, --uff", close(found, [max(x, 0) for x in X]), found)

    deploy = write(folder + "/net.prototxt", b"""name: "net" input: "data" input_dim: 1
        input_dim: 4 input_dim: 1 input_dim: 1
        layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
          inner_product_param { num_output: 2 } }""")
    weights = write(folder + "/other.caffemodel", m.caffe_layer(
        "ip", "InnerProduct", m.caffe_blob([2, 4], [1.0] * 4 + [3.0] * 4),
        m.caffe_blob([2], [0.0, 1.0])))
    values_of("--deploy with --model", run("--deploy=" + deploy, "--model=" + weights,
                                           "--loadInputs=data:" + raw, *load),
              out, "ip", [sum(X), 3 * sum(X) + 1])
    passes("--deploy without weights", run("--deploy=" + deploy, "--skipInference",
                                           "--device=cpu"))
    image = write(folder + "/image.uff", m.uff_model(
        m.uff_node("in", "Input"), m.uff_node("act", "Activation", ["in"], m.uff_entry(
            "func", m.chunk(1, b"relu"))), m.uff_node("out", "MarkOutput", ["act"])))
    values_of("--uffInput", run("--uff=" + image, "--uffInput=in,2,2,1", "--uffNHWC",
                                "--loadInputs=in:" + raw, *load),
              out, "act", [max(x, 0) for x in X])
    fails("a UFF file without dimensions", run("--uff=" + image, *QUICK), "does not say")
    fails("--uffInput of two numbers", run("--uff=" + image, "--uffInput=in,2,2", *QUICK),
          "a name and three numbers")
    fails("--uffInput of another name", run("--uff=" + image, "--uffInput=on,2,2,1", *QUICK),
          "of no input")
    fails("--deploy and --onnx", run("--deploy=" + deploy, "--onnx=" + onnx), "give one")
    fails("an ONNX file as --uff", run("--uff=" + onnx, *QUICK), "gemm.onnx")
    fails("a prototxt as --onnx", run("--onnx=" + deploy, *QUICK), "net.prototxt")
    fails("weights that are no caffemodel", run("--deploy=" + deploy, "--model=" + onnx, *QUICK),
          "gemm.onnx")
    return onnx, raw


def test_check_only(folder, onnx):
    done = run("--onnx=" + onnx, "--checkOnly")
    passes("--checkOnly of a good model", done, "every node can be used: 3 nodes", "MatMul")
    check("and nothing was built", "Engine built" not in done.stdout, told(done))
    fails("--checkOnly of what is no model", run("--onnx=/nowhere", "--checkOnly"), "/nowhere")
    # More than an error names.
    nodes = [m.onnx_node("Nonesuch%d" % i, "node%d" % i, ["x"], ["t%d" % i]) for i in range(40)]
    bad = write(folder + "/bad.onnx", m.onnx_model(
        nodes + [m.onnx_node("Relu", "good", ["x"], ["y"])], [], [m.onnx_info("x", [1, 4])],
        [m.onnx_info("y", [1, 4])] + [m.onnx_info("t%d" % i, [1, 4]) for i in range(40)],
        opset=13))
    done = run("--model=" + bad, "--checkOnly")
    lines = [line for line in done.stdout.splitlines() if "Cannot be used: " in line]
    check("--checkOnly lists every node that cannot be used",
          done.returncode == 1 and len(lines) == 40 and all(
              "'node%d' (Nonesuch%d of opset 13): " % (i, i) in lines[i] and
              "not supported" in lines[i] for i in range(40)), told(done))
    fails("--checkOnly says how many", done, "40 nodes")


def test_streams(onnx, raw, folder):
    out = folder + "/out.json"
    for n in (1, 3):
        for more in ([], ["--noDataTransfers"]):
            what = "--infStreams=%d %s" % (n, " ".join(more))
            times = folder + "/times.json"
            done = run("--onnx=" + onnx, "--loadInputs=x:" + raw, "--infStreams=%d" % n, *more,
                       "--exportOutput=" + out, "--exportTimes=" + times, "--dumpProfile",
                       "--iterations=20", "--warmUp=1", "--duration=0", "--device=cpu",
                       "--threads=1")
            values_of(what, done, out, "y", WANTED)
            with open(times, encoding="utf-8") as file:
                runs = json.load(file)
            check("runs of " + what, 20 <= len(runs) < 20 + n, len(runs))
            overlaps = sum(b["startEnqMs"] < a["endComputeMs"] for a, b in zip(runs, runs[1:]))
            check("overlap of " + what, overlaps >= 10 if n > 1 else overlaps == 0, overlaps)
            if more:
                check("nothing is staged in " + what,
                      sorted(r["inMs"] for r in runs)[len(runs) // 2] < 0.01, runs[:3])
    fails("no streams", run("--onnx=" + onnx, "--infStreams=0"), "--infStreams=0")


def test_references(onnx, raw, folder):
    load = ["--onnx=" + onnx, "--loadInputs=x:" + raw, *QUICK]
    reference = lambda *args: run(*load, *("--loadRefOutputs=" + args[0], *args[1:]))
    good = folder + "/ref.json"
    passes("write a reference", run(*load, "--exportOutput=" + good))
    passes("the same outputs as JSON", reference(good), "largest difference 0 ", "0 of 2 differ")
    array = write(folder + "/ref.npy", npy("<f4", [1, 2], m.floats([WANTED[0] + 1e-3, WANTED[1]])))
    fails("off by a thousandth", reference(array), "'y'", "--atol=1e-05")
    passes("as much is allowed", reference("y:" + array, "--atol=2e-3"), "largest difference 0.00")
    passes("relative", reference(array, "--rtol=1e-3"), "0 of 2 differ")
    fails("not relative to zero", reference(array, "--atol=0", "--rtol=1e-5"), "--rtol=1e-05")

    def changed(name, change):
        with open(good, encoding="utf-8") as file:
            outputs = json.load(file)
        change(outputs)
        return write(folder + "/" + name, json.dumps(outputs).encode())

    nan = changed("nan.json", lambda o: o[0]["values"].__setitem__(1, "NaN"))
    fails("NaN is not a number", reference(nan, "--atol=1e9"), "inf")
    fails("another shape", reference(changed("s.json", lambda o: o[0].update(dimensions="2x1"))),
          "1x2", "2x1")
    fails("too few values", reference(changed("f.json", lambda o: o[0]["values"].pop())), "'y'")
    fails("a value of another kind",
          reference(changed("k.json", lambda o: o[0]["values"].__setitem__(0, [1]))), "value 0")
    fails("none of the outputs", reference(changed("n.json", lambda o: o[0].update(name="z"))),
          "none of the outputs")
    for name, data in (("no JSON", b"{"), ("empty", b""), ("no list", b"{}"), ("numbers", b"[1]"),
                       ("binary", bytes(range(256)))):
        fails("a reference of " + name, reference(write(folder + "/junk.json", data)), "junk.json")
    fails("no such reference", reference("/nowhere.json"), "/nowhere.json")
    fails("--atol below zero", reference(good, "--atol=-1"), "--atol=-1")


def test_shapes(folder):
    open_model = write(folder + "/open.onnx", m.onnx_model(
        [m.onnx_node("Relu", "r", ["x"], ["y"])], [], [m.onnx_info("x", ["batch", 4])],
        [m.onnx_info("y", ["batch", 4])]))
    build = lambda *flags: run("--onnx=" + open_model, *flags, "--verbose", *QUICK)
    passes("a range of batches", build("--minShapes=x:1x4", "--optShapes=x:2x4", "--maxShapes=x:4x4",
                                       "--shapes=x:3x4"), "max batch 4", "batch 3")
    for flag in ("minShapes", "optShapes", "maxShapes", "shapes"):
        done = build("--%s=z:1x4" % flag)
        fails("an input that is not there, --" + flag, done, "--" + flag, "'z'", "it has 'x'")
        check("nothing was built for it", "Engine built" not in done.stdout, told(done))
        fails("another fixed dimension, --" + flag, build("--%s=x:1x5" % flag), "--" + flag, "?x4")
        fails("other dimensions, --" + flag, build("--%s=x:1x4x1" % flag), "1x4x1", "?x4")
    fails("shapes that fall", build("--minShapes=x:3x4", "--maxShapes=x:2x4"), "do not rise")


def test_old_names(onnx):
    fails("a batch of a model that has its own", run("--onnx=" + onnx, "--batch=3", *QUICK),
          "--batch=3", "fixed batch")
    passes("--workspace", run("--onnx=" + onnx, "--workspace=16", "--buildOnly", "--device=cpu"))
    fails("no workspace", run("--onnx=" + onnx, "--workspace=0"), "--workspace=0")
    passes("--int8 on a device without it", run("--onnx=" + onnx, "--int8", "--buildOnly",
                                                "--device=cpu"), "Note: int8 was asked for")


def test_graph(onnx, folder):
    path, plan = folder + "/graph.dot", folder + "/gemm.plan"
    done = run("--onnx=" + onnx, "--exportGraph=" + path, "--dumpLayerInfo", "--saveEngine=" + plan,
               "--buildOnly", "--device=cpu", "--threads=1")
    if passes("--exportGraph", done, "Layers as parsed: 3", "product (MatMul): x[float 1x4]"):
        check("--buildOnly does not run", "Throughput" not in done.stdout, told(done))
        with open(path, encoding="utf-8") as file:
            text = file.read()
        check("three layers before", len(re.findall(r"^    n\d+ \[", text, re.M)) == 3, text)
        check("fewer steps after", 1 <= len(re.findall(r"^    s\d+ \[", text, re.M)) < 3, text)
        check("edges", "i0 -> n0" in text and "n2 -> o0" in text and "-> y" in text, text)
        if shutil.which("dot"):
            drawn = subprocess.run(["dot", "-Tsvg", path], capture_output=True, check=False)
            check("Graphviz reads it", drawn.returncode == 0 and b"</svg>" in drawn.stdout,
                  drawn.stderr)
    done = run("--loadEngine=" + plan, "--exportGraph=" + path, "--skipInference")
    if passes("--exportGraph of a plan", done):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        check("only steps", "cluster_before" not in text and "cluster_after" in text, text)
    quoted = write(folder + "/quote.onnx", m.onnx_model(
        [m.onnx_node("Relu", 'a "quoted\\name\n', ["x"], ["y"])], [], [m.onnx_info("x", [1, 4])],
        [m.onnx_info("y", [1, 4])]))
    passes("a name with quotes", run("--onnx=" + quoted, "--exportGraph=" + path, "--buildOnly",
                                     "--device=cpu"))
    with open(path, encoding="utf-8") as file:
        check("is quoted", 'a \\"quoted\\\\name ' in file.read())
    return plan


def implementations(path):
    with open(path, encoding="utf-8") as file:
        layers = json.load(file)["Layers"]
    return {layer["Name"]: layer["Implementation"] for layer in layers}, layers


def test_layers(onnx, plan, folder):
    layers = folder + "/layers.json"
    build = ["--onnx=" + onnx, "--buildOnly", "--device=cpu", "--threads=1",
             "--exportLayerInfo=" + layers]
    passes("layers as they are", run(*build))
    plain = implementations(layers)[1]
    if passes("--layerDevices", run(*build, "--layerDevices=last:host")):
        hosted = implementations(layers)[1]
        check("a layer on the host is a step of its own", len(hosted) > len(plain),
              "%s\n%s" % (plain, hosted))
    passes("a name wins over a pattern", run(*build, "--layerDevices=last:device,*:host",
                                             "--layerPrecisions=*:fp32"))
    fails("a precision that the device lacks",
          run(*build, "--layerPrecisions=product:fp16"), "product")
    for flag, value, why in (("layerPrecisions", "product:fp64", "fp32, fp16, bf16"),
                             ("layerPrecisions", "fp16", "NAME:VALUE"),
                             ("layerPrecisions", ":fp16", "NAME:VALUE"),
                             ("layerPrecisions", "nosuch:fp32", "'nosuch'"),
                             ("layerDevices", "no*:host", "'no*'"),
                             ("layerDevices", "sum:dla", "host, device")):
        fails("--%s=%s" % (flag, value), run(*build, "--%s=%s" % (flag, value)), "--" + flag, why)
    fails("layers of a plan", run("--loadEngine=" + plan, "--layerDevices=last:host"),
          "--layerDevices")


def test_debug(onnx, raw, folder):
    path = folder + "/sum.npy"
    build = ["--onnx=" + onnx, "--loadInputs=x:" + raw, "--markDebug=sum"]
    done = run(*build, "--saveDebugTensors=sum:" + path, "--saveEngine=" + folder + "/debug.plan",
               *QUICK)
    if passes("--saveDebugTensors", done, "Debug tensor 'sum' (float 1x2)"):
        with open(path, "rb") as file:
            data = file.read()
        sums = list(struct.unpack("<2f", data[-8:]))
        check("the sum before the activation",
              close(sums, [2 * sum(X) + 1, 2 * sum(X) - 9]) and len(data) == 64 * 2 + 8
              and b"'shape': (1, 2, )" in data, (sums, data))
    passes("of a plan", run("--loadEngine=" + folder + "/debug.plan",
                            "--saveDebugTensors=sum:" + path, *QUICK))
    fails("no such tensor to mark", run("--onnx=" + onnx, "--markDebug=nosuch", *QUICK), "'nosuch'")
    fails("an input to mark", run("--onnx=" + onnx, "--markDebug=x", *QUICK), "'x'")
    fails("a tensor that was not marked", run(*build, "--saveDebugTensors=y:" + path, *QUICK),
          "--markDebug")
    fails("marking in a plan", run("--loadEngine=" + onnx, "--markDebug=s"), "--markDebug")


def wide_model(factor):
    """x[1,4] -> MatMul[4,128] -> Relu -> y, 2 KiB of weights"""
    return m.onnx_model(
        [m.onnx_node("MatMul", "product", ["x", "w"], ["p"]),
         m.onnx_node("Relu", "last", ["p"], ["y"])],
        [m.onnx_tensor("w", [4, 128], [factor] * 512)],
        [m.onnx_info("x", [1, 4])], [m.onnx_info("y", [1, 128])])


def test_refit(onnx, raw, folder):
    first = write(folder + "/first.onnx", wide_model(1.0))
    second = write(folder + "/second.onnx", wide_model(3.0))
    out = folder + "/out.json"
    for flag in ("--refit", "--stripWeights"):
        plan, new = folder + "/refit.plan", folder + "/new.plan"
        passes("build with " + flag, run("--onnx=" + first, flag, "--saveEngine=" + plan,
                                         "--buildOnly", "--device=cpu", "--threads=1"))
        with open(plan, "rb") as file:
            held = b"\x00\x00\x80\x3f" * 512 in file.read()
        check("the plan of %s has the weights, or not" % flag, held == (flag == "--refit"))
        done = run("--loadEngine=" + plan, "--refitFrom=" + second, "--saveEngine=" + new,
                   "--dumpRefit", "--loadInputs=x:" + raw, "--exportOutput=" + out, *QUICK)
        values_of("--refitFrom after " + flag, done, out, "y", [3 * sum(X)] * 128)
        check("--dumpRefit names the weights",
              ("Weights 'w': float 4x128" + (", left out" if not held else "\n")) in done.stdout,
              told(done))
        values_of("the plan that was saved then",
                  run("--loadEngine=" + new, "--loadInputs=x:" + raw, "--exportOutput=" + out,
                      *QUICK), out, "y", [3 * sum(X)] * 128)
    fails("a stripped plan cannot run", run("--loadEngine=" + plan, *QUICK), "left out",
          "--refitFrom")
    fails("weights of another shape", run("--loadEngine=" + plan, "--refitFrom=" + onnx, *QUICK),
          "'w'", "4x128", "4x2")
    fails("a model without these weights", run(
        "--loadEngine=" + plan, "--refitFrom=" + write(folder + "/none.onnx", m.onnx_model(
            [m.onnx_node("Relu", "r", ["x"], ["y"])], [], [m.onnx_info("x", [1])],
            [m.onnx_info("y", [1])])), *QUICK), "none of the engine's weights")
    fails("an engine that cannot be refitted", run("--onnx=" + first, "--refitFrom=" + second,
                                                   *QUICK), "infer_builder_set_refittable")


def test_decoder(folder):
    path = write(folder + "/classes.onnx", m.onnx_model(
        [m.onnx_node("GlobalAveragePool", "pool", ["image"], ["pooled"]),
         m.onnx_node("Flatten", "flatten", ["pooled"], ["logits"])],
        [], [m.onnx_info("image", [1, 3, 8, 8])], [m.onnx_info("logits", [1, 3])]))
    done = run("--onnx=" + path, *QUICK)
    check("without --decoder the outputs stay", done.returncode == 0
          and "Output 'logits'" in done.stdout and "Decoder:" not in done.stdout, told(done))
    for name in ("auto", "classification"):
        done = run("--onnx=" + path, "--decoder=" + name, *QUICK)
        check("--decoder=" + name, done.returncode == 0 and "Decoder: classification" in done.stdout
              and "Output 'logits'" not in done.stdout, told(done))
    fails("a decoder that is not known", run("--onnx=" + path, "--decoder=tealeaves", *QUICK),
          "tealeaves", "yolov8")
    odd = write(folder + "/odd.onnx", m.onnx_model(
        [m.onnx_node("Relu", "relu", ["image"], ["y"])], [],
        [m.onnx_info("image", [1, 3, 8, 8])], [m.onnx_info("y", [1, 3, 8, 8])]))
    fails("outputs of no decoder", run("--onnx=" + odd, "--decoder=auto", *QUICK), "--decoder=raw")
    passes("outputs as they are", run("--onnx=" + odd, "--decoder=raw", *QUICK), "Output 'y'")


def main():
    with tempfile.TemporaryDirectory() as folder:
        made = section(test_formats, folder)
        if made is not None:
            onnx, raw = made
            section(test_check_only, folder, onnx)
            section(test_streams, onnx, raw, folder)
            section(test_references, onnx, raw, folder)
            section(test_shapes, folder)
            section(test_old_names, onnx)
            plan = section(test_graph, onnx, folder)
            section(test_layers, onnx, plan, folder)
            section(test_debug, onnx, raw, folder)
            section(test_refit, onnx, raw, folder)
        section(test_decoder, folder)
    print("1..%d" % len(results))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
