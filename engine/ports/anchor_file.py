"""Anchor file: read and append pinned seals in a file outside the database."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from domain.audit.verification import Anchor
from domain.errors import InvalidInput, Unavailable

_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class AnchorFile:
    """An append-only file of anchors, one JSON object a line."""

    path: Path

    def read(self) -> Iterator[Anchor]:
        """Yield the anchors in the order in which they were pinned; none without a file.

        A last line that a crash cut short is skipped.

        Raises:
            InvalidInput: Another line is no anchor.
            Unavailable: The file can't be read.
        """
        try:
            lines = self.path.read_text().splitlines(keepends=True)
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._unavailable("read from", error) from error
        for number, line in enumerate(lines, 1):
            if not line.endswith("\n") and number == len(lines):
                return
            try:
                pinned = json.loads(line)
                pinned_at = datetime.fromisoformat(pinned["pinned_at"])
                digest = bytes.fromhex(pinned["digest"])
                unsealed = pinned.get("unsealed")
                yield Anchor(
                    int(pinned["tenant_id"]),
                    int(pinned["seal_no"]),
                    digest,
                    pinned_at,
                    unsealed=None if unsealed is None else int(unsealed),
                )
            except (ValueError, KeyError, TypeError) as error:
                raise InvalidInput(
                    field="anchors",
                    got=f"line {number} of {self.path}: {line.strip()[:80]!r}",
                    expected="a seal that was pinned; put the file back as it was",
                ) from error

    def add(self, lines: list[str]) -> None:
        """Append lines, and return once they are on the disk.

        A last line that a crash cut short is removed first, because the next line would be
        appended to it.

        Raises:
            Unavailable: The file can't be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab+") as file:
                file.truncate(_end_of_lines(file))
                file.write("".join(f"{line}\n" for line in lines).encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise self._unavailable("written to", error) from error

    def _unavailable(self, done: str, error: OSError) -> Unavailable:
        return Unavailable(
            message=f"The anchors can't be {done} {self.path}: {error.strerror}. Mend it, or set "
            "LOCKSIDE_ANCHOR_FILE to another place."
        )


def _end_of_lines(file: BinaryIO) -> int:
    """Return the offset at which the last complete line of a file ends."""
    end = file.seek(0, os.SEEK_END)
    while end:
        begin = max(0, end - _BLOCK)
        file.seek(begin)
        line_end = file.read(end - begin).rfind(b"\n")
        if line_end >= 0:
            return begin + line_end + 1
        end = begin
    return 0
