#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Adds up meson's test log, one JSON object a line, counting TAP subtests."""

import json
import re
import sys

LINE = re.compile(r"^\s*(not ok|ok)\b[^#]*(?:#\s*(SKIP|TODO)\b\s*(.*))?", re.IGNORECASE)


def count_tap(text):
    passed = failed = 0
    skipped = []
    for line in text.splitlines():
        match = LINE.match(line)
        if not match:
            continue
        if match.group(2) and match.group(2).upper() == "SKIP":
            skipped.append(line.strip())
        elif match.group(1).lower() == "ok":
            passed += 1
        else:
            failed += 1
    return passed, failed, skipped


def main():
    passed = failed = 0
    skipped = []
    with open(sys.argv[1], encoding="utf-8") as log:
        for line in log:
            test = json.loads(line)
            p, f, s = count_tap(test.get("stdout") or "")
            result = test["result"]
            if result == "SKIP":
                skipped.append(f"{test['name']}: {(test.get('stdout') or '').strip()[:200]}")
                continue
            if p + f + len(s) == 0:
                p = 1
            if result not in ("OK", "EXPECTEDFAIL"):
                f = max(f, 1)
                if p and not count_tap(test.get("stdout") or "")[0]:
                    p = 0
            passed += p
            failed += f
            skipped += [f"{test['name']}: {item}" for item in s]
    for item in skipped:
        print("skipped:", item)
    print(f"{passed} passed, {failed} failed, {len(skipped)} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
