# SPDX-License-Identifier: Apache-2.0
"""A client of the Redis protocol that sees bytes: requests as they are sent, whole replies as they came."""
import socket

DEADLINE_S = 30


class Closed(Exception):
    pass


class Conn:
    def __init__(self, port, timeout=DEADLINE_S):
        self.s = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = b""

    def close(self):
        self.s.close()

    def send(self, *args):
        self.raw(encode(args))

    def raw(self, data):
        self.s.sendall(data)

    def fill(self):
        try:
            more = self.s.recv(1 << 16)
        except ConnectionResetError:
            more = b""
        if not more:
            raise Closed
        self.buf += more

    def line(self, at):
        while True:
            end = self.buf.find(b"\r\n", at)
            if end >= 0:
                return end + 2
            self.fill()

    def whole(self, at):
        """The offset behind the reply that begins at `at`."""
        end = self.line(at)
        kind, head = self.buf[at:at + 1], self.buf[at + 1:end - 2]
        if kind in b"$=":
            n = int(head)
            if n < 0:
                return end
            while len(self.buf) < end + n + 2:
                self.fill()
            return end + n + 2
        if kind in b"*~%>":
            n = int(head) * (2 if kind == b"%" else 1)
            for _ in range(max(n, 0)):
                end = self.whole(end)
        return end

    def reply(self):
        end = self.whole(0)
        out, self.buf = self.buf[:end], self.buf[end:]
        return out

    def ask(self, *args):
        self.send(*args)
        return self.reply()

    def rest(self):
        """Everything until the other side closes."""
        try:
            while True:
                self.fill()
        except Closed:
            out, self.buf = self.buf, b""
            return out


def encode(args):
    out = b"*%d\r\n" % len(args)
    for a in args:
        a = a if isinstance(a, bytes) else str(a).encode("latin-1")
        out += b"$%d\r\n%s\r\n" % (len(a), a)
    return out
