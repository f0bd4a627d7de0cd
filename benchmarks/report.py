"""Benchmark report: write `results.json` and `results.md`, and print the figures as a table."""

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
    """Return the versions and the machine that the figures depend on."""
    memory_gb = psutil.virtual_memory().total / 2**30
    system = f"{platform.system()} {platform.release().split('-')[0]}"
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        **servers,
        "machine": f"{os.cpu_count()} cores, {memory_gb:.0f} GB, {system}",
    }


def write(folder: Path, figures: Sequence[Figure], machine: Mapping[str, str]) -> None:
    """Write the results of this run; figures that it didn't measure are kept."""
    path = folder / "results.json"
    results: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    results |= {figure.id: {**figure.to_dict(), "on": dict(machine)} for figure in figures}
    results = dict(sorted(results.items()))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=2) + "\n")
    (folder / "results.md").write_text(_markdown(results, machine))


def show(console: Console, figures: Sequence[Figure], machine: Mapping[str, str]) -> None:
    """Print the figures of this run as a table."""
    table = Table("", "what", "ratio", "goal", "")
    for figure in figures:
        reached = "[green]reached[/]" if figure.ok else "[red]missed[/]"
        goal = f"{figure.side} {figure.goal:g}"
        table.add_row(figure.id, figure.what, f"{figure.ratio:.2f}", goal, reached)
    console.print(table)
    console.print(", ".join(f"{name} {value}" for name, value in machine.items()))


def _markdown(results: Mapping[str, Any], machine: Mapping[str, str]) -> str:
    lines = [
        "| | what | ratio | goal |",
        "|---|---|---|---|",
        *(
            f"| {name} | {result['what']} | **{result['ratio']:.2f}** "
            f"| {result['side']} {result['goal']:g}{'' if result['ok'] else ' (missed)'} |"
            for name, result in results.items()
        ),
        "",
        "Measured by `make bench` with "
        + ", ".join(f"{name} {value}" for name, value in machine.items() if name != "machine")
        + f" on {machine['machine']}.",
    ]
    return "\n".join(lines) + "\n"
