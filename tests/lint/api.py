#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The public interface: every function has documentation that tools read, and the symbols that the
libraries export are those of a list, so that none comes or goes unseen. Prints TAP.

Usage: api.py ROOT LIBINFER LIBPARSERS     (--update as the first argument writes the lists)"""

import glob
import os
import re
import subprocess
import sys

UPDATE = sys.argv[1:2] == ["--update"]
ROOT, LIBRARIES = os.path.abspath(sys.argv[1 + UPDATE]), sys.argv[2 + UPDATE:]
LISTS = ("libinfer", "libinfer-parsers")
HEADERS = sorted(glob.glob(ROOT + "/engine/infer/*.h")) + [ROOT + "/parsers/infer/parsers.h"]
results = []


def report(good, name, detail=""):
    results.append(good)
    print("%s %d - %s" % ("ok" if good else "not ok", len(results), name))
    for line in detail.splitlines()[:40]:
        print("#", line)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def functions(text):
    """Name and parameters of each public function."""
    for match in re.finditer(r"^INFER_API\s+[\w\s*]+?\b(infer_\w+)\(([^;{]*?)\)[^();]*;", text,
                             re.MULTILINE):
        if match[1].endswith("_get_type"):
            continue
        names = [re.sub(r"\[\w*\]$", "", part.strip()) for part in match[2].split(",")]
        yield match[1], [re.search(r"(\w+|\.\.\.)$", name)[0] for name in names if name != "void"]


def comments(text):
    """Documented name -> its block, with the parameters that it has."""
    blocks = {}
    for match in re.finditer(r"/\*\*\n \* (\w+):(.*?)\*/", text, re.DOTALL):
        blocks[match[1]] = (match[2], re.findall(r"^ \* @(\w+|\.\.\.):", match[2], re.MULTILINE))
    return blocks


def check_docs():
    missing, wrong, unread = [], [], []
    for path in HEADERS:
        text, name = read(path), os.path.relpath(path, ROOT)
        blocks = comments(text)
        for function, parameters in functions(text):
            if function not in blocks:
                missing.append("%s: %s" % (name, function))
                continue
            known = blocks[function][1]
            wrong += ["%s: %s has no parameter '%s'" % (name, function, p) for p in known
                      if p not in parameters]
            if known and [p for p in parameters if p in known] != known:
                wrong.append("%s: the parameters of %s stand in another order" % (name, function))
        unread += ["%s: %s" % (name, line) for line in re.findall(r"^/\*\* \w+:.*", text,
                                                                  re.MULTILINE)]
    report(not missing, "every public function is documented", "\n".join(missing))
    report(not wrong, "documented parameters are those that there are", "\n".join(wrong))
    report(not unread, "no documentation begins on the line of its /**", "\n".join(unread))


def exported(library):
    done = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True,
                          check=True)
    return sorted(line.split()[2] for line in done.stdout.splitlines())


def check_symbols():
    declared = set()
    for path in glob.glob(ROOT + "/engine/**/*.h", recursive=True) + HEADERS[-1:]:
        text = read(path)
        declared |= set(re.findall(r"\b(infer_\w+)\(", text))
        declared |= {name + "_get_type" for name in
                     re.findall(r"G_DECLARE_\w+\(\s*\w+,\s*(\w+)", text)}
    for library, name in zip(LIBRARIES, LISTS):
        path = "%s/tests/lint/%s.symbols" % (ROOT, name)
        found = exported(library)
        if UPDATE:
            with open(path, "w", encoding="utf-8") as file:
                file.write("".join(symbol + "\n" for symbol in found))
        listed = read(path).split()
        detail = ["%s is listed and not exported" % s for s in listed if s not in found]
        detail += ["%s is exported and not listed" % s for s in found if s not in listed]
        report(not detail, "%s exports what is listed (tests/lint/api.py --update writes the list)"
               % name, "\n".join(detail))
        stray = [s for s in found if s not in declared]
        report(not stray, "%s exports only what headers declare" % name, "\n".join(stray))


def main():
    check_docs()
    check_symbols()
    print("1..%d" % len(results))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
