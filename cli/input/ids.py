"""Row ids: read them from arguments, standard input and files."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import rich_click as click

from domain.errors import InvalidInput

_EXPECTED = "whole numbers such as 17, separated by spaces or commas"
_MARK = "\ufeff"
"""The byte order mark, which some editors write before the first line of a file."""

_HEADER = "id"
"""The first line of a CSV file with one column; it is skipped."""

_LONGEST = len(str(2**63))

_FILE = click.Path(path_type=Path, allow_dash=True)

where_option = click.option(
    "--where",
    metavar="FILTER",
    help="Choose rows by their fields, such as 'state=OPEN and created_at < -7d'.",
)


def takes_ids(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the arguments `ids`, which may contain a dash, and the option `ids_file` to a command."""
    for add in (
        click.option(
            "--ids-file",
            type=click.Path(path_type=Path),
            help="Read ids from a file, one or more a line.",
        ),
        click.argument("ids", nargs=-1, metavar="[IDS]..."),
    ):
        command = add(command)
    return command


def takes_rows(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for rows by a filter or a file, beside their ids, to a command."""
    for add in (
        click.option(
            "--expect-count", type=int, metavar="N", help="Refuse unless the rows are so many."
        ),
        click.option(
            "--from-ndjson", type=_FILE, metavar="FILE", help="The same, one JSON object a line."
        ),
        click.option(
            "--from-csv",
            type=_FILE,
            metavar="FILE",
            help="Rows by a file with a header: id or reference, and of their own comments, "
            "readings as reading:NAME, the version that is expected, or the fields to write.",
        ),
        where_option,
        takes_ids,
    ):
        command = add(command)
    return command


def gather_rows(words: Sequence[str], file: Path | None, *others: object) -> list[int] | None:
    """Return the typed ids, or None if one of *others* chooses the rows.

    Raises:
        InvalidInput: Rows are chosen in two ways, or in none; or as `gather_ids`.
    """
    ways = sum(choice is not None for choice in others) + bool(words or file is not None)
    if ways > 1:
        raise InvalidInput(
            field="ids", got="rows in two ways", expected="one: ids, --where, a file"
        )
    if not ways:
        expected = (
            "at least one: as arguments, as -, by --ids-file, --where, --from-csv or --from-ndjson"
        )
        raise InvalidInput(field="ids", got=None, expected=expected)
    return None if any(choice is not None for choice in others) else gather_ids(words, file)


def gather_ids(words: Sequence[str], file: Path | None) -> list[int]:
    """Return the ids from arguments, from standard input for a dash, and from a file.

    Raises:
        InvalidInput: There are none, one is no whole number, or the file can't be read.
    """
    if not words and file is None:
        raise InvalidInput(
            field="ids",
            got=None,
            expected="at least one: as arguments, as -, by --ids-file, or by --where",
        )
    ids = _from_text(" ".join(word for word in words if word != "-"), "ids")
    if "-" in words:
        ids += _from_lines(sys.stdin.read(), "standard input")
    if file is not None:
        ids += _from_file(file)
    return ids


def read_id(word: str) -> int:
    """Return the id that was typed as one word.

    Raises:
        InvalidInput: It is no whole number.
    """
    if not _is_whole(word):
        raise InvalidInput(field="id", got=word, expected="a whole number such as 17")
    return int(word)


def _from_file(path: Path) -> list[int]:
    try:
        return _from_lines(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            field="--ids-file", got=str(path), expected=f"a readable file of text ({error})"
        ) from error


def _from_lines(text: str, name: str) -> list[int]:
    lines = text.removeprefix(_MARK).splitlines()
    ids = [
        row
        for number, line in enumerate(lines, start=1)
        if number > 1 or line.strip().strip('"').lower() != _HEADER
        for row in _from_text(line, f"{name}, line {number}")
    ]
    if not ids:
        raise InvalidInput(field=name, got=None, expected="at least one id")
    return ids


def _from_text(text: str, where: str) -> list[int]:
    words = text.replace(",", " ").split()
    invalid = next((word for word in words if not _is_whole(word)), None)
    if invalid is not None:
        raise InvalidInput(field=where, got=invalid, expected=_EXPECTED)
    return [int(word) for word in words]


def _is_whole(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= _LONGEST
