"""Files of work, written in a line and brought in."""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import lockside
from lockside.session.import_export import Loaded, Reject


class Endless:
    """A file that is made while it is read."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self.read = 0

    def read1(self, _size: int = -1, /) -> bytes:
        piece = b"".join(line for line, _ in zip(self._lines, range(1_000), strict=False))
        self.read += len(piece)
        return piece


def load(site: lockside.Session, kind: str, text: str | bytes, **options: Any) -> Loaded:
    content = text.encode() if isinstance(text, str) else text
    return site.load(kind, BytesIO(content), **{"form": "csv"} | options)


def rejects_of(
    site: lockside.Session, kind: str, text: str | bytes, **options: Any
) -> list[Reject]:
    told: list[Reject] = []
    load(site, kind, text, on_reject=told.append, **options)
    return told


def faults_of(site: lockside.Session, kind: str, text: str | bytes, **options: Any) -> list[Any]:
    told = rejects_of(site, kind, text, **options)
    return [(each.line, each.field, each.code) for each in told]


def rows_of(site: lockside.Session, kind: str, *fields: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in site.export(kind, fields=fields)]
