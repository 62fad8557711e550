# SPDX-License-Identifier: Apache-2.0
"""What connections outlive, however they are delivered: their daemon's end, drains and removals, their node's end."""
import signal

import net
from flow import PORT, VIP, Download, Flow, backends_of, broken, close, flows
from net import Daemon, until
from suite import check
from world import service, share


def life(w):
    """[maps] and law 7: what forwards outlives its daemon."""
    w.apply([service(w)])
    w.serving()
    kept, download = flows(30), Download(w.client, 4_000_000)
    check("a download begins", download.more(), download.error)
    w.lbd.kill()
    check("kill -9: the download goes on", download.more(), download.error)
    check("kill -9: kept connections go on", broken(kept) == 0, f"{broken(kept)} broke")
    new = flows(20)
    check("kill -9: new connections are balanced", backends_of(new) == ["be1", "be2"], backends_of(new))
    w.restart()
    check("restart: the download goes on", download.more(), download.error)
    check("restart: connections from before and between go on", broken(kept + new) == 0, f"{broken(kept + new)} broke")
    check("restart: SIGTERM ends it with 0", w.lbd.kill(signal.SIGTERM) == 0)
    check("stopped: connections go on", broken(kept + new) == 0, f"{broken(kept + new)} broke")
    w.restart()
    check("the download ends with all its bytes", download.finish(), download.error or download.got)
    close(kept + new)


def drain(w, how, **changes):
    both, one = [share(1), share(2)], [share(1, 0), share(2)]
    be1, be2 = service(w)["backends"]
    w.apply([service(w, [both], **changes)])
    w.serving()
    kept = flows(60)
    check(f"drain, {how}: be1 has connections", "be1" in backends_of(kept))
    w.apply([service(w, [both, one], **changes)])
    new = flows(40)
    check(f"drain, {how}: new connections go elsewhere", backends_of(new) == ["be2"], backends_of(new))
    check(f"drain, {how}: none broke", broken(kept + new) == 0, f"{broken(kept + new)} broke")
    w.lbd.kill()
    w.restart()
    check(f"drain and restart, {how}: none broke", broken(kept + new) == 0, f"{broken(kept + new)} broke")
    w.apply([service(w, [both, [share(2)]], backends=[be2], removed=[be1], **changes)])
    more = flows(20)
    check(f"remove, {how}: new connections go elsewhere", backends_of(more) == ["be2"], backends_of(more))
    check(f"remove, {how}: none broke", broken(kept + new + more) == 0, f"{broken(kept + new + more)} broke")
    w.lbd.kill()
    w.restart()
    check(f"remove and restart, {how}: none broke", broken(kept + new + more) == 0, f"{broken(kept + new + more)} broke")
    w.apply([service(w, [both, [share(2)], both], **changes)])
    check(f"back again, {how}: none broke", broken(kept + new + more) == 0, f"{broken(kept + new + more)} broke")
    last = flows(40)
    check(f"back again, {how}: be1 has new connections", "be1" in backends_of(last))
    close(kept + new + more + last)
    w.apply([])


def back_from_death(w):
    """[slot] While a backend is dead its slots are others', and what begins there stays with them when it is back."""
    both, one = [share(1), share(2)], [share(1, 0), share(2)]
    be1, be2 = service(w)["backends"]
    dead = {"backends": [{**be1, "down": True}, be2]}
    w.apply([service(w, [both])])
    w.serving()
    w.apply([service(w, [both, one], **dead)])
    kept = flows(40)
    check("back from death: the other one serves meanwhile", backends_of(kept) == ["be2"], backends_of(kept))
    w.apply([service(w, [both, one, both])])
    check("back from death: its return broke none", broken(kept) == 0, f"{broken(kept)} broke")
    w.apply([service(w, [both, one])])
    kept += flows(20)
    w.apply([service(w, [both, one], **dead)])
    kept += flows(20)
    check("back from death: drained, its death broke none", broken(kept) == 0, f"{broken(kept)} broke")
    w.apply([service(w, [both, one])])
    check("back from death: nor its return", broken(kept) == 0, f"{broken(kept)} broke")
    close(kept)


def ports_again(w):
    """[flow table] What is remembered of a slot's flows goes when it no longer counts as moved: clients take their ports again, and the slot
    moves again."""
    both, one = [share(1), share(2)], [share(1, 0), share(2)]
    w.apply([service(w, [both])])
    w.serving()
    kept = flows(40)
    w.apply([service(w, [both, one])])
    check("ports again: a drain broke none", broken(kept) == 0, f"{broken(kept)} broke")
    for f in kept:
        f.reset()
    w.apply([service(w, [one])])
    again = [Flow(port=f.port) for f in kept]
    check("ports again: they are the other one's now", backends_of(again) == ["be2"], backends_of(again))
    w.apply([service(w, [one, both])])
    check("ports again: the backend's return broke none", broken(again) == 0, f"{broken(again)} broke")
    close(again)


def cluster(w):
    """A real node's catalog, changed by the command line; flows outlive their backend's removal, the node and holdfast-lbd."""
    for d in (w.lbd, *w.sides):
        d.kill()
    node = net.RealNode(w.balancer, w.dir)
    daemons = [Daemon(w.balancer, node, *w.options), *(Daemon(d.host, node, "--backend") for d in w.sides)]
    w.lbd = daemons[0]
    address = {b.name: f"{b.address}:{w.backend_port}" for b in w.backends}

    def in_force():
        until("nothing is prepared", lambda: all("prepared" not in s for s in node.get("/v1/services")["services"]))
        for d in daemons:
            d.in_force(node.version())

    node.say("service", "add", "web", "--vip", VIP, "--proto", "tcp", "--port", str(PORT), "--deliver", w.deliver)
    for b in w.backends:
        node.say("backend", "add", "web", address[b.name])
    in_force()
    w.serving()
    kept = flows(40)
    check("cluster: both backends have connections", backends_of(kept) == ["be1", "be2"], backends_of(kept))
    node.say("backend", "rm", "web", address["be1"])
    in_force()
    new = flows(20)
    check("cluster: new connections go to the one that is left", backends_of(new) == ["be2"], backends_of(new))
    check("cluster: removal broke none", broken(kept + new) == 0, f"{broken(kept + new)} broke")
    node.kill()
    w.lbd.kill()
    more = flows(10)
    check("cluster: without node and daemon traffic goes on", broken(kept + new + more) == 0, f"{broken(kept + new + more)} broke")
    node.start()
    node.ready()
    daemons[0] = w.lbd = Daemon(w.balancer, node, *w.options)
    node.say("backend", "add", "web", address["be1"])
    in_force()
    last = flows(40)
    check("cluster: the backend is back", backends_of(last) == ["be1", "be2"], backends_of(last))
    check("cluster: none broke", broken(kept + new + more + last) == 0, f"{broken(kept + new + more + last)} broke")
    close(kept + new + more + last)
