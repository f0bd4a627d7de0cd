"""Auto-closure: print policies, previews, runs and alerts for people."""

from collections.abc import Mapping, Sequence
from typing import Any

from cli.printing.output import Output, format_time, table

Row = Mapping[str, Any]

_STAGES = {"act": "due", "warn": "to be warned of"}
_NOT_YET = "none of them before its warning and the grace, once the policy is on"


def print_policies(output: Output, policies: Sequence[Row]) -> None:
    """Print policies, each with its last run."""
    if not policies:
        output.note("There is no policy. `lockside records create policy --help` makes one.")
        return
    columns = ("id", "policy", "kind", "mode", "does", "after", "every", "last run")
    shown = table(*columns, "became of it", right=("id",))
    for policy in policies:
        shown.add_row(
            str(policy["id"]),
            policy["name"],
            policy["kind"].replace("_", "-"),
            _mode(policy),
            policy["target_state"] or policy["verb"],
            _after(policy),
            f"{policy['every_minutes']} min",
            format_time(policy["last_run_at"]),
            _last_result(policy),
        )
    output.say_table(shown, is_wrapped=True)
    if any(policy["stopped"] for policy in policies):
        output.note("`lockside autoclose resume POLICY` lets one that was stopped go on.", "yellow")


def print_preview(output: Output, policy: str, stages: Sequence[Row]) -> None:
    """Print which rows are due, and why each is."""
    for stage in stages:
        matched = f"{stage['matched']:,} {_STAGES[stage['stage']]}"
        more = [f"{stage['exempt']:,} exempt"] if stage["exempt"] else []
        more += [f"{stage['left']:,} of them left for the next run"] if stage["left"] else []
        more += [_NOT_YET] if stage["waits"] and stage["matched"] else []
        output.say(", ".join([f"{policy}: {matched}", *more]))
        if not stage["rows"]:
            continue
        shown = table("id", "reference", "state", "why", right=("id",))
        for row in stage["rows"]:
            shown.add_row(str(row["id"]), row["reference"] or "", row["state"], row["reason"])
        output.say_table(shown, is_wrapped=True)
        hidden = stage["matched"] - len(stage["rows"])
        if hidden > 0:
            output.note(f"{hidden:,} more; --limit shows them.")


def print_history(output: Output, runs: Sequence[Row]) -> None:
    """Print runs, newest first."""
    if not runs:
        output.note("Nothing was run yet. Beat runs what is due; `lockside up` brings one along.")
        return
    shown = table(
        *("time", "policy", "matched", "taken", "became of it", "operation"),
        whole=("operation",),
        right=("matched", "taken"),
    )
    for run in runs:
        stage = "" if run["stage"] == "act" else " (warning)"
        shown.add_row(
            format_time(run["as_of"]),
            f"{run['policy']}{stage}",
            f"{run['matched']:,}",
            f"{run['taken']:,}",
            _outcome(run),
            str(run["operation_id"] or ""),
        )
    output.say_table(shown, is_wrapped=True)


def print_alerts(output: Output, alerts: Sequence[Row]) -> None:
    """Print alerts, newest first."""
    if not alerts:
        output.note("No alert that nobody has looked at.")
        return
    shown = table("id", "raised", "policy", "about", "what", right=("id",))
    for alert in alerts:
        row_id = alert["entity_id"]
        about = f"{alert['kind'].replace('_', '-')} {row_id}" if row_id else "the policy"
        what = f"{alert['code'].replace('_', ' ')}: {alert['message']}"
        seen = f" (seen by {alert['acknowledged_by']})" if alert["acknowledged_at"] else ""
        shown.add_row(
            str(alert["id"]), format_time(alert["raised_at"]), alert["policy"], about, what + seen
        )
    output.say_table(shown, is_wrapped=True)


def _mode(policy: Row) -> str:
    if policy["stopped"]:
        return f"{policy['mode']}, stopped"
    if policy["waits_for"]:
        return f"{policy['mode']}, {policy['waits_in'].lower()}"
    return str(policy["mode"])


def _after(policy: Row) -> str:
    business = " of working time" if policy["time"] == "business" else ""
    grace = f", grace {policy['grace']}" if policy["grace"] else ""
    return f"{policy['after']} {policy['clock'].replace('_', ' ')}{business}{grace}"


def _last_result(policy: Row) -> str:
    if policy["last_outcome"] is None:
        return ""
    if policy["last_outcome"] in ("stopped", "failed"):
        return f"{policy['last_outcome']}: {policy['last_message']}"
    if policy["last_outcome"] == "nothing":
        return "nothing was due"
    done, refused = policy["last_succeeded"], policy["last_failed"]
    if done is None:
        result = f"{policy['last_taken']:,} taken"
    else:
        result = f"{done:,} {'would be done' if policy['last_outcome'] == 'shadow' else 'done'}"
    left = policy["last_matched"] - policy["last_taken"]
    more = [f"{refused:,} refused"] if refused else []
    more += [f"{left:,} left"] if left else []
    return ", ".join([result, *more])


def _outcome(run: Row) -> str:
    parts = [run["outcome"]]
    if run["message"]:
        parts.append(run["message"])
    elif run["succeeded"] is not None:
        parts = [f"{run['succeeded']:,} done" if run["outcome"] == "ran" else
                 f"shadow: {run['succeeded']:,} would be done"]  # fmt: skip
        parts += [f"{run['failed']:,} refused"] if run["failed"] else []
    elif run["state"]:
        parts.append(run["state"].lower())
    parts += [f"{run['left']:,} left"] if run["left"] and run["outcome"] != "stopped" else []
    parts += [f"{run['missed']:,} periods caught up"] if run["missed"] else []
    parts += ["undone"] if run["undone_by"] else []
    parts += [f"asked for by {run['requested_by']}"] if run["requested_by"] else []
    parts += [f"let go on by {run['released_by']}"] if run["released_by"] else []
    return ", ".join(parts)
