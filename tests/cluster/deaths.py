# SPDX-License-Identifier: Apache-2.0
"""Nodes that die, and come back."""
from case import loaded, running
from load import Connection
from nodes import Cluster


def kill_leader(directory, shape, times=2):
    with running(Cluster(directory, **shape)) as c, loaded(c) as load:
        for _ in range(times):
            victim = c.leader()
            c.kill(victim)
            load.wait_acked()
            c.start(victim)
            load.wait_acked()


def kill_leader_often(directory, shape):
    """Each death leaves a few forwarded writes of unknown outcome, which sessions must apply once: many make a test."""
    kill_leader(directory, shape, times=15)


def kill_follower(directory, shape):
    with running(Cluster(directory, groups=1, **shape)) as c, loaded(c) as load:
        victim = c.follower()
        c.kill(victim)
        load.wait_acked()
        c.start(victim)
        load.wait_acked()


def kill_majority(directory, shape):
    with running(Cluster(directory, **shape)) as c, loaded(c) as load:
        victims = list(c.nodes)[:c.count // 2 + 1]
        c.kill_together(victims)
        load.run_for(1.5)  # long enough for clients of the minority to be refused
        for n in victims:
            c.start(n)


def kill_all(directory, shape):
    with running(Cluster(directory, **shape)) as c, loaded(c) as load:
        for _ in range(2):
            c.kill_together(c.nodes)
            for n in c.nodes:
                c.start(n)
            load.wait_acked()


def terminate_leader(directory, shape):
    with running(Cluster(directory, **shape)) as c, loaded(c) as load:
        victim = c.leader()
        c.kill(victim, "TERM")
        load.wait_acked()
        c.start(victim)


def long_log(directory, shape):
    """New leaders of groups whose log is longer than the window of what may be sent without an acknowledgement."""
    value = "x" * 100000
    with running(Cluster(directory, **shape)) as c:
        connection = Connection(c.stores()[0], 10.0)
        for i in range(200 * c.groups + 200):  # 16 MiB a group is the window
            connection.call("set", "big%d" % i, value)
        connection.close()
        with loaded(c) as load:
            for name in ("TERM", "KILL") * 3:
                victim = c.leader()
                c.kill(victim, name)
                load.wait_acked()
                c.start(victim)
                c.ready()
                load.wait_acked()
