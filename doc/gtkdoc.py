#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs gtk-doc over public headers, which is all it needs: the comments stand there.

Usage: gtkdoc.py OUTPUT VERSION FOLDER...      (folders of headers; OUTPUT gets HTML)"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

MODULE = "infer"
MAIN = """<?xml version="1.0"?>
<!DOCTYPE book PUBLIC "-//OASIS//DTD DocBook XML V4.3//EN"
  "http://www.oasis-open.org/docbook/xml/4.3/docbookx.dtd">
<book id="index" xmlns:xi="http://www.w3.org/2003/XInclude">
  <bookinfo><title>gst-infer: libinfer and libinfer-parsers</title>
  <releaseinfo>version %s</releaseinfo></bookinfo>
  <chapter><title>Reference</title>
%s  </chapter>
</book>
"""


def run(folder, *command):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit("%s failed:\n%s%s" % (command[0], done.stdout, done.stderr))
    return done.stdout + done.stderr


def main():
    output, version, folders = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3:]
    sources = ["--source-dir=" + os.path.abspath(folder) for folder in folders]
    with tempfile.TemporaryDirectory() as work:
        # Functions are found behind the attribute that exports them.
        run(work, "gtkdoc-scan", "--module=" + MODULE, "--rebuild-types", "--rebuild-sections",
            "--ignore-decorators=INFER_API", *sources)
        open(os.path.join(work, MODULE + ".types"), "w", encoding="utf-8").close()
        os.makedirs(os.path.join(work, "xml"), exist_ok=True)
        open(os.path.join(work, "xml/gtkdocentities.ent"), "w", encoding="utf-8").close()
        run(work, "gtkdoc-mkdb", "--module=" + MODULE, "--output-format=xml", "--name-space=infer",
            *sources)
        with open(os.path.join(work, MODULE + "-sections.txt"), encoding="utf-8") as file:
            parts = sorted(re.findall(r"<FILE>(.*)</FILE>", file.read()))
        # A header of includes alone has a section and no page.
        parts = [name for name in parts if os.path.exists(os.path.join(work, "xml", name + ".xml"))]
        includes = "".join('    <xi:include href="xml/%s.xml"/>\n' % name for name in parts)
        with open(os.path.join(work, MODULE + "-docs.xml"), "w", encoding="utf-8") as file:
            file.write(MAIN % (version, includes))
        html = os.path.join(work, "html")
        os.mkdir(html)
        run(html, "gtkdoc-mkhtml", MODULE, os.path.join(work, MODULE + "-docs.xml"))
        run(work, "gtkdoc-fixxref", "--module=" + MODULE, "--module-dir=html")
        shutil.rmtree(output, ignore_errors=True)
        shutil.copytree(html, output)


if __name__ == "__main__":
    main()
