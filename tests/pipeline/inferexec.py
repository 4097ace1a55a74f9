#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs inferexec over small models that are made here, and compares with sums done in Python.

Usage: inferexec.py PATH-OF-INFEREXEC      (prints TAP)
"""

import json
import math
import os
import random
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import graphdef as g

TOOL = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else "inferexec"
QUICK = ["--iterations=2", "--warmUp=0", "--duration=0", "--device=cpu", "--threads=1"]
ROWS = 3
results = []


def run(*args, timeout=120):
    done = subprocess.run([TOOL, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, timeout=timeout, check=False)
    done.stdout = done.stdout.decode(errors="replace")
    done.stderr = done.stderr.decode(errors="replace")
    return done


def check(name, good, why=""):
    results.append(bool(good))
    print("%s %d - %s" % ("ok" if good else "not ok", len(results), name), flush=True)
    if not good:
        for line in str(why).splitlines():
            print("# " + line)


def told(done):
    return "exit status %d\n%s\n%s" % (done.returncode, done.stdout, done.stderr)


def passes(name, done, *texts):
    good = done.returncode == 0 and "&&&& PASSED inferexec" in done.stdout
    check(name, good and all(t in done.stdout + done.stderr for t in texts), told(done))
    return good


def fails(name, done, *texts):
    """Exit status 1, no signal, and a message with each of @texts."""
    good = done.returncode == 1 and "[E] " in done.stderr
    check(name, good and all(t in done.stderr for t in texts),
          "wanted: %s\n%s" % (texts, told(done)))


def close(found, wanted, tolerance=1e-5):
    return len(found) == len(wanted) and all(
        math.isclose(float(a), b, rel_tol=tolerance, abs_tol=tolerance)
        for a, b in zip(found, wanted))


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)
    return path


def npy(descr, dims, data, order="False", version=1):
    header = "{'descr': '%s', 'fortran_order': %s, 'shape': (%s), }" % (
        descr, order, "".join("%d, " % d for d in dims))
    length = struct.pack("<H" if version == 1 else "<I", len(header) + 1)
    return b"\x93NUMPY" + bytes([version, 0]) + length + header.encode() + b"\n" + data


def floats(values):
    return struct.pack("<%df" % len(values), *values)


def single(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def numbers(rng, n):
    return [single(rng.uniform(-1, 1)) for _ in range(n)]


def dense_graph(weights, bias):
    """x[N,4] -> MatMul -> BiasAdd -> Softmax [N,3]"""
    kind = g.attr_type(g.FLOAT)
    return g.graph(
        g.placeholder("x", g.FLOAT, [-1, 4]),
        g.constant("weights", [4, 3], weights), g.constant("bias", [3], bias),
        g.node("product", "MatMul", ["x", "weights"], T=kind),
        g.node("sum", "BiasAdd", ["product", "bias"], T=kind),
        g.node("prob", "Softmax", ["sum"], T=kind))


def dense(x, weights, bias):
    out = []
    for row in range(len(x) // 4):
        sums = [bias[j] + sum(x[row * 4 + i] * weights[i * 3 + j] for i in range(4))
                for j in range(3)]
        powers = [math.exp(s - max(sums)) for s in sums]
        out += [p / sum(powers) for p in powers]
    return out


def conv_graph(kernel, bias):
    """image[N,6,5,3] -> Conv2D 3x3 SAME stride 2 -> BiasAdd -> Relu6 [N,3,3,2]"""
    kind = g.attr_type(g.FLOAT)
    return g.graph(
        g.placeholder("image", g.FLOAT, [-1, 6, 5, 3]),
        g.constant("kernel", [3, 3, 3, 2], kernel), g.constant("bias", [2], bias),
        g.node("conv", "Conv2D", ["image", "kernel"], T=kind, padding=g.attr_string("SAME"),
               strides=g.attr_ints([1, 2, 2, 1]), data_format=g.attr_string("NHWC")),
        g.node("biased", "BiasAdd", ["conv", "bias"], T=kind),
        g.node("features", "Relu6", ["biased"], T=kind))


def conv(x, kernel, bias):
    def pixel(row, y, column, channel):
        inside = 0 <= y < 6 and 0 <= column < 5
        return x[((row * 6 + y) * 5 + column) * 3 + channel] if inside else 0.0

    out = []
    for row in range(len(x) // 90):
        for oy in range(3):
            for ox in range(3):
                for k in range(2):
                    # TensorFlow's SAME: 6 rows need 1 of padding, all below; 5 columns 1 and 1.
                    total = bias[k] + sum(
                        pixel(row, oy * 2 + fy, ox * 2 + fx - 1, c)
                        * kernel[((fy * 3 + fx) * 3 + c) * 2 + k]
                        for fy in range(3) for fx in range(3) for c in range(3))
                    out.append(min(max(total, 0.0), 6.0))
    return out


def read_output(path, name):
    with open(path, encoding="utf-8") as file:
        outputs = json.load(file)
    return next(o for o in outputs if o["name"] == name)


def test_dense(folder):
    rng = random.Random(1)
    weights, bias, x = numbers(rng, 12), numbers(rng, 3), numbers(rng, 4 * ROWS)
    wanted = dense(x, weights, bias)
    model = write(folder + "/dense.pb", dense_graph(weights, bias))
    plan, out = folder + "/dense.plan", folder + "/dense.json"
    raw = write(folder + "/x.raw", floats(x))
    array = write(folder + "/x.npy", npy("<f4", [ROWS, 4], floats(x)))
    rows = "--batch=%d" % ROWS

    passes("build, verify and save",
           run("--tf=" + model, "--maxBatch=4", "--saveEngine=" + plan, "--skipInference",
               "--device=cpu", "--threads=1"), "Plan written to")
    for kind, file in (("raw", raw), (".npy", array)):
        done = run("--loadEngine=" + plan, rows, "--loadInputs=x:" + file, "--exportOutput=" + out,
                   *QUICK)
        if passes("load the plan and run with a %s file" % kind, done, "Throughput:", "Latency:"):
            found = read_output(out, "prob")
            check("values of the plan, " + kind, close(found["values"], wanted)
                  and found["dimensions"] == "%dx3" % ROWS, "%s\n%s" % (found, wanted))
    done = run("--model=" + model, rows, "--loadInputs='x':" + raw, "--exportOutput=" + out, *QUICK)
    if passes("build and run without a plan", done):
        check("values without a plan", close(read_output(out, "prob")["values"], wanted))
    done = run("--model=" + plan, "--dumpOutput", *QUICK)
    passes("a plan given as --model, random input, outputs printed", done, "prob: (1x3)")
    section(test_intermediate, folder, model, raw, x, weights, bias)
    return model, plan


def test_intermediate(folder, model, raw, x, weights, bias):
    out = folder + "/sum.json"
    done = run("--tf=" + model, "--output=sum", "--batch=%d" % ROWS, "--loadInputs=x:" + raw,
               "--exportOutput=" + out, *QUICK)
    wanted = [bias[j] + sum(x[r * 4 + i] * weights[i * 3 + j] for i in range(4))
              for r in range(ROWS) for j in range(3)]
    if passes("--output chooses another tensor", done):
        check("values of that tensor", close(read_output(out, "sum")["values"], wanted))


def test_conv(folder):
    rng = random.Random(2)
    kernel, bias = numbers(rng, 54), numbers(rng, 2)
    pixels = [rng.randrange(256) for _ in range(90 * 2)]
    model = write(folder + "/conv.pb", conv_graph(kernel, bias))
    out = folder + "/conv.json"
    x = [single(p / 255.0) for p in pixels]
    array = write(folder + "/image.npy", npy("<f4", [2, 6, 5, 3], floats(x), version=2))
    done = run("--tf=" + model, "--batch=2", "--loadInputs=image:" + array, "--exportOutput=" + out,
               *QUICK)
    if passes("convolution", done):
        found = read_output(out, "features")
        check("values of the convolution", close(found["values"], conv(x, kernel, bias))
              and found["dimensions"] == "2x3x3x2", found)

    section(test_pixels, folder, model, bytes(pixels), kernel, bias)


def test_pixels(folder, model, pixels, kernel, bias):
    """uint8 files for a float image input take the model information's scale and bias."""
    scale, offset = [0.5, 0.25, 0.125], [-1.0, 2.0, 0.5]
    join = lambda values: ";".join(str(v) for v in values)
    write(model + ".modelinfo", (
        "[modelinfo]\nversion=1.0\n[image]\ndir=input\nscale=%s\nbias=%s\n"
        % (join(scale), join(offset))).encode())
    x = [p * scale[i % 3] + offset[i % 3] for i, p in enumerate(pixels)]
    wanted = conv(x, kernel, bias)
    out = folder + "/pixels.json"
    for kind, name, data in (("a .npy file", "pixels.npy", npy("|u1", [2, 6, 5, 3], pixels)),
                             ("a raw file", "pixels.raw", pixels)):
        path = write(folder + "/" + name, data)
        done = run("--model=" + model, "--batch=2", "--loadInputs=image:" + path,
                   "--exportOutput=" + out, *QUICK)
        if passes("uint8 pixels from " + kind, done, "normalised"):
            found = read_output(out, "features")["values"]
            check("values of these pixels", close(found, wanted, 1e-4), "%s\n%s" % (found, wanted))
    short = write(folder + "/short.raw", pixels[:-1])
    fails("a byte of the pixels missing", run("--model=" + model, "--batch=2", "--loadInputs=image:"
                                              + short, *QUICK), "179 bytes", "720", "180")
    os.remove(model + ".modelinfo")


def test_reports(folder, model):
    names = {f: "%s/%s.json" % (folder, f) for f in ("times", "profile", "layers")}
    done = run("--tf=" + model, "--exportTimes=" + names["times"], "--exportProfile="
               + names["profile"], "--exportLayerInfo=" + names["layers"], "--dumpProfile",
               "--dumpLayerInfo", "--percentile=50,99.5", "--avgRuns=1", "--verbose", *QUICK)
    if not passes("profile, layers, times", done, "percentile(50%)", "percentile(99.5%)",
                  "Average on 1 runs", "=== Profile", "Implementation"):
        return
    loaded = {}
    for name, path in names.items():
        with open(path, encoding="utf-8") as file:
            loaded[name] = json.load(file)
    times, profile = loaded["times"], loaded["profile"]
    check("one record of times a run", len(times) == 2 and all(
        t["endComputeMs"] >= t["endEnqMs"] >= t["startEnqMs"] for t in times), times)
    check("profile counts work", "GFLOP/s" in done.stdout and all(
        p["bytes"] >= 0 for p in profile[1:]) and any(p["operations"] > 0 for p in profile[1:]),
        profile)
    check("profile adds up to 100 %", profile[0]["count"] > 0 and math.isclose(
        sum(p["percentage"] for p in profile[1:]), 100, abs_tol=0.1), profile)


def test_flags(model):
    fails("unknown flag", run("--tf=" + model, "--itrations=3"), "--itrations", "'--iterations'")
    fails("unknown flag in other letters", run("--saveengine=x"), "'--saveEngine'")
    fails("a word that is no flag", run("model.pb"), "model.pb")
    fails("no model", run(), "--tf", "--loadEngine")
    fails("two models", run("--tf=" + model, "--loadEngine=" + model), "give one")
    fails("value missing", run("--tf="), "--tf=FILE")
    fails("value that is not wanted", run("--verbose=1"), "takes no value")
    for flag, value in (("batch", "0"), ("batch", "-1"), ("batch", "99999999999999999999"),
                        ("iterations", "x"), ("warmUp", "nan"), ("duration", "1e99"),
                        ("percentile", "50,101"), ("percentile", ",")):
        fails("bad value --%s=%s" % (flag, value), run("--tf=" + model, "--%s=%s" % (flag, value)),
              "--%s=%s" % (flag, value), " 0 " if flag != "batch" and flag != "iterations" else " 1 ")
    fails("bad device", run("--tf=" + model, "--device=tpu"), "--device=tpu", "cuda:N")
    fails("batch over maxBatch", run("--tf=" + model, "--batch=4", "--maxBatch=2"), "--maxBatch=2")
    check("--help", run("--help").returncode == 0 and "--loadInputs" in run("--help").stdout)
    check("--version", run("--version").stdout.startswith("inferexec "))


def test_inputs(folder, model, plan):
    def load(data, *more, name="bad.npy"):
        path = write(folder + "/" + name, data)
        return run("--loadEngine=" + plan, "--loadInputs=x:" + path, *more, *QUICK)

    good = floats([1, 2, 3, 4])
    fails("raw file too short", load(good[:-1], name="bad.raw"), "bad.raw", "15 bytes", "needs 16")
    fails("raw file too long", load(good + b"\0" * 500000, name="bad.raw"), "500016 bytes", "16 ")
    fails("no such input file", run("--loadEngine=" + plan, "--loadInputs=x:/nowhere", *QUICK),
          "/nowhere")
    fails("input file is a folder", run("--loadEngine=" + plan, "--loadInputs=x:" + folder, *QUICK),
          folder)
    fails("no such input", run("--loadEngine=" + plan, "--loadInputs=y:z", *QUICK), "'y:z'", "'x'")
    fails("an input twice", run("--loadEngine=" + plan, "--loadInputs=x:a,x:b", *QUICK), "twice")
    fails("other type", load(npy("<f8", [1, 4], good * 2)), "double", "float")
    fails("other shape", load(npy("<f4", [2, 4], good * 2)), "2x4", "1x4")
    fails("other shape at another batch", load(npy("<f4", [1, 4], good), "--batch=2"), "1x4", "2x4")
    fails("Fortran order", load(npy("<f4", [1, 4], good, "True")), "Fortran")
    fails("big endian", load(npy(">f4", [1, 4], good)), "byte order")
    fails("objects", load(npy("|O", [1, 4], good)), "|O")
    fails("fewer elements than the shape says", load(npy("<f4", [1, 4], good[:-2])), "14 bytes")
    fails("a huge shape", load(npy("<f4", [1 << 62, 1 << 62], good)), "too large")
    fails("nine dimensions", load(npy("<f4", [1] * 9, good)), "dimensions")
    whole = npy("<f4", [1, 4], good)
    bad = [n for n in range(6, len(whole)) if load(whole[:n]).returncode != 1]
    check("a .npy file cut anywhere", not bad, bad)
    done = load(npy("<f4", [4], good))
    passes("one row without its batch", done)
    rng = random.Random(3)
    codes = set()
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data) - 16)] = rng.randrange(256)
        codes.add(load(bytes(data)).returncode)
    check("damaged .npy files", codes <= {0, 1}, codes)


def test_files(folder, model, plan):
    for flag in ("tf", "model", "loadEngine"):
        fails("--%s: no such file" % flag, run("--%s=/nowhere/m" % flag), "/nowhere/m")
        junk = write(folder + "/junk", b"\x00junk" * 50)
        fails("--%s: a file of something else" % flag, run("--%s=%s" % (flag, junk)), "junk")
        empty = write(folder + "/empty", b"")
        fails("--%s: an empty file" % flag, run("--%s=%s" % (flag, empty)), "empty")
    fails("a plan as --tf", run("--tf=" + plan), "--loadEngine")
    fails("a model as --loadEngine", run("--loadEngine=" + model), model)
    fails("--output with a plan", run("--loadEngine=" + plan, "--output=sum"), "--output")
    fails("no such output", run("--tf=" + model, "--output=nothing"), "nothing")
    fails("batch over the plan's", run("--loadEngine=" + plan, "--batch=9", *QUICK), "--batch=9",
          "at most 4")
    fails("a plan that cannot be written", run("--tf=" + model, "--saveEngine=/nowhere/p",
                                               "--skipInference", "--device=cpu"), "/nowhere/p")
    fails("outputs that cannot be written",
          run("--loadEngine=" + plan, "--exportOutput=/nowhere/o", *QUICK), "/nowhere/o")


def test_device(model, plan):
    for flag, path in (("--tf=", model), ("--loadEngine=", plan)):
        fails("device not there, " + flag, run(flag + path, "--device=cuda:99"), "cuda")


def test_version(folder, plan):
    with open(plan, "rb") as file:
        data = file.read()
    # Behind eight bytes of magic stands the format's version.
    own = struct.unpack_from("<I", data, 8)[0]
    path = write(folder + "/other.plan", data[:8] + struct.pack("<I", own + 98) + data[12:])
    fails("a plan of another version", run("--loadEngine=" + path, *QUICK), "other.plan",
          "format %d" % (own + 98), "format %d" % own)
    codes = set()
    for size in (8, 64, 200, len(data) // 2, len(data) - 1):
        cut = write(folder + "/cut.plan", data[:size])
        codes.add(run("--loadEngine=" + cut, *QUICK).returncode)
    check("a plan that was cut", codes == {1}, codes)
    rng = random.Random(4)
    codes = set()
    for _ in range(30):
        broken = bytearray(data)
        broken[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        codes.add(run("--loadEngine=" + write(folder + "/broken.plan", bytes(broken)),
                      *QUICK).returncode)
    check("a plan with a bit flipped", codes <= {0, 1}, codes)


def section(function, *args):
    """A test that cannot go on fails and leaves the others to run."""
    try:
        return function(*args)
    except (OSError, ValueError, KeyError, StopIteration, subprocess.TimeoutExpired) as error:
        check("%s goes to its end" % function.__name__, False, repr(error))
        return None


def main():
    with tempfile.TemporaryDirectory() as folder:
        made = section(test_dense, folder)
        section(test_conv, folder)
        if made is not None:
            model, plan = made
            section(test_reports, folder, model)
            section(test_flags, model)
            section(test_inputs, folder, model, plan)
            section(test_files, folder, model, plan)
            section(test_device, model, plan)
            section(test_version, folder, plan)
    print("1..%d" % len(results))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
