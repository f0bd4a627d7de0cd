"""State machine: a table of transitions with rules, and the judgement of rows against it.

Everything here is pure: no I/O, no clock. Rules never raise, and judging never stops at the
first reason, so a refusal always lists all of them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

Facts = Mapping[Any, Any]
"""The values that rules look at, by name: a row of a table or a plain dict."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is refused: a stable code and a sentence for people.

    The detail belongs to one row, such as which readings are missing; reasons that differ only in
    it are equal.
    """

    code: str
    message: str
    detail: str = field(default="", compare=False)

    @property
    def sentence(self) -> str:
        """Return the message with the detail of the row, if there is one."""
        return f"{self.message}: {self.detail}" if self.detail else self.message


@dataclass(frozen=True, slots=True)
class Request:
    """A requested transition, as far as rules look at it.

    Attributes:
        to: The target state, in capitals.
        permissions: The actor's permissions, e.g. `work_order.approve`.
        comments: Free text; blank counts as missing.
        by_manager: The actor, or the person named as `approved_by`, is a manager.
        by_system: The actor is the platform itself; it needs no permission.
        now: When it is judged; None counts as before every deadline, where nothing is decided
            yet.
    """

    to: str
    permissions: frozenset[str] = frozenset()
    comments: str | None = None
    by_manager: bool = False
    by_system: bool = False
    now: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition of a transition.

    Attributes:
        reason: Why the transition is refused when the rule doesn't hold.
        holds: Whether it holds for these facts and this request.
        facts: The names of the facts it looks at; without any it judges the request alone.
        mark: How diagrams and tables show the rule.
        lists: The fact that lists what is missing, which becomes the detail of the reason.
    """

    reason: Reason
    holds: Callable[[Facts, Request], bool]
    facts: tuple[str, ...] = ()
    mark: str = ""
    lists: str | None = None

    def reason_for(self, facts: Facts) -> Reason:
        """Return the reason with the detail of a row."""
        if self.lists is None:
            return self.reason
        return replace(self.reason, detail=", ".join(facts[self.lists]))


@dataclass(frozen=True, slots=True)
class Transition:
    """One arrow from a state to another: its verb, its rules, and whether `undo` may reverse it."""

    source: str
    target: str
    verb: str
    rules: tuple[Rule, ...] = ()
    undo: bool = False


def arrow(source: str, target: str, verb: str, *rules: Rule, undo: bool = False) -> Transition:
    """Return the transition `source` → `target`, for the table of a machine."""
    return Transition(source, target, verb, rules, undo)


def needs(fact: str, *, code: str, message: str) -> Rule:
    """Return a rule that the row's *fact* must be there: neither None, empty nor zero."""
    return Rule(Reason(code, message), lambda facts, _: bool(facts[fact]), (fact,), f"needs {fact}")


needs_comments = Rule(
    Reason("comments_required", "Comments are required for this transition"),
    lambda _, request: bool((request.comments or "").strip()),
    mark="comments",
)
needs_manager = Rule(
    Reason(
        "manager_required",
        "A manager is required: act as one, or name one as approved_by",
    ),
    lambda _, request: request.by_manager or request.by_system,
    mark="manager",
)
system_only = Rule(
    Reason("system_only", "Only the system itself makes this transition"),
    lambda _, request: request.by_system,
    mark="system",
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one row may take a transition.

    Attributes:
        transition: The arrow, or None if the machine has none.
        reasons: Every reason against it; none if it may be taken.
    """

    transition: Transition | None
    reasons: tuple[Reason, ...] = ()

    @property
    def ok(self) -> bool:
        """Say whether there is no reason against it."""
        return not self.reasons


@dataclass(frozen=True)
class Machine:
    """The states of one kind of work and every legal transition between them.

    Attributes:
        kind: The kind of work, e.g. `work_order`.
        initial: The state of a new row.
        final: The states that no transition leaves; a row in one can't be changed any more.
        settled: By state, the fields that can't be changed in it: what was approved stays as it
            was approved.
        intake: Rules that are judged when a row is created as well, where they only warn.
    """

    kind: str
    initial: str
    final: tuple[str, ...]
    transitions: tuple[Transition, ...]
    intake: tuple[Rule, ...] = ()
    settled: Mapping[str, frozenset[str]] = field(default_factory=dict)
    _by_arrow: dict[tuple[str, str], Transition] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_arrow = {(arrow.source, arrow.target): arrow for arrow in self.transitions}
        object.__setattr__(self, "_by_arrow", by_arrow)

    @property
    def states(self) -> tuple[str, ...]:
        """Return every state once, the initial one first, in the table's order."""
        states = [self.initial]
        for transition in self.transitions:
            states += [transition.source, transition.target]
        return tuple(dict.fromkeys([*states, *self.final]))

    @property
    def facts(self) -> tuple[str, ...]:
        """Return the names of all facts that any rule looks at."""
        rules = (rule for transition in self.transitions for rule in transition.rules)
        return tuple(dict.fromkeys(fact for rule in rules for fact in rule.facts))

    def transition(self, source: str, target: str) -> Transition | None:
        """Return the arrow `source` → `target`, or None."""
        return self._by_arrow.get((source, target))

    def leaving(self, source: str) -> tuple[Transition, ...]:
        """Return the arrows out of a state, in the table's order."""
        return tuple(transition for transition in self.transitions if transition.source == source)

    @property
    def verbs(self) -> dict[str, str]:
        """Return the target of each verb, in the table's order: `approve` leads to `APPROVED`."""
        return {transition.verb: transition.target for transition in self.transitions}

    def permission(self, transition: Transition) -> str:
        """Return the permission for an arrow, e.g. `work_order.approve`."""
        return f"{self.kind}.{transition.verb}"


class Judge:
    """Judges many rows against one request.

    What depends on the request alone (the arrow, the permission, comments, a manager) is judged
    once for each state, so that each of a hundred thousand rows costs only a look-up.
    """

    def __init__(self, machine: Machine, request: Request) -> None:
        self._machine = machine
        self._request = request
        self._by_state: dict[str, tuple[Verdict, tuple[Rule, ...]]] = {}

    def judge(self, state: str, facts: Facts) -> Verdict:
        """Say whether a row in *state* may take the requested transition, and why not."""
        judged = self._by_state.get(state)
        if judged is None:
            judged = self._by_state[state] = self._judge_request(state)
        verdict, row_rules = judged
        if not row_rules:
            return verdict
        broken = tuple(
            rule.reason_for(facts) for rule in row_rules if not rule.holds(facts, self._request)
        )
        return Verdict(verdict.transition, verdict.reasons + broken) if broken else verdict

    def _judge_request(self, state: str) -> tuple[Verdict, tuple[Rule, ...]]:
        transition = self._machine.transition(state, self._request.to)
        if transition is None:
            return Verdict(None, (no_arrow(self._machine, state, self._request.to),)), ()
        reasons = list(_denied(self._machine, transition, self._request))
        reasons += [
            rule.reason
            for rule in transition.rules
            if not rule.facts and not rule.holds({}, self._request)
        ]
        return Verdict(transition, tuple(reasons)), tuple(r for r in transition.rules if r.facts)


def judge(machine: Machine, state: str, facts: Facts, request: Request) -> Verdict:
    """Say whether one row may take the requested transition, with every reason why not."""
    return Judge(machine, request).judge(state, facts)


def explain_transitions(
    machine: Machine, state: str, facts: Facts, request: Request
) -> tuple[Verdict, ...]:
    """Return a verdict for every arrow out of *state*; `request.to` doesn't matter."""
    attempts = (replace(request, to=arrow.target) for arrow in machine.leaving(state))
    return tuple(judge(machine, state, facts, attempt) for attempt in attempts)


def no_change(machine: Machine, state: str, names: Iterable[str] = ()) -> Reason | None:
    """Return why the fields *names* of a row in *state* can't be changed; None if they can.

    Without names, return why no field at all can be changed.
    """
    if state in machine.final:
        return Reason("record_locked", f"{state} is final: the {machine.kind} changes no more")
    settled = sorted(machine.settled.get(state, frozenset()).intersection(names))
    if settled:
        message = f"{', '.join(settled)} can't change while the {machine.kind} is {state}"
        return Reason("record_locked", message)
    return None


def no_arrow(machine: Machine, state: str, target: str) -> Reason:
    """Return the reason why a transition doesn't exist; its message lists the allowed targets."""
    allowed = [transition.target for transition in machine.leaving(state)]
    where = f"allowed from {state}: {', '.join(allowed)}" if allowed else f"{state} is final"
    return Reason("illegal_transition", f"No transition from {state} to {target} ({where})")


def _denied(machine: Machine, transition: Transition, request: Request) -> Iterable[Reason]:
    permission = machine.permission(transition)
    if not request.by_system and permission not in request.permissions:
        yield Reason("permission_denied", f"The permission {permission} is needed")
