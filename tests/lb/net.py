# SPDX-License-Identifier: Apache-2.0
"""A network of namespaces for the balancer's tests, and a node that serves them a catalog.

  client --+
  lb ------+-- bridge (namespace `wire`)      each by one veth pair
  be1, be2-+

Hosts of other IP networks are on the same bridge; a host that routes between them has an address in each.

A veth takes XDP's packets only if its peer has a program, and checksums must be there when XDP sees the packet ([veth tests]).
"""
import contextlib, ctypes, http.server, json, os, re, shutil, signal, socket, socketserver, subprocess, sys, tempfile, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BIN = os.path.join(ROOT, "build", os.environ.get("BUILD", "release"))
PASS = os.path.join(ROOT, "build/bpf/tests/lb/pass.bpf.o")
PINS = "/sys/fs/bpf/holdfast"
DEADLINE_S = 20
METRICS = "127.0.0.1:9100"
FLOW_IDLE_S = "7800"  # what it is unless told
# As a real interface has one. Without it TCP hears that the ring of a veth is full, and forgets a connection whose SYN-ACK it couldn't send again.
QUEUE_PACKETS = "10000"


def run(*argv, check=True):
    r = subprocess.run(argv, capture_output=True, text=True)
    if check and r.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {r.stderr.strip() or r.stdout.strip()}")
    return r


def until(what, condition, deadline_s=DEADLINE_S):
    """Polls; the deadline is for a machine under load, not a measure."""
    end = time.monotonic() + deadline_s
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.01)
    return found


def why_not():
    """Why this can't run here, or None."""
    if os.geteuid():
        return "namespaces and BPF take root"
    if not os.access(os.path.join(BIN, "holdfast-lbd"), os.X_OK) or not os.path.exists(PASS):
        return "holdfast-lbd is not built: it takes clang, bpftool and libbpf-dev (make deps)"
    for tool in ("ip", "tc", "ethtool", "nsenter", "sysctl"):
        if not shutil.which(tool):
            return f"there is no {tool} (make test-deps)"
    if run("unshare", "--mount", "--net", "true", check=False).returncode:
        return "namespaces can't be made here"
    return None


def isolate(script):
    """A mount namespace of our own: pins and namespaces end with us, however we end, and two runs don't meet."""
    if "LB_ISOLATED" not in os.environ:
        os.environ["LB_ISOLATED"] = "1"
        os.execvp("unshare", ["unshare", "--mount", sys.executable, os.path.abspath(script), *sys.argv[1:]])
    run("mount", "-t", "bpf", "bpf", "/sys/fs/bpf")
    os.makedirs("/run/netns", exist_ok=True)
    run("mount", "-t", "tmpfs", "tmpfs", "/run/netns")


def enter(ns):
    """Moves this thread into the network of an open namespace."""
    if ctypes.CDLL(None, use_errno=True).setns(ns, 0) < 0:
        raise OSError(ctypes.get_errno(), "setns")


@contextlib.contextmanager
def inside(host):
    """What this thread opens meanwhile is in the host's network."""
    with open("/proc/thread-self/ns/net") as here:
        host.enter()
        try:
            yield
        finally:
            enter(here.fileno())


class Host:
    """A namespace with one interface on the bridge."""

    def __init__(self, net, name, number, network):
        self.name = name
        self.ns = name
        self.interface = f"{name}0"
        self.address = f"10.{network}.0.{number}"
        self.address6 = f"fd{network:02x}::{number:x}"
        self.prefix, self.prefix6 = f"10.{network}.0.0/24", f"fd{network:02x}::/64"
        self.snat = ()  # addresses of a balancer's own
        self.children = []
        run("ip", "netns", "add", self.ns)
        # A new namespace takes over what the machine does, and with Docker that forwards.
        self.run("sysctl", "-qw", *(f"net.{key}.forwarding=0" for key in ("ipv4.conf.all", "ipv4.conf.default", "ipv6.conf.all", "ipv6.conf.default")))
        self.ip("link", "set", "lo", "up")
        self.plug(net.wire)

    def plug(self, wire):
        """Its interface, new, and on the bridge."""
        run("ip", "link", "add", self.interface, "netns", self.ns, "type", "veth", "peer", "name", f"{self.name}w", "netns", wire)
        self.ip("addr", "add", f"{self.address}/24", "dev", self.interface)
        self.ip("addr", "add", f"{self.address6}/64", "dev", self.interface, "nodad")
        self.ip("link", "set", self.interface, "up")
        self.run("ethtool", "-K", self.interface, "tx", "off")
        self.run("tc", "qdisc", "add", "dev", self.interface, "root", "pfifo", "limit", QUEUE_PACKETS)
        run("ip", "-n", wire, "link", "set", f"{self.name}w", "master", "bridge", "up")
        run("ip", "-n", wire, "link", "set", f"{self.name}w", "xdp", "obj", PASS, "sec", "xdp")

    def ip(self, *argv):
        return run("ip", "-n", self.ns, *argv)

    def inside(self, *argv):
        """The command line that runs in this host's network and in our mounts, so that pins stay when it ends."""
        return ("nsenter", f"--net=/run/netns/{self.ns}", *argv)

    def run(self, *argv, check=True):
        return run(*self.inside(*argv), check=check)

    def start(self, *argv, log=subprocess.DEVNULL):
        child = subprocess.Popen(self.inside(*argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.children.append(child)
        return child

    def vip(self, *addresses):
        """The VIP on lo, which answers no ARP."""
        for a in addresses:
            self.ip("addr", "add", a, "dev", "lo", *(["nodad"] if ":" in a else []))
        self.run("sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2")

    def default_route(self, via):
        self.ip("route", "replace", "default", "via", via.address)
        self.ip("-6", "route", "replace", "default", "via", via.address6)

    def route(self, network, number):
        """Makes it a router to one more network, which is on the same interface."""
        self.ip("addr", "add", f"10.{network}.0.{number}/24", "dev", self.interface)
        self.ip("addr", "add", f"fd{network:02x}::{number:x}/64", "dev", self.interface, "nodad")
        self.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1",
                 *(f"net.ipv4.conf.{i}.{key}=0" for i in ("all", self.interface) for key in ("send_redirects", "rp_filter")))

    def enter(self):
        """Moves this thread into the host's network."""
        with open(f"/run/netns/{self.ns}") as ns:
            enter(ns.fileno())

    def is_up(self):
        return "UP" in json.loads(self.ip("-j", "link", "show", self.interface).stdout)[0]["flags"]

    def link_address(self):
        text = json.loads(self.ip("-j", "link", "show", self.interface).stdout)[0]["address"]
        return bytes.fromhex(text.replace(":", ""))

    def close(self):
        for child in self.children:
            if child.poll() is None:
                child.kill()
            child.wait()
        run("rm", "-rf", f"{PINS}/{self.interface}", check=False)
        run("ip", "netns", "del", self.ns, check=False)


class Net:
    def __init__(self):
        self.wire = "wire"
        self.hosts = []
        run("ip", "netns", "add", self.wire)
        run("ip", "-n", self.wire, "link", "add", "bridge", "type", "bridge")
        run("ip", "-n", self.wire, "link", "set", "bridge", "up")

    def host(self, name, number, network=2):
        self.hosts.append(Host(self, name, number, network))
        return self.hosts[-1]

    def close(self):
        for host in self.hosts:
            host.close()
        run("ip", "netns", "del", self.wire, check=False)


def routed(n, vips):
    """A client behind a router, a balancer whose default route leads there, two backends whose default route leads to the balancer."""
    client, router, balancer = n.host("cl", 100, network=8), n.host("rt", 254), n.host("lb", 10)
    backends = [n.host("be1", 1), n.host("be2", 2)]
    router.route(8, 254)
    client.ip("route", "add", "default", "via", "10.8.0.254")
    client.ip("-6", "route", "add", "default", "via", "fd08::fe")
    for vip in vips:
        router.ip("route", "add", vip, "via", balancer.address6 if ":" in vip else balancer.address)
    balancer.default_route(router)
    for b in backends:
        b.default_route(balancer)
    return client, router, balancer, backends


def line(backend):
    """A backend as balancers are told of it (daemon/lb/catalog.h)."""
    return (f"{backend['id']} {backend['address']} {backend.get('port', 0)}{' down' if backend.get('down') else ''}"
            + (f" quic={backend['quic_id']}" if "quic_id" in backend else ""))


def as_told(catalog):
    lists = ("backends", "removed")
    return {**catalog, "services": [{**s, **{key: [line(b) for b in s[key]] for key in lists if key in s}} for s in catalog["services"]]}


class Node:
    """A node's Unix socket, as far as a balancer sees it: GET /v1/lb?after=N, answered when the version is above N, and its reports."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "node.sock")
        self.catalog = {"version": 1, "secret": "00112233445566778899aabbccddeeff", "balancers": [], "services": []}
        self.raw = None
        self.changed = threading.Condition()
        self.asked = 0
        self.reports = {}  # by id, the last one
        self.hears = True  # else no leader hears them
        self.tells = False  # balancers what backends' sides count
        self.server = None
        self.start()

    def answer(self, after):
        with self.changed:
            self.asked += 1
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.raw is not None or self.catalog["version"] > after, timeout=25)
            return self.raw if self.raw is not None else json.dumps(as_told(self.catalog))

    def start(self):
        node = self

        class Request(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = node.answer(int(self.path.partition("after=")[2] or -1)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with node.changed:
                    node.reports[said["id"]] = said
                    node.changed.notify_all()
                body = json.dumps({"sockets": node.sockets()}).encode()
                self.send_response(200 if node.hears else 503)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def address_string(self):
                return "unix"

            def log_message(self, *_):
                pass

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # the asker went away

        self.server = Server(self.path, Request)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def sockets(self):
        """What backends' sides counted, as if just now."""
        return [[*one, 0] for said in self.reports.values() for one in said.get("sockets", [])] if self.tells else []

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        os.unlink(self.path)

    def change(self, services=None, balancers=None, raw=None):
        with self.changed:
            self.raw = raw
            if services is not None:
                self.catalog["services"] = services
            if balancers is not None:
                self.catalog["balancers"] = balancers
            self.catalog["version"] += 1
            self.changed.notify_all()
            return self.catalog["version"]


class RealNode:
    """A node on a balancer's host, and what the command line says to it. hosts: one for each node of its cluster, in order; family: of the
    addresses that its members have; store: where it serves."""

    def __init__(self, host, directory, hosts=None, family=4, store="127.0.0.1:6379"):
        self.host, self.hosts, self.family, self.store = host, hosts or [host], family, store
        self.number = self.hosts.index(host) + 1
        self.path = os.path.join(directory, f"real{self.number}.sock")
        self.data = os.path.join(directory, f"data{self.number}")
        self.start()
        if not hosts:
            self.ready()

    def start(self):
        os.makedirs(self.data, exist_ok=True)
        peers = [f"[{h.address6}]:7400" if self.family == 6 else f"{h.address}:7400" for h in self.hosts]
        members = ",".join(f"{i + 1}={peer}" for i, peer in enumerate(peers))
        self.child = self.host.start(os.path.join(BIN, "holdfastd"), "--node", str(self.number), "--members", members, "--peer",
                                     peers[self.number - 1], "--insecure", "--data", self.data, "--store", self.store,
                                     "--store-cluster", "127.0.0.1:7379", "--admin", "127.0.0.1:7480", "--socket", self.path)

    def ready(self):
        until("the node is ready", lambda: run("curl", "-sf", "--unix-socket", self.path, "http://node/readyz", check=False).returncode == 0)

    def kill(self):
        self.child.kill()
        self.child.wait()

    def say(self, *argv):
        return run(os.path.join(BIN, "holdfast"), *argv, "--socket", self.path)

    def get(self, path):
        return json.loads(run("curl", "-sf", "--unix-socket", self.path, f"http://node{path}").stdout)

    def version(self):
        return self.get("/v1/services")["version"]

    def services(self):
        return self.get("/v1/services")["services"]

    def leases(self):
        return self.get("/v1/lb/leases")["leases"]

    def active(self):
        until("nothing is prepared", lambda: not any("prepared" in s for s in self.services()))

    def settled(self):
        """Nothing is prepared, and everybody has it in force."""
        self.active()
        until("all have it in force", lambda: (v := self.version()) and all(one["version"] == v for one in self.leases()))

    def age(self, names):
        """Until no slot of these services counts as moved lately: silent flows are over at once for a while, so earlier generations retire."""
        for name in names:
            self.say("service", "set", name, "--flow-idle", "1")
        until("earlier generations have retired", lambda: all(len(s["generations"]) == 1 for s in self.services() if s["name"] in names))
        for name in names:
            self.say("service", "set", name, "--flow-idle", FLOW_IDLE_S)


def top(balancer):
    """What a balancer counts."""
    return json.loads(run(os.path.join(BIN, "holdfast"), "lb", "top", "--once", "--json", "--interface", balancer.interface).stdout)


def resolved(balancers, addresses):
    """Every balancer knows the way to each of these backends that its services have."""
    def all_alive(b):
        return all(one["alive"] for s in top(b)["services"] for one in s["backends"] if one["address"] in addresses)

    for b in balancers:
        until(f"{b.name} knows the way", lambda: all_alive(b))


def hash_packets(router):
    """Its ECMP routes go by what is in a packet: both addresses, the protocol and both ports, as those of a router of its own would.
    Policy 1 means the same, but takes the hash that the sender's socket has left beside the packet if both share a kernel, and TCP draws
    that anew at each time-out, for another path."""
    fields = 0x01 | 0x02 | 0x04 | 0x10 | 0x20
    router.run("sysctl", "-qw", *(f"net.{family}.fib_multipath_hash_{key}" for family in ("ipv4", "ipv6") for key in ("policy=3", f"fields={fields}")))


def hash_addresses(router):
    """Its ECMP routes go by both addresses alone, in an ICMP error by those of the packet that it is about: what Linux does with IPv4 unless
    told."""
    router.run("sysctl", "-qw", "net.ipv4.fib_multipath_hash_policy=0")


def ecmp(router, vips, balancers):
    """The router's routes to VIPs lead to all of these balancers, each connection and each datagram to one."""
    hash_packets(router)
    for vip in vips:
        hops = [word for b in balancers for word in ("nexthop", "via", b.address6 if ":" in vip else b.address)]
        router.ip("route", "replace", vip, *hops)


def return_by(backend, balancers):
    """What a backend sends from its own addresses goes to any of these balancers, as dnat needs it; from a VIP, by its default route."""
    for v, own, prefix, vias in ((4, backend.address, backend.prefix, [b.address for b in balancers]),
                                 (6, backend.address6, backend.prefix6, [b.address6 for b in balancers])):
        hops = [word for via in vias for word in ("nexthop", "via", via)]
        backend.ip(f"-{v}", "route", "replace", prefix, "dev", backend.interface, "table", "100")
        backend.ip(f"-{v}", "route", "replace", "default", "table", "100", *hops)
        if own not in backend.ip(f"-{v}", "rule").stdout:
            backend.ip(f"-{v}", "rule", "add", "from", own, "lookup", "100")


def leave_as_another_abi(balancer):
    """What holdfast-lbd pinned, as if a build with another ABI had: it doesn't run. The name that its maps had."""
    pins = f"{PINS}/{balancer.interface}"
    ours = next(name for name in os.listdir(pins) if name.startswith("lb-"))
    os.rename(f"{pins}/{ours}", f"{pins}/lb-0")
    return ours


def snat_options(balancer):
    """Addresses of its own for snat, as holdfast-lbd takes them."""
    return [word for a in balancer.snat for word in ("--snat-address", a)]


def snat_addresses(balancer):
    """Deprecated, so that the kernel sends nothing of its own from them, and no tunnels begin there."""
    number = int(balancer.address.rpartition(".")[2]) + 10
    balancer.snat = (f"10.2.0.{number}", f"fd02::{number:x}")
    balancer.ip("addr", "add", f"{balancer.snat[0]}/24", "dev", balancer.interface)
    balancer.ip("addr", "add", f"{balancer.snat[1]}/64", "dev", balancer.interface, "nodad", "preferred_lft", "0")


def path_mtu(host, address):
    """What a host has learned of the way to an address."""
    words = host.ip("route", "get", address).stdout.split()
    return int(words[words.index("mtu") + 1]) if "mtu" in words else None


def scrape(host):
    """{"name{labels}": value}; what isn't OpenMetrics is an error: each sample behind its family's head, each series once, an end."""
    r = host.run("curl", "-sif", f"http://{METRICS}/metrics")
    head, _, body = r.stdout.replace("\r", "").partition("\n\n")
    assert "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8" in head, head
    lines, samples, family, seen = body.splitlines(), {}, "", set()
    assert lines[-1] == "# EOF", lines[-3:]
    for line in lines[:-1]:
        words = line.split(" ")
        if words[1] == "TYPE":
            family, kind = words[2], words[3]
            assert family not in seen, f"two families {family}"
            seen.add(family)
        elif words[0] != "#":
            series, value = words
            assert series.partition("{")[0] == family + ("_total" if kind == "counter" else ""), f"{series} in {family}"
            assert series.startswith("holdfast_lb_") and series not in samples, series
            samples[series] = int(value)
    return samples


class Daemon:
    """holdfast-lbd on a host; its log is kept line by line."""

    program = "holdfast-lbd"

    def __init__(self, host, node, *options, prefix=(), interface=None):
        self.host = host
        self.lines = []
        self.seen = threading.Condition()
        self.child = subprocess.Popen(host.inside(*prefix, os.path.join(BIN, self.program), "--socket", node.path,
                                                   "--interface", interface or host.interface, *options),
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        host.children.append(self.child)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.child.stdout:
            with self.seen:
                self.lines.append(line.rstrip())
                self.seen.notify_all()

    def wait(self, text):
        with self.seen:
            if not self.seen.wait_for(lambda: any(text in line for line in self.lines), timeout=DEADLINE_S):
                raise TimeoutError(f"{self.program} never said {text!r}; it said: {self.lines}")

    def in_force(self, version):
        """This version or a later one: what the cluster finds out, as that a generation has retired, makes versions of its own."""
        def told():
            return any(int(m[1]) >= version for line in self.lines if (m := re.search(r"in force version=(\d+) ", line)))

        with self.seen:
            if not self.seen.wait_for(told, timeout=DEADLINE_S):
                raise TimeoutError(f"{self.program} never had version {version} in force; it said: {self.lines}")

    def kill(self, sig=signal.SIGKILL):
        self.child.send_signal(sig)
        return self.child.wait(timeout=DEADLINE_S)
