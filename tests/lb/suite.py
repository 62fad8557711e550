# SPDX-License-Identifier: Apache-2.0
"""What the balancer's end-to-end tests have in common: what was checked, and a place of their own to run in.

Takes root, iproute2, ethtool, and a build with BPF. Environment: BUILD says which build. The last line is
"N passed, N failed, N skipped"; exit 1 if anything failed.
"""
import os, sys, traceback

import net

passed = failed = skipped = 0


class Skip(Exception):
    """What a case takes isn't there."""


def check(name, ok, detail=""):
    global passed, failed
    if ok:
        passed += 1
    else:
        failed += 1
        print(f"FAIL {name}: {detail}", flush=True)
    return ok


def in_world(kind, prefix, case):
    """The case in a world of this kind, by a name that says so."""
    def run(w):
        case(w)

    run.__name__ = f"case_{prefix}_{case.__name__.removeprefix('case_')}"
    run.world = kind
    return run


def finish():
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(failed > 0)


def main(cases, make_world):
    """Runs the cases named on the command line, or all, each in a world of its own: case.world's, or the one made here."""
    global failed, skipped
    reason = net.why_not()
    if reason:
        print(f"SKIP {reason}")
        skipped = 1
        finish()
    net.isolate(sys.argv[0])
    chosen = [c for c in cases if not sys.argv[1:] or c.__name__.removeprefix("case_") in sys.argv[1:]]
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    for case in chosen:
        world = None
        try:
            world = getattr(case, "world", make_world)()
            case(world)
        except Skip as reason:
            print(f"SKIP {case.__name__}: {reason}")
            skipped += 1
        except Exception:
            failed += 1
            print(f"FAIL {case.__name__} ended early:\n{traceback.format_exc()}", flush=True)
            if world:
                print("   ", "\n    ".join(world.lbd.lines[-12:]), flush=True)
        finally:
            net.enter(here)
            if world:
                world.close()
    finish()
