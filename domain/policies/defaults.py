"""Default policies: the policies that a new tenant starts with, as rows that it may change.

Policies that close overdue work, lock paid attendance or alert are on. Policies that cancel work
or escalate it are in shadow mode until somebody has looked at what they would do.
"""

from collections.abc import Mapping
from typing import Any

from domain.machines.field_task import OPEN_STATES as OPEN_TASKS
from domain.policies.policy import ALERT, BUSINESS, ON, SHADOW, TRANSITION, UPDATE

_OPEN_TASK = f"state in ({', '.join(OPEN_TASKS)})"
_WAITING_TICKET = "state in (NEW, OPEN, INPROGRESS)"
_BY_SYSTEM = "Auto-closed by system - {ticket_category}"
_ON_HOLD = "tags contains hold"

DEFAULTS: tuple[Mapping[str, Any], ...] = (
    {
        "name": "overdue-tours",
        "kind": "task",
        "selection": f"{_OPEN_TASK} and partly_done=true",
        "exempt": _ON_HOLD,
        "clock": "overdue",
        "after": "0m",
        "verb": TRANSITION,
        "target_state": "PARTIALLYCOMPLETED",
        "comments": _BY_SYSTEM,
        "every_minutes": 5,
        "mode": ON,
    },
    {
        "name": "overdue-tasks",
        "kind": "task",
        "selection": f"{_OPEN_TASK} and partly_done=false",
        "exempt": _ON_HOLD,
        "clock": "overdue",
        "after": "0m",
        "verb": TRANSITION,
        "target_state": "AUTOCLOSED",
        "comments": _BY_SYSTEM,
        "every_minutes": 5,
        "mode": ON,
    },
    {
        "name": "task-sla",
        "kind": "task",
        "selection": _OPEN_TASK,
        "clock": "due",
        "after": "0m",
        "verb": ALERT,
        "every_minutes": 5,
        "mode": ON,
    },
    {
        "name": "resolved-tickets",
        "kind": "ticket",
        "selection": "state=RESOLVED",
        "exempt": _ON_HOLD,
        "clock": "state",
        "after": "7d",
        "verb": TRANSITION,
        "target_state": "CLOSED",
        "comments": _BY_SYSTEM,
        "mode": ON,
    },
    {
        "name": "critical-ticket-sla",
        "kind": "ticket",
        "selection": f"{_WAITING_TICKET} and priority=CRITICAL",
        "clock": "created",
        "after": "4h",
        "verb": ALERT,
        "every_minutes": 5,
        "mode": ON,
    },
    {
        "name": "high-ticket-sla",
        "kind": "ticket",
        "selection": f"{_WAITING_TICKET} and priority=HIGH",
        "clock": "created",
        "after": "2d",
        "time": BUSINESS,
        "verb": ALERT,
        "mode": ON,
    },
    {
        "name": "escalate-high-tickets",
        "kind": "ticket",
        "selection": f"{_WAITING_TICKET} and priority=HIGH",
        "exempt": _ON_HOLD,
        "clock": "created",
        "after": "3d",
        "time": BUSINESS,
        "verb": UPDATE,
        "priority": "CRITICAL",
        "mode": SHADOW,
    },
    {
        "name": "payroll-lock",
        "kind": "attendance",
        "selection": "state in (APPROVED, ADJUSTED)",
        "clock": "payroll_closed",
        "after": "0m",
        "verb": TRANSITION,
        "target_state": "LOCKED",
        "comments": "Locked by system: its payroll period is closed",
        "every_minutes": 15,
        "mode": ON,
    },
    {
        "name": "payroll-reject",
        "kind": "attendance",
        "selection": "state=PENDING",
        "clock": "payroll_closed",
        "after": "0m",
        "verb": TRANSITION,
        "target_state": "REJECTED",
        "comments": "Rejected by system: not approved before the payroll cutoff",
        "every_minutes": 15,
        "mode": ON,
    },
    {
        "name": "stale-drafts",
        "kind": "work_order",
        "selection": "state=DRAFT",
        "exempt": _ON_HOLD,
        "clock": "state",
        "after": "30d",
        "grace": "7d",
        "verb": TRANSITION,
        "target_state": "CANCELLED",
        "comments": "Cancelled by system: a draft that nobody took up",
        "every_minutes": 60,
        "mode": SHADOW,
    },
)
