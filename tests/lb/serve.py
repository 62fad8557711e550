# SPDX-License-Identifier: Apache-2.0
"""serve.py NAME PORT...: a backend. On each connection: a line "name" is answered with NAME, "give N" with N bytes,
"take N" is followed by N bytes and answered with "taken", "echo N" by N bytes and answered with them, "peer" is answered with the
client's address. After "deaf" no new connection is accepted at its port, but refused, until "hear" on one that there is; both are answered
with the name. A datagram is answered with NAME, a space, and what it said."""
import socket, socketserver, struct, sys, threading

PKTINFO = struct.Struct("=16sI")  # an address, and an interface: 0 leaves it to the routes


class Connection(socketserver.StreamRequestHandler):
    def handle(self):
        while line := self.rfile.readline():
            verb, _, size = line.decode().strip().partition(" ")
            if verb == "give":
                for _ in range(int(size) // 1000):
                    self.wfile.write(b"x" * 1000)
            elif verb == "take":
                self.rfile.read(int(size))
                self.wfile.write(b"taken\n")
            elif verb == "echo":
                self.wfile.write(self.rfile.read(int(size)))
            elif verb == "peer":
                self.wfile.write(f"{self.client_address[0]}\n".encode())
            else:
                if verb == "deaf":
                    self.server.shutdown()
                    self.server.server_close()
                elif verb == "hear":
                    listen(self.server.server_address[1])
                self.wfile.write(f"{sys.argv[1]}\n".encode())


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, *_):
        pass  # the client went away


class Datagram(socketserver.BaseRequestHandler):
    def handle(self):
        said, to, s = self.request
        s.sendmsg([sys.argv[1].encode() + b" " + said], [to], 0, self.client_address)


class Datagrams(socketserver.UDPServer):
    """Answers from the address that it was asked at, which may be a VIP on lo."""
    address_family = socket.AF_INET6

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        super().server_bind()

    def get_request(self):
        said, control, _, client = self.socket.recvmsg(65536, socket.CMSG_SPACE(PKTINFO.size))
        address, _ = PKTINFO.unpack(control[0][2])
        return (said, (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, PKTINFO.pack(address, 0)), self.socket), client


def serve(server):
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()


def listen(port):
    serve(Server(("::", port), Connection))


for port in map(int, sys.argv[2:]):
    listen(port)
    serve(Datagrams(("::", port), Datagram))
threading.Event().wait()
