"""`lockside submit`: hand work in, and wait for it unless told otherwise."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rich_click as click

from cli.command import Group, Session, read_ids
from cli.complete import complete_kinds, complete_states
from cli.progress import watch
from cli.results import print_result
from domain.errors import InvalidInput

_ASK_ABOVE = 1000


@click.group(
    cls=Group,
    examples="""
    lockside submit transition ticket --to CLOSED --comments "Fixed" 17
    """,
)
def submit() -> None:
    """Hand work in."""


@submit.command(
    examples="""
    lockside submit transition work-order --to APPROVED 17 18 19
    lockside submit transition ticket --to RESOLVED --comments "Refitted" 42
    lockside submit transition work-order --to APPROVED --continue - < ids.txt
    lockside submit transition work-order --to CANCELLED --dry-run 17
    """,
)
@click.argument("kind", shell_complete=complete_kinds)
@click.argument("ids", nargs=-1, metavar="[IDS]...")
@click.option(
    "--to",
    "target",
    required=True,
    metavar="STATE",
    help="The target state, in any case.",
    shell_complete=complete_states,
)
@click.option(
    "--ids-file", type=click.Path(path_type=Path), help="Read ids from a file, one or more a line."
)
@click.option("--comments", help="Free text for the records; some transitions want it.")
@click.option("--metadata", metavar="JSON", help="An object for the records.")
@click.option("--approved-by", metavar="NAME", help="A manager who approves, if you are none.")
@click.option(
    "--atomic/--continue",
    default=True,
    show_default=True,
    help="All or nothing, or each item for itself.",
)
@click.option("--dry-run", is_flag=True, help="Judge every item and change nothing.")
@click.option(
    "--idempotency-key", metavar="KEY", help="The same key with the same request is done once."
)
@click.option(
    "--expected-version",
    type=int,
    metavar="N",
    help="Refuse if the row has another version; for one id.",
)
@click.option(
    "--chunk-size", type=int, metavar="N", help="Items of one transaction; for --continue."
)
@click.option(
    "--wait/--detach", default=True, show_default=True, help="Wait for the end, or only hand in."
)
@click.option(
    "--timeout",
    type=float,
    default=float("inf"),
    metavar="SECONDS",
    help="How long to wait; the work goes on afterwards.",
)
@click.option("--yes", is_flag=True, help=f"Don't ask before more than {_ASK_ABOVE:,} items.")
@click.pass_obj
def transition(
    session: Session,
    /,
    *,
    kind: str,
    ids: Sequence[str],
    target: str,
    ids_file: Path | None,
    metadata: str | None,
    expected_version: int | None,
    chunk_size: int | None,
    wait: bool,
    timeout: float,
    yes: bool,
    **options: Any,
) -> int:
    """Move rows to another state, one or a hundred thousand of them.

    KIND is work-order or ticket. IDS are numbers; a dash reads them from standard input.
    """
    rows = _ids(ids, ids_file)
    if not yes and not options["dry_run"]:
        _ask(session, len(rows), kind, target)
    with session.connect() as site:
        operation = site.transition(
            kind,
            to=target,
            ids=rows,
            metadata=_metadata(metadata),
            expected_versions=_expected(rows, expected_version),
            chunk_items=chunk_size,
            **options,
        )
        if wait:
            result = watch(site, operation, session.output, within_s=timeout)
            return print_result(session.output, operation, result)
    if session.output.as_json:
        session.output.json({"operation_id": operation.id})
    else:
        session.output.say(operation.id)
        session.output.note(f"Handed in. Watch it with `lockside operations watch {operation.id}`.")
    return 0


def _ids(words: Sequence[str], file: Path | None) -> list[int]:
    if not words and file is None:
        raise InvalidInput(
            field="ids",
            got="none",
            expected="at least one: as arguments, as - for standard input, or by --ids-file",
        )
    ids = read_ids([each for each in words if each != "-"])
    if "-" in words:
        ids += _from_lines(sys.stdin.read(), "standard input")
    if file is not None:
        ids += _from_file(file)
    return ids


def _from_file(path: Path) -> list[int]:
    try:
        return _from_lines(path.read_text(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            field="--ids-file", got=str(path), expected=f"a readable file of text ({error})"
        ) from error


def _from_lines(text: str, name: str) -> list[int]:
    return [
        row
        for number, line in enumerate(text.splitlines(), start=1)
        for row in read_ids(line.split(), where=f"{name}, line {number}")
    ]


def _metadata(text: str | None) -> dict[str, Any]:
    expected = """a JSON object such as {"batch": "Q4"}"""
    if text is None:
        return {}
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidInput(field="metadata", got=text, expected=f"{expected} ({error})") from error
    if not isinstance(value, dict):
        raise InvalidInput(field="metadata", got=text, expected=expected)
    return value


def _expected(rows: Sequence[int], version: int | None) -> dict[int, int]:
    if version is None:
        return {}
    if len(rows) != 1:
        raise InvalidInput(
            field="expected_version",
            got=version,
            expected=f"a single id beside it, not {len(rows)}",
        )
    return {rows[0]: version}


def _ask(session: Session, count: int, kind: str, target: str) -> None:
    is_asked = sys.stdin.isatty() and sys.stderr.isatty() and not session.output.as_json
    if count > _ASK_ABOVE and is_asked:
        click.confirm(f"Move {count:,} rows of {kind} to {target.upper()}?", abort=True, err=True)
