#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A relay between nodes that can be told to stop forwarding. Its own process, so that the load doesn't slow it.

relay.py A.B=LISTEN>TARGET ...     node A dials node B through LISTEN, a port or an address, which leads to TARGET

It takes lines on stdin and answers each with "ok":
    block A B     nothing that A sends reaches B: bytes wait, no connection is closed (a black hole, not a reset)
    pass A B      let it through again, what waited first
    close         end every connection; new ones are taken
It ends with its stdin.
"""

import selectors
import socket
import sys

PIECE = 1 << 18


def split(address):
    host, port = address.rsplit(":", 1)
    return host.strip("[]"), int(port)


def open_socket(address):
    s = socket.socket(socket.AF_INET6 if ":" in split(address)[0] else socket.AF_INET)
    s.setblocking(False)
    return s


class Pipe:
    """Bytes from one socket to another, one direction of a link."""

    def __init__(self, relay, source, target, sender, receiver):
        self.relay, self.source, self.target = relay, source, target
        self.way = (sender, receiver)
        self.waiting = b""
        self.ended = False

    def open(self):
        return self.way not in self.relay.blocked

    def pump(self):
        """Moves what can be moved; False when the link is done."""
        while self.open():
            if not self.waiting and not self.ended:
                try:
                    self.waiting = self.source.recv(PIECE)
                except BlockingIOError:
                    return True
                except OSError:
                    self.ended = True
                self.ended |= not self.waiting
            if not self.waiting:
                return False
            try:
                sent = self.target.send(self.waiting)
            except BlockingIOError:
                return True
            except OSError:
                return False
            self.waiting = self.waiting[sent:]
        return True


class Link:
    """One connection through the relay."""

    def __init__(self, relay, accepted, dialler, listener, target):
        accepted.setblocking(False)
        self.relay, self.accepted, self.far = relay, accepted, open_socket(target)
        for s in (self.accepted, self.far):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pipes = (Pipe(relay, accepted, self.far, dialler, listener), Pipe(relay, self.far, accepted, listener, dialler))
        self.connected = False
        self.far.connect_ex(split(target))
        relay.links.add(self)
        self.watch()

    def watch(self):
        """Asks for the events that the two pipes can use now."""
        there, back = self.pipes
        for s, reading, writing in ((self.accepted, there, back), (self.far, back, there)):
            events = 0
            if self.connected and reading.open() and not reading.waiting:
                events |= selectors.EVENT_READ
            if not self.connected and s is self.far or self.connected and writing.open() and writing.waiting:
                events |= selectors.EVENT_WRITE
            self.relay.want(s, events, self)

    def ready(self):
        if not self.connected:
            if self.far.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self.close()
                return
            self.connected = True
        if all([p.pump() for p in self.pipes]):
            self.watch()
        else:
            self.close()

    def close(self):
        for s in (self.accepted, self.far):
            self.relay.want(s, 0, self)
            s.close()
        self.relay.links.discard(self)


class Relay:
    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.blocked, self.links, self.listening = set(), set(), []

    def want(self, s, events, who):
        known = s in self.selector.get_map()
        if events and known:
            self.selector.modify(s, events, who)
        elif events:
            self.selector.register(s, events, who)
        elif known:
            self.selector.unregister(s)

    def listen(self, text):
        way, rest = text.split("=")
        at, target = rest.split(">")
        s = open_socket(at)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(split(at))
        s.listen(64)
        self.listening.append((s, tuple(map(int, way.split("."))), target))
        self.want(s, selectors.EVENT_READ, len(self.listening) - 1)

    def accept(self, which):
        s, (dialler, listener), target = self.listening[which]
        Link(self, s.accept()[0], dialler, listener, target)

    def command(self, words):
        if words[0] == "close":
            for link in list(self.links):
                link.close()
        elif words[0] in ("block", "pass"):
            way = (int(words[1]), int(words[2]))
            (self.blocked.add if words[0] == "block" else self.blocked.discard)(way)
            for k, (s, (dialler, listener), _) in enumerate(self.listening):
                # A handshake needs both ways: new connections wait in the listener's backlog.
                cut = (dialler, listener) in self.blocked or (listener, dialler) in self.blocked
                self.want(s, 0 if cut else selectors.EVENT_READ, k)
            for link in list(self.links):
                if link.connected:
                    link.ready()

    def run(self):
        rest = b""
        self.want(sys.stdin.buffer.raw, selectors.EVENT_READ, None)
        while True:
            for key, _ in self.selector.select():
                if isinstance(key.data, Link):
                    if key.data in self.links:
                        key.data.ready()
                elif key.data is None:
                    piece = sys.stdin.buffer.raw.read(4096)
                    if not piece:
                        return
                    *lines, rest = (rest + piece).split(b"\n")
                    for line in lines:
                        self.command(line.decode().split())
                        print("ok", flush=True)
                else:
                    self.accept(key.data)



if __name__ == "__main__":
    relay = Relay()
    for argument in sys.argv[1:]:
        relay.listen(argument)
    print("ok", flush=True)
    relay.run()
