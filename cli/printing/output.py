"""Output: print results on stdout and everything else on stderr, for people or as JSON."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from textwrap import fill
from typing import Any
from uuid import UUID

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.exits import GOES_ON, exit_code_of_error
from domain.errors import LocksideError

_WIDTH_WITHOUT_TERMINAL = 200
_INDENT = "    "


class Output:
    """Prints for people, or one JSON document for programs."""

    def __init__(self, *, as_json: bool = False) -> None:
        """Print for people, or with *as_json* for programs."""
        self.as_json = as_json

    @property
    def out(self) -> Console:
        """Return the console for results, on stdout."""
        return _console(sys.stdout)

    @property
    def err(self) -> Console:
        """Return the console for everything else, on stderr."""
        return _console(sys.stderr)

    def json(self, value: object) -> None:
        """Print a JSON document."""
        sys.stdout.write(json.dumps(value, indent=2, default=_plain, ensure_ascii=False) + "\n")

    def json_list(self, values: Iterable[object]) -> None:
        """Print a JSON array, element by element, so that a million elements take no memory."""
        before = "[\n"
        for value in values:
            sys.stdout.write(before + json.dumps(value, default=_plain, ensure_ascii=False))
            before = ",\n"
        sys.stdout.write("[]\n" if before == "[\n" else "\n]\n")

    def lines(self, lines: Iterable[str]) -> None:
        """Print plain lines, for a pipe."""
        sys.stdout.writelines(f"{line}\n" for line in lines)

    def say(self, text: str | Text | Table = "", style: str = "") -> None:
        """Print a result for people; square brackets in it are no markup."""
        self.out.print(text, style=style, markup=False, highlight=False, soft_wrap=_is_text(text))

    def say_table(self, shown: Table, *, is_wrapped: bool = False) -> None:
        """Print a table; if the terminal is too narrow for it, print each row as a block.

        Args:
            shown: The table.
            is_wrapped: Whether cells may be wrapped between words before that.
        """
        excess = _natural_width(self.out, shown) - self.out.width
        if excess <= 0 or (is_wrapped and _narrow(shown, excess)):
            self.say(shown)
            return
        headings = [str(column.header) for column in shown.columns]
        for row in zip(*(column.cells for column in shown.columns), strict=True):
            first, *rest = map(str, row)
            facts = (
                f"{name} {cell}" for name, cell in zip(headings[1:], rest, strict=True) if cell
            )
            self.say(f"{first}\n{self._block(', '.join(facts))}")

    def _block(self, text: str) -> str:
        # A terminal would break lines within words; in a pipe a row's facts are one line.
        if not self.out.is_terminal:
            return f"{_INDENT}{text}"
        return fill(
            text,
            self.out.width,
            initial_indent=_INDENT,
            subsequent_indent=_INDENT,
            break_long_words=False,
            break_on_hyphens=False,
        )

    def note(self, text: str | Text, style: str = "") -> None:
        """Print a note beside the result; nothing for programs."""
        if not self.as_json:
            self.err.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def refuse(self, error: LocksideError) -> None:
        """Print an error."""
        if self.as_json:
            self.json(error.to_dict())
        elif exit_code_of_error(error.code) == GOES_ON:
            self.note(str(error))  # no error: the operation goes on
        else:
            message = f"{error}{_resolution(error.facts)}"
            self.note(Text.assemble(("Error: ", "bold red"), message))

    @contextmanager
    def status(self, text: str) -> Iterator[None]:
        """Show what the program waits for while the block runs, on a terminal only."""
        if self.as_json or not self.err.is_terminal:
            yield
            return
        with self.err.status(text):
            yield


def table(*columns: str, whole: Sequence[str] = (), right: Sequence[str] = ()) -> Table:
    """Return an empty table.

    Args:
        columns: The headings.
        whole: Columns that are never truncated or wrapped, such as ids.
        right: Columns of numbers.
    """
    empty = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        empty.add_column(
            name,
            no_wrap=name in whole,
            overflow="fold",
            min_width=36 if name in whole else None,
            justify="right" if name in right else "left",
        )
    return empty


def format_time(value: datetime | str | None) -> str:
    """Return a time for people, in UTC."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return "" if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def _resolution(facts: Mapping[str, Any]) -> str:
    """Return a sentence for the `resolution` that a conflict has for programs."""
    if "resolution" not in facts:
        return ""
    expected, now = (facts["resolution"][f"{whose}_version"] for whose in ("your", "current"))
    last = facts.get("current", {})
    state = f" in {last['state']}" if "state" in last else ""
    who = f", by {last['updated_by']}" if last.get("updated_by") else ""
    when = f" at {format_time(last['updated_at'])}" if last.get("updated_at") else ""
    return (
        f" You saw version {expected}, it is at {now}{state}{who}{when}. Look at it and try again."
    )


def _plain(value: object) -> Any:
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _natural_width(console: Console, shown: Table) -> int:
    return shown.__rich_measure__(console, console.options.update(max_width=10_000)).maximum


def _narrow(shown: Table, excess: int) -> bool:
    """Narrow the widest columns by *excess* characters; return False if words would break."""
    texts = [[str(column.header), *map(str, column.cells)] for column in shown.columns]
    widths = [max(map(cell_len, column)) for column in texts]
    longest = [max(cell_len(word) for text in column for word in text.split()) for column in texts]
    for _ in range(excess):
        spare = [
            width if width > least else 0 for width, least in zip(widths, longest, strict=True)
        ]
        if not any(spare):
            return False
        widths[spare.index(max(spare))] -= 1
    for column, width in zip(shown.columns, widths, strict=True):
        column.width = width
    return True


def _console(stream: Any) -> Console:
    # Made at each use: the streams may have been replaced. Output into a file or a pipe isn't
    # folded at 80 columns.
    width = None if stream.isatty() else _WIDTH_WITHOUT_TERMINAL
    return Console(file=stream, width=width, emoji=False)


def _is_text(value: object) -> bool:
    return not isinstance(value, Table)


def counts_text(counts: Mapping[str, int]) -> str:
    """Return counts of items as in `3 succeeded, 1 failed`; zeros are left out."""
    return ", ".join(f"{items:,} {name}" for name, items in counts.items() if items)
