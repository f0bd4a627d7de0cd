"""Activation: find out what to type so that the shell finds the program."""

import shutil
import sys
from pathlib import Path

from cli.program.command import PROGRAM


def activation() -> str | None:
    """Return what to type so that the shell finds the program; None if it finds it already."""
    script = Path(sys.prefix) / "bin" / "activate"
    if shutil.which(PROGRAM) is not None or not script.exists():
        return None
    here = Path.cwd()
    return f". {script.relative_to(here) if script.is_relative_to(here) else script}"
