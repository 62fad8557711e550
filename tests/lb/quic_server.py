# SPDX-License-Identifier: Apache-2.0
"""quic_server.py NAME PORT VIP...: a backend of datagrams. Whatever comes is answered with NAME, from the VIP that it came to."""
import socket, sys, threading


def serve(vip):
    with socket.socket(socket.AF_INET6 if ":" in vip else socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((vip, int(sys.argv[2])))
        while True:
            s.sendto(sys.argv[1].encode(), s.recvfrom(2000)[1])


for vip in sys.argv[3:]:
    threading.Thread(target=serve, args=(vip,), daemon=True).start()
threading.Event().wait()
