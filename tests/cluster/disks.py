# SPDX-License-Identifier: Apache-2.0
"""Disks that are full, and disks that hang."""
import contextlib
import os
import shutil
import subprocess
import threading
import time

from case import Skip, loaded, running
from load import Connection, Gone, Refused
from nodes import HandCluster, poll


@contextlib.contextmanager
def small_disk(path, megabytes):
    image, mount = path + ".img", path
    if os.geteuid() != 0:
        raise Skip("a small filesystem needs root")
    os.makedirs(mount, exist_ok=True)
    with open(image, "wb") as f:
        f.truncate(megabytes << 20)
    for command in (["mkfs.ext4", "-q", "-F", image], ["mount", "-o", "loop", image, mount]):
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        except FileNotFoundError:
            raise Skip("%s is not installed" % command[0])
        if done.returncode:
            raise Skip("no small filesystem here: %s: %s" % (command[0], done.stdout.strip()))
    try:
        yield mount
    finally:
        # The last writes of a dying ring hold it for a moment.
        poll("nobody has files on it", 20, lambda: subprocess.run(["umount", mount], stderr=subprocess.DEVNULL).returncode == 0)
        os.unlink(image)


def fill(path):
    """Takes what is left of the filesystem, to the last block."""
    with open(path, "ab", buffering=0) as f:
        for size in 1 << 20, 4096:
            try:
                while True:
                    f.write(bytes(size))
            except OSError:
                os.fsync(f.fileno())  # what was held back for the allocation itself is free now


def write_until(c, done, timeout=90.0):
    """Large writes through every node until done(refusals) is true. Returns what was acknowledged, by key."""
    acked, refusals, value = {}, [], "x" * 100000
    deadline, serial, connections = time.monotonic() + timeout, 0, {}
    while serial % 20 or not done(refusals):
        if time.monotonic() > deadline:
            raise AssertionError("the disk didn't fill within %g s; refused: %s" % (timeout, refusals[-1:]))
        serial += 1
        node, key = serial % c.count + 1, "big%d" % (serial % 60)
        try:
            if node not in connections:
                connections[node] = Connection(c.stores()[node - 1], 10.0)
            mine = "%d.%s" % (serial, value)
            before = acked.pop(key, None)
            connections[node].call("set", key, mine)
            acked[key] = mine
        except Refused as e:
            refusals.append(str(e))
            if before is not None:
                acked[key] = before  # refused: certainly not executed
        except Gone:
            connections.pop(node, None)
    for connection in connections.values():
        connection.close()
    return acked


def check_big(c, acked):
    for address in c.stores():
        connection = Connection(address, 10.0)
        for key, value in acked.items():
            found = connection.call("get", key)
            if found != value:
                raise AssertionError("%s through %s is %s..., acknowledged was %s..." % (key, address, found[:12], value[:12]))
        connection.close()


def out_of_space(c, node):
    return any(l["out_of_space"] for l in c.status(node)["lanes"])


def stuck(c, node):
    """Whether the node's journal has no place for what it should write."""
    return any(l["backlog_bytes"] > 0 and not l["segments_ready"] for l in c.status(node)["lanes"])


def full_disk(directory, shape, which):
    # Room for the first segments of each node (two a lane), and then some.
    nodes = [1] if which == "one" else range(1, shape["nodes"] + 1)
    with small_disk(os.path.join(directory, "small"), len(nodes) * shape["reactors"] * 96 + 60) as mount:
        placed = {n: os.path.join(mount, "n%d" % n) for n in nodes}
        with running(HandCluster(directory, data=placed, **shape)) as c, loaded(c) as load:
            filler = os.path.join(mount, "filler")
            poll("segments prepared", 20, lambda: all(l["segments_ready"] > 0 for n in nodes for l in c.status(n)["lanes"]))
            fill(filler)
            load.wait_acked()
            if which == "one":
                # Past the segment that is in use and the one prepared: this node can take nothing more.
                acked = write_until(c, lambda refusals: out_of_space(c, 1) and stuck(c, 1))
                load.wait_acked()  # two of three have room: service goes on
            else:
                acked = write_until(c, lambda refusals: any("disk is full" in r for r in refusals))
                if not any(out_of_space(c, n) for n in nodes):
                    raise AssertionError("writes are refused but no node says that its disk is full")
            check_big(c, acked)
            # A restart needs no room.
            c.kill_together(nodes)
            fill(filler)
            for n in nodes:
                c.start(n)
            c.ready()
            check_big(c, acked)
            os.unlink(filler)
            load.wait_acked(timeout=60)
            poll("room again", 30, lambda: not any(out_of_space(c, n) for n in nodes))
            check_big(c, acked)


def full_disk_one(directory, shape):
    full_disk(directory, shape, "one")


def full_disk_all(directory, shape):
    full_disk(directory, shape, "all")


# ---- hung disks ----

@contextlib.contextmanager
def frozen(mount):
    """Nothing that is written there ends meanwhile."""
    if not shutil.which("fsfreeze"):
        raise Skip("fsfreeze is not installed")
    subprocess.run(["fsfreeze", "-f", mount], check=True)
    try:
        yield
    finally:
        subprocess.run(["fsfreeze", "-u", mount], check=True)


def refusals_of(c, node, value, count):
    """Of so many writes at once, to a key each; those that are given up end their connections."""
    said = []

    def write(i):
        try:
            connection = Connection(c.stores()[node - 1], 30.0)
            connection.call("set", "hung%d" % i, value)
        except Refused as e:
            said.append(str(e))
        except Gone:
            pass

    threads = [threading.Thread(target=write, args=(i,)) for i in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return said


def hung_disks(directory, shape):
    """Followers live on while their disks hang: what they don't store is refused before it fills their leader's memory."""
    mount = os.path.join(directory, "small")
    with small_disk(mount, 900):
        placed = {n: os.path.join(mount, "n%d" % n) for n in range(2, shape["nodes"] + 1)}
        with running(HandCluster(directory, data=placed, **shape)) as c, loaded(c) as load:
            with frozen(mount):
                poll("a write is refused, for too much waits for the others' disks", 90,
                     lambda: any(r.startswith("TRYAGAIN") for r in refusals_of(c, 1, "x" * (1 << 20), 24)))
            load.wait_acked(timeout=60)
