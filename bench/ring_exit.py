#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What registered files cost a cluster: how much later a killed node's peers hear of it, and its locks are free.

usage: bench/ring_exit.py [RUNS]
Two ways alternate, RUNS (15) times each: a ring that holds its socket and its locked file as ordinary descriptors, and
one that has them in its table of registered files.
"""

import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
WAYS = ("plain", "registered")


def main():
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with tempfile.TemporaryDirectory() as place:
        program = os.path.join(place, "ring_exit")
        subprocess.run(["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-o", program, os.path.join(HERE, "ring_exit.c"), "-luring"], check=True)
        seen = {way: [] for way in WAYS}
        for _ in range(runs):
            for way in WAYS:
                out = subprocess.run([program, way, os.path.join(place, "lock")], check=True, capture_output=True, text=True).stdout
                seen[way].append([float(x) for x in out.split()])
    medians = {way: [statistics.median(column) for column in zip(*seen[way])] for way in WAYS}
    for i, what in enumerate(("the connection's end", "the lock")):
        plain, registered = (medians[way][i] for way in WAYS)
        print("kill -9 to %-22s registered / plain %.1f   (%.1f ms later)" % (what, registered / plain, registered - plain))


if __name__ == "__main__":
    main()
