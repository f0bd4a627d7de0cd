"""Redaction corpus: measure recall and precision by `python -m benchmarks.corpus [--show] [PATH]`.

Only the output is judged. Recall is the share of labelled values that can't be read any more,
precision the share of masks that cover a labelled value. A value that had to stay and was changed
without a wrong mask over it counts as one more wrong mask.
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
"""Labelled values, each with the path of the scalar that contains it."""


@dataclass(slots=True)
class Judgement:
    """How well the items of a file were redacted.

    Attributes:
        labelled: How many personal values there were.
        masks: How many masks there are, and changed values that had to stay.
        missed: Personal values that can still be read.
        wrong: Values that were masked and aren't personal.
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
        """Return the share of the masks that are right."""
        return 1 - len(self.wrong) / max(1, self.masks)


def files(path: Path = CORPUS) -> list[Path]:
    """Return the corpus files of a folder, or the one file."""
    return sorted(path.glob("*.ndjson")) if path.is_dir() else [path]


def items(path: Path) -> list[dict[str, Any]]:
    """Return the items of a corpus file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def judge(labelled: list[dict[str, Any]]) -> Judgement:
    """Redact every item and compare the output with its labels."""
    judgement = Judgement()
    for item in labelled:
        before = dict(_scalars(item["content"]))
        after = dict(_scalars(redact(item["content"])))
        personal = [(label.get("path", ""), str(label["value"])) for label in item["personal"]]
        kept = [
            (label["path"], str(label["value"])) if isinstance(label, dict) else ("", label)
            for label in item["keep"]
        ]
        _judge_values(judgement, item["id"], after, personal)
        put_wrongly = list(_wrong_masks(judgement, before, after, personal))
        judgement.wrong += [f"{item['id']}: {covered}" for _, covered in put_wrongly]
        # One wrong mask is one mistake, even if it covers a value that had to stay.
        _judge_kept(judgement, item["id"], after, [*personal, *put_wrongly], kept)
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


def _judge_values(judgement: Judgement, name: str, after: dict[str, str], personal: Labels) -> None:
    judgement.labelled += len(personal)
    judgement.missed += [
        f"{name}: {value}" for path, value in personal if value in after.get(path, "")
    ]


def _wrong_masks(
    judgement: Judgement, before: dict[str, str], after: dict[str, str], personal: Labels
) -> Iterator[tuple[str, str]]:
    for path, text in before.items():
        values = [value for at, value in personal if at == path]
        for covered in _covered(text, after.get(path, "")):
            judgement.masks += 1
            if not any(value in covered or covered in value for value in values):
                yield path, covered


def _judge_kept(
    judgement: Judgement, name: str, after: dict[str, str], masked: Labels, kept: Labels
) -> None:
    for path, value in kept:
        is_around = any(at == path and (text in value or value in text) for at, text in masked)
        if value not in after.get(path, "") and not is_around:
            judgement.masks += 1
            judgement.wrong.append(f"{name}: {value} had to stay")


def _covered(before: str, after: str) -> list[str]:
    """Return what the masks of a text cover."""
    if before == after:
        return []
    pattern = "(.+?)".join(map(re.escape, _MASK.split(after)))
    match = re.fullmatch(pattern, before, re.DOTALL)
    return list(match.groups()) if match else [before]


def main() -> None:
    """Print the figures of each file, and with `--show` the missed and wrongly masked values."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.corpus", description=__doc__)
    parser.add_argument("path", type=Path, nargs="?", default=CORPUS)
    parser.add_argument("--show", action="store_true")
    arguments = parser.parse_args()
    for file in files(arguments.path):
        judgement = judge(items(file))
        print(
            f"{file.name}: recall {judgement.recall:.4f} of {judgement.labelled} values, ", end=""
        )
        print(f"precision {judgement.precision:.4f} of {judgement.masks} masks")
        if arguments.show:
            print(*(f"  missed {line}" for line in judgement.missed), sep="\n")
            print(*(f"  wrong  {line}" for line in judgement.wrong), sep="\n")


if __name__ == "__main__":
    main()
