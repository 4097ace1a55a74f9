#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Builds pipelines/examples/plugin as a project of its own, against an installation of this build, and
runs it. Prints TAP.

Usage: plugin-example.py ROOT BUILD PREFIX"""

import glob
import os
import shutil
import subprocess
import sys
import tempfile

ROOT, BUILD, PREFIX = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), sys.argv[3]
results = 0
failures = 0


def report(ok, name, detail=""):
    global results, failures
    results += 1
    failures += not ok
    print(f"{'ok' if ok else 'not ok'} {results} - {name}")
    if not ok:
        for line in detail.splitlines()[-25:]:
            print("#", line)
    return ok


def run(command, env):
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def check(name, command, env, code=0, words=()):
    status, text = run(command, env)
    missing = [word for word in words if word not in text]
    detail = f"status {status}, not said: {missing}\n{text}"
    return report(status == code and not missing, name, detail)


def install(folder):
    """The installed tree, with a pkg-config file that knows where it lies."""
    meson = shutil.which("meson") or "meson"
    status, text = run([meson, "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", folder],
                       dict(os.environ))
    tree = folder + PREFIX
    found = glob.glob(f"{tree}/lib/**/pkgconfig/infer-1.0.pc", recursive=True)
    report(status == 0 and len(found) == 1, "the build installs", text)
    if status or not found:
        return None, None
    with open(found[0], encoding="utf-8") as file:
        text = file.read()
    with open(found[0], "w", encoding="utf-8") as file:
        file.write(text.replace(f"prefix={PREFIX}", f"prefix={tree}", 1))
    return tree, os.path.dirname(os.path.dirname(found[0]))


def environment(libdir):
    env = {key: value for key, value in os.environ.items()
           if key not in ("INFER_BACKEND_PATH", "INFER_PLUGIN_PATH", "DESTDIR")}
    env["PKG_CONFIG_PATH"] = os.path.join(libdir, "pkgconfig")
    env["LD_LIBRARY_PATH"] = libdir
    return env


def use(tree, libdir, folder):
    env = environment(libdir)
    build, plan = os.path.join(folder, "build"), os.path.join(folder, "focus.plan")
    example = os.path.join(ROOT, "pipelines/examples/plugin")
    demo, library = f"{build}/source/focus-demo", f"{build}/source/libfocus.so"
    inferexec = f"{tree}/bin/inferexec"
    if not check("the example is configured", ["meson", "setup", build, example], env):
        return
    if not check("and compiled", ["ninja", "-C", build], env):
        return
    check("a network without the library is refused", [demo], env, 1,
          ["example.FocusNormalize", "INFER_PLUGIN_PATH"])
    check("with it a plan is built, loaded and right", [demo, library, f"plan={plan}"], env, 0,
          ["example.FocusNormalize.cpu", "numbers are right"])
    fast = [inferexec, f"--loadEngine={plan}", "--iterations=1", "--duration=0", "--warmUp=0"]
    check("inferexec without the library says what is missing", fast, env, 1,
          ["'example.FocusNormalize' of version 1", "--plugins"])
    check("inferexec --plugins runs the plan", [*fast, f"--plugins={library}"], env)
    check("inferexec names a library that is not there", [*fast, "--plugins=/no/libx.so"], env, 1,
          ["/no/libx.so"])
    check("INFER_PLUGIN_PATH finds it", fast, {**env, "INFER_PLUGIN_PATH": f"{build}/source"})
    check("the example is installed", ["meson", "install", "-C", build, "--no-rebuild"], env)
    check("and found where plugins are installed", fast, env)


with tempfile.TemporaryDirectory() as work:
    where, libraries = install(os.path.join(work, "installed"))
    if where:
        use(where, libraries, work)
print(f"1..{results}")
sys.exit(1 if failures else 0)
