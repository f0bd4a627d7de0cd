"""Rejects: collect the faults of a file's lines, print the first, write all as CSV or JSON."""

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any

from cli.printing.output import Output, table
from domain.errors import InvalidInput

if TYPE_CHECKING:
    from lockside.session.import_export import Reject

_SHOWN = 20
_IN_MEMORY = 1_000_000
_COLUMNS = ("line", "field", "value", "code", "reason", "text")


class Rejects:
    """Collects faults one by one; there may be more than fit in memory."""

    def __init__(self, output: Output, writer: Any, kept: IO[str]) -> None:
        """Print to *output*, write to the CSV *writer* if there is one, keep JSON in a file."""
        self._output = output
        self._writer = writer
        self._first: list[Reject] = []
        self._count = 0
        self._all = kept

    def __call__(self, reject: "Reject") -> None:
        """Add one fault."""
        self._count += 1
        fields = asdict(reject)
        if self._writer is not None:
            self._writer.writerow([fields[name] for name in _COLUMNS])
        if self._output.as_json:
            from lockside.session.import_export import readable  # noqa: PLC0415 -- only when it is needed

            self._all.write(json.dumps(fields | {"text": readable(reject.text)}) + "\n")
        elif len(self._first) < _SHOWN:
            self._first.append(reject)

    def say(self, codes: Mapping[str, int]) -> None:
        """Print for people how many faults there are of each code, and the first of them."""
        if not self._count:
            return
        counts = table("faults", "code", right=("faults",))
        for code, faults in sorted(codes.items(), key=lambda item: (-item[1], item[0])):
            counts.add_row(f"{faults:,}", code)
        self._output.say()
        self._output.say(counts)
        self._output.say()
        for reject in self._first:
            place = f"line {reject.line}" + (f", {reject.field}" if reject.field else "")
            came = "" if reject.value in (None, "") else f" {reject.value!r},"
            self._output.say(f"{place}:{came} {reject.reason}")
        if self._count > _SHOWN:
            self._output.say(f"\nThese are the first {_SHOWN} of {self._count:,} faults.")

    def print_json(self, summary: Mapping[str, Any]) -> None:
        """Print one document: *summary* and all `rejects`, one by one."""
        self._all.seek(0)
        sys.stdout.write(json.dumps(summary, indent=2).removesuffix("\n}") + ',\n  "rejects": [')
        between = "\n    "
        for line in self._all:
            sys.stdout.write(between + line.rstrip("\n"))
            between = ",\n    "
        sys.stdout.write("]\n}\n" if between == "\n    " else "\n  ]\n}\n")


@contextmanager
def collect_rejects(output: Output, path: Path | None, source: str) -> Iterator[Rejects]:
    """Yield a collector for the faults of a file; they are written to *path* if there is one.

    Raises:
        InvalidInput: *path* can't be written, or it is the file that is read.
    """
    with ExitStack() as files:
        kept = files.enter_context(SpooledTemporaryFile(_IN_MEMORY, "w+", encoding="utf-8"))
        writer = None if path is None else csv.writer(files.enter_context(_open(path, source)))
        if writer is not None:
            writer.writerow(_COLUMNS)
        yield Rejects(output, writer, kept)


def _open(path: Path, source: str) -> IO[str]:
    if path.exists() and Path(source).exists() and path.samefile(source):
        raise InvalidInput(field="rejects", got=str(path), expected="another file than the input")
    try:
        return path.open("w", newline="", encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        got = f"{path}: {error.strerror}"
        raise InvalidInput(field="rejects", got=got, expected="a file to write") from error
