# SPDX-License-Identifier: Apache-2.0
"""Is a history of client operations linearizable?

Each key is judged alone (linearizability composes). The search is Wing and Gong's with Lowe's memory of what was
tried: take any operation that could come next, and go back when nothing can. An operation's outcome is

    OK       it took effect once, between its call and its return;
    FAIL     an error reply: it never took effect, and such operations are left out;
    UNKNOWN  the connection closed or fell silent: it may take effect at any time after its call, or never.
"""

OK, FAIL, UNKNOWN = "ok", "fail", "unknown"


class Op:
    """One operation on one key; called and returned are monotonic nanoseconds."""

    __slots__ = ("key", "kind", "arg", "result", "called", "returned", "outcome", "where")

    def __init__(self, key, kind, arg=None, result=None, called=0, returned=None, outcome=OK, where=""):
        self.key, self.kind, self.arg, self.result = key, kind, arg, result
        self.called, self.returned, self.outcome, self.where = called, returned, outcome, where

    def __repr__(self):
        arg = "" if self.arg is None else " %s" % self.arg
        until = "?" if self.returned is None else "%.3f" % (self.returned / 1e6)
        return "%s %s%s = %s [%.3f..%s ms] %s %s" % (
            self.kind, self.key, arg, self.result, self.called / 1e6, until, self.outcome, self.where)


def step(state, op):
    """The state after op, or None when its result can't come from this state. A missing key is ''."""
    if op.kind == "set":
        return op.arg
    if op.kind == "get":
        return state if state == op.result else None
    value = str(int(state or "0") + 1)  # incr
    return value if op.outcome == UNKNOWN or value == op.result else None


def linearize(ops, initial=""):
    """None if one key's history is linearizable, else the operation the search never got past."""
    ops = [o for o in ops if o.outcome != FAIL and not (o.outcome == UNKNOWN and o.kind == "get")]
    # An unknown SET whose value nobody read can as well never have happened, if nobody counts upon it.
    if not any(o.kind == "incr" for o in ops):
        seen = {o.result for o in ops if o.kind == "get"}
        ops = [o for o in ops if o.outcome == OK or o.arg in seen]
    ops.sort(key=lambda o: o.called)
    count = len(ops)
    events = []
    for i, o in enumerate(ops):
        events.append((o.called, 0, i))
        if o.outcome == OK:
            events.append((o.returned, 1, i))
    events.sort()
    # A doubly linked list of calls and returns; 0 is its head. Places of operation i: call_at[i], return_at[i].
    size = len(events) + 1
    following, before = list(range(1, size + 1)), list(range(-1, size - 1))
    following[size - 1] = 0
    before[0] = size - 1
    call_at, return_at = [0] * count, [0] * count
    for place, (_, is_return, i) in enumerate(events, 1):
        (return_at if is_return else call_at)[i] = place
    # Unknown INCRs are alike and have no deadline, so they are taken in the order of their calls.
    earlier_incr, last = [None] * count, None
    for i, o in enumerate(ops):
        if o.kind == "incr" and o.outcome == UNKNOWN:
            earlier_incr[i], last = last, i

    def unlink(place):
        following[before[place]], before[following[place]] = following[place], before[place]

    def relink(place):
        following[before[place]] = before[following[place]] = place

    left = sum(o.outcome == OK for o in ops)
    taken, state, tried, stack, deepest = 0, initial, set(), [], (left, None)
    place = following[0]
    while left:
        if place == 0 or events[place - 1][1]:
            # The end, or a return before which its operation had to be taken: go back.
            if left <= deepest[0] and place:
                deepest = (left, ops[events[place - 1][2]])
            if not stack:
                return deepest[1] or ops[-1]
            i, state, taken = stack.pop()
            if return_at[i]:
                relink(return_at[i])
                left += 1
            relink(call_at[i])
            place = following[call_at[i]]
            continue
        i = events[place - 1][2]
        skip = earlier_incr[i] is not None and not taken >> earlier_incr[i] & 1
        after = None if skip else step(state, ops[i])
        if after is not None and (taken | 1 << i, after) not in tried:
            tried.add((taken | 1 << i, after))
            stack.append((i, state, taken))
            state, taken = after, taken | 1 << i
            unlink(call_at[i])
            if return_at[i]:
                unlink(return_at[i])
                left -= 1
            place = following[0]
        else:
            place = following[place]
    return None


def check(history):
    """A list of complaints about a history over many keys."""
    keys = {}
    for o in history:
        keys.setdefault(o.key, []).append(o)
    bad = []
    for key, ops in sorted(keys.items()):
        culprit = linearize(ops)
        if culprit is not None:
            near = sorted((o for o in ops if o.outcome != FAIL and o.called <= culprit.returned), key=lambda o: o.called)
            bad.append("key %s is not linearizable; the search never got past\n    %r\n  before it:\n    %s" % (
                key, culprit, "\n    ".join(map(repr, near[-12:]))))
    return bad


# ---- the checker's own test: histories that it must accept and refuse ----

def _h(*rows):
    """Rows of (kind, argument or None, result, called, returned, outcome)."""
    return [Op("k", kind, arg, result, called, returned, outcome) for kind, arg, result, called, returned, outcome in rows]


ACCEPTED = {
    "one after the other": _h(("set", "a", None, 1, 2, OK), ("get", None, "a", 3, 4, OK)),
    "a read beside a write sees either": _h(("set", "a", None, 1, 9, OK), ("get", None, "", 2, 3, OK), ("get", None, "a", 4, 5, OK)),
    "an unknown write that took effect late": _h(
        ("set", "a", None, 1, 2, OK), ("set", "b", None, 3, None, UNKNOWN), ("get", None, "a", 5, 6, OK), ("get", None, "b", 7, 8, OK)),
    "an unknown write that never took effect": _h(
        ("set", "a", None, 1, 2, OK), ("set", "b", None, 3, None, UNKNOWN), ("get", None, "a", 5, 6, OK)),
    "a refused write": _h(("set", "a", None, 1, 2, OK), ("set", "b", None, 3, 4, FAIL), ("get", None, "a", 5, 6, OK)),
    "an unknown increment, once": _h(
        ("incr", None, "1", 1, 2, OK), ("incr", None, None, 3, None, UNKNOWN), ("incr", None, "3", 5, 6, OK)),
    "increments in flight together": _h(("incr", None, "2", 1, 5, OK), ("incr", None, "1", 2, 6, OK), ("get", None, "2", 7, 8, OK)),
    "twenty unknown increments, three of which happened": _h(
        *[("incr", None, None, i, None, UNKNOWN) for i in range(20)], ("get", None, "3", 30, 31, OK), ("get", None, "3", 32, 33, OK)),
}

REFUSED = {
    "a stale read": _h(("set", "a", None, 1, 2, OK), ("set", "b", None, 3, 4, OK), ("get", None, "a", 5, 6, OK)),
    "a lost write": _h(("set", "a", None, 1, 2, OK), ("get", None, "", 3, 4, OK)),
    "two reads that go back in time": _h(
        ("set", "a", None, 1, 2, OK), ("set", "b", None, 3, 9, OK), ("get", None, "b", 4, 5, OK), ("get", None, "a", 6, 7, OK)),
    "a refused write that took effect": _h(("set", "a", None, 1, 2, OK), ("set", "b", None, 3, 4, FAIL), ("get", None, "b", 5, 6, OK)),
    "an increment applied twice": _h(("incr", None, "1", 1, 2, OK), ("incr", None, "3", 3, 4, OK)),
    "an unknown increment applied twice": _h(
        ("incr", None, "1", 1, 2, OK), ("incr", None, None, 3, None, UNKNOWN), ("incr", None, "4", 5, 6, OK)),
    "two increments with one result": _h(("incr", None, "1", 1, 5, OK), ("incr", None, "1", 2, 6, OK)),
    "an unknown write that took effect twice": _h(
        ("set", "b", None, 1, None, UNKNOWN), ("get", None, "b", 2, 3, OK), ("set", "a", None, 4, 5, OK), ("get", None, "a", 6, 7, OK),
        ("get", None, "b", 8, 9, OK)),
    "a write seen before its call": _h(("get", None, "a", 1, 2, OK), ("set", "a", None, 3, 4, OK)),
    "a value nobody wrote": _h(("set", "a", None, 1, 2, OK), ("get", None, "z", 1, 3, OK)),
}


def selftest():
    bad = ["refused a good history: %s" % name for name, h in ACCEPTED.items() if check(h)]
    return bad + ["accepted a bad history: %s" % name for name, h in REFUSED.items() if not check(h)]
