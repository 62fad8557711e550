# SPDX-License-Identifier: Apache-2.0
"""slow_server.py NAME PORT FILE: a backend over HTTP. /health is answered after as many milliseconds as FILE says, anything else at once, with
NAME; a connection may ask again."""
import http.server, socket, sys, time

name, port, delay = sys.argv[1], int(sys.argv[2]), sys.argv[3]


class Request(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/health":
            with open(delay) as ms:
                time.sleep(int(ms.read()) / 1000)
        self.send_response(200)
        self.send_header("Content-Length", str(len(name)))
        self.end_headers()
        self.wfile.write(name.encode())

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    request_queue_size = 512

    def handle_error(self, *_):
        pass  # a check ends with a reset


Server(("::", port), Request).serve_forever(0.05)
