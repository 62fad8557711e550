# SPDX-License-Identifier: Apache-2.0
"""Bits that flip: in journals, and in memory."""
import os
import time

import segments
from case import Skip, running, verdict
from load import Connection, Load
from memory import flip_in_memory
from nodes import Cluster, HandCluster, poll


LAST_WORDS = "last words"


def check_repaired(c, node, wanted):
    """Just the payload that rotted came from a peer, if one did, and metrics tell."""
    def repaired():
        lanes = c.status(node)["lanes"]
        return sum(l["repaired"] for l in lanes) > 0 or str([(l["damaged_batches_at_start"], l["repaired"]) for l in lanes])

    if not c.metric(node, "holdfast_journal_damaged_batches"):
        raise AssertionError("n%d found no damage at its start" % node)
    if wanted:
        poll("n%d repaired what had rotted" % node, 20, repaired)
        count = c.metric(node, "holdfast_journal_repaired_entries_total")
        if count != 1:
            raise AssertionError("one payload had rotted, but the metrics count %d repaired entries" % count)


def under_load(c, load):
    load.wait_acked(600)
    c.kill_together(c.nodes)
    load.stop()


def closed_journals(c, load):
    load.wait_acked(600)
    load.stop()
    # The closing batch follows 10 ms after the last write.
    poll("a closed journal", 10, lambda: closed(c))
    c.kill_together(c.nodes)


def after_last_words(c, load):
    """One more write, and the moment its client has the reply all die, before a closing batch can follow."""
    load.wait_acked(600)
    load.stop()
    load.write_once(LAST_WORDS)
    c.kill_together(c.nodes)


def rot(directory, shape, find, die=under_load, damage=segments.Batch.flip_payload, payload=True):
    """Load, kill -9 of all, one flipped bit in one node's journal, start: nothing lost, no operator."""
    with running(Cluster(directory, **shape)) as c:
        load = Load(c.stores())
        die(c, load)
        node, batch, used = find(c)
        print("    n%d, of %d bytes: %s" % (node, used, batch))
        damage(batch)
        for n in c.nodes:
            c.start(n)
        c.settle()
        check_repaired(c, node, payload)
        fetched = sum(p["bytes_in"] for p in c.status(node)["peers"])
        if used > 1 << 20 and fetched > used // 2:
            raise AssertionError("n%d fetched %d bytes to repair one batch of a journal of %d" % (node, fetched, used))
        verdict(c, load)


def closed(c):
    """Whether every lane has been durable and still for 50 ms."""
    def batches():
        return [[l["batches"] for l in c.status(n)["lanes"]] for n in c.nodes]

    before = batches()
    time.sleep(0.05)  # the journal's own idle time, five times over: what is observed is that nothing happens in it
    return before == batches()


def with_entries(data, lane=0):
    return [b for b in segments.batches(data, lane) if b.payloads()]


def in_the_middle(c):
    some = with_entries(c.data(2))
    return 2, some[len(some) // 2], segments.used_bytes(segments.batches(c.data(2)))


def in_the_last_with_records(c):
    return 2, with_entries(c.data(2))[-1], segments.used_bytes(segments.batches(c.data(2)))


def in_the_very_last(c):
    """Of the nodes whose journals end in a batch with entries, the one that has most after its middle: any."""
    for n in c.nodes:
        for lane in range(c.reactors):
            some = segments.batches(c.data(n), lane)
            if some[-1].payloads():
                return n, some[-1], segments.used_bytes(some)
    raise Skip("every journal ended in a closing batch")


def in_the_last_acknowledged(c):
    """Of the batches with LAST_WORDS the one with the fewest others behind it: on the leader nothing follows, if it died in time."""
    found = []
    for n in c.nodes:
        for lane in range(c.reactors):
            some = segments.batches(c.data(n), lane)
            found += [(len(some) - 1 - i, n, i, some) for i, b in enumerate(some) if b.payloads() and LAST_WORDS.encode() in b.payload(0)]
    behind, n, i, some = min(found, key=lambda f: f[0])
    print("    batches behind it: %d" % behind)
    return n, some[i], segments.used_bytes(some)


def flip_middle(directory, shape):
    rot(directory, shape, in_the_middle)


def flip_last(directory, shape):
    rot(directory, shape, in_the_last_with_records, die=closed_journals)


def flip_acknowledged(directory, shape):
    rot(directory, shape, in_the_last_acknowledged, die=after_last_words)


def flip_mark(directory, shape):
    """A rotted mark is neither the old nor the new one: it must not pass for a torn write."""
    rot(directory, shape, in_the_very_last, damage=lambda b: b.flip((b.sectors - 1) * segments.SECTOR, 5), payload=False)


def heads_lost_by_most(directory, shape):
    """A majority lost heads, so nobody can be elected until every voter has reported; then nothing is lost ([damaged])."""
    with running(Cluster(directory, **shape)) as c:
        load = Load(c.stores())
        load.wait_acked(600)
        load.stop()
        c.settle()
        poll("a closed journal", 10, lambda: closed(c))
        c.kill_together(c.nodes)
        most = list(c.nodes)[:c.count // 2 + 1]
        for n in most:
            for lane in range(c.reactors):
                some = with_entries(c.data(n), lane)
                if some:
                    some[len(some) // 2].flip_heads()
        absent = c.count
        for n in c.nodes:
            if n != absent:
                c.start(n)

        def waiting():
            for n in most:
                rows = c.status(n)["groups"]
                if not rows or any(absent not in g["waits_for"] or g["leader"] for g in rows):
                    return "n%d: %s" % (n, rows)
            return True

        poll("a group that says whom it waits for", 10, waiting)
        c.start(absent)
        verdict(c, load)


def flip_heap(directory, shape):
    """A byte of a value that nobody touches flips in one node's memory: its next snapshot finds it, and the node stops ([checksum])."""
    if os.geteuid() != 0:
        raise Skip("writing to another process's memory needs root")
    key, value = "cold-key", "untouched-since-it-was-written"
    with running(HandCluster(directory, options=("--log-kb", "64"), **dict(shape, groups=1))) as c:
        victim = c.follower()
        other = Connection(next(s for i, s in enumerate(c.stores()) if i + 1 != victim), 10.0)
        other.call("set", key, value)
        c.settle()
        places = flip_in_memory(c.process[victim].pid, (key + value).encode())  # behind each other they stand in the store alone
        if places != 1:
            raise AssertionError("key and value stand at %d places in memory" % places)

        def stopped():
            other.call("set", "warm", "x" * 1000)
            return c.process[victim].poll() is not None

        poll("the node with the flipped byte to stop", 30, stopped)
        with open(c.log(victim)) as f:
            if "this node's state has diverged" not in f.read():
                raise AssertionError("n%d ended and doesn't say why" % victim)
        c.start(victim)
        c.settle()
        for store in c.stores():
            got = Connection(store, 5.0).call("get", key)
            if got not in (value, value.encode()):
                raise AssertionError("%s is %s at %s" % (key, got, store))
