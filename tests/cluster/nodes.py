# SPDX-License-Identifier: Apache-2.0
"""Clusters of real processes: one started by `holdfast dev`, one whose nodes are started by hand behind a relay."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(ROOT, "build", os.environ.get("BUILD", "release"))
PORT = int(os.environ.get("CLUSTER_PORT", "22000"))
RELAY_PORT = PORT + 60


def poll(what, timeout, test):
    """test() until it is true; what it said last is in the complaint."""
    deadline = time.monotonic() + timeout
    while True:
        said = test()
        if said is True:
            return
        if time.monotonic() > deadline:
            raise AssertionError("%s: not within %g s%s" % (what, timeout, ": %s" % (said,) if said else ""))
        time.sleep(0.02)


class Cluster:
    """Started and stopped by `holdfast dev`. Nodes are numbered from 1."""

    def __init__(self, directory, nodes=3, reactors=1, ipv6=False, groups=None, port=PORT):
        self.dir, self.count, self.reactors, self.ipv6 = directory, nodes, reactors, ipv6
        self.groups = groups or nodes * reactors
        self.nodes = range(1, nodes + 1)
        self.port, self.relay = port, None

    def dev(self, command, *arguments):
        done = subprocess.run([os.path.join(BUILD, "holdfast"), "dev", command, *map(str, arguments), "--dir", self.dir],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        if done.returncode:
            raise AssertionError("holdfast dev %s: exit %d: %s" % (" ".join(map(str, (command, *arguments))), done.returncode, done.stdout.strip()))
        return done.stdout

    def up(self):
        self.dev("up", "--nodes", self.count, "--reactors", self.reactors, "--groups", self.groups, "--port", self.port,
                 *["--ipv6"] * self.ipv6)

    def down(self):
        self.dev("down")

    def kill(self, node, name="KILL"):
        self.dev("kill", "n%d" % node, "--signal", name)

    def kill_together(self, nodes):
        """As many SIGKILLs at one moment as a machine can send; returns when all are dead."""
        env = self.env()
        fds = [os.pidfd_open(int(env["N%d_PID" % n])) for n in nodes]
        for fd in fds:
            signal.pidfd_send_signal(fd, signal.SIGKILL)
        for fd in fds:
            os.close(fd)
        for n in nodes:
            poll("n%d dead" % n, 20, lambda n=n: "dead" in self.dev("status").splitlines()[n - 1])

    def pause(self, node):
        self.dev("pause", "n%d" % node)

    def resume(self, node):
        self.dev("resume", "n%d" % node)

    def start(self, node):
        self.dev("start", "n%d" % node)

    def env(self):
        with open(os.path.join(self.dir, "env")) as f:
            return {k: v.strip('"') for k, v in (line.strip().split("=", 1) for line in f)}

    def address(self, node, port):
        return self.env()["N%d_%s" % (node, port)]

    def stores(self):
        env = self.env()
        return [env["N%d_STORE" % n] for n in self.nodes]

    def data(self, node):
        return os.path.join(self.dir, "n%d" % node)

    def log(self, node):
        return os.path.join(self.dir, "n%d.log" % node)

    def get(self, node, path):
        with urllib.request.urlopen("http://%s%s" % (self.address(node, "ADMIN"), path), timeout=5) as r:
            return r.read().decode()

    def status(self, node):
        return json.loads(self.get(node, "/v1/status"))

    def metric(self, node, name):
        """The sum over all labels."""
        return sum(float(line.split()[1]) for line in self.get(node, "/metrics").splitlines() if line.split("{")[0] == name)

    def leader(self, group=1):
        found = []

        def look():
            for n in self.nodes:
                try:
                    status = self.status(n)
                except OSError:
                    continue
                found[:] = [n for g in status["groups"] if g["group"] == group and g["role"] == "leader"]
                if found:
                    return True
            return False

        poll("a leader of group %d" % group, 20, look)
        return found[0]

    def follower(self):
        """A node that leads nothing, if there is one, else one that doesn't lead group 1."""
        leads = {n: sum(g["role"] == "leader" for g in self.status(n)["groups"]) for n in self.nodes}
        return min((n for n in self.nodes if n != self.leader()), key=lambda n: leads[n])

    def settle(self, timeout=40.0):
        """Until every replica of every group has applied the same index and has the same checksum, nothing missing."""

        def equal():
            rows = {}
            for n in self.nodes:
                try:
                    status = self.status(n)
                except OSError as e:
                    return "n%d: %s" % (n, e)
                if len(status["groups"]) != self.groups + 1:
                    return "n%d has %d groups" % (n, len(status["groups"]))
                for g in status["groups"]:
                    if g["missing"] or g["quarantined"] or g["applied"] != g["commit"] or g["stored"] < g["commit"]:
                        return "n%d: %s" % (n, g)
                    rows.setdefault(g["group"], {}).setdefault((g["applied"], g["checksum"]), []).append(n)
            for group, seen in rows.items():
                if len(seen) > 1:
                    return "group %d differs: %s" % (group, seen)
            return True

        poll("the same state on every node", timeout, equal)

    def ready(self, timeout=30.0):
        def look():
            for n in self.nodes:
                try:
                    self.get(n, "/readyz")
                except OSError as e:
                    return "n%d: %s" % (n, e)
            return True

        poll("every node ready", timeout, look)


class HandCluster(Cluster):
    """Nodes started by hand: data may lie elsewhere, they get more options, and with relay=True they dial each other through a relay."""

    def __init__(self, directory, relay=False, data=None, options=(), **shape):
        super().__init__(directory, **shape)
        self.options = options
        self.with_relay, self.placed = relay, data or {}
        self.process = {}

    def at(self, port):
        return "%s:%d" % ("[::1]" if self.ipv6 else "127.0.0.1", port)

    def env(self):
        env = {}
        for n in self.nodes:
            for k, name in enumerate(("STORE", "STORE_CLUSTER", "ADMIN", "PEER")):
                env["N%d_%s" % (n, name)] = self.at(self.port + (n - 1) * 10 + k)
        return env

    def data(self, node):
        return self.placed.get(node, super().data(node))

    def relay_port(self, dialler, listener):
        return RELAY_PORT + dialler * (dialler - 1) // 2 + listener - 1

    def start_relay(self):
        ways = ["%d.%d=%s>%s" % (i, j, self.at(self.relay_port(i, j)), self.address(j, "PEER")) for i in self.nodes for j in range(1, i)]
        self.relay = subprocess.Popen([sys.executable, os.path.join(HERE, "relay.py"), *ways], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True, start_new_session=True)
        if self.relay.stdout.readline() != "ok\n":
            raise AssertionError("the relay doesn't start")

    def tell_relay(self, *words):
        self.relay.stdin.write(" ".join(map(str, words)) + "\n")
        self.relay.stdin.flush()
        if self.relay.stdout.readline() != "ok\n":
            raise AssertionError("the relay ended")

    def cut(self, node, out=True, into=True):
        for other in self.nodes:
            if other != node and out:
                self.tell_relay("block", node, other)
            if other != node and into:
                self.tell_relay("block", other, node)

    def heal(self):
        for i in self.nodes:
            for j in self.nodes:
                if i != j:
                    self.tell_relay("pass", i, j)

    def start(self, node):
        env = self.env()
        members = []
        for other in self.nodes:
            through = self.with_relay and other < node
            members.append("%d=%s" % (other, self.at(self.relay_port(node, other)) if through else env["N%d_PEER" % other]))
        os.makedirs(self.data(node), mode=0o700, exist_ok=True)
        with open(self.log(node), "ab") as log:
            self.process[node] = subprocess.Popen(
                [os.path.join(BUILD, "holdfastd"), "--node", str(node), "--members", ",".join(members), "--data", self.data(node),
                 "--store", env["N%d_STORE" % node], "--store-cluster", env["N%d_STORE_CLUSTER" % node],
                 "--admin", env["N%d_ADMIN" % node], "--peer", env["N%d_PEER" % node],
                 "--socket", os.path.join(self.dir, "n%d.sock" % node), "--reactors", str(self.reactors),
                 "--groups", str(self.groups), "--segment-mb", "32", "--config", "/dev/null", *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def up(self):
        os.makedirs(self.dir, exist_ok=True)
        if self.with_relay:
            self.start_relay()
        for n in self.nodes:
            self.start(n)
        self.ready()

    def kill(self, node, name="KILL"):
        self.process[node].send_signal(getattr(signal, "SIG" + name))
        self.process[node].wait(20)

    def pause(self, node):
        self.process[node].send_signal(signal.SIGSTOP)

    def resume(self, node):
        self.process[node].send_signal(signal.SIGCONT)

    def kill_together(self, nodes):
        for n in nodes:
            self.process[n].send_signal(signal.SIGKILL)
        for n in nodes:
            self.process[n].wait(20)

    def down(self):
        for p in self.process.values():
            if p.poll() is None:
                p.send_signal(signal.SIGKILL)
        for p in self.process.values():
            p.wait(20)
        if self.relay:
            self.relay.kill()
            self.relay.wait(20)
