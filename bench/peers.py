# SPDX-License-Identifier: Apache-2.0
"""What the benches share: the servers they compare, started on loopback in one temporary directory, and their clients."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "cluster"))

from load import Connection, Gone  # noqa: E402
from nodes import Cluster, poll  # noqa: E402

PORT = 23000


class Missing(Exception):
    """A peer that isn't installed."""


def need(*programs):
    for p in programs:
        if not shutil.which(p):
            raise Missing("%s is not installed" % p)


def argument(name, fallback):
    """The word behind an option of this program."""
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv[:-1] else fallback


def describe():
    """What a result must name: commit, machine."""
    def say(*command):
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT).stdout.strip()

    with open("/proc/cpuinfo") as f:
        model = next((line.split(":")[1].strip() for line in f if line.startswith("model name")), "?")
    return "commit %s, %d cores of %s, kernel %s" % (say("git", "-c", "safe.directory=" + ROOT, "describe", "--always", "--dirty"), os.cpu_count(), model, os.uname().release)


class Place:
    """A directory on the disk of the build, and the servers in it."""

    def __init__(self):
        os.makedirs(os.path.join(ROOT, "build"), exist_ok=True)
        self.dir = tempfile.mkdtemp(prefix="bench-", dir=os.path.join(ROOT, "build"))
        self.processes, self.clusters = [], []

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        for c in self.clusters:
            c.down()
        for p in self.processes:
            p.terminate()
        for p in self.processes:
            try:
                p.wait(20)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        if failure and issubclass(failure, Exception):
            print("kept: %s" % self.dir)
        else:
            shutil.rmtree(self.dir)

    def server(self, name, *command):
        os.makedirs(os.path.join(self.dir, name))
        with open(os.path.join(self.dir, name + ".log"), "w") as log:
            self.processes.append(subprocess.Popen(command, cwd=os.path.join(self.dir, name), stdin=subprocess.DEVNULL, stdout=log,
                                                   stderr=log, start_new_session=True))

    def holdfast(self, name, port, **shape):
        c = Cluster(os.path.join(self.dir, name), port=port, **shape)
        self.clusters.append(c)
        c.up()
        return c

    def redis(self, name, port, master=None):
        need("redis-server")
        self.server(name, "redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "yes",
                    "--appendfsync", "always", *(["--replicaof", "127.0.0.1", str(master)] if master else []))
        poll(name, 20, lambda: redis_answers(port, master))
        return port

    def etcd(self, port):
        """Three nodes; returns the leader's client port."""
        need("etcd", "h2load")
        everyone = ",".join("e%d=http://127.0.0.1:%d" % (i, port + 3 + i) for i in range(3))
        for i in range(3):
            client, peer = "http://127.0.0.1:%d" % (port + i), "http://127.0.0.1:%d" % (port + 3 + i)
            self.server("etcd%d" % i, "etcd", "--name", "e%d" % i, "--data-dir", "data", "--listen-client-urls", client,
                        "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                        "--initial-cluster", everyone, "--quota-backend-bytes", str(4 << 30), "--log-level", "error")
        found = []

        def leads():
            for i in range(3):
                try:
                    s = etcd_status(port + i)
                except OSError as e:
                    return str(e)
                if s.get("leader") == s["header"]["member_id"]:
                    found.append(port + i)
                    return True
            return False

        poll("an etcd leader", 30, leads)
        return found[0]


def redis_answers(port, master):
    try:
        c = Connection("127.0.0.1:%d" % port)
        c.call("ping")
        c.close()
        if master:
            c = Connection("127.0.0.1:%d" % master)
            up = c.call("wait", "2" if port != master + 1 else "1", "1000")
            c.close()
            return int(up) >= (2 if port != master + 1 else 1)
        return True
    except Gone as e:
        return str(e)


def etcd_status(port):
    r = urllib.request.Request("http://127.0.0.1:%d/v3/maintenance/status" % port, data=b"{}")
    with urllib.request.urlopen(r, timeout=5) as reply:
        return json.loads(reply.read())


# ---- the clients: each returns (requests a second, p50 in ms) ----

def redis_benchmark(port, test, connections, requests, pipeline=1, *more):
    need("redis-benchmark")
    command = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(port), "-t", test, "-d", "100", "-r", "1000000", "-c", str(connections),
               "-n", str(requests), *(["-P", str(pipeline)] if pipeline > 1 else []), *more]
    return command, lambda: redis_benchmark_run(command)


def redis_benchmark_run(command):
    out = subprocess.run([*command, "--csv"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    row = next((line for line in out.stdout.splitlines() if re.match(r'"(SET|GET)"', line)), None)
    if out.returncode or not row:
        raise AssertionError("%s: %s" % (" ".join(command), out.stdout.strip()[-300:]))
    fields = [f.strip('"') for f in row.split(",")]
    return float(fields[1]), float(fields[4])


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def etcd_put(place, port, connections, requests):
    """h2load with one gRPC Put of a 100 B value."""
    key, value = b"key:000000000001", b"x" * 100
    put = b"\x0a" + varint(len(key)) + key + b"\x12" + varint(len(value)) + value
    body = os.path.join(place.dir, "put")
    with open(body, "wb") as f:
        f.write(b"\0" + len(put).to_bytes(4, "big") + put)
    command = ["h2load", "-c", str(connections), "-m", "1", "-n", str(requests), "-d", body, "-H", "content-type: application/grpc",
               "-H", "te: trailers", "http://127.0.0.1:%d/etcdserverpb.KV/Put" % port]

    def run():
        before = int(etcd_status(port)["header"]["revision"])
        out = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300).stdout
        rate = re.search(r"finished in .*, ([0-9.]+) req/s", out)
        done = int(etcd_status(port)["header"]["revision"]) - before
        if not rate or done < requests * 0.99:
            raise AssertionError("%s: %d of %d puts done: %s" % (" ".join(command), done, requests, out[-300:]))
        return float(rate.group(1)), None

    return command, run


def build_floor(place):
    program = os.path.join(place.dir, "floor")
    subprocess.run(["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-o", program, os.path.join(ROOT, "bench", "floor.c"), "-luring"], check=True)
    return program


def floor(place, program, port, connections, seconds):
    command = [program, place.dir, str(port), str(connections), str(seconds)]

    def run():
        out = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True, timeout=120).stdout.split()
        return float(out[0]), float(out[1]) / 1e3

    return command, run


# ---- the block device ----

def device_writes(path):
    """(writes completed, flushes completed) of the device that holds path."""
    dev = os.stat(path).st_dev
    with open("/sys/dev/block/%d:%d/stat" % (os.major(dev), os.minor(dev))) as f:
        fields = f.read().split()
    return int(fields[4]), int(fields[15]) if len(fields) > 15 else 0
