"""`lockside audit verify`, `pin` and `erase`: the records as a whole."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import rich_click as click
from click.exceptions import Exit
from rich.progress import BarColumn, Progress, TextColumn

from cli.exits import CONFLICT
from cli.printing.output import Output, format_time
from cli.program.command import Command, Invocation
from domain.errors import InvalidInput

if TYPE_CHECKING:
    from domain.audit.verification import Verified


@click.command(
    "verify",
    cls=Command,
    examples="""
    lockside audit verify
    lockside audit verify --complete
    lockside audit verify --seals 100-200
    """,
)
@click.option(
    "--seals", metavar="FROM-TO", help="Only these seals, such as 100-200, 100- or 100; else all."
)
@click.option(
    "--complete",
    is_flag=True,
    help="As well: every version of every row has its record, and every row is what they say.",
)
@click.pass_obj
def verify(invocation: Invocation, *, seals: str | None, complete: bool) -> None:
    """Verify that every record is as it was sealed, and that the chain of seals is whole.

    Ends with 7 if anything was found. The first finding is the first broken record.
    """
    first, last = _range(seals)
    with invocation.connect() as site, _shown(invocation.output, site.audit.newest) as show:
        seen = site.audit.verify(first=first, last=last, complete=complete, on_progress=show)
    if invocation.output.as_json:
        invocation.output.json({**asdict(seen), "whole": not seen.findings})
    else:
        _say(invocation.output, seen, complete=complete)
    if seen.findings:
        raise Exit(CONFLICT)


@click.command(
    "pin",
    cls=Command,
    examples="""
    lockside audit pin
    """,
)
@click.pass_obj
def pin(invocation: Invocation) -> None:
    """Pin the newest seal outside of the database, in the file of anchors and in the log.

    Beat does so every five minutes. `verify` compares the chain with what was pinned.
    """
    with invocation.connect() as site:
        pinned = site.audit.pin()
        path = site.settings.anchors
    if invocation.output.as_json:
        told = [{**asdict(each), "digest": each.digest.hex()} for each in pinned]
        invocation.output.json({"file": str(path), "pinned": told})
        return
    for each in pinned:
        invocation.output.say(f"Seal {each.seal_no:,} is pinned: {each.digest.hex()}")
    if not pinned:
        invocation.output.say("The newest seal is pinned already.")
    invocation.output.note(f"In {path}, and in the log.")


@click.command(
    "erase",
    cls=Command,
    examples="""
    lockside records delete person 17
    lockside audit erase 17
    lockside audit erase 17 --also asha.k@example.com --also "+91 98204 11873" --yes
    """,
)
@click.argument("person", type=int, metavar="PERSON")
@click.option("--also", multiple=True, metavar="TEXT", help="What tells of them as well.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.pass_obj
def erase(invocation: Invocation, *, person: int, also: Sequence[str], yes: bool) -> None:
    """Erase a person who was deleted: their name goes from records, archives and operations.

    PERSON is their id. It can't be taken back. Records keep what was done, when, and by which
    id; the seals still hold. Rows of work that tell of them are listed, to be changed.
    """
    if not yes and not invocation.output.as_json:
        click.confirm(f"Erase person {person} for ever?", abort=True, err=True)
    with invocation.connect() as site:
        done = site.audit.erase(person, also=also)
    if invocation.output.as_json:
        invocation.output.json(asdict(done))
        return
    beside = sum(done.places.values())
    invocation.output.say(
        f"Erased from {done.records:,} records and {beside:,} other rows: {done.erasure_id}"
    )
    for kind, ids in done.mentions.items():
        told = " ".join(map(str, ids))
        invocation.output.note(f"Still told in {kind.replace('_', '-')} {told}: change them there.")


def _range(text: str | None) -> tuple[int, int | None]:
    if text is None:
        return 1, None
    first, dash, last = text.partition("-")
    try:
        return int(first), (int(last) if last.strip() else None) if dash else int(first)
    except ValueError:
        raise InvalidInput(
            field="--seals", got=text, expected="numbers such as 100-200, 100- or 100"
        ) from None


def _say(output: Output, seen: "Verified", *, complete: bool) -> None:
    erased = f", {seen.erased:,} of them with their words erased" if seen.erased else ""
    archived = f", {seen.archived:,} of them archived" if seen.archived else ""
    dropped = f", {seen.dropped:,} dropped as too old" if seen.dropped else ""
    records = f"{seen.records:,} records{archived}{dropped}{erased}"
    looked = f"{records} in {seen.seals:,} seal{_s(seen.seals)}"
    if seen.unsealed:
        output.note(f"{seen.unsealed:,} records are from before sealing began.")
    if not seen.pinned:
        output.note(
            "No seal of this tenant is pinned where LOCKSIDE_ANCHOR_FILE says: a chain "
            "written anew as a whole would go unseen. `lockside audit pin` pins it."
        )
    if seen.waiting:
        output.note(
            f"{seen.waiting:,} changes have yet to become records, the oldest since "
            f"{format_time(seen.waiting_since)}: they aren't among these.",
            "yellow",
        )
    for each in seen.findings:
        output.say(f"{each.code}  {each.message}", "red")
    if seen.more:
        output.say(f"… and {seen.more:,} more.")
    count = len(seen.findings) + seen.more
    if seen.findings:
        output.say(f"Not whole: {count:,} finding{_s(count)}. Looked at {looked}.")
        return
    rows = " Every version of every row has its record." if complete else ""
    output.say(f"Whole: {looked}.{rows}")


def _s(count: int) -> str:
    return "" if count == 1 else "s"


@contextmanager
def _shown(output: Output, newest: Callable[[], int]) -> Iterator[Callable[[Any], None]]:
    """Give a function that shows how far a verification is; on a terminal only."""
    bar = Progress(
        TextColumn("{task.percentage:>3.0f} %"),
        BarColumn(30),
        TextColumn("{task.fields[records]:,} records"),
        console=output.err,
        transient=True,
        disable=output.as_json or not output.err.is_terminal,
    )
    with bar:
        task = bar.add_task("", total=newest() or 1, records=0)
        yield lambda seen: bar.update(task, completed=seen.seals, records=seen.records)
