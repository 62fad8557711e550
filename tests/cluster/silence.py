# SPDX-License-Identifier: Apache-2.0
"""Nodes that others hear nothing of, though they live: paused ones, and ones whose links are cut."""
from case import loaded, running
from load import COUNTERS, REGISTERS, Connection
from nodes import Cluster, HandCluster


LONGER_THAN_THE_LEASE = 1.0  # seconds; a lease lasts at most 0.15


def probe_across(c, load, node, heal):
    """Reads sent to a node that others have overtaken, answered once it is let go: none may be stale."""
    connections = [Connection(c.stores()[node - 1], 5.0) for _ in REGISTERS + COUNTERS]
    load.wait_acked()
    sent = load.send_probes(node - 1, connections)
    heal()
    load.take_probes(sent)


def pause(directory, shape, choose):
    with running(Cluster(directory, **shape)) as c, loaded(c) as load:
        for _ in range(2):
            victim = choose(c)
            c.pause(victim)
            try:
                load.run_for(LONGER_THAN_THE_LEASE)
                probe_across(c, load, victim, lambda: c.resume(victim))
            except BaseException:
                c.resume(victim)
                raise
            load.wait_acked()


def pause_leader(directory, shape):
    pause(directory, shape, Cluster.leader)


def pause_follower(directory, shape):
    pause(directory, dict(shape, groups=1), Cluster.follower)


def cut_leader(directory, shape, out=True, into=True):
    with running(HandCluster(directory, relay=True, **shape)) as c, loaded(c) as load:
        victim = c.leader()
        c.cut(victim, out, into)
        load.watch(victim - 1, LONGER_THAN_THE_LEASE)
        probe_across(c, load, victim, c.heal)
        load.wait_acked()
        c.tell_relay("close")  # every connection between nodes at once


def cut_leader_out(directory, shape):
    cut_leader(directory, shape, into=False)


def cut_leader_in(directory, shape):
    cut_leader(directory, shape, out=False)
