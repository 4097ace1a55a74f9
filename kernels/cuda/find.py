#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Finds what the CUDA backend is built with, in NVIDIA's packages or Python wheels.

Usage: find.py CUDA_PATH CUDNN_PATH; both may be empty. Prints a line "key value" for each thing
that was found, "missing PACKAGE" for each that was not, and "problem TEXT"."""

import glob
import os
import platform
import re
import shutil
import site
import subprocess
import sys

LEAST = (12, 0)
# What it is called, the header, the library, the package of CUDA's version.
PARTS = [
    ("driver", "cuda.h", "libcuda.so", "cuda-driver-dev-{v}"),
    ("nvrtc", "nvrtc.h", "libnvrtc.so*", "cuda-nvrtc-dev-{v}"),
    ("cublaslt", "cublasLt.h", "libcublasLt.so*", "libcublas-dev-{v}"),
    ("cudnn", "cudnn_backend.h", "libcudnn.so*", "libcudnn9-dev-cuda-{m}"),
]


def wheels():
    folders = site.getsitepackages() + [site.getusersitepackages()]
    return [found for folder in folders for found in sorted(glob.glob(folder + "/nvidia/*"))]


def roots(given):
    if given:
        return [given]
    nvcc = shutil.which("nvcc")
    on_path = os.path.dirname(os.path.dirname(os.path.realpath(nvcc))) if nvcc else ""
    listed = [os.environ.get("CUDA_PATH", ""), on_path, "/usr/local/cuda"]
    listed += sorted(glob.glob("/usr/local/cuda-*"), reverse=True) + ["/usr"] + wheels()
    return [root for root in listed if root and os.path.isdir(root)]


def find(folders, patterns, name):
    for folder in folders:
        for pattern in patterns:
            # The shortest name is the one without a version.
            found = sorted(glob.glob(os.path.join(folder, pattern, name)), key=len)
            if found:
                return found[0]
    return None


def main():
    machine = platform.machine()
    target = {"aarch64": "sbsa-linux"}.get(machine, machine + "-linux")
    include = ["include", f"targets/{target}/include", f"include/{machine}-linux-gnu"]
    lib = ["lib64", "lib", f"targets/{target}/lib", f"lib/{machine}-linux-gnu"]
    cuda = roots(sys.argv[1])
    cudnn = [sys.argv[2]] if sys.argv[2] else cuda + roots("")
    version = (13, 0)
    nvcc = find(cuda, ["bin"], "nvcc")
    if nvcc:
        text = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=False)
        number = re.search(r"release (\d+)\.(\d+)", text.stdout)
        version = (int(number[1]), int(number[2])) if number else (0, 0)
        print("nvcc", nvcc)
        print("version", "%d.%d" % version)
        if version < LEAST:
            print("problem CUDA %d.%d is too old, %d.%d is the least" % (version + LEAST))
    else:
        print("missing cuda-nvcc-%d-%d" % version)
    for name, header, library, package in PARTS:
        folders = cudnn if name == "cudnn" else cuda
        places = [folder + "/stubs" for folder in lib] + lib if name == "driver" else lib
        found = find(folders, include, header), find(folders, places, library)
        if all(found):
            print(name + "_include", os.path.dirname(found[0]))
            print(name + "_library", found[1])
        else:
            print("missing", package.format(v="%d-%d" % version, m=version[0]))


main()
