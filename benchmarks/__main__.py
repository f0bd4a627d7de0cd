"""Command line of the benchmarks: `python -m benchmarks [--only F1,F4] [--quick]`.

Exit code 1 if a goal is missed; with `--quick` the sizes are too small for goals to count.
"""

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from benchmarks import report
from benchmarks.bulk import measure_f1, measure_f6, measure_kinds
from benchmarks.clock import measure_f10
from benchmarks.crowd import measure_f5
from benchmarks.house import PROJECT, House, open_house
from benchmarks.measure import Figure
from benchmarks.million import measure_f3
from benchmarks.one_by_one import measure_f2
from benchmarks.redaction import measure_redaction
from benchmarks.single import measure_f4
from benchmarks.turns import measure_turns
from benchmarks.verification import measure_f9

BENCHMARKS: dict[str, Callable[..., list[Figure]]] = {
    "F1": measure_f1,
    "F1K": measure_kinds,
    "F2": measure_f2,
    "F3": measure_f3,
    "F4": measure_f4,
    "F5": measure_f5,
    "F6": measure_f6,
    "F9": measure_f9,
    "F10": measure_f10,
    "REDACTION": measure_redaction,
    "TURNS": measure_turns,
}


def main() -> int:
    """Run the chosen benchmarks, write and show the results, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure Lockside.")
    parser.add_argument("--only", help="some of them, e.g. F1,F4", default=",".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="small sizes: does it still run?")
    parser.add_argument(
        "--into", type=Path, default=PROJECT / "benchmarks", help="the folder of the results"
    )
    arguments = parser.parse_args()
    names = [name.strip().upper() for name in arguments.only.split(",")]
    if unknown := set(names) - BENCHMARKS.keys():
        parser.error(f"no benchmark {', '.join(sorted(unknown))}: {', '.join(BENCHMARKS)}")
    console = Console()
    # SIGTERM unwinds the stack, so that servers and workers are stopped as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with open_house(quick=arguments.quick) as house:
        figures = [
            figure
            for name in names
            for figure in _measure(console, house, name, quick=arguments.quick)
        ]
        machine = report.describe_machine(house.versions())
    report.write(arguments.into, figures, machine)
    report.show(console, figures, machine)
    return 0 if arguments.quick or all(figure.ok for figure in figures) else 1


def _measure(console: Console, house: House, name: str, *, quick: bool) -> list[Figure]:
    with console.status(name) as status:

        def announce(what: str) -> None:
            status.update(f"{name}: {what}")

        return BENCHMARKS[name](house, announce, quick=quick)


if __name__ == "__main__":
    sys.exit(main())
