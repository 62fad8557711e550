# SPDX-License-Identifier: Apache-2.0
"""What every case shares: a cluster that runs, load on it, and the verdict when both are over."""
import contextlib
import re

from load import Load


COMPLAINT = r"WARNING: ThreadSanitizer|ERROR: \w+Sanitizer|runtime error: |Assertion .* failed"


class Skip(Exception):
    pass


@contextlib.contextmanager
def running(cluster):
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()
    check_logs(cluster)


def check_logs(cluster):
    """What a node says of itself: no failed assertion, and nothing that a sanitizer has found (BUILD=asan, tsan)."""
    for n in cluster.nodes:
        with open(cluster.log(n), errors="replace") as f:
            lines = f.read().splitlines()
        bad = next((i for i, line in enumerate(lines) if re.search(COMPLAINT, line)), None)
        if bad is not None:
            raise AssertionError("n%d says:\n    " % n + "\n    ".join(lines[bad:bad + 40]))


@contextlib.contextmanager
def loaded(cluster, **options):
    """The cluster serves when the body begins; when it ends, service must have come back and the verdict is given."""
    load = Load(cluster.stores(), **options)
    try:
        load.wait_acked()
        yield load
        load.wait_acked()
    finally:
        load.stop()
    verdict(cluster, load)


def verdict(cluster, load):
    cluster.settle()
    bad = load.verify()
    cluster.settle()
    print("    %s" % load.counts())
    if bad:
        raise AssertionError("\n  ".join(bad))
