# SPDX-License-Identifier: Apache-2.0
"""Connections through a VIP that are kept, and how many of them broke."""
import socket, struct, threading, time

import net

VIP, VIP6, PORT = "10.1.1.1", "fd01::1", 8080


class Flow:
    """A connection through a VIP that is kept."""

    def __init__(self, vip=VIP, source="", port=0):
        self.s = socket.create_connection((vip, PORT), timeout=net.DEADLINE_S, source_address=(source, port))
        self.port = self.s.getsockname()[1]
        self.backend = self.name()

    def ask(self):
        self.s.sendall(b"name\n")

    def name(self):
        self.ask()
        return self.line()

    def line(self):
        line = b""
        while not line.endswith(b"\n"):
            more = self.s.recv(100)
            if not more:
                raise ConnectionError("closed")
            line += more
        return line.decode().strip()

    def peer(self):
        self.s.sendall(b"peer\n")
        return self.line()

    def take(self, size):
        got = b""
        while len(got) < size:
            more = self.s.recv(65536)
            if not more:
                raise ConnectionError("closed")
            got += more
        return got

    def close(self):
        self.s.close()

    def reset(self):
        """Ends it so that its port is free at once, on both sides."""
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.s.close()


class Download(threading.Thread):
    """Takes bytes slowly enough to last over a case, and counts them."""

    def __init__(self, host, size):
        super().__init__(daemon=True)
        self.host, self.size, self.got, self.go, self.error = host, size, 0, threading.Event(), None
        self.step = threading.Condition()
        self.start()

    def run(self):
        try:
            self.host.enter()
            flow = Flow()
            flow.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            flow.s.sendall(f"give {self.size}\n".encode())
            while self.got < self.size:
                more = len(flow.s.recv(4096))
                if not more:
                    raise ConnectionError("closed")
                with self.step:
                    self.got += more
                    self.step.notify_all()
                if not self.go.is_set() and self.got > self.size // 2:
                    self.go.wait(0.001)
        except OSError as e:
            with self.step:
                self.error = e
                self.step.notify_all()

    def more(self, size=50_000):
        """Until so many bytes more arrived, or it broke."""
        with self.step:
            at = min(self.got + size, self.size)
            return self.step.wait_for(lambda: self.error or self.got >= at, timeout=net.DEADLINE_S) and not self.error

    def finish(self):
        self.go.set()
        self.join(timeout=net.DEADLINE_S)
        return self.error is None and self.got == self.size


def flows(count, vip=VIP):
    return [Flow(vip) for _ in range(count)]


def broken(kept):
    """How many are not answered by their own backend; all are asked first, so that those that hang do so together."""
    lost, end = set(), time.monotonic() + net.DEADLINE_S
    for step in ("ask", "line"):
        for f in kept:
            f.s.settimeout(max(0.01, end - time.monotonic()))
            try:
                if getattr(f, step)() not in (None, f.backend):
                    lost.add(f)
            except OSError:
                lost.add(f)
    return len(lost)


class Beginning(threading.Thread):
    """Connections that begin one after the other as long as a with statement runs."""

    def __init__(self):
        super().__init__(daemon=True)
        self.ends, self.kept, self.failed = threading.Event(), [], 0

    def run(self):
        while not self.ends.is_set():
            try:
                self.kept.append(Flow())
            except OSError:
                self.failed += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        self.join(timeout=net.DEADLINE_S)

    def count(self):
        return len(self.kept)

    def broken(self):
        return self.failed + broken(self.kept)


def close(kept):
    for f in kept:
        f.close()


def backends_of(kept):
    return sorted({f.backend for f in kept})
