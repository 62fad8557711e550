# SPDX-License-Identifier: Apache-2.0
"""Two balancers on one LAN with a client, two backends and a node of a real cluster, whose VIPs are on the client's link; and a probe that asks
for link addresses as any host does, each time anew, so that an answer more than there should be is seen."""
import os, re, shutil, socket, struct, sys, tempfile, threading, time

import net
from flow import PORT, VIP, VIP6, backends_of, close, flows
from net import Daemon, Net, until

OTHER_VIP = "10.1.1.2"


class Probe:
    """Asks the LAN for an address and listens to all who answer or announce."""

    def __init__(self, host):
        with open("/proc/self/ns/net") as here:
            host.enter()
            self.arp = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
            self.arp.bind((host.interface, 0x0806))
            self.nd = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x86DD))
            self.nd.bind((host.interface, 0x86DD))
            net.enter(here.fileno())
        self.mac = self.arp.getsockname()[4]
        self.host = host
        self.heard = []  # (vip, MAC, whether it was asked for), in order
        self.news = threading.Condition()
        for s, read in ((self.arp, self.read_arp), (self.nd, self.read_nd)):
            threading.Thread(target=self.listen, args=(s, read), daemon=True).start()

    def listen(self, s, read):
        while True:
            try:
                found = read(s.recv(1500))
            except OSError:
                return  # its network has gone
            if found:
                with self.news:
                    self.heard.append((*found, time.monotonic()))
                    self.news.notify_all()

    @staticmethod
    def read_arp(frame):
        op, mac, ip, target = struct.unpack("!6x H 6s 4s 6x 4s", frame[14:42])
        if op == 2 or ip == target:
            return socket.inet_ntoa(ip), mac, op == 2

    @staticmethod
    def read_nd(frame):
        if frame[20] != 58 or frame[54] != 136:
            return None
        ok = frame[21] == 255 and frame[78:80] == b"\x02\x01" and icmp6_sum(frame[14:]) == 0
        return socket.inet_ntop(socket.AF_INET6, frame[62:78]), frame[80:86] if ok else b"", bool(frame[58] & 0x40)

    def ask(self, vip):
        if ":" not in vip:
            packet = struct.pack("!HHBBH6s4s6x4s", 1, 0x0800, 6, 4, 1, self.mac, socket.inet_aton(self.host.address), socket.inet_aton(vip))
            self.arp.send(b"\xff" * 6 + self.mac + b"\x08\x06" + packet)
            return
        target = socket.inet_pton(socket.AF_INET6, vip)
        group = bytes.fromhex("ff0200000000000000000001ff") + target[13:]
        self.send_nd(socket.inet_pton(socket.AF_INET6, self.host.address6), group, b"\x87\0\0\0\0\0\0\0" + target + b"\x01\x01" + self.mac)

    def announce(self, vip):
        """As if this were the VIP's owner."""
        if ":" not in vip:
            address = socket.inet_aton(vip)
            self.arp.send(b"\xff" * 6 + self.mac + b"\x08\x06" + struct.pack("!HHBBH6s4s6x4s", 1, 0x0800, 6, 4, 1, self.mac, address, address))
            return
        target = socket.inet_pton(socket.AF_INET6, vip)
        self.send_nd(target, bytes.fromhex("ff02") + bytes(13) + b"\x01", b"\x88\0\0\0\x20\0\0\0" + target + b"\x02\x01" + self.mac)

    def send_nd(self, source, group, message):
        head = struct.pack("!IHBB", 6 << 28, len(message), 58, 255) + source + group
        message = message[:2] + struct.pack("!H", icmp6_sum(head + message)) + message[4:]
        self.nd.send(b"\x33\x33" + group[12:] + self.mac + b"\x86\xdd" + head + message)

    def answers(self, vip, from_s=0.3):
        """The link addresses of all who answer. The time is for one who shouldn't."""
        with self.news:
            self.heard.clear()
        self.ask(vip)
        with self.news:
            self.news.wait_for(lambda: False, timeout=from_s)
            return {mac for v, mac, asked, _ in self.heard if v == vip and asked}

    def announced(self, vip):
        with self.news:
            return {mac for v, mac, asked, _ in self.heard if v == vip and not asked}

    def forget(self):
        with self.news:
            self.heard.clear()


def icmp6_sum(packet):
    """Of an IPv6 packet that ends with its ICMPv6 message; 0 if it is right."""
    size = struct.unpack("!H", packet[4:6])[0]
    words = packet[8:40] + struct.pack("!II", size, 58) + packet[40:40 + size]
    total = sum(struct.unpack(f"!{len(words) // 2}H", words))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class World:
    """A client, two balancers, two backends, and a node; the VIPs are on the client's link."""

    def __init__(self):
        self.dir = tempfile.mkdtemp()
        self.net = Net()
        self.lbd = None
        try:
            self.build()
        except BaseException:
            self.close()
            raise

    def build(self):
        self.client = self.net.host("cl", 100)
        self.probe = Probe(self.net.host("pr", 101))
        self.balancers = [self.net.host("lb", 10), self.net.host("lb2", 11)]
        self.backends = [self.net.host("be1", 1), self.net.host("be2", 2)]
        for vip in (VIP, OTHER_VIP):
            self.client.ip("route", "add", vip, "dev", self.client.interface)
        self.client.ip("-6", "route", "add", VIP6, "dev", self.client.interface)
        self.node = net.RealNode(self.net.host("nd", 20), self.dir)
        for b in self.backends:
            b.vip(VIP, VIP6)
            b.start(sys.executable, os.path.join(net.HERE, "serve.py"), b.name, str(PORT))
        self.macs = {self.mac(b): b.name for b in self.balancers}
        self.ports = [b.interface for b in self.balancers]
        self.daemons = [self.start_balancer(i) for i in range(2)]
        self.lbd = self.daemons[0]
        self.client.enter()

    def start_balancer(self, i, *options):
        return Daemon(self.balancers[i], self.node, *options)

    @staticmethod
    def mac(host):
        return bytes.fromhex(re.search(r"link/ether (\S+)", host.ip("link", "show", host.interface).stdout)[1].replace(":", ""))

    def leases(self, count):
        until(f"{count} have a lease", lambda: len(self.node.get("/v1/lb/leases")["leases"]) == count)

    def serve(self, balancers=2):
        """One service for each family and a second VIP."""
        self.leases(balancers)
        for name, vip in (("web", VIP), ("web6", VIP6), ("other", OTHER_VIP)):
            self.node.say("service", "add", name, "--vip", vip, "--proto", "tcp", "--port", str(PORT), "--deliver", "dsr")
        for b in self.backends:
            self.node.say("backend", "add", "web", b.address)
            self.node.say("backend", "add", "web6", b.address6)

    def owner(self, name="web"):
        """The host that the catalog says; None: nobody."""
        s = next(s for s in self.node.get("/v1/services")["services"] if s["name"] == name)
        return next((b for b, port in zip(self.balancers, self.ports) if s.get("owner", {}).get("id", "").endswith(f"/{port}")), None)

    def answering(self, vip):
        return sorted(self.macs.get(mac, "a stranger") for mac in self.probe.answers(vip))

    def serving(self, vip):
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


def pick(w, name="web"):
    """The owner and the other one, each with its daemon."""
    owner = until("the VIP has an owner", lambda: w.owner(name))
    i = w.balancers.index(owner)
    return (owner, w.daemons[i]), (w.balancers[1 - i], w.daemons[1 - i])


def unmoved(kept):
    """be1 had all slots before be2 came: the slots that it still has never moved, so its flows need no table ([slot])."""
    return [f for f in kept if f.backend == "be1"]
