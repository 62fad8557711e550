# SPDX-License-Identifier: Apache-2.0
"""A network that is slow."""
import contextlib
import ctypes
import os
import subprocess

from case import Skip, running
from load import Connection
from nodes import Cluster


CLONE_NEWNET = 0x40000000


@contextlib.contextmanager
def slow_loopback(rate):
    """What is started meanwhile has a network of its own, whose loopback carries so much and drops nothing."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net") as before:
        if libc.unshare(CLONE_NEWNET) < 0:
            raise Skip("a network of its own: %s" % os.strerror(ctypes.get_errno()))
        try:
            for command in ("ip link set lo up", "tc qdisc add dev lo root tbf rate %s burst 1mb limit 8mb" % rate):
                done = subprocess.run(command.split(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                if done.returncode:
                    raise Skip("no slow network here: %s: %s" % (command, done.stdout.strip()))
            yield
        finally:
            libc.setns(before.fileno(), CLONE_NEWNET)


def large_values(directory, shape):
    """A value that takes as long to send as a promise stands, several times over, is written all the same: heartbeats go before it."""
    value = "x" * (12 << 20)
    with slow_loopback("1gbit"), running(Cluster(directory, **shape)) as c:
        connection = Connection(c.stores()[0], 30.0)
        for i in range(2 * c.groups):
            connection.call("set", "large%d" % i, value)
        for i in range(2 * c.groups):
            if int(connection.call("strlen", "large%d" % i)) != len(value):
                raise AssertionError("large%d isn't what was written" % i)
        connection.close()
