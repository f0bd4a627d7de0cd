"""What a run leaves behind: `results.json` for programs, `results.md` and a table for people."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.measure import Figure

PACKAGES = ("celery", "sqlalchemy", "psycopg", "redis")


def describe_machine(servers: Mapping[str, str]) -> dict[str, str]:
    """Return what the figures depend on: versions, cores, memory, operating system."""
    memory_gb = psutil.virtual_memory().total / 2**30
    system = f"{platform.system()} {platform.release().split('-')[0]}"
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        **servers,
        "machine": f"{os.cpu_count()} cores, {memory_gb:.0f} GB, {system}",
    }


def write(folder: Path, figures: Sequence[Figure], machine: Mapping[str, str]) -> None:
    """Write the results of this run; figures that it didn't measure stay as they were."""
    path = folder / "results.json"
    known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    known |= {each.id: {**each.to_dict(), "on": dict(machine)} for each in figures}
    known = dict(sorted(known.items()))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=2) + "\n")
    (folder / "results.md").write_text(_markdown(known, machine))


def show(console: Console, figures: Sequence[Figure], machine: Mapping[str, str]) -> None:
    """Print the figures of this run as a table."""
    table = Table("", "what", "ratio", "goal", "")
    for each in figures:
        reached = "[green]reached[/]" if each.ok else "[red]missed[/]"
        goal = f"{each.side} {each.goal:g}"
        table.add_row(each.id, each.what, f"{each.ratio:.2f}", goal, reached)
    console.print(table)
    console.print(", ".join(f"{name} {value}" for name, value in machine.items()))


def _markdown(known: Mapping[str, Any], machine: Mapping[str, str]) -> str:
    lines = [
        "| | what | ratio | goal |",
        "|---|---|---|---|",
        *(
            f"| {name} | {each['what']} | **{each['ratio']:.2f}** "
            f"| {each['side']} {each['goal']:g}{'' if each['ok'] else ' (missed)'} |"
            for name, each in known.items()
        ),
        "",
        "Measured by `make bench` with "
        + ", ".join(f"{name} {value}" for name, value in machine.items() if name != "machine")
        + f" on {machine['machine']}.",
    ]
    return "\n".join(lines) + "\n"
