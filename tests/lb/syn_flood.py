# SPDX-License-Identifier: Apache-2.0
"""syn_flood.py INTERFACE MAC VIP PORT: SYNs to a VIP, as fast as one process sends, from addresses that nobody has, until it is killed.
MAC is the next hop's. Sources are out of 198.18/15 or 2001:db8:f::/48; each has its own port."""
import os, random, socket, sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from traffic import ETHERTYPES, FAMILIES, SYN, packet

SOURCES = 20000


def source(family):
    if family == 4:
        return bytes((198, random.choice((18, 19)), random.randrange(256), random.randrange(256)))
    return socket.inet_pton(socket.AF_INET6, "2001:db8:f::")[:8] + random.randbytes(8)


def main(interface, mac, vip, port):
    family = 6 if ":" in vip else 4
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind((interface, 0))
    link = bytes.fromhex(mac) + s.getsockname()[4] + ETHERTYPES[family]
    dst = socket.inet_pton(FAMILIES[family], vip)
    frames = [link + packet(source(family), dst, random.randrange(1024, 65536), int(port), random.randrange(1 << 32), 0, SYN)
              for _ in range(SOURCES)]
    while True:
        for frame in frames:
            try:
                s.send(frame)
            except OSError:
                pass  # its queue is full


main(*sys.argv[1:])
