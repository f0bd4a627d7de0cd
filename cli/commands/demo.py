"""`lockside demo`: show the platform at work in a minute, and leave nothing behind."""

import time
from itertools import islice
from typing import TYPE_CHECKING, Any

import rich_click as click

from cli.commands.explain import print_row
from cli.exits import DONE, TRY_LATER
from cli.printing.autoclose import print_preview
from cli.printing.output import Output
from cli.printing.progress import DETACHED, GoesOn, seeding, watch
from cli.printing.results import print_result
from cli.printing.timeline import print_trail
from cli.program.activation import activation
from cli.program.command import Command, Invocation, quieten
from domain.errors import RuleRefused, Unavailable

if TYPE_CHECKING:
    import lockside

_KIND = "work_order"
_POLICY = "overdue-tasks"
_STARTED = 20
_WITHIN_S = 60.0
_ASK_EVERY_S = 0.05


@click.command(
    cls=Command,
    examples="""
    lockside demo
    """,
)
@click.pass_obj
def demo(invocation: Invocation) -> int:
    """Load 20,000 rows, approve thousands in bulk, show what failed and why, stop.

    It brings its own servers, in a folder of their own below LOCKSIDE_HOME that is removed at
    the end. DATABASE_URL and REDIS_URL are left alone.
    """
    from lockside import connect
    from lockside.local.data_folder import scratch
    from lockside.local.up import up

    quieten()
    output = invocation.output
    begun = time.monotonic()
    with (
        scratch("demo") as settings,
        up(settings, flower=False, tell=lambda text: _step(output, text)) as running,
    ):
        with connect(settings=running.settings) as site:
            summary = _show_or_stop(site, output)
        _step(output, "Stopping everything")
    seconds = time.monotonic() - begun
    if output.as_json:
        output.json({**summary, "seconds": round(seconds, 1)})
    else:
        output.say(f"\nDone in {seconds:.0f} s; nothing was left behind. Try next:", "bold")
        _print_next(output)
    return DONE if all(summary["as_promised"].values()) else TRY_LATER


_NEXT = (
    ("make up", "keep everything running; then, in another terminal:"),
    ("lockside seed", "the same rows, to play with"),
    ("lockside records list work-order --state SUBMITTED", "see some"),
    ("lockside submit approve work-order 1 2 3", "move some"),
    ("lockside explain work-order 1", "what is possible, and why not more"),
    ("lockside autoclose policies", "what the clock does"),
    ("lockside doctor", "is everything well?"),
)


def _print_next(output: Output) -> None:
    first, *others = _NEXT
    words = activation()
    activate = [(words, "so that `lockside` is found")] if words else []
    width = max(len(command) for command, _ in _NEXT) + 3
    for command, what in [first, *activate, *others]:
        output.say(f"  {command:<{width}}{what}")


def _show_or_stop(site: "lockside.Session", output: Output) -> dict[str, Any]:
    try:
        return _show(site, output)
    except GoesOn as error:
        # Here the operation doesn't go on: the servers are about to be stopped.
        if error.facts["why"] == DETACHED:
            raise click.Abort from None
        raise Unavailable(
            message=f"The demo's work wasn't done after {_WITHIN_S:g} s; this machine is very "
            "busy. Try again later."
        ) from None


def _show(site: "lockside.Session", output: Output) -> dict[str, Any]:
    _bring_work(site, output)
    approved, failed_id = _approve(site, output)
    _explain(site, output, failed_id)
    rolled_back, unchanged = _all_or_nothing(site, output, failed_id)
    recorded = _records(site, output)
    closed = _clock(site, output)
    return {
        "approved": approved,
        "all_or_nothing": rolled_back,
        "as_promised": {
            "every row has its outcome": sum(
                approved[f"{name}_items"]
                for name in ("successful", "skipped", "failed", "cancelled")
            )
            == approved["total_items"],
            "all or nothing changed nothing": unchanged,
            "every version has its record": recorded,
            "nothing overdue is open": closed,
        },
    }


def _step(output: Output, text: str) -> None:
    if not output.as_json:
        output.say(f"\n{text} …", "bold cyan")


def _bring_work(site: "lockside.Session", output: Output) -> None:
    from lockside.demo_data.seed import seed

    _step(output, "Bringing in 20,000 rows of work: work orders, tasks, attendance, tickets")
    with seeding(output) as show:
        new = seed(site, on_progress=show)
    for kind in new:
        states = sorted(site.states(kind).items())
        if not output.as_json:
            output.say(f"{kind}: " + ", ".join(f"{count:,} {state}" for state, count in states))


def _approve(site: "lockside.Session", output: Output) -> tuple[dict[str, Any], int]:
    ids = site.ids(_KIND, state="SUBMITTED")
    _step(output, f"Approving {len(ids):,} of them in one operation, going on after errors")
    operation = site.transition(_KIND, to="APPROVED", ids=ids, atomic=False, comments="Q4 batch")
    result = watch(site, operation, output, within_s=_WITHIN_S)
    _print(output, operation, result)
    return result, next(operation.failures()).id


def _explain(site: "lockside.Session", output: Output, failed_id: int) -> None:
    _step(output, f"Why not {failed_id}? What could happen to it instead?")
    explanation = site.explain(_KIND, failed_id)
    if not output.as_json:
        print_row(output, explanation)


def _all_or_nothing(
    site: "lockside.Session", output: Output, failed_id: int
) -> tuple[dict[str, Any], bool]:
    _step(
        output, f"Starting {_STARTED} that may start and {failed_id}, which may not: all or nothing"
    )
    before = site.states(_KIND)
    ids = [*site.ids(_KIND, state="APPROVED", limit=_STARTED), failed_id]
    operation = site.transition(_KIND, to="IN_PROGRESS", ids=ids)
    result = watch(site, operation, output, within_s=_WITHIN_S)
    _print(output, operation, result)
    return result, site.states(_KIND) == before


def _clock(site: "lockside.Session", output: Output) -> bool:
    """Run the policy that closes overdue tasks; say whether all of them are closed."""
    _step(output, "Letting the clock close overdue tasks, and looking at why")
    with site.autoclose.preview(_POLICY) as (stage,):
        preview = {"stage": stage.stage, "matched": stage.matched, "left": stage.left}
        preview |= {"exempt": stage.exempt, "waits": stage.waits}
        preview |= {"rows": list(islice(stage.rows, 3))}
    if not output.as_json:
        print_preview(output, _POLICY, [preview])
    operation = site.operation(_first_run(site)["operation_id"])
    result = watch(site, operation, output, within_s=_WITHIN_S)
    _print(output, operation, result)
    with site.autoclose.preview(_POLICY) as (stage,):
        return stage.matched == 0


def _first_run(site: "lockside.Session") -> dict[str, Any]:
    """Run the policy, unless beat's own tick comes first; return the run.

    Raises:
        RuleRefused: The policy is off or stopped, or the tick's run isn't over in time.
    """
    deadline = time.monotonic() + _WITHIN_S
    if not site.autoclose.history(_POLICY):
        try:
            site.autoclose.run(_POLICY)
        except RuleRefused as refusal:
            if refusal.facts["reasons"] != [{"code": "policy_running"}]:
                raise
            # The tick's run shows as soon as it is committed, which nobody announces.
            while not site.autoclose.history(_POLICY):
                if time.monotonic() > deadline:
                    raise
                time.sleep(_ASK_EVERY_S)
    return site.autoclose.history(_POLICY)[0]


def _records(site: "lockside.Session", output: Output) -> bool:
    """Show the records of one row; say whether each of its versions has one."""
    row_id = site.ids(_KIND, state="APPROVED", limit=1)[0]
    _step(output, f"Starting one of the approved, {row_id}, and reading its records")
    operation = site.transition(_KIND, to="IN_PROGRESS", ids=row_id)
    watch(site, operation, output, within_s=_WITHIN_S)
    versions = list(range(1, site.row(_KIND, row_id)["version"] + 1))
    records = _wait_for_records(site, row_id, versions)
    if not output.as_json:
        print_trail(output, records)
    return [record["version"] for record in records] == versions


def _wait_for_records(
    site: "lockside.Session", row_id: int, versions: list[int]
) -> list[dict[str, Any]]:
    """Wait until each version of a row has its record, soon after the change; return them."""
    deadline = time.monotonic() + _WITHIN_S
    while True:
        records = site.timeline(_KIND, row_id)
        # Several workers write records, so the newest may be there before the oldest.
        if [record["version"] for record in records] == versions or time.monotonic() > deadline:
            return records
        time.sleep(_ASK_EVERY_S)


def _print(output: Output, operation: "lockside.Operation", result: dict[str, Any]) -> None:
    if not output.as_json:
        print_result(output, operation, result, is_kept=False)
