# SPDX-License-Identifier: Apache-2.0
"""Connections that a test keeps while something happens to the network, in three states: idle, with data in both directions all the time,
and in the middle of their handshake. Each kind says afterwards which of its connections broke.

A connection knows its `service` and the name of its `backend`; it is broken when it ends, or when it isn't answered in time.

They come from many clients, each from the next one's address: where a client is known by its address alone, they still are not all one backend's.
"""
import collections, ipaddress, itertools, socket, struct, threading, time

import net

BLOCK = 2000  # bytes: two packets


CLIENTS = 64


def family_of(service):
    return 6 if ":" in service.vip else 4


def clients(networks):
    """By family, the addresses of that network that are clients', in turn and for ever."""
    return {v: itertools.cycle([str(ipaddress.ip_network(n)[i]) for i in range(1, CLIENTS + 1)]) for v, n in networks.items()}


class Connection:
    why = None  # it broke

    def __init__(self, service, client):
        self.service = service
        self.s = socket.create_connection((service.vip, service.port), timeout=net.DEADLINE_S, source_address=(client, 0))
        self.backend = ""
        self.send(b"name\n")
        while not self.backend.endswith("\n"):
            self.backend += self.receive(100).decode()
        self.backend = self.backend.strip()

    def send(self, data):
        self.s.sendall(data)

    def receive(self, size):
        data = self.s.recv(size)
        if not data:
            raise ConnectionError("closed")
        return data

    def ask(self):
        self.send(b"echo %d\n" % BLOCK + b"z" * BLOCK)

    def answered(self):
        missing = BLOCK
        while missing:
            missing -= len(self.receive(missing))


def exchange(kept):
    """A block there and back on each; those that broke. All send first, so that those that hang do so together."""
    lost, end = set(), time.monotonic() + net.DEADLINE_S
    for step in ("ask", "answered"):
        for c in kept:
            if c not in lost:
                c.s.settimeout(max(0.01, end - time.monotonic()))
                try:
                    getattr(c, step)()
                except OSError as e:
                    lost.add(c)
                    c.why = f"{step} {c.s.getsockname()[:2]} of {c.backend}: {e}"
    return lost


class Idle:
    kind = "idle"

    def __init__(self, services, count, sources):
        """sources: as clients() has them, of addresses that this host sends from."""
        self.kept = [Connection(s, next(sources[family_of(s)])) for s in services for _ in range(count)]

    def began(self):
        """The event is about to happen."""

    def broken(self):
        return exchange(self.kept)

    def close(self):
        for c in self.kept:
            c.s.close()


class Busy(Idle):
    kind = "long-lived"

    def began(self):
        self.lost, self.rounds, self.done, self.turned = set(), 0, False, threading.Condition()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        self.turns(2)

    def run(self):
        while not self.done:
            self.lost |= exchange([c for c in self.kept if c not in self.lost])
            with self.turned:
                self.rounds += 1
                self.turned.notify_all()

    def turns(self, count):
        with self.turned:
            at = self.rounds + count
            self.turned.wait_for(lambda: self.rounds >= at)

    def broken(self):
        self.turns(2)  # one that began after the event
        self.done = True
        self.thread.join()
        return self.lost


# ---- handshakes ----

SYN, RST, ACK = 2, 4, 16
ETH_P_ALL = 3
# <linux/if_packet.h>, <asm-generic/socket.h>
SOL_PACKET, PACKET_STATISTICS, SO_RCVBUFFORCE = 263, 6, 33
FAMILIES, ETHERTYPES = {4: socket.AF_INET, 6: socket.AF_INET6}, {4: b"\x08\x00", 6: b"\x86\xdd"}
TCP = struct.Struct("!HHIIBBHHH")
IP4 = struct.Struct("!BBHHHBBH4s4s")
IP6 = struct.Struct("!IHBB16s16s")


def internet_sum(data):
    """RFC 1071."""
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def packet(src, dst, sport, dport, seq, ack, flags, data=b""):
    """TCP in IPv4 or IPv6, by the length of the addresses."""
    size = TCP.size + len(data)
    pseudo = src + dst + struct.pack("!II", size, socket.IPPROTO_TCP)
    head = (sport, dport, seq, ack, 5 << 4, flags, 65535)
    tcp = TCP.pack(*head, internet_sum(pseudo + TCP.pack(*head, 0, 0) + data), 0) + data
    if len(src) == 16:
        return IP6.pack(6 << 28, size, socket.IPPROTO_TCP, 64, src, dst) + tcp
    ip = (0x45, 0, IP4.size + size, 0, 0x4000, 64, socket.IPPROTO_TCP)
    return IP4.pack(*ip, internet_sum(IP4.pack(*ip, 0, src, dst)), src, dst) + tcp


class Handshake:
    """A connection of which the client has the SYN-ACK, and has not answered it."""

    def __init__(self, service, client, port):
        family = FAMILIES[family_of(service)]
        self.source, self.vip = socket.inet_pton(family, client), socket.inet_pton(family, service.vip)
        self.service, self.port, self.seq, self.ack = service, port, 1000, None
        self.backend = None
        self.answer = None  # True once it was answered, False once it was reset

    @property
    def why(self):
        return f"port {self.port} of {self.backend}: {'not answered' if self.answer is None else 'reset, or answered by another one'}"


# host: whose interface is used; gateway: the next hop to the services; sources: as clients() has them, of clients that don't exist.
Wire = collections.namedtuple("Wire", "host gateway backends sources")
TTL_STEP = 50


def mark_by_ttl(backends):
    """What the backends send says by its TTL who did, whatever has been rewritten on its way."""
    for i, b in enumerate(backends, 1):
        b.run("sysctl", "-qw", f"net.ipv4.ip_default_ttl={TTL_STEP * i}", f"net.ipv6.conf.{b.interface}.hop_limit={TTL_STEP * i}")


class Handshakes:
    """Packets are made here, from addresses that no kernel has, so that nobody answers a SYN-ACK before we do. What comes back shows by
    its TTL which backend sent it (mark_by_ttl()). Nobody reads while the event happens, and a small packet counts as several KiB: there is
    room for what all of them bring until then, or it is said that there wasn't."""
    kind = "mid-handshake"
    room = 128 << 20  # bytes
    used = 0  # ports, so that no two handshakes of a run share one

    def __init__(self, services, count, wire):
        self.names = [b.name for b in wire.backends]
        self.link = wire.gateway.link_address() + wire.host.link_address()
        with net.inside(wire.host):
            self.s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            self.s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, self.room)
            self.s.bind((wire.host.interface, ETH_P_ALL))
        self.kept = []
        for s in services:
            for _ in range(count):
                Handshakes.used += 1
                self.kept.append(Handshake(s, next(wire.sources[family_of(s)]), 10000 + Handshakes.used % 50000))
        self.by_ports = {(h.service.port, h.port): h for h in self.kept}
        self.until(lambda h: h.ack is None, self.send_syn)

    def send(self, h, *rest):
        self.s.send(self.link + ETHERTYPES[family_of(h.service)] + packet(h.source, h.vip, h.port, h.service.port, *rest))

    def send_syn(self, h):
        self.send(h, h.seq, 0, SYN)

    def send_name(self, h):
        self.send(h, h.seq + 1, h.ack, ACK, b"name\n")

    def until(self, waits, send):
        """Sends for those that wait, and again after a second, until none does or time is up."""
        end = time.monotonic() + net.DEADLINE_S
        while (missing := [h for h in self.kept if waits(h)]) and time.monotonic() < end:
            for h in missing:
                send(h)
            again = time.monotonic() + 1
            while any(waits(h) for h in missing) and time.monotonic() < again:
                self.receive(again)

    def receive(self, end):
        self.s.settimeout(max(0.01, end - time.monotonic()))
        try:
            frame = self.s.recv(2000)
        except TimeoutError:
            return
        l3 = {ETHERTYPES[4]: IP4, ETHERTYPES[6]: IP6}.get(frame[12:14])
        if not l3 or frame[14 + (6 if l3 is IP6 else 9)] != socket.IPPROTO_TCP:
            return
        sport, dport, seq, ack, _, flags, *_ = TCP.unpack_from(frame, 14 + l3.size)
        h, ttl = self.by_ports.get((sport, dport)), frame[14 + (7 if l3 is IP6 else 8)]
        if h and frame[:6] == self.link[6:]:
            self.take(h, self.names[(ttl - 1) // TTL_STEP], seq, ack, flags)

    def take(self, h, sender, seq, ack, flags):
        if flags & RST:
            h.answer = False
        elif flags & SYN and h.ack is None:
            h.ack, h.backend = seq + 1 & 0xffffffff, sender
        elif not flags & SYN and ack == h.seq + 1 + len(b"name\n") and seq == h.ack:
            h.answer = sender == h.backend

    def began(self):
        """The event is about to happen."""

    def dropped(self):
        """How many packets the kernel had no room for since this was asked last."""
        _, count = struct.unpack("=II", self.s.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        return count

    def broken(self):
        self.until(lambda h: h.answer is None, self.send_name)
        if dropped := self.dropped():
            raise RuntimeError(f"{dropped} packets came that were never looked at: what broke can't be told")
        return {h for h in self.kept if not h.answer}

    def close(self):
        for h in self.kept:
            if h.ack is not None:
                self.send(h, h.seq + 1 + len(b"name\n") * bool(h.answer), h.ack, RST | ACK)
        self.s.close()
