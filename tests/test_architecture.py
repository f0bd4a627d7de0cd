"""Architecture: what the import contracts and the linter can't check is checked here."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("domain", "models", "engine", "reads", "tasks", "worker", "lockside", "cli")
TESTS = ROOT / "tests"

# The Celery command line asks for worker.main's app, Alembic runs env.py: both exist to act.
ACTS_ON_IMPORT = {"worker.main", "models.migrations.env"}

IMPORT_AND_TELL = """
import importlib, socket, sys, threading

module = ""
acts = []
WRITE = {"w", "a", "x", "+"}

def watch(event, arguments):
    opened = event == "open" and isinstance(arguments[1], str) and WRITE & set(arguments[1])
    if opened or event in {"socket.connect", "socket.bind", "subprocess.Popen", "os.mkdir"}:
        acts.append(f"{module}: {event} {arguments!r}")

sys.addaudithook(watch)
for module in sys.argv[1:]:
    importlib.import_module(module)
    if threading.active_count() > 1:
        acts.append(f"{module}: started a thread")
print("\\n".join(acts), end="")
"""


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def place(path: Path, node: ast.expr | ast.stmt) -> str:
    return f"{path.relative_to(ROOT)}:{node.lineno}"


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def dotted(node: ast.expr) -> str:
    """Give `a.b.c` for what is written like that, and the tail of anything else."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            yield dotted(node.func), node


def imported(path: Path) -> Iterator[tuple[str, ast.stmt]]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((name.name, node) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((f"{node.module}.{name.name}", node) for name in node.names)


def test_a_layer_imports_only_what_lies_below_it() -> None:
    lint = Path(sys.executable).with_name("lint-imports")

    ended = subprocess.run(
        [lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_schedule_is_data() -> None:
    known = {name.split(".")[0] for name, _ in imported(ROOT / "beat_schedule.py")}

    assert known <= {"datetime", "celery", "typing", "collections"}


@pytest.mark.slow
def test_nothing_acts_on_import(tmp_path: Path) -> None:
    modules = [*map(module_of, sources(*LAYERS)), "beat_schedule"]
    quiet = [name for name in modules if name not in ACTS_ON_IMPORT and ".versions" not in name]
    bare = {key: value for key, value in os.environ.items() if not key.endswith("_URL")}

    ended = subprocess.run(
        [sys.executable, "-c", IMPORT_AND_TELL, *quiet],
        cwd=tmp_path,
        env=bare | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "package", [path for path in sources(*LAYERS) if path.name == "__init__.py"], ids=module_of
)
def test_a_package_states_its_law_in_one_sentence(package: Path) -> None:
    law = ast.get_docstring(tree(package)) or ""

    first = law.split("\n\n")[0]

    assert first.endswith(".")
    assert first.count(". ") == 0


def test_the_domain_has_no_clock() -> None:
    clocks = ("now", "utcnow", "today", "time", "monotonic", "perf_counter", "time_ns")

    asked = [
        place(path, call)
        for path in sources("domain")
        for name, call in calls(path)
        if name.startswith(("datetime.", "date.", "time.", "dt.")) and name.endswith(clocks)
    ]

    assert asked == []


def test_no_layer_above_the_domain_tells_kinds_of_work_apart() -> None:
    kinds = {"work_order", "ticket", "task", "attendance"}

    told = [
        place(path, node)
        for path in sources(*LAYERS[1:])
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Compare)
        and dotted(node.left).split(".")[-1] == "kind"
        and any(isinstance(c, ast.Constant) and c.value in kinds for c in node.comparators)
    ]

    assert told == []


def test_a_celery_task_is_a_shell_of_fifteen_lines() -> None:
    long = [
        f"{place(path, node)} {node.name}"
        for path in sources("tasks")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= 15
    ]

    assert long == []


def test_no_test_sleeps() -> None:
    asleep = [
        place(path, call)
        for path in sources("tests")
        for name, call in calls(path)
        if name in {"sleep", "time.sleep", "asyncio.sleep", "gevent.sleep"}
    ]

    assert asleep == []


def test_no_test_mocks() -> None:
    mocked = [
        place(path, node)
        for path in sources("tests")
        for name, node in imported(path)
        if name.startswith(("unittest.mock", "mock.", "pytest_mock"))
    ]

    assert mocked == []
