"""What is written about the project agrees with the project."""

import json
import re
import subprocess
import tomllib
from collections import Counter
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.txt", "requirements-dev.txt")
OURSELVES = "lockside"

# In pieces, so that this file isn't the first that is found.
ONLY_ON_ONE_MACHINE = [
    "".join(pieces)
    for pieces in (
        ("/", "work/"),
        ("/", "tmp/x/"),
        ("/", "root/"),
        ("/", "opt/pypi"),
        ("pypi", ".org"),
        ("python", "hosted.org"),
        ("npmjs", ".org"),
        ("npmjs", ".com"),
        ("deb.", "debian.org"),
        ("proxy.", "golang.org"),
        ("crates", ".io"),
        ("docker", ".io/"),
    )
]


def project_files(*suffixes: str) -> list[Path]:
    """List what git tracks or would track, leaving out what is deleted."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    paths = sorted({ROOT / name for name in listed if name})
    return [path for path in paths if path.is_file() and (path.suffix in suffixes or not suffixes)]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def direct_dependencies() -> dict[str, Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = chain(project["dependencies"], *project["optional-dependencies"].values())
    found = {str(canonicalize_name(wanted.name)): wanted for wanted in map(Requirement, lines)}
    found.pop(OURSELVES, None)
    return found


def explained_dependencies() -> set[str]:
    text = (ROOT / "docs/dependencies.md").read_text()
    return {canonicalize_name(name) for name in re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)}


def locked_versions(lock: str) -> dict[str, str]:
    text = (ROOT / lock).read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", text, re.MULTILINE))


def test_each_direct_dependency_has_its_line_of_why() -> None:
    assert explained_dependencies() == set(direct_dependencies())


def test_the_lock_holds_what_the_project_asks_for() -> None:
    locked = locked_versions("requirements-dev.txt")

    unfit = [
        str(wanted)
        for name, wanted in direct_dependencies().items()
        if not wanted.specifier.contains(locked.get(name, "0"), prereleases=True)
    ]

    assert unfit == []


def test_people_test_with_the_versions_that_they_run() -> None:
    run, tested = (locked_versions(lock) for lock in LOCKS)

    assert run.items() <= tested.items()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_version_has_its_hashes(lock: str) -> None:
    entries = (ROOT / lock).read_text().replace("\\\n", " ").splitlines()

    assert [entry[:60] for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_address(lock: str) -> None:
    assert "://" not in (ROOT / lock).read_text()


def test_a_decision_takes_at_most_40_lines() -> None:
    long = [
        relative(path)
        for path in (ROOT / "docs/decisions").glob("*.md")
        if len(path.read_text().splitlines()) > 40
    ]

    assert long == []


def test_the_glossary_has_one_meaning_for_a_word() -> None:
    rows = re.findall(
        r"^\| \*\*(.+?)\*\* \|", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE
    )
    words = Counter(word for row in rows for word in row.split(", "))

    assert [word for word, times in words.items() if times > 1] == []


def test_a_link_between_documents_leads_somewhere() -> None:
    broken = []
    for path in project_files(".md"):
        prose = re.sub(r"(?ms)^```.*?^```|`[^`\n]*`", "", path.read_text())
        for target in re.findall(r"\]\(([^)\s]+)\)", prose):
            local = target.split("#")[0]
            if local and "://" not in target and not (path.parent / local).exists():
                broken.append(f"{relative(path)}: {target}")

    assert broken == []


def test_a_file_that_a_document_names_is_there() -> None:
    named = [
        (relative(page), path)
        for page in project_files(".md")
        for path in re.findall(
            r"`((?:[a-z_]+/)+(?:[a-z_0-9]+\.(?:py|md|toml|json))?)`", page.read_text()
        )
        if (ROOT / path.split("/")[0]).is_dir()
    ]

    missing = {path for _, path in named if not (ROOT / path).exists()}
    assert missing <= {"domain/machines/inspection.py", "models/inspection.py"}  # the how-to's own


def test_a_room_has_at_most_300_lines() -> None:
    long = [
        f"{relative(path)}: {lines}"
        for path in project_files(".py")
        if not relative(path).startswith(("tests/", "models/migrations/"))
        and (lines := len(path.read_text().splitlines())) > 300
    ]

    assert long == []


def test_no_file_depends_on_one_machine_or_one_registry() -> None:
    found = [
        f"{relative(path)}: {word}"
        for path in project_files()
        for word in ONLY_ON_ONE_MACHINE
        if word in path.read_text(errors="ignore")
    ]

    assert found == []


def test_each_golden_sentence_has_the_test_that_is_told_it() -> None:
    without = [
        test
        for test in json.loads((ROOT / "tests/sentences.json").read_text())
        if f"def test_{test.partition(': ')[2].partition('[')[0]}("
        not in (ROOT / "tests" / f"{test.partition(': ')[0]}.py").read_text()
    ]

    assert without == []
