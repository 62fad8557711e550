#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The balancer end to end, beside its peers: a client, a balancer and two backends, each a namespace with a veth on one bridge.

usage: bench/lb_veth.py [--rounds N] [--seconds N] [--clients N]

Through each contender in turn, round after round: requests a second on kept connections, and connections a second with one request each.
nginx answers its host's name. Client, balancer and backends share the machine's cores, so a figure says what the whole way costs,
and only ratios are printed, each within one round: to plain encapsulation without look-ups (bench/lb_plain.bpf.c), and of ours to each.

Replies of holdfast-lbd and of plain encapsulation go straight to the client, those of HAProxy and nftables through the balancer: that is how
each of them works. A veth takes XDP's packets only if its peer has a program, and checksums must be there, which costs everybody; so
HAProxy and nftables run a second time in a network without either. Takes root, and `apt-get install haproxy nftables nginx-light wrk`.
"""
import argparse, os, re, shutil, statistics, subprocess, sys, tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tests", "lb"))
import net  # noqa: E402

VIP, PORT = "10.1.1.1", 8080
URL = f"http://{VIP}:{PORT}/"
PLAIN = os.path.join(ROOT, "build/bpf/bench/lb_plain.bpf.o")
PACKAGES = {"haproxy": "haproxy", "nft": "nftables", "nginx": "nginx-light", "wrk": "wrk"}

NGINX = """daemon off; master_process off; pid {dir}/{name}.pid; error_log {dir}/{name}.log;
events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 1000000000;
    server {{ listen {port}; location / {{ return 200 "{name}\\n"; }} }}
}}
"""
HAPROXY = f"""defaults
    mode tcp
    timeout connect 10s
    timeout client 10s
    timeout server 10s
listen web
    bind {VIP}:{PORT}
    server be1 10.2.0.1:{PORT}
    server be2 10.2.0.2:{PORT}
"""
NFTABLES = f"""table ip nat {{
    chain prerouting {{
        type nat hook prerouting priority dstnat;
        ip daddr {VIP} tcp dport {PORT} dnat to numgen inc mod 2 map {{ 0 : 10.2.0.1, 1 : 10.2.0.2 }}
    }}
}}
"""


class World:
    """The network and its nginx, without a balancer."""

    def __init__(self, with_xdp):
        self.dir = tempfile.mkdtemp()
        self.net = net.Net()
        self.client = self.net.host("cl", 100)
        self.balancer = self.net.host("lb", 10)
        self.backends = [self.net.host("be1", 1), self.net.host("be2", 2)]
        if not with_xdp:
            self.take_xdp_away()
        self.client.ip("route", "add", VIP, "via", self.balancer.address)
        for h in (self.client, self.balancer):
            h.run("sysctl", "-qw", "net.ipv4.ip_local_port_range=1024 65535")
        for i, b in enumerate(self.backends, 1):
            b.ip("link", "set", b.interface, "address", f"02:00:00:00:00:{i:02x}")
            b.vip(VIP)
            b.start("nginx", "-c", self.write(f"{b.name}.conf", NGINX.format(dir=self.dir, name=b.name, port=PORT)))

    def take_xdp_away(self):
        for h in self.net.hosts:
            net.run("ip", "-n", self.net.wire, "link", "set", f"{h.name}w", "xdp", "off")
            h.run("ethtool", "-K", h.interface, "tx", "on")

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def replies_through_the_balancer(self):
        """Without the shorter way being told: all are on one link."""
        self.balancer.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.send_redirects=0",
                          f"net.ipv4.conf.{self.balancer.interface}.send_redirects=0")
        for b in self.backends:
            b.ip("route", "add", self.client.address, "via", self.balancer.address)

    def serving(self):
        """Both backends answer, and nothing goes unanswered any more: the neighbours are known."""
        def answered():
            return {self.client.run("curl", "-s", "-m", "1", URL, check=False).stdout.strip() for _ in range(16)} == {"be1", "be2"}
        net.until("both backends answer", answered)

    def wrk(self, argv):
        """Requests a second."""
        said = self.client.run(*argv).stdout
        if "Socket errors" in said or "Non-2xx" in said:
            raise RuntimeError(f"{' '.join(argv)}: {said}")
        return float(re.search(r"Requests/sec: +([\d.]+)", said)[1])

    def close(self):
        self.net.close()
        shutil.rmtree(self.dir, ignore_errors=True)


# ---- contenders: each starts its balancer in a world ----

def catalog(world, deliver):
    backends = [{"id": i, "address": b.address} for i, b in enumerate(world.backends, 1)]
    service = {"id": 1, "name": "web", "vip": VIP, "proto": "tcp", "port": PORT, "scheduler": "maglev", "deliver": deliver, "chain": False,
               "affinity": True, "limit": 0, "allow": [], "deny": [], "check": "none", "backends": backends,
               "generations": [{"number": 1, "shares": "1:1 2:1"}]}
    node = net.Node(world.dir)
    return node, node.change(services=[service], balancers=[world.balancer.address])


def decapsulate(world, node, version):
    for b in world.backends:
        net.Daemon(b, node, "--backend").in_force(version)


def ipip(world):
    node, version = catalog(world, "ipip")
    decapsulate(world, node, version)
    net.Daemon(world.balancer, node).in_force(version)


def dsr(world):
    node, version = catalog(world, "dsr")
    net.Daemon(world.balancer, node).in_force(version)


def plain(world):
    decapsulate(world, *catalog(world, "ipip"))
    world.balancer.ip("link", "set", world.balancer.interface, "xdpdrv", "obj", PLAIN, "sec", "xdp")


def haproxy(world):
    world.balancer.ip("addr", "add", VIP, "dev", "lo")
    world.balancer.start("haproxy", "-db", "-f", world.write("haproxy.cfg", HAPROXY))


def nftables(world):
    world.replies_through_the_balancer()
    world.balancer.run("nft", "-f", world.write("nat.nft", NFTABLES))


CONTENDERS = {
    "plain encapsulation": (plain, True),
    "holdfast-lbd, ipip": (ipip, True),
    "holdfast-lbd, dsr": (dsr, True),
    "HAProxy, TCP mode": (haproxy, True),
    "HAProxy, network without XDP": (haproxy, False),
    "nftables DNAT": (nftables, True),
    "nftables DNAT, network without XDP": (nftables, False),
}
CEILING, OURS = "plain encapsulation", "holdfast-lbd, ipip"


def measure(name, loads):
    start, with_xdp = CONTENDERS[name]
    world = World(with_xdp)
    try:
        start(world)
        world.serving()
        return [world.wrk(argv) for argv in loads.values()]
    finally:
        world.close()


def spread(ratios):
    return f"{statistics.median(ratios):5.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def show(loads, found):
    """found: for each round, by contender, a figure for each load."""
    for i, load in enumerate(loads):
        print(f"{load + ', median of ' + str(len(found)) + ' rounds':52} {'to ' + CEILING:22} {OURS + ' to it':22}")
        for name in CONTENDERS:
            to_ceiling = [r[name][i] / r[CEILING][i] for r in found]
            to_it = [r[OURS][i] / r[name][i] for r in found]
            print(f"  {name:50} {spread(to_ceiling):22} {spread(to_it):22}")


def why_not():
    if os.geteuid():
        return "namespaces and BPF take root"
    missing = [package for program, package in PACKAGES.items() if not shutil.which(program)]
    return f"apt-get install {' '.join(missing)}" if missing else None


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=int, default=2)
    p.add_argument("--clients", type=int, default=32)
    options = p.parse_args()
    if reason := why_not():
        print(f"SKIP bench/lb_veth.py: {reason}")
        return
    subprocess.run(["make", "--no-print-directory", "-C", ROOT, "bench-lb"], check=True, stdout=subprocess.DEVNULL)
    net.isolate(__file__)
    wrk = ["wrk", "-t1", f"-c{options.clients}", f"-d{options.seconds}s"]
    loads = {"requests a second": [*wrk, URL], "connections a second": [*wrk, "-H", "Connection: close", URL]}
    for load, argv in loads.items():
        print(f"{load}: {subprocess.list2cmdline(argv)}")
    print(f"haproxy -db -f:\n{HAPROXY}nft -f:\n{NFTABLES}nginx -c:\n{NGINX.format(dir='DIR', name='NAME', port=PORT)}", flush=True)
    found = []
    for n in range(options.rounds):
        order = list(CONTENDERS) if n % 2 == 0 else list(reversed(CONTENDERS))
        found.append({name: measure(name, loads) for name in order})
    show(loads, found)


main()
