"""`lockside autoclose`: list, preview, run and steer policies, and list their runs and alerts."""

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import rich_click as click

from cli.exits import CANCELLED, DONE, REFUSED
from cli.input.completion import complete_policies
from cli.input.confirmation import is_asked, is_meant, yes_option
from cli.input.ids import read_id
from cli.input.options import read_moment, timeout_option
from cli.printing.autoclose import print_alerts, print_history, print_policies, print_preview
from cli.printing.progress import watch
from cli.printing.results import print_result
from cli.program.command import Group, Invocation

if TYPE_CHECKING:
    import lockside

_POLICY = click.argument("policy", shell_complete=complete_policies)
_MAYBE_POLICY = click.argument(
    "policy", metavar="[POLICY]", required=False, shell_complete=complete_policies
)
_LIMIT = click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=20,
    show_default=True,
    help="At most so many.",
)


@click.group(
    cls=Group,
    examples="""
    lockside autoclose policies
    lockside autoclose preview overdue-tasks
    lockside autoclose mode stale-drafts on
    lockside autoclose run resolved-tickets
    lockside autoclose history
    lockside autoclose alerts
    """,
)
def autoclose() -> None:
    """Look after what the clock does: overdue tasks, resolved tickets, payroll, alerts."""


@autoclose.command(
    examples="""
    lockside autoclose policies
    lockside records show policy 2
    lockside records create policy name=old-news kind=ticket selection="state=NEW and priority=LOW"
        clock=created after=90d target_state=CANCELLED comments="Nobody took it up"
    """,
)
@click.pass_obj
def policies(invocation: Invocation) -> None:
    """List the policies, each with its last run.

    They are records: `lockside records create policy` makes another, `update` changes one.
    """
    with invocation.connect() as site:
        listed = site.autoclose.policies()
    if invocation.output.as_json:
        invocation.output.json(listed)
    else:
        print_policies(invocation.output, listed)


@autoclose.command(
    examples="""
    lockside autoclose preview overdue-tasks
    lockside autoclose preview resolved-tickets --at +7d
    lockside autoclose preview payroll-lock --limit 10000 --json > due.json
    """,
)
@_POLICY
@click.option("--at", metavar="TIME", help="As of then: a time with its zone, or +7d from now.")
@_LIMIT
@click.pass_obj
def preview(invocation: Invocation, *, policy: str, at: str | None, limit: int) -> None:
    """Show which rows a policy would take now, each with its reason; nothing is changed."""
    moment = read_moment("at", at)
    with invocation.connect() as site, site.autoclose.preview(policy, at=moment) as stages:
        previews = [
            {
                "stage": stage.stage,
                "matched": stage.matched,
                "left": stage.left,
                "exempt": stage.exempt,
                "waits": stage.waits,
                "rows": list(islice(stage.rows, limit)),
            }
            for stage in stages
        ]
    if invocation.output.as_json:
        invocation.output.json(previews)
    else:
        print_preview(invocation.output, policy, previews)


@autoclose.command(
    examples="""
    lockside autoclose run overdue-tasks
    lockside autoclose run stale-drafts --detach
    """,
)
@_POLICY
@click.option("--wait/--detach", default=True, help="Wait for the end, or only begin it.")
@timeout_option
@yes_option
@click.pass_obj
def run(invocation: Invocation, *, policy: str, wait: bool, timeout: float, yes: bool) -> int:
    """Run a policy now, whatever its period; in shadow mode it only judges."""
    output = invocation.output
    with invocation.connect() as site:
        if is_asked(invocation.output, yes=yes) and not _is_meant(site, policy):
            output.note("Nothing was run.")
            return CANCELLED
        done = site.autoclose.run(policy)
        if done.operation_id is None or not wait:
            return _print_run(invocation, done)
        if done.left and not output.as_json:
            output.note(f"{done.left:,} rows are left for the next run.", "yellow")
        operation = site.operation(done.operation_id)
        result = watch(site, operation, output, within_s=timeout)
        return print_result(output, operation, result)


@autoclose.command(
    examples="""
    lockside autoclose mode stale-drafts on
    lockside autoclose mode escalate-high-tickets off
    """,
)
@_POLICY
@click.argument("mode", type=click.Choice(["off", "shadow", "on"]))
@click.pass_obj
def mode(invocation: Invocation, *, policy: str, mode: str) -> None:
    """Turn a policy off or on, or let it only judge in shadow mode."""
    with invocation.connect() as site:
        version = site.autoclose.set_mode(policy, mode)
    if invocation.output.as_json:
        invocation.output.json({"mode": mode, "version": version})
    else:
        invocation.output.say(f"{policy} is {'in shadow mode' if mode == 'shadow' else mode} now.")


@autoclose.command(
    examples="""
    lockside autoclose resume overdue-tasks
    """,
)
@_POLICY
@click.pass_obj
def resume(invocation: Invocation, *, policy: str) -> None:
    """Let a policy go on that matched far too much, or whose run was undone.

    As many rows as had stopped it, and twice as many, are let through from then on.
    """
    with invocation.connect() as site:
        released = site.autoclose.resume(policy)
    if invocation.output.as_json:
        invocation.output.json({"released": released})
    elif released:
        invocation.output.say(f"{policy} goes on in its next period.")
    else:
        invocation.output.note(f"{policy} wasn't stopped.")


@autoclose.command(
    examples="""
    lockside autoclose history
    lockside autoclose history overdue-tasks --idle
    lockside operations undo ID     # the operation of a run
    """,
)
@_MAYBE_POLICY
@click.option("--idle", is_flag=True, help="Also the runs that found nothing to do.")
@_LIMIT
@click.pass_obj
def history(invocation: Invocation, *, policy: str | None, idle: bool, limit: int) -> None:
    """List what was run, newest first: what matched, what was taken, what became of it.

    A run is an operation: `lockside operations` shows, pauses, cancels and undoes it. Once undone,
    its policy waits until somebody lets it go on.
    """
    with invocation.connect() as site:
        runs = site.autoclose.history(policy, idle=idle, limit=limit)
    if invocation.output.as_json:
        invocation.output.json(runs)
    else:
        print_history(invocation.output, runs)


@autoclose.command(
    examples="""
    lockside autoclose alerts
    lockside autoclose alerts task-sla --all
    """,
)
@_MAYBE_POLICY
@click.option("--all", "everything", is_flag=True, help="Also those that were looked at.")
@_LIMIT
@click.pass_obj
def alerts(invocation: Invocation, *, policy: str | None, everything: bool, limit: int) -> None:
    """List what somebody should look at: breaches, warnings, policies that were stopped."""
    with invocation.connect() as site:
        listed = site.autoclose.alerts(policy, everything=everything, limit=limit)
    if invocation.output.as_json:
        invocation.output.json(listed)
    else:
        print_alerts(invocation.output, listed)


@autoclose.command(
    examples="""
    lockside autoclose acknowledge 12 13
    lockside autoclose acknowledge --all
    """,
)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="All that there are.")
@click.pass_obj
def acknowledge(invocation: Invocation, *, ids: tuple[str, ...], everything: bool) -> None:
    """Note that alerts were looked at."""
    if bool(ids) == everything:
        raise click.UsageError("Give the ids of alerts, or --all.")
    with invocation.connect() as site:
        done = site.autoclose.acknowledge(None if everything else list(map(read_id, ids)))
    if invocation.output.as_json:
        invocation.output.json({"acknowledged": done})
    else:
        invocation.output.say(f"{done:,} {'alert was' if done == 1 else 'alerts were'} looked at.")


def _is_meant(site: "lockside.Session", policy: str) -> bool:
    with site.autoclose.preview(policy) as stages:
        matched = stages[-1].matched - stages[-1].left
    listed = site.autoclose.policies()
    kind = next(stored["kind"] for stored in listed if policy in _names(stored))
    return is_meant(matched, kind, f"Run {policy} over {{rows}}")


def _names(policy: Mapping[str, Any]) -> tuple[str, str]:
    return policy["name"], str(policy["id"])


def _print_run(invocation: Invocation, done: Any) -> int:
    output = invocation.output
    stopped = done.outcome in ("stopped", "failed")
    if output.as_json:
        names = ("outcome", "matched", "taken", "left", "message")
        counts = {name: getattr(done, name) for name in names}
        output.json({"policy": done.policy["name"], **counts, "operation_id": done.operation_id})
    elif stopped:
        output.note(f"Not done: {done.message}.", "red")
    elif done.operation_id is None:
        output.say("Nothing is due.")
    else:
        output.say(str(done.operation_id))
    return REFUSED if stopped else DONE
