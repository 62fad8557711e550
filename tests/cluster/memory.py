# SPDX-License-Identifier: Apache-2.0
"""Rot in the memory of a running process; takes root."""

import re

SHADOW_MIN = 1 << 32  # what is larger is a sanitizer's, and mostly not there


def flip_in_memory(pid, pattern):
    """Flips the lowest bit of the last byte of the pattern wherever it stands in writable memory. Returns at how many places that was."""
    places = 0
    with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/mem" % pid, "r+b", 0) as memory:
        for line in maps:
            area, mode = line.split()[:2]
            start, end = (int(x, 16) for x in area.split("-"))
            if not mode.startswith("rw") or end - start > SHADOW_MIN:
                continue
            try:
                memory.seek(start)
                content = memory.read(end - start)
            except OSError:
                continue
            for m in re.finditer(re.escape(pattern), content):
                memory.seek(start + m.end() - 1)
                memory.write(bytes([pattern[-1] ^ 1]))
                places += 1
    return places
