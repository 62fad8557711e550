# SPDX-License-Identifier: Apache-2.0
"""kafka.py PORT: a broker as far as a health check sees it. ApiVersions version 0 is answered with that one version."""
import socketserver, struct, sys


class Connection(socketserver.StreamRequestHandler):
    def handle(self):
        size, key, version, correlation = struct.unpack(">ihhi", self.rfile.read(12))
        self.rfile.read(size - 8)
        if (key, version) == (18, 0):
            self.wfile.write(struct.pack(">iihihhh", 16, correlation, 0, 1, 18, 0, 0))


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    daemon_threads = True


Server(("", int(sys.argv[1])), Connection).serve_forever()
