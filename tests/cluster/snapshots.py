# SPDX-License-Identifier: Apache-2.0
"""Snapshots: how many are written, and what a node does that needs one."""
from case import running
from load import Connection, Refused
from nodes import Cluster, HandCluster, poll


def snapshots_in_proportion(directory, shape):
    """What snapshots write stays in proportion to what clients write, however little log is allowed and however much state there is."""
    value, keys = "x" * 100000, 240
    with running(HandCluster(directory, options=("--log-kb", "256"), **dict(shape, groups=1))) as c:
        connection = Connection(c.stores()[0], 10.0)
        for i in range(keys):
            connection.call("set", "big%d" % i, value)
        c.settle()
        before = {n: c.metric(n, "holdfast_snapshots_taken_total") for n in c.nodes}
        for i in range(keys):
            connection.call("set", "big%d" % i, value)
        c.settle()
        for n in c.nodes:  # written, they come into force once others agree with them
            poll("a snapshot of n%d" % n, 20, lambda: c.metric(n, "holdfast_snapshots_taken_total") > before[n])
            taken = c.metric(n, "holdfast_snapshots_taken_total") - before[n]
            if not 1 <= taken <= 5:  # one for each quarter of the state that was written, and one begun before
                raise AssertionError("n%d took %d snapshots while the state was written once" % (n, taken))
        connection.close()


def read_while_loading(directory, shape):
    """A node that has to be given a snapshot first answers reads all the same, through the leader ([reads])."""
    value = "x" * 100000
    with running(Cluster(directory, groups=1, **shape)) as c:
        victim = c.follower()
        c.kill(victim)
        other = next(n for n in c.nodes if n != victim)
        connection = Connection(c.stores()[other - 1], 10.0)
        for i in range(1500):  # more than the log that is kept in memory
            connection.call("set", "big%d" % i, value)
        connection.call("set", "own", "0")
        c.start(victim)
        reader = Connection(c.stores()[victim - 1], 5.0)
        reads = 0
        while not c.status(victim)["groups"][1:] or any(g["applied"] < g["commit"] or g["commit"] < 1500 for g in c.status(victim)["groups"][1:]):
            try:
                connection.call("set", "own", str(reads))
                got = reader.call("get", "own")
            except Refused as e:
                if "LOADING" not in str(e) and "CLUSTERDOWN" not in str(e):
                    raise
                continue
            if got != str(reads).encode() and got != str(reads):
                raise AssertionError("own is %s through the loading node, %d was written" % (got, reads))
            reads += 1
        c.settle()
        away = c.metric(victim, "holdfast_reads_forwarded_total")
        print("    %d reads at the loading node, %d went to the leader" % (reads, away))
        if not away:
            raise AssertionError("no read was executed by the leader")
