"""How well personal data is found: `python -m benchmarks.corpus [--show] [file or folder]`.

Judged by what comes out alone. Recall: of the labelled values, those that can't be read any more.
Precision: of the masks, those that cover a labelled value. A value that had to stay and did not,
though no mask was put wrongly over it, counts as one that was.
"""

import argparse
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from domain.redaction.masks import KINDS
from domain.redaction.redact import redact

CORPUS = Path(__file__).parents[1] / "tests" / "corpus"
_MASK = re.compile(rf"\[(?:{'|'.join(KINDS)})\]")

Labels = list[tuple[str, str]]
"""Labelled values, each with the path of the scalar that it is in or is."""


@dataclass(slots=True)
class Judgement:
    """What was found and what was not.

    Attributes:
        labelled: Personal values that were there.
        masks: Masks that were put, and values destroyed that had to stay.
        missed: Personal values that can still be read.
        wrong: What was masked and isn't personal.
    """

    labelled: int = 0
    masks: int = 0
    missed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def recall(self) -> float:
        """Return the share of the personal values that were found."""
        return 1 - len(self.missed) / max(1, self.labelled)

    @property
    def precision(self) -> float:
        """Return the share of the masks that were put rightly."""
        return 1 - len(self.wrong) / max(1, self.masks)


def files(path: Path = CORPUS) -> list[Path]:
    """Return the corpus files of a folder, or the one file."""
    return sorted(path.glob("*.ndjson")) if path.is_dir() else [path]


def items(path: Path) -> list[dict[str, Any]]:
    """Return the items of a corpus file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def judge(given: list[dict[str, Any]]) -> Judgement:
    """Redact every item and compare with its labels."""
    judgement = Judgement()
    for each in given:
        before = dict(_scalars(each["content"]))
        after = dict(_scalars(redact(each["content"])))
        personal = [(one.get("path", ""), str(one["value"])) for one in each["personal"]]
        kept = [
            (one["path"], str(one["value"])) if isinstance(one, dict) else ("", one)
            for one in each["keep"]
        ]
        _judge_values(judgement, each["id"], after, personal)
        put_wrongly = list(_wrong_masks(judgement, before, after, personal))
        judgement.wrong += [f"{each['id']}: {covered}" for _, covered in put_wrongly]
        # One mask is one mistake, also where it takes what had to stay.
        _judge_kept(judgement, each["id"], after, [*personal, *put_wrongly], kept)
    return judgement


def _scalars(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _scalars(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _scalars(inner, f"{path}[{place}]")
    else:
        yield path, str(value)


def _judge_values(told: Judgement, name: str, after: dict[str, str], personal: Labels) -> None:
    told.labelled += len(personal)
    told.missed += [f"{name}: {value}" for path, value in personal if value in after.get(path, "")]


def _wrong_masks(
    told: Judgement, before: dict[str, str], after: dict[str, str], personal: Labels
) -> Iterator[tuple[str, str]]:
    for path, text in before.items():
        values = [value for at, value in personal if at == path]
        for covered in _covered(text, after.get(path, "")):
            told.masks += 1
            if not any(value in covered or covered in value for value in values):
                yield path, covered


def _judge_kept(
    told: Judgement, name: str, after: dict[str, str], masked: Labels, kept: Labels
) -> None:
    for path, value in kept:
        is_around = any(at == path and (one in value or value in one) for at, one in masked)
        if value not in after.get(path, "") and not is_around:
            told.masks += 1
            told.wrong.append(f"{name}: {value} had to stay")


def _covered(before: str, after: str) -> list[str]:
    """Return what the masks of a text cover."""
    if before == after:
        return []
    pattern = "(.+?)".join(map(re.escape, _MASK.split(after)))
    found = re.fullmatch(pattern, before, re.DOTALL)
    return list(found.groups()) if found else [before]


def main() -> None:
    """Print the figures of each file, and with `--show` what was missed and what was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.corpus", description=__doc__)
    parser.add_argument("path", type=Path, nargs="?", default=CORPUS)
    parser.add_argument("--show", action="store_true")
    given = parser.parse_args()
    for each in files(given.path):
        told = judge(items(each))
        print(f"{each.name}: recall {told.recall:.4f} of {told.labelled} values, ", end="")
        print(f"precision {told.precision:.4f} of {told.masks} masks")
        if given.show:
            print(*(f"  missed {one}" for one in told.missed), sep="\n")
            print(*(f"  wrong  {one}" for one in told.wrong), sep="\n")


if __name__ == "__main__":
    main()
