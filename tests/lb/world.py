# SPDX-License-Identifier: Apache-2.0
"""A balancer between a client and two backends, in a catalog that the test itself writes."""
import json, os, shutil, sys, tempfile

import net
from flow import PORT, VIP, VIP6, backends_of, close, flows
from net import Daemon, Net, Node, until


def share(backend, weight=1):
    return f"{backend}:{weight}"


def service(world, generations=None, **changes):
    """The service `web` on both backends; generations are lists of shares, the last one active."""
    generations = generations or [[share(1), share(2)]]
    s = {"id": 1, "name": "web", "vip": VIP, "proto": "tcp", "port": PORT, "scheduler": "maglev", "deliver": world.deliver, "chain": False,
         "affinity": True, "limit": 0, "allow": [], "deny": [], "check": "none",
         "backends": [{"id": i + 1, "address": b.address, "port": world.backend_port} for i, b in enumerate(world.backends)],
         "generations": [{"number": i + 1, "shares": " ".join(g)} for i, g in enumerate(generations)]}
    return {**s, **changes}


def service6(world, **changes):
    addresses = [{"id": i + 1, "address": b.address6, "port": world.backend_port} for i, b in enumerate(world.backends)]
    return service(world, **{"id": 2, "name": "web6", "vip": VIP6, "backends": addresses, **changes})


class World:
    """A client, a balancer and two backends with their daemons, and the catalog's node."""

    deliver, backend_port, options = "ipip", PORT, ()

    def __init__(self):
        self.dir = tempfile.mkdtemp()
        self.net = Net()
        try:
            self.build()
        except BaseException:
            self.close()
            raise

    def build(self):
        self.client = self.net.host("cl", 100)
        self.balancer = self.net.host("lb", 10)
        self.backends = [self.net.host("be1", 1), self.net.host("be2", 2)]
        self.client.ip("route", "add", VIP, "via", self.balancer.address)
        self.client.ip("-6", "route", "add", VIP6, "via", self.balancer.address6)
        self.node = Node(self.dir)
        self.node.change(balancers=[self.balancer.address, self.balancer.address6])
        self.sides = []
        for b in self.backends:
            b.vip(VIP, VIP6)
            b.start(sys.executable, os.path.join(net.HERE, "serve.py"), b.name, str(PORT))
            self.sides.append(Daemon(b, self.node, "--backend"))
        self.lbd = Daemon(self.balancer, self.node)
        self.client.enter()

    def apply(self, services):
        """Until the catalog is in force everywhere and the way to every backend is known."""
        version = self.node.change(services=services)
        for d in (self.lbd, *self.sides):
            d.in_force(version)
        return version

    def restart(self):
        self.lbd = Daemon(self.balancer, self.node, *self.options)
        self.lbd.in_force(self.node.catalog["version"])

    def serving(self, vip=VIP):
        """Both backends answer: the neighbours are known by then."""
        def both():
            try:
                kept = flows(8, vip)
            except OSError:
                return False
            found = backends_of(kept)
            close(kept)
            return found == ["be1", "be2"]
        until(f"both backends answer on {vip}", both)

    def close(self):
        self.net.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def lb(w, *argv):
    return net.run(os.path.join(net.BIN, "holdfast"), "lb", *argv, "--interface", w.balancer.interface, "--json", check=False)


def explain(w, f):
    """What is said of a connection's later packets, and of its first one."""
    port = f.s.getsockname()[1]
    first, later = json.loads(lb(w, "explain", f"tcp {w.client.address}:{port} > {VIP}:{PORT}").stdout)
    return first, later


def refusal(host, node, *options, prefix=()):
    d = Daemon(host, node, *options, prefix=prefix)
    status = d.child.wait(timeout=net.DEADLINE_S)
    until("its last line", lambda: not d.child.stdout.closed and d.lines)
    return status, " ".join(d.lines)
