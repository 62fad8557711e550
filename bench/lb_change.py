#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long until a change of a service is what packets go by: three nodes on one machine, otherwise idle, and a balancer beside one.

usage: bench/lb_change.py [--rounds N] [--backends N] [--services N] [--balancers N]

More balancers than one compute at the same time, which on a machine of their own each they would do side by side.

One backend of so many (1,000) gets weight 1 after weight 0. The client sends a datagram every fifth of a millisecond from ports whose slots
that backend owns then, and its host notes when the first one comes by a balancer's tunnel. Printed: from the moment the change was acknowledged, which is
when it was committed as prepared, until it was committed as active, because all balancers go by it; from then until the first packet by it; and until all
balancers have also swept away what it replaced. Then the same backend is added to so many services (100), from the last acknowledgement until all are active everywhere.
Takes root; reserves nothing: namespaces of its own, as tests/lb.
"""
import argparse, http.client, json, os, shutil, socket, statistics, sys, tempfile, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests", "lb"))
import net  # noqa: E402

VIP, PORT = "10.1.1.1", 8080
SO_RCVBUFFORCE = 33  # of asm-generic/socket.h; Python has no name for it
PROBES = 20000       # source ports, of which some twenty are the backend's


class Timed(net.Daemon):
    """holdfast-lbd, and when which version was in force."""

    def __init__(self, host, node):
        self.at = {}
        super().__init__(host, node)

    def read(self):
        for line in self.child.stdout:
            now = time.monotonic()
            with self.seen:
                self.lines.append(line.rstrip())
                if "in force version=" in line:
                    self.at[int(line.split("version=")[1].split()[0])] = now
                self.seen.notify_all()

    def since(self, version):
        """When that version, or the first later one, was in force."""
        with self.seen:
            if not self.seen.wait_for(lambda: any(v >= version for v in self.at), timeout=net.DEADLINE_S):
                raise TimeoutError(f"version {version} is not in force: {self.lines[-5:]}")
            return self.at[min(v for v in self.at if v >= version)]


class Api:
    """One connection to a node's socket, so that what is measured is not its making."""

    def __init__(self, path):
        self.path = path
        self.c = http.client.HTTPConnection("node")
        self.c.connect = self.connect
        self.connect()

    def connect(self):
        self.c.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.c.sock.connect(self.path)

    def call(self, method, path, body=None):
        self.c.request(method, path, json.dumps(body) if body is not None else None)
        r = self.c.getresponse()
        said = json.loads(r.read())
        if r.status != 200:
            raise RuntimeError(f"{method} {path}: {r.status} {said}")
        return said


def committed_after(path, version):
    """When the catalog had a later version: a node answers then, however long it takes to read all of it."""
    api = Api(path)
    api.c.request("GET", f"/v1/lb?after={version}")
    api.c.getresponse()
    now = time.monotonic()
    api.c.close()
    return now


class Bench:
    def __init__(self, backends, balancers):
        self.dir = tempfile.mkdtemp()
        self.net = net.Net()
        self.client = self.net.host("cl", 100)
        self.balancers = [self.net.host(f"lb{i}", 10 + i) for i in range(3)]
        self.backend = self.net.host("be1", 1)
        self.client.ip("route", "add", VIP, "via", self.balancers[0].address)
        self.addresses = [f"10.3.{i // 250}.{1 + i % 250}" for i in range(backends)]
        for b in self.balancers:
            self.reach(b)
        self.nodes = [net.RealNode(b, self.dir, self.balancers) for b in self.balancers]
        for n in self.nodes:
            n.ready()
        self.daemons = [Timed(b, n) for b, n in list(zip(self.balancers, self.nodes))[:balancers]]
        self.api = Api(self.nodes[0].path)
        net.until("all have a lease", lambda: len(self.api.call("GET", "/v1/lb/leases")["leases"]) == balancers)

    def reach(self, host):
        """Backends that aren't there have a link address all the same: the bridge has nobody of that name."""
        path = os.path.join(self.dir, "neighbours")
        with open(path, "w") as f:
            f.write(f"route add 10.3.0.0/16 dev {host.interface}\n")
            for a in self.addresses:
                f.write(f"neigh add {a} lladdr 02:00:00:00:00:01 dev {host.interface} nud permanent\n")
        host.ip("-batch", path)

    def add_service(self, name, vip):
        self.api.call("POST", "/v1/services", {"name": name, "vip": vip, "proto": "udp", "port": PORT, "affinity": False, "check": "none"})

    def settled(self):
        """Nothing is prepared, what was before has retired, and all have it."""
        def done():
            all_of_it = self.api.call("GET", "/v1/services")
            have = [one["version"] for one in self.api.call("GET", "/v1/lb/leases")["leases"]]
            return not any("prepared" in s or len(s["generations"]) > 1 for s in all_of_it["services"]) and set(have) == {all_of_it["version"]}
        net.until("a quiet catalog", done, 60)

    def close(self):
        self.net.close()
        shutil.rmtree(self.dir, ignore_errors=True)


class Traffic:
    """Datagrams to the VIP from ports that go to the backend while it has weight, and when the first one of them comes there."""

    def __init__(self, bench):
        bench.backend.enter()
        self.tunnel = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IPIP)
        self.tunnel.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
        self.tunnel.settimeout(0.2)
        bench.client.enter()
        for port in range(20000, 20000 + PROBES):
            with self.sender(port) as s:
                s.send(b"x")
        ports = sorted({int.from_bytes(packet[40:42], "big") for packet in self.all()})
        self.senders = [self.sender(port) for port in ports]
        self.stopped = threading.Event()
        threading.Thread(target=self.send, daemon=True).start()

    def sender(self, port):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("", port))
        s.connect((VIP, PORT))
        return s

    def send(self):
        i = 0
        while not self.stopped.wait(0.0002):
            i += 1
            self.senders[i % len(self.senders)].send(b"x")

    def first(self):
        self.tunnel.settimeout(net.DEADLINE_S)
        self.tunnel.recv(100)
        return time.monotonic()

    def all(self):
        """What comes until nothing does any more."""
        self.tunnel.settimeout(0.2)
        try:
            while True:
                yield self.tunnel.recv(100)
        except TimeoutError:
            return


def show(what, ms):
    print(f"{what:58} median {statistics.median(ms):7.2f} ms, {min(ms):.2f} to {max(ms):.2f}", flush=True)


def one_service(bench, rounds):
    bench.add_service("many", VIP)
    for a in [bench.backend.address, *bench.addresses[1:]]:
        bench.api.call("POST", "/v1/services/many/backends", {"address": a})
    bench.settled()

    def weigh(weight):
        return bench.api.call("PATCH", "/v1/services/many/backends", {"address": bench.backend.address, "weight": weight})["version"]

    traffic, first, second, both, active = Traffic(bench), [], [], [], []
    for _ in range(rounds):
        weigh(0)
        bench.settled()
        for _ in traffic.all():
            pass
        version = weigh(1)
        began = time.monotonic()
        activated = committed_after(bench.api.path, version)
        packet = traffic.first()
        bench.settled()
        first.append((activated - began) * 1e3)
        second.append((packet - activated) * 1e3)
        both.append((packet - began) * 1e3)
        active.append((max(d.since(version + 1) for d in bench.daemons) - began) * 1e3)
    traffic.stopped.set()
    name = f"{len(bench.addresses)} backends:"
    show(f"{name} first step, until it is active", first)
    show(f"{name} second step, until the first packet", second)
    show(f"{name} both steps, first packet", both)
    show(f"{name} all balancers have swept, too", active)
    bench.api.call("DELETE", "/v1/services/many")


def many_services(bench, count, rounds):
    for i in range(count):
        bench.add_service(f"s{i}", f"10.1.2.{1 + i}")
        for a in bench.addresses[:10]:
            bench.api.call("POST", f"/v1/services/s{i}/backends", {"address": a})
    bench.settled()
    all_active, changing = [], []
    for _ in range(rounds):
        began = time.monotonic()
        for i in range(count):
            bench.api.call("POST", f"/v1/services/s{i}/backends", {"address": bench.backend.address})
        acknowledged = time.monotonic()
        bench.settled()
        version = bench.api.call("GET", "/v1/services")["version"]
        changing.append((acknowledged - began) * 1e3)
        all_active.append((max(d.since(version) for d in bench.daemons) - acknowledged) * 1e3)
        for i in range(count):
            bench.api.call("DELETE", f"/v1/services/s{i}/backends", {"address": bench.backend.address})
        bench.settled()
    show(f"{count} services: their changes, one after the other", changing)
    show(f"{count} services: from the last one until all are active and swept", all_active)


def isolate():
    """A mount namespace of our own: pins and namespaces end with us."""
    if "LB_ISOLATED" not in os.environ:
        os.environ["LB_ISOLATED"] = "1"
        os.execvp("unshare", ["unshare", "--mount", sys.executable, os.path.abspath(__file__), *sys.argv[1:]])
    net.run("mount", "-t", "bpf", "bpf", "/sys/fs/bpf")
    os.makedirs("/run/netns", exist_ok=True)
    net.run("mount", "-t", "tmpfs", "tmpfs", "/run/netns")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--rounds", type=int, default=11)
    p.add_argument("--backends", type=int, default=1000)
    p.add_argument("--services", type=int, default=100)
    p.add_argument("--balancers", type=int, default=1, choices=(1, 2, 3))
    options = p.parse_args()
    if os.geteuid():
        print("SKIP bench/lb_change.py: namespaces and BPF take root")
        return
    isolate()
    bench = Bench(options.backends, options.balancers)
    try:
        one_service(bench, options.rounds)
        many_services(bench, options.services, max(1, options.rounds // 3))
    finally:
        bench.close()


main()
