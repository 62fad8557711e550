# SPDX-License-Identifier: Apache-2.0
"""Two balancers whose VIPs are routes: a BIRD beside each tells them to that of a router, by BGP."""
import os, re, shutil

import lan, net, suite
from flow import VIP, VIP6
from lan import OTHER_VIP
from net import until

HOLD_S = 240  # for which a peer may be silent: what BIRD takes unless told


class Bird:
    """BIRD on a host, with its control socket, and its include file for holdfast-lbd."""

    def __init__(self, world, host, peers, hold_s=HOLD_S):
        self.host, self.hold_s, base = host, hold_s, os.path.join(world.dir, host.name)
        self.conf, self.control, self.include = f"{base}.conf", f"{base}.ctl", f"{base}-vips.conf"
        with open(self.conf, "w") as f:
            f.write(f"router id {host.address};\nprotocol device {{ }}\n{self.rest(peers)}")
        self.start()

    def start(self):
        self.child = self.host.start("bird", "-f", "-c", self.conf, "-s", self.control)

    def session(self, peer, ours, theirs, channel):
        name, fast = peer.name, f"hold time {self.hold_s}; connect delay time 1; connect retry time 1; error wait time 1, 1;"
        return "".join(f"protocol bgp {name}_{v} {{ {fast} local {mine} as {ours}; neighbor {other} as {theirs}; ipv{v} {{ {channel(v)} }}; }}\n"
                       for v, mine, other in ((4, self.host.address, peer.address), (6, self.host.address6, peer.address6)))


class BalancerBird(Bird):
    def rest(self, peers):
        return f'include "{self.include[:-1]}[f]";\n' + "".join(
            self.session(p, 65000, 65001, lambda v: f'import none; export where proto = "holdfast{v}";') for p in peers)


class RouterBird(Bird):
    def rest(self, peers):
        kernel = "".join(f"protocol kernel {{ merge paths on; ipv{v} {{ export all; }}; }}\n" for v in (4, 6))
        return kernel + "".join(self.session(p, 65001, 65000, lambda v: "import all; export none;") for p in peers)


class RoutedWorld(lan.World):
    """That LAN with a router between the client and the balancers, which learns the VIPs by BGP."""

    hold_s = HOLD_S

    def build(self):
        if not shutil.which("bird"):
            raise suite.Skip("there is no bird (make test-deps)")
        super().build()
        self.router = self.net.host("rt", 50)
        self.router.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.send_redirects=0",
                        f"net.ipv4.conf.{self.router.interface}.send_redirects=0")
        net.hash_packets(self.router)
        for vip in (VIP, OTHER_VIP):
            self.client.ip("route", "replace", vip, "via", self.router.address)
        self.client.ip("-6", "route", "replace", VIP6, "via", self.router.address6)
        for d in self.daemons:
            d.kill()
        self.birds = [BalancerBird(self, b, [self.router]) for b in self.balancers]
        self.upstream = RouterBird(self, self.router, self.balancers, self.hold_s)
        self.daemons = [self.balance(i) for i in range(2)]

    def balance(self, i, *options):
        bird = self.birds[i]
        self.daemons[i] = self.lbd = self.start_balancer(i, "--bird", bird.include, "--bird-socket", bird.control, *options)
        return self.daemons[i]

    def ways(self, vip):
        """The balancers that the router sends a VIP's packets to."""
        said = self.router.ip("-6" if ":" in vip else "-4", "route", "show", vip).stdout
        return sorted(b.name for b in self.balancers if re.search(rf"via ({b.address}|{re.escape(b.address6)}) ", said))

    def routed(self, what, *names):
        for vip in (VIP, VIP6):
            until(f"{what}: {vip} by {names}", lambda: self.ways(vip) == list(names))
