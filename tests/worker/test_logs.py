"""Logs: one line an event with its fields, and no line that breaks the work."""

import logging
import sys
from collections.abc import Iterator

import pytest

from worker.logs import LOGGERS, configure_logs


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    """Give a logger of the platform, configured as for a worker, for the time of the test."""
    before = {
        each: (each.level, each.propagate, list(each.handlers))
        for each in map(logging.getLogger, LOGGERS)
    }
    configure_logs()
    yield logging.getLogger("engine.somewhere")
    for each, (level, propagates, handlers) in before.items():
        each.setLevel(level)
        each.propagate = propagates
        each.handlers = handlers


def test_a_line_has_its_event_and_its_fields(
    log: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    log.warning("redis_away", extra={"at": "locks", "error": "refused"})

    line = capsys.readouterr().err
    assert [each for each in ("warning", "redis_away", "at=locks") if each not in line] == []


def test_lines_below_the_level_are_left_out(
    log: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    log.debug("redis_away")

    assert capsys.readouterr().err == ""


def test_without_stderr_the_work_goes_on(
    log: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", None)

    log.warning("redis_away")
