"""Sentences that people read, in one golden file, so that prose can be improved in one place.

A test asserts the class or the code; where a sentence is told as well, it says `check=says` to
`pytest.raises`, or `assert says(text)`. The sentence stands in `sentences.json` under the test's
name; `make sentences` writes the file anew, and its diff is what there is to read.
"""

import fcntl
import json
import os
import re
from pathlib import Path

GOLDEN = Path(__file__).with_name("sentences.json")
UPDATE = "UPDATE_SENTENCES"

# What differs from run to run, or from machine to machine.
_VARYING = (
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<id>"),
    (r"[0-9a-f]{16,64}", "<digest>"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?", "<time>"),
    (r"\d+\.\d+", "<number>"),
)


class Sentences:
    """The sentences of one test, compared with the golden file in the order they are told."""

    def __init__(self, test: str, folder: str) -> None:
        self._test = test
        self._folder = folder
        self._told: list[str] = []

    def __call__(self, sentence: object) -> bool:
        """Compare a sentence, or an error's; raises with both if they differ."""
        self._told.append(plain(str(sentence).replace(self._folder, "<folder>")))
        if os.environ.get(UPDATE):
            return True
        golden = _read().get(self._test, [])
        expected = golden[len(self._told) - 1] if len(self._told) <= len(golden) else None
        told = self._told[-1]
        assert told == expected, f"told: {told}\nexpected: {expected}\n`make sentences` keeps it"
        return True

    def end(self) -> None:
        """Make sure that all was told, or write it into the golden file if that is asked for."""
        if not os.environ.get(UPDATE):
            missing = _read().get(self._test, [])[len(self._told) :]
            assert not missing, f"not told any more: {missing}"
            return
        with GOLDEN.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            kept = _read() | {self._test: self._told}
            kept = {test: told for test, told in sorted(kept.items()) if told}
            text = json.dumps(kept, indent=1, ensure_ascii=False)
            GOLDEN.write_text(f"{text}\n", encoding="utf-8")


def plain(sentence: str) -> str:
    """Return a sentence without what differs from run to run."""
    for pattern, name in _VARYING:
        sentence = re.sub(pattern, name, sentence)
    return sentence


def _read() -> dict[str, list[str]]:
    if not GOLDEN.exists():
        return {}
    sentences: dict[str, list[str]] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return sentences
