#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How fast the store is beside its peers and beside the bare durable write.

usage: bench/store.py [--runs N] [--scale F] [--only TEXT]
    --runs N    runs of each side, alternating (5); the medians are compared
    --scale F   multiplies the number of requests (1)
    --only TEXT the questions whose name contains TEXT
Every write is on stable storage of a majority before its reply. Ratios only: the machine's own speed drops out. Above 1
is more requests a second, or a longer time where it says p50. A peer that isn't installed is skipped, with the reason.
"""

import os
import statistics
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from peers import PORT, Missing, Place, argument, build_floor, describe, device_writes, etcd_put, floor, redis_benchmark  # noqa: E402
from load import Connection, Refused  # noqa: E402


class Side:
    def __init__(self, name, command, run, value=0):
        self.name, self.command, self.run, self.value, self.seen = name, command, run, value, []


def one_third_leader(cluster):
    """A node that leads about a third of the data groups."""
    leads = {n: sum(g["role"] == "leader" and g["group"] > 0 for g in cluster.status(n)["groups"]) for n in cluster.nodes}
    return min(cluster.nodes, key=lambda n: abs(leads[n] - cluster.groups / cluster.count))


def port_of(cluster, node, which="STORE"):
    return int(cluster.address(node, which).rsplit(":", 1)[1])


def forwarded(cluster, node):
    groups = cluster.status(node)["groups"]
    return [sum(g.get(key, 0) for g in groups) for key in ("writes_local", "writes_forwarded")]


class Bench:
    def __init__(self, place, runs, scale, only):
        self.place, self.runs, self.scale, self.only = place, runs, scale, only
        self.made, self.lines = {}, []

    def requests(self, n):
        return max(100, int(n * self.scale))

    def make(self, name, start):
        """Starts a server when a question first needs it."""
        if name not in self.made:
            try:
                self.made[name] = start()
            except Missing as e:
                self.made[name] = e
        if isinstance(self.made[name], Missing):
            raise self.made[name]
        return self.made[name]

    # The servers.
    def cluster(self):
        return self.make("holdfast", lambda: self.place.holdfast("holdfast", PORT))

    def one_group(self):
        return self.make("one group", lambda: self.place.holdfast("one", PORT + 30, groups=1))

    def alone(self):
        return self.make("redis", lambda: self.place.redis("redis", PORT + 60))

    def replicated(self):
        def start():
            self.place.redis("master", PORT + 61)
            self.place.redis("replica1", PORT + 62, PORT + 61)
            return self.place.redis("replica2", PORT + 63, PORT + 61) and PORT + 61

        return self.make("redis, 2 replicas", start)

    # Sides of a question.
    def ours(self, test, connections, n, pipeline=1, value=0):
        c = self.cluster()
        return Side("holdfast", *redis_benchmark(port_of(c, one_third_leader(c)), test, connections, n, pipeline), value)

    def spread(self, n):
        """Clients that know which node leads which slots."""
        address = self.cluster().address(1, "STORE_CLUSTER")
        connection = Connection(address)
        try:
            connection.call("cluster", "nodes")
        except Refused as e:
            raise Missing("redis-benchmark --cluster needs CLUSTER NODES: %s" % e)
        finally:
            connection.close()
        return Side("holdfast --cluster", *redis_benchmark(port_of(self.cluster(), 1, "STORE_CLUSTER"), "set", 50, n, 1, "--cluster"))

    def redis(self, port, name, test, connections, n, pipeline=1, value=0):
        return Side(name, *redis_benchmark(port, test, connections, n, pipeline), value)

    def ask(self, question, ours, theirs):
        """ours() and theirs() make the sides, so that one that is missing skips its question only."""
        if self.only not in question:
            return
        try:
            sides = [ours(), theirs()]
        except Missing as e:
            print("%s: skipped: %s" % (question, e), flush=True)
            self.lines.append((question, "skipped: %s" % e))
            return
        print("%s" % question)
        for s in sides:
            print("    %-24s %s" % (s.name, " ".join(s.command)), flush=True)
        for k in range(self.runs):
            for s in sides if k % 2 == 0 else reversed(sides):
                s.seen.append(s.run()[s.value])
        pairs = sorted(a / b for a, b in zip(sides[0].seen, sides[1].seen))
        ratio = statistics.median(sides[0].seen) / statistics.median(sides[1].seen)
        answer = "%.2f  (pairs %.2f to %.2f)" % (ratio, pairs[0], pairs[-1])
        print("    ratio %s" % answer, flush=True)
        self.lines.append((question, answer))

    def questions(self):
        sets, gets = self.requests(40000), self.requests(100000)
        deep = self.requests(200000)
        self.ask("SET 50 / redis unreplicated", lambda: self.ours("set", 50, sets),
                 lambda: self.redis(self.alone(), "redis", "set", 50, sets))
        self.ask("SET 50 / redis 2 async replicas", lambda: self.ours("set", 50, sets),
                 lambda: self.redis(self.replicated(), "redis, 2 replicas", "set", 50, sets))
        self.ask("SET 50x P16 / redis unreplicated", lambda: self.ours("set", 50, deep, 16),
                 lambda: self.redis(self.alone(), "redis", "set", 50, deep, 16))
        self.ask("SET 50x P16 / redis 2 async replicas", lambda: self.ours("set", 50, deep, 16),
                 lambda: self.redis(self.replicated(), "redis, 2 replicas", "set", 50, deep, 16))
        self.ask("SET 256 / etcd 256", lambda: self.ours("set", 256, sets),
                 lambda: Side("etcd", *etcd_put(self.place, self.make("etcd", lambda: self.place.etcd(PORT + 70)), 256, self.requests(20000))))
        program = self.make("floor", lambda: build_floor(self.place))
        # One group, so that every key's leader is the node that has the connection.
        self.ask("SET 1 at the leader, p50 / floor's p50",
                 lambda: Side("holdfast --groups 1", *redis_benchmark(port_of(self.one_group(), self.one_group().leader()), "set", 1, self.requests(5000)), 1),
                 lambda: Side("floor", *floor(self.place, program, PORT + 80, 1, 1.5), 1))
        self.ask("SET 50 / floor 50", lambda: self.ours("set", 50, sets), lambda: Side("floor", *floor(self.place, program, PORT + 80, 50, 1.5)))
        self.ask("GET 50 / redis unreplicated", lambda: self.ours("get", 50, gets),
                 lambda: self.redis(self.alone(), "redis", "get", 50, gets))
        self.ask("GET 50x P16 / redis unreplicated", lambda: self.ours("get", 50, 4 * gets, 16),
                 lambda: self.redis(self.alone(), "redis", "get", 50, 4 * gets, 16))
        # What forwarding costs: clients that know the slots, and a cluster with nothing to forward.
        self.ask("SET 50 --cluster / SET 50 on one node", lambda: self.spread(sets), lambda: self.ours("set", 50, sets))
        self.ask("SET 50 --groups 1 / SET 50 on one node",
                 lambda: Side("holdfast --groups 1", *redis_benchmark(port_of(self.one_group(), self.one_group().leader()), "set", 50, sets)),
                 lambda: self.ours("set", 50, sets))

    def facts(self):
        """What the ratios rest upon: the share that was forwarded, and the device's own count of durable writes."""
        c = self.cluster()
        node = one_third_leader(c)
        before = forwarded(c, node)
        redis_benchmark(port_of(c, node), "set", 50, self.requests(20000))[1]()
        local, remote = (b - a for a, b in zip(before, forwarded(c, node)))
        print("forwarded share of the writes: %.2f" % (remote / (local + remote)))
        n = self.requests(3000)
        batches, device = self.batches(c), device_writes(self.place.dir)
        redis_benchmark(port_of(c, node), "set", 1, n)[1]()
        batches, now = self.batches(c) - batches, device_writes(self.place.dir)
        print("one connection, %d acknowledged writes, each a batch of its own: %.2f journal batches on the three nodes and"
              " %.2f writes of the block device (%.2f flushes) for each" % (n, batches / n, (now[0] - device[0]) / n, (now[1] - device[1]) / n) +
              " (the device counts whatever else writes to it, too)")
        if now[0] - device[0] < 2 * n:
            print("    FEWER THAN TWO durable writes for each acknowledged batch")

    @staticmethod
    def batches(c):
        return sum(l["batches"] for n in c.nodes for l in c.status(n)["lanes"])


def main():
    if "--help" in sys.argv or "-h" in sys.argv:
        print(__doc__.strip())
        return
    print(describe())
    with Place() as place:
        b = Bench(place, int(argument("--runs", "5")), float(argument("--scale", "1")), argument("--only", ""))
        b.questions()
        print()
        for question, answer in b.lines:
            print("%-44s %s" % (question, answer))
        b.facts()


if __name__ == "__main__":
    main()
