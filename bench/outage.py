#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long clients can't write when a leader dies: the longest wait between two acknowledgements that spans the kill.

usage: bench/outage.py [--kills N] [--nodes N] [--signals KILL,TERM]
The victim leads the group that is written to; clients stay connected to nodes that live on.
"""

import os
import statistics
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from peers import PORT, Place, argument, describe  # noqa: E402
from load import Connection, Gone, Refused  # noqa: E402
from nodes import poll  # noqa: E402

WRITERS = 3  # for each group


def key_of(cluster, group):
    """A key that lives on the group: the one whose writes move its commit index."""
    def commit():
        return next(g["commit"] for n in cluster.nodes for g in cluster.status(n)["groups"] if g["group"] == group and g["role"] == "leader")

    connection = Connection(cluster.stores()[0])
    for i in range(1000):
        before = commit()
        for _ in range(5):
            connection.call("set", "key%d" % i, "x")
        if commit() >= before + 5:
            return "key%d" % i
    raise AssertionError("no key of group %d" % group)


class Writer(threading.Thread):
    """One client that writes one key again and again, through a node that isn't the victim."""

    def __init__(self, cluster, key, number):
        super().__init__(daemon=True)
        self.cluster, self.key, self.number = cluster, key, number
        self.acks, self.refused, self.ending = [], 0, False
        self.stores = cluster.stores()
        self.banned = 0

    def run(self):
        connection, at, serial = None, 0, self.number
        while not self.ending:
            try:
                if connection is None or at == self.banned:
                    while connection is None or at == self.banned:
                        serial += 1
                        at = serial % len(self.stores) + 1
                        if at != self.banned:
                            connection = Connection(self.stores[at - 1], 5.0)
                connection.call("set", self.key, "x" * 100)
                self.acks.append(time.monotonic())
            except Refused:
                self.refused += 1
            except Gone:
                connection = None


def longest_gap(acks, since):
    """Of the waits that end after `since`."""
    return max((b - a for a, b in zip(acks, acks[1:]) if b >= since), default=0)


def one_kill(cluster, keys, group, name):
    victim = cluster.leader(group)
    writers = [Writer(cluster, key, i) for i, key in enumerate(keys * WRITERS)]
    for w in writers:
        w.banned = victim
        w.start()
    try:
        poll("load", 20, lambda: all(len(w.acks) > 100 for w in writers))
        began = time.monotonic()
        cluster.kill(victim, name)
        counts = [len(w.acks) for w in writers]
        poll("writes again", 30, lambda: all(len(w.acks) > n + 100 for w, n in zip(writers, counts)))
    finally:
        for w in writers:
            w.ending = True
        for w in writers:
            w.join()
        cluster.start(victim)
        cluster.ready()
    return max(longest_gap(w.acks, began) for w in writers), sum(w.refused for w in writers)


def main():
    if "--help" in sys.argv or "-h" in sys.argv:
        print(__doc__.strip())
        return
    print(describe())
    sys.setswitchinterval(0.0005)
    kills, nodes = int(argument("--kills", "30")), int(argument("--nodes", "3"))
    with Place() as place:
        cluster = place.holdfast("holdfast", PORT, nodes=nodes)
        keys = [key_of(cluster, g) for g in range(1, cluster.groups + 1)]
        for name in argument("--signals", "KILL,TERM").split(","):
            outages, refused = [], 0
            for k in range(kills):
                outage, no = one_kill(cluster, keys, k % cluster.groups + 1, name)
                outages.append(outage * 1e3)
                refused += no
            print("%d times SIG%s of a leader, %d writers: outage median %.1f ms, largest %.1f ms; %d writes refused" % (
                kills, name, WRITERS * len(keys), statistics.median(outages), max(outages), refused), flush=True)


if __name__ == "__main__":
    main()
