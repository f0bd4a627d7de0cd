"""`lockside audit verify`, `pin` and `erase`: verify and pin the seals, erase a person."""

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
        verified = site.audit.verify(first=first, last=last, complete=complete, on_progress=show)
    if invocation.output.as_json:
        invocation.output.json({**asdict(verified), "whole": not verified.findings})
    else:
        _say(invocation.output, verified, complete=complete)
    if verified.findings:
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
        anchors = [{**asdict(anchor), "digest": anchor.digest.hex()} for anchor in pinned]
        invocation.output.json({"file": str(path), "pinned": anchors})
        return
    for anchor in pinned:
        invocation.output.say(f"Seal {anchor.seal_no:,} is pinned: {anchor.digest.hex()}")
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
@click.option("--also", multiple=True, metavar="TEXT", help="Other words that identify them.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.pass_obj
def erase(invocation: Invocation, *, person: int, also: Sequence[str], yes: bool) -> None:
    """Erase a person who was deleted: their name goes from records, archives and operations.

    PERSON is their id. It can't be taken back. Records keep what was done, when, and by which
    id; the seals still hold. Rows of work that name them are listed, to be changed.
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
        numbers = " ".join(map(str, ids))
        where = f"{kind.replace('_', '-')} {numbers}"
        invocation.output.note(f"Still named in {where}: change them there.")


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


def _say(output: Output, verified: "Verified", *, complete: bool) -> None:
    erased = f", {verified.erased:,} of them with their words erased" if verified.erased else ""
    archived = f", {verified.archived:,} of them archived" if verified.archived else ""
    dropped = f", {verified.dropped:,} dropped as too old" if verified.dropped else ""
    records = f"{verified.records:,} records{archived}{dropped}{erased}"
    looked = f"{records} in {verified.seals:,} seal{_s(verified.seals)}"
    if verified.unsealed:
        output.note(f"{verified.unsealed:,} records are from before sealing began.")
    if not verified.pinned:
        output.note(
            "No seal of this tenant is pinned where LOCKSIDE_ANCHOR_FILE says: a chain "
            "written anew as a whole would go unseen. `lockside audit pin` pins it."
        )
    if verified.waiting:
        output.note(
            f"{verified.waiting:,} changes have yet to become records, the oldest since "
            f"{format_time(verified.waiting_since)}: they aren't among these.",
            "yellow",
        )
    for finding in verified.findings:
        output.say(f"{finding.code}  {finding.message}", "red")
    if verified.more:
        output.say(f"… and {verified.more:,} more.")
    count = len(verified.findings) + verified.more
    if verified.findings:
        output.say(f"Not whole: {count:,} finding{_s(count)}. Looked at {looked}.")
        return
    rows = " Every version of every row has its record." if complete else ""
    output.say(f"Whole: {looked}.{rows}")


def _s(count: int) -> str:
    return "" if count == 1 else "s"


@contextmanager
def _shown(output: Output, newest: Callable[[], int]) -> Iterator[Callable[[Any], None]]:
    """Yield a function that shows the progress of a verification; on a terminal only."""
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
        yield lambda verified: bar.update(task, completed=verified.seals, records=verified.records)
