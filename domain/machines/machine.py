"""A machine is a table of arrows; judging a row is looking it up and asking its rules.

Everything here is pure: no I/O, no clock. Rules never raise and never stop at the first
reason, so a refusal always tells all of them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

Facts = Mapping[Any, Any]
"""What rules look at, by name: a row of a table or a plain dict."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is refused: a stable code and a sentence for people.

    The detail is of one row, such as which readings; the reason is the same without it.
    """

    code: str
    message: str
    detail: str = field(default="", compare=False)

    @property
    def told(self) -> str:
        """Return the sentence with its detail, as one row is told."""
        return f"{self.message}: {self.detail}" if self.detail else self.message


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody wants to happen to rows, as far as rules look at it.

    Attributes:
        to: The target state, in capitals.
        permissions: What the actor may do, e.g. `work_order.approve`.
        comments: Free text; blank counts as missing.
        by_manager: The actor, or the person named as `approved_by`, is a manager.
        by_system: The platform itself asks; it needs no permission.
        now: When it is judged; None, where nothing is decided yet, is before every deadline.
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
        reason: What is told when the rule doesn't hold.
        holds: Whether it holds for these facts and this request.
        facts: The names of the facts it looks at; without any it judges the request alone.
        mark: How diagrams and tables show the rule.
        lists: The fact that holds what is missing, to be told with the reason.
    """

    reason: Reason
    holds: Callable[[Facts, Request], bool]
    facts: tuple[str, ...] = ()
    mark: str = ""
    lists: str | None = None

    def broken(self, facts: Facts) -> Reason:
        """Return the reason as a row gives it."""
        if self.lists is None:
            return self.reason
        return replace(self.reason, detail=", ".join(facts[self.lists]))


@dataclass(frozen=True, slots=True)
class Transition:
    """One arrow: from a state to another, the verb for it, its rules; `undo` may go back."""

    source: str
    target: str
    verb: str
    rules: tuple[Rule, ...] = ()
    undo: bool = False


def arrow(source: str, target: str, verb: str, *rules: Rule, undo: bool = False) -> Transition:
    """Return the transition `source` → `target`; reads well in a machine's table."""
    return Transition(source, target, verb, rules, undo)


def needs(fact: str, *, code: str, message: str) -> Rule:
    """Return a rule that wants the row's *fact* to be there: neither None, empty nor zero."""
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
        transition: The arrow, or None where the machine has none.
        reasons: Every reason against it; empty means it may.
    """

    transition: Transition | None
    reasons: tuple[Reason, ...] = ()

    @property
    def ok(self) -> bool:
        """Say whether nothing speaks against it."""
        return not self.reasons


@dataclass(frozen=True)
class Machine:
    """The states of one kind of work and every legal way between them.

    Attributes:
        kind: The kind of work, e.g. `work_order`.
        initial: The state of a new row.
        final: The states that are meant to be left by nothing; a row in one changes no more.
        settled: The fields that change no more in a state, by state: what was approved stays as
            it was approved.
        intake: Rules that are judged when a row comes in, too, and only warn then.
    """

    kind: str
    initial: str
    final: tuple[str, ...]
    transitions: tuple[Transition, ...]
    intake: tuple[Rule, ...] = ()
    settled: Mapping[str, frozenset[str]] = field(default_factory=dict)
    _by_arrow: dict[tuple[str, str], Transition] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_arrow = {(each.source, each.target): each for each in self.transitions}
        object.__setattr__(self, "_by_arrow", by_arrow)

    @property
    def states(self) -> tuple[str, ...]:
        """Return every state once, the initial one first, in the table's order."""
        named = [self.initial]
        for each in self.transitions:
            named += [each.source, each.target]
        return tuple(dict.fromkeys([*named, *self.final]))

    @property
    def facts(self) -> tuple[str, ...]:
        """Return the names of all facts that some rule looks at."""
        rules = (rule for each in self.transitions for rule in each.rules)
        return tuple(dict.fromkeys(fact for rule in rules for fact in rule.facts))

    def transition(self, source: str, target: str) -> Transition | None:
        """Return the arrow `source` → `target`, or None."""
        return self._by_arrow.get((source, target))

    def leaving(self, source: str) -> tuple[Transition, ...]:
        """Return the arrows out of a state, in the table's order."""
        return tuple(each for each in self.transitions if each.source == source)

    @property
    def verbs(self) -> dict[str, str]:
        """Return where each verb leads, in the table's order: `approve` to `APPROVED`."""
        return {each.verb: each.target for each in self.transitions}

    def permission(self, transition: Transition) -> str:
        """Return the permission for an arrow, e.g. `work_order.approve`."""
        return f"{self.kind}.{transition.verb}"


class Judge:
    """Judges many rows against one request.

    What depends on the request alone (is there an arrow, the permission, comments, a
    manager) is asked once per state, so that a hundred thousand rows cost a look-up each.
    """

    def __init__(self, machine: Machine, request: Request) -> None:
        self._machine = machine
        self._request = request
        self._by_state: dict[str, tuple[Verdict, tuple[Rule, ...]]] = {}

    def judge(self, state: str, facts: Facts) -> Verdict:
        """Say whether a row in *state* may go where the request wants it, and why not."""
        known = self._by_state.get(state)
        if known is None:
            known = self._by_state[state] = self._judge_request(state)
        verdict, row_rules = known
        if not row_rules:
            return verdict
        broken = tuple(
            rule.broken(facts) for rule in row_rules if not rule.holds(facts, self._request)
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
    asked = (replace(request, to=each.target) for each in machine.leaving(state))
    return tuple(judge(machine, state, facts, each) for each in asked)


def no_change(machine: Machine, state: str, names: Iterable[str] = ()) -> Reason | None:
    """Return why the fields *names* of a row in *state* can't change; None if they can.

    Without names it is asked whether anything can.
    """
    if state in machine.final:
        return Reason("record_locked", f"{state} is final: the {machine.kind} changes no more")
    settled = sorted(machine.settled.get(state, frozenset()).intersection(names))
    if settled:
        told = f"{', '.join(settled)} can't change while the {machine.kind} is {state}"
        return Reason("record_locked", told)
    return None


def no_arrow(machine: Machine, state: str, target: str) -> Reason:
    """Return the reason for a missing arrow, with the allowed targets in its sentence."""
    allowed = [each.target for each in machine.leaving(state)]
    where = f"allowed from {state}: {', '.join(allowed)}" if allowed else f"{state} is final"
    return Reason("illegal_transition", f"No transition from {state} to {target} ({where})")


def _denied(machine: Machine, transition: Transition, request: Request) -> Iterable[Reason]:
    permission = machine.permission(transition)
    if not request.by_system and permission not in request.permissions:
        yield Reason("permission_denied", f"The permission {permission} is needed")
