# SPDX-License-Identifier: Apache-2.0
"""Clients that write down what they did: a small RESP client, the load, and the probes of a fault."""

import random
import select
import socket
import threading
import time

from check import FAIL, OK, UNKNOWN, Op, check

REGISTERS = ["r%d" % i for i in range(5)]
COUNTERS = ["c%d" % i for i in range(3)]


class Gone(Exception):
    """The connection ended or fell silent before the reply: an unknown outcome."""


class Refused(Exception):
    """An error reply."""


class Connection:
    def __init__(self, address, timeout=3.0):
        host, port = address.rsplit(":", 1)
        self.data = b""
        try:
            self.socket = socket.create_connection((host.strip("[]"), int(port)), timeout)
            self.socket.settimeout(timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as e:
            raise Gone(str(e))

    def close(self):
        self.socket.close()

    def send(self, *commands):
        out = []
        for command in commands:
            out.append(b"*%d\r\n" % len(command))
            for word in command:
                word = word if isinstance(word, bytes) else str(word).encode()
                out.append(b"$%d\r\n%s\r\n" % (len(word), word))
        try:
            self.socket.sendall(b"".join(out))
        except OSError as e:
            raise Gone(str(e))

    def _more(self):
        try:
            piece = self.socket.recv(65536)
        except OSError as e:
            raise Gone(str(e))
        if not piece:
            raise Gone("closed")
        self.data += piece

    def reply(self):
        """A string ('' for nil) or an integer as a string; raises Refused or Gone."""
        while b"\r\n" not in self.data:
            self._more()
        line, self.data = self.data.split(b"\r\n", 1)
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            raise Refused(rest.decode(errors="replace"))
        if kind in b"+:":
            return rest.decode()
        if kind == b"_" or rest == b"-1":
            return ""
        assert kind == b"$", line
        size = int(rest)
        while len(self.data) < size + 2:
            self._more()
        value, self.data = self.data[:size], self.data[size + 2:]
        return value.decode()

    def call(self, *command):
        self.send(command)
        return self.reply()


def record(connection, history, where, *wanted):
    """Sends wanted operations, (kind, key, argument) each, in one pipeline, and adds what came of them to history."""
    ops = []
    commands = []
    for kind, key, arg in wanted:
        ops.append(Op(key, kind, arg, outcome=UNKNOWN, where=where))
        commands.append((kind, key) if arg is None else (kind, key, arg))
    called = time.monotonic_ns()
    for o in ops:
        o.called = called
    history.extend(ops)
    connection.send(*commands)
    for o in ops:
        try:
            o.result = connection.reply()
            o.outcome = OK
        except Refused as e:
            o.result = str(e)
            o.outcome = FAIL
        o.returned = time.monotonic_ns()
    return ops


class Client(threading.Thread):
    """One client. It stays with its node, or (a nomad) goes to the next one after an error."""

    def __init__(self, load, number):
        super().__init__(daemon=True)
        self.load, self.number = load, number
        self.node = number % len(load.stores)
        self.nomad = number >= len(load.stores)
        self.random = random.Random(number)
        self.history = []  # of the keys that all share
        self.own = []      # pipelines on this client's own key, a list of operations each
        self.unique = []   # writes of keys that are written once
        self.serial = 0
        self.acked = 0

    def value(self):
        self.serial += 1
        return "%d.%d" % (self.number, self.serial)

    def turn(self, connection):
        where = "client %d n%d" % (self.number, self.node + 1)
        dice = self.random.random()
        if dice < 0.3:
            ops = record(connection, self.history, where, ("set", self.random.choice(REGISTERS), self.value()))
        elif dice < 0.6:
            ops = record(connection, self.history, where, ("get", self.random.choice(REGISTERS + COUNTERS), None))
        elif dice < 0.72:
            ops = record(connection, self.history, where, ("incr", self.random.choice(COUNTERS), None))
        elif dice < 0.8:
            # In one pipeline, on a key that nobody else writes: the read must see the second write.
            key, pipeline = "own%d" % self.number, []
            self.own.append(pipeline)
            ops = record(connection, pipeline, where, ("set", key, self.value()), ("set", key, self.value()), ("get", key, None))
        else:
            value = self.value()
            ops = record(connection, self.unique, where, ("set", "u:" + value, "v" + value + "x" * self.random.randrange(200)))
        self.acked += sum(o.outcome == OK and o.kind != "get" for o in ops)
        return all(o.outcome == OK for o in ops)

    def run(self):
        connection = None
        while not self.load.ending:
            try:
                if connection is None:
                    connection = Connection(self.load.stores[self.node], self.load.timeout)
                if self.turn(connection):
                    continue
            except Gone:
                if connection:
                    connection.close()
                connection = None
            if self.nomad:
                if connection:
                    connection.close()
                connection = None
                self.node = (self.node + 1) % len(self.load.stores)
            self.load.pause.wait(0.01)  # don't spin on a node that refuses
        if connection:
            connection.close()


class Load:
    """Two clients for each node: one that stays with it and one that moves on."""

    def __init__(self, stores, timeout=3.0):
        self.stores, self.timeout = stores, timeout
        self.ending = False
        self.pause = threading.Event()
        self.probes = []
        self.clients = [Client(self, i) for i in range(2 * len(stores))]
        for c in self.clients:
            c.start()

    def acked(self):
        return sum(c.acked for c in self.clients)

    def wait_acked(self, more=300, timeout=30.0):
        """Until so many more writes are acknowledged: the proof that the cluster serves."""
        goal, deadline = self.acked() + more, time.monotonic() + timeout
        while self.acked() < goal:
            if time.monotonic() > deadline:
                raise AssertionError("%d of %d writes acknowledged within %g s" % (self.acked() - goal + more, more, timeout))
            self.pause.wait(0.005)

    def write_once(self, key):
        """One acknowledged write, through the first node, that the verdict will look for; only once the load has stopped."""
        connection = Connection(self.stores[0], self.timeout)
        op, = record(connection, self.clients[0].unique, "at the end", ("set", key, key))
        connection.close()
        if op.outcome != OK:
            raise AssertionError("refused: %r" % op)

    def run_for(self, seconds):
        self.pause.wait(seconds)

    def stop(self):
        self.ending = True
        for c in self.clients:
            c.join()

    # Probes are sent and answered apart, so that a fault can lie between.
    def send_probes(self, node, connections):
        sent = []
        for key, connection in zip(REGISTERS + COUNTERS, connections):
            o = Op(key, "get", outcome=UNKNOWN, called=time.monotonic_ns(), where="probe n%d" % (node + 1))
            self.probes.append(o)
            connection.send(("get", key))
            sent.append((o, connection))
        return sent

    def watch(self, node, seconds):
        """Reads every key through one node all the while, each on a connection of its own: one that waits stops no other."""
        connections, pending, end = {}, {}, time.monotonic() + seconds
        while time.monotonic() < end:
            for key in REGISTERS + COUNTERS:
                if key not in pending:
                    if key not in connections:
                        connections[key] = Connection(self.stores[node], 5.0)
                    pending[key] = Op(key, "get", outcome=UNKNOWN, called=time.monotonic_ns(), where="watch n%d" % (node + 1))
                    self.probes.append(pending[key])
                    connections[key].send(("get", key))
            answered = select.select([connections[key].socket for key in pending], [], [], 0.02)[0]
            for key in [k for k in pending if connections[k].socket in answered]:
                self.take_reply(pending.pop(key), connections[key])
            self.pause.wait(0.003)
        for connection in connections.values():
            connection.close()

    @staticmethod
    def take_reply(o, connection):
        try:
            o.result = connection.reply()
            o.outcome = OK
        except Refused as e:
            o.result, o.outcome = str(e), FAIL
        except Gone:
            pass
        o.returned = time.monotonic_ns()

    @staticmethod
    def take_probes(sent):
        for o, connection in sent:
            Load.take_reply(o, connection)
            connection.close()

    def counts(self):
        ops = [o for c in self.clients for o in c.history + c.unique + [o for p in c.own for o in p]]
        return "%d ok, %d refused, %d unknown" % tuple(sum(o.outcome == x for o in ops) for x in (OK, FAIL, UNKNOWN))

    # ---- the verdict ----

    def verify(self):
        """Reads everything back through every node; a list of complaints."""
        bad, history = [], self.probes + [o for c in self.clients for o in c.history]
        for node, address in enumerate(self.stores):
            connection = Connection(address, 10.0)
            where = "at the end, n%d" % (node + 1)
            for key in REGISTERS + COUNTERS:
                record(connection, history, where, ("get", key, None))
            bad += self.verify_unique(connection, node)
            for c in self.clients:
                pipeline = []
                record(connection, pipeline, where, ("get", "own%d" % c.number, None))
                history += pipeline
            connection.close()
        for c in self.clients:
            bad += self.verify_order(c)
            history += [o for p in c.own for o in p]
        return bad + check(history)

    def verify_unique(self, connection, node):
        bad, ops = [], [o for c in self.clients for o in c.unique]
        for at in range(0, len(ops), 500):
            some = ops[at:at + 500]
            connection.send(*[("get", o.key) for o in some])
            for o in some:
                found = connection.reply()
                if found != o.arg if o.outcome == OK else found not in ("", o.arg) if o.outcome == UNKNOWN else found:
                    bad.append("%s read through n%d is %r; its write: %r" % (o.key, node + 1, found[:40], o))
        if len(bad) > 5:
            bad[5:] = ["and %d more" % (len(bad) - 5)]
        return bad

    @staticmethod
    def verify_order(c):
        """A pipeline's read sees its own last write, or an older one of unknown outcome that came late."""
        bad, late = [], set()
        for pipeline in c.own:
            *writes, read = pipeline
            done = [o.arg for o in writes if o.outcome == OK]
            if read.outcome == OK and done and read.result != done[-1] and read.result not in late:
                bad.append("out of order on one connection: " + "; ".join(map(repr, pipeline)))
            late.update(o.arg for o in writes if o.outcome == UNKNOWN)
        return bad[:5]
