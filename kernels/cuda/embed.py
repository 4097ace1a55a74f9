#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Puts files into a C source: the fat binaries of kernels and the text of others.

Usage: embed.py OUTPUT FILE...; *.fatbin are fixed kernels, *.cu are sources. A name is the file's
without its suffix."""

import os
import sys

HEAD = """/* Made by embed.py. */
#include "private.h"

#define BLOB(NAME, FILE) \\
  extern const guint8 NAME[] __attribute__((visibility("hidden"))); \\
  extern const guint8 NAME##_end[] __attribute__((visibility("hidden"))); \\
  __asm__(".pushsection .rodata\\n.balign 64\\n.global " #NAME "\\n.hidden " #NAME "\\n" #NAME ":\\n" \\
          ".incbin \\"" FILE "\\"\\n.global " #NAME "_end\\n.hidden " #NAME "_end\\n" \\
          #NAME "_end:\\n.byte 0\\n.popsection")

"""


def main():
    tables = {".fatbin": [], ".cu": []}
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        out.write(HEAD)
        for path in sys.argv[2:]:
            stem, suffix = os.path.splitext(os.path.basename(path))
            symbol = "infer_cuda_blob_" + stem.replace("-", "_") + suffix.replace(".", "_")
            tables[suffix].append((stem, symbol))
            out.write(f'BLOB({symbol}, "{os.path.abspath(path)}");\n')
        for suffix, table in (("fixed", tables[".fatbin"]), ("sources", tables[".cu"])):
            out.write(f"\nconst InferCudaBlob infer_cuda_{suffix}_blobs[] = {{\n")
            for stem, symbol in table:
                out.write(f'    {{"{stem}", {symbol}, {symbol}_end}},\n')
            out.write("    {NULL, NULL, NULL},\n};\n")


main()
