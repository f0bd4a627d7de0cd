"""Anchors: each new seal is pinned once, and a file that isn't one of anchors is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

import lockside
from domain.errors import InvalidInput, Unavailable
from engine.audit.anchors import pin_seals
from engine.audit.writer import write_records
from engine.ports.anchor_file import AnchorFile
from engine.ports.platform import Platform
from tests.engine.steps import query
from tests.factories import tickets
from tests.sentences import Sentences


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a file whose folder isn't there yet."""
    return tmp_path / "outside" / "anchors.ndjson"


@pytest.fixture
def platform(site: lockside.Session, path: Path) -> Platform:
    """Give the platform a file of anchors of its own."""
    return replace(site.platform, anchors=AnchorFile(path))


def sealed(site: lockside.Session) -> None:
    """Seal something new."""
    tickets(site, 1)
    write_records(site.platform)


def test_a_new_seal_is_pinned_once(site: lockside.Session, platform: Platform) -> None:
    sealed(site)

    answers = [[each.seal_no for each in pin_seals(platform)] for _ in range(2)]

    assert answers == [[1], []]


def test_what_was_pinned_is_read_again(site: lockside.Session, platform: Platform) -> None:
    pinned = []
    for _ in range(2):
        sealed(site)
        pinned += pin_seals(platform)

    assert list(platform.anchors.read()) == pinned


@pytest.mark.parametrize("torn", ['{"tenant_id": 1, "seal', " " * 9_000])
def test_a_line_that_a_crash_cut_short_is_passed_over(
    site: lockside.Session, platform: Platform, path: Path, torn: str
) -> None:
    sealed(site)
    pinned = pin_seals(platform)
    path.write_text(path.read_text() + torn)
    sealed(site)
    before = list(platform.anchors.read())

    pinned_later = pin_seals(platform)

    assert before == pinned
    assert list(platform.anchors.read()) == [*pinned, *pinned_later]


def test_a_first_line_that_a_crash_cut_short_is_passed_over(
    site: lockside.Session, platform: Platform, path: Path
) -> None:
    path.parent.mkdir()
    path.write_text('{"tenant_id": 1, "seal')
    sealed(site)

    pinned = pin_seals(platform)

    assert list(platform.anchors.read()) == pinned


@pytest.mark.parametrize(
    "line", ["{}", "not JSON", '{"tenant_id": 1, "seal_no": 1, "digest": "x"}']
)
def test_a_line_that_is_no_anchor_is_refused_by_its_number(
    path: Path, line: str, says: Sentences
) -> None:
    path.parent.mkdir()
    path.write_text(f"{line}\n")

    with pytest.raises(InvalidInput, check=says):
        list(AnchorFile(path).read())


def test_a_record_can_not_be_counted_as_from_before_once_that_is_pinned(
    site: lockside.Session, platform: Platform
) -> None:
    sealed(site)
    pin_seals(platform)
    query(site, "UPDATE audit_log SET seal_no = NULL")
    query(site, "UPDATE audit_chain SET unsealed = (SELECT count(*) FROM audit_log)")

    site.platform = platform
    found = [each.code for each in site.audit.verify().findings]

    assert "record_unsealed" in found


def test_an_anchor_of_before_that_counts_nothing_is_read(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('{"tenant_id": 1, "seal_no": 2, "digest": "00",'
                    ' "pinned_at": "2026-01-01T00:00:00+00:00"}\n')  # fmt: skip

    (anchor,) = AnchorFile(path).read()

    assert (anchor.seal_no, anchor.unsealed) == (2, None)


def test_a_file_that_can_not_be_written_says_what_to_do(
    site: lockside.Session, platform: Platform, path: Path, says: Sentences
) -> None:
    sealed(site)
    path.parent.write_text("a file in the folder's place")

    with pytest.raises(Unavailable, check=says):
        pin_seals(platform)
