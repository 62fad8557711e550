# SPDX-License-Identifier: Apache-2.0
"""What is compared: a cluster of three nodes by `holdfast dev`, and a redis-server."""
import os, re, shutil, subprocess, tempfile, time

from conn import DEADLINE_S, Closed, Conn


def poll(what, timeout=DEADLINE_S):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.02)
    return False


def read_env(path):
    with open(path) as f:
        return dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', f.read(), re.M))


class Cluster:
    """In a with block, its nodes' ports and pids; none if it didn't start, and `said` is why. Gone at the block's end."""
    def __init__(self, program, port, *options):
        self.program, self.port, self.options, self.keep = program, port, options, False

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="wire-")
        up = subprocess.run([self.program, "dev", "up", "--dir", self.directory, "--port", str(self.port), *self.options], capture_output=True, text=True)
        self.said, nodes = up.stdout + up.stderr, []
        if up.returncode == 0:
            env = read_env(os.path.join(self.directory, "env"))
            for n in env["HOLDFAST_NODES"].split():
                nodes.append({k: int(env[f"{n.upper()}_{k}"].rsplit(":", 1)[-1]) for k in ("STORE", "STORE_CLUSTER", "ADMIN", "PID")})
        return nodes

    def __exit__(self, *unused):
        subprocess.run([self.program, "dev", "down", "--dir", self.directory], capture_output=True)
        if self.keep:
            print(f"kept {self.directory}")
        else:
            shutil.rmtree(self.directory, ignore_errors=True)


def answers(port):
    try:
        c = Conn(port, 1)
        ok = c.ask("PING") == b"+PONG\r\n"
        c.close()
        return ok
    except (OSError, Closed):
        return False


def redis_command():
    """How a redis-server is started; None if there is none. Debian's redis-tools have the same program under another name, and no service."""
    if shutil.which("redis-server"):
        return ["redis-server"]
    if shutil.which("redis-check-rdb"):
        return ["bash", "-c", 'exec -a redis-server redis-check-rdb "$@"', "redis-server"]
    return None


class RedisServer:
    """In a with block, the port of a redis-server with one database and nothing on disk; None if it didn't start."""
    def __init__(self, port, *options):
        self.port, self.options, self.server = port, options, None

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="wire-redis-")
        self.server = subprocess.Popen([*redis_command(), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--databases", "1", "--dir", self.directory, *self.options],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self.port if poll(lambda: answers(self.port)) else None

    def __exit__(self, *unused):
        if self.server:
            self.server.terminate()
            self.server.wait()
            shutil.rmtree(self.directory, ignore_errors=True)


class RedisCluster:
    """In a with block, the ports of redis-servers that are a cluster, one for each list of slot ranges; None if it didn't start."""
    def __init__(self, port, slots):
        self.slots = slots
        self.ports = range(port, port + len(slots))
        self.buses = range(port + len(slots), port + 2 * len(slots))
        self.servers = [RedisServer(p, "--cluster-enabled", "yes", "--cluster-port", str(bus)) for p, bus in zip(self.ports, self.buses)]

    def __enter__(self):
        if not all([s.__enter__() for s in self.servers]):
            return None
        nodes = [Conn(p) for p in self.ports]
        for node, ranges in zip(nodes, self.slots):
            for first, last in ranges:
                node.ask("CLUSTER", "ADDSLOTSRANGE", first, last)
        for port, bus in zip(self.ports, self.buses):
            nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", port, bus)
        known = b"cluster_known_nodes:%d\r" % len(nodes)
        whole = poll(lambda: all(b"cluster_state:ok" in said and known in said for said in [n.ask("CLUSTER", "INFO") for n in nodes]))
        return list(self.ports) if whole else None

    def __exit__(self, *unused):
        for s in self.servers:
            s.__exit__()
