"""The command line in a test's hand: in this process, or as the real program."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import rich_click as click
from click.testing import CliRunner

from cli.main import lockside
from tests.patience import PATIENCE_S
from tests.workers import environment
from worker.settings import Settings

PROGRAM = [sys.executable, "-c", "from cli.main import main; main()"]


@dataclass(frozen=True)
class Answer:
    """What a command answered: its exit code, what it printed, what it said beside that."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return stdout as the one JSON document that it has to be."""
        return json.loads(self.out)


def call(settings: Settings, *words: object, stdin: str = "") -> Answer:
    """Call the command line in this process, with these settings in its environment."""
    ended = CliRunner().invoke(
        lockside, [str(each) for each in words], input=stdin, env=environment(settings)
    )
    if ended.exception is not None and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    return Answer(ended.exit_code, ended.stdout, ended.stderr)


def at_a_terminal(
    settings: Settings,
    *words: object,
    typed: str = "",
    piped: str | None = None,
    columns: int = 80,
) -> Answer:
    """Run the real program at a terminal, with what is typed there, or with a pipe before it.

    What it prints and what it says beside that come on one screen: in `out`.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, *map(str, words)],
        env=environment(settings) | {"TERM": "dumb", "COLUMNS": str(columns), "LINES": "24"},
        stdin=theirs if piped is None else subprocess.PIPE,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    if piped is not None and process.stdin is not None:
        process.stdin.write(piped.encode())
        process.stdin.close()
    os.write(ours, typed.encode())
    screen = b"".join(iter(partial(_read, ours), b""))
    os.close(ours)
    return Answer(process.wait(PATIENCE_S), screen.decode().replace("\r\n", "\n"), "")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # the program has closed its end
        return b""


def spawn(variables: dict[str, str], folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start the real program in a folder, with this environment."""
    return subprocess.Popen(
        [*PROGRAM, *words],
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def commands(
    group: click.Group = lockside, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Walk the whole tree of commands, the groups among them."""
    yield path, group
    context = click.Context(group)
    # Of `submit` not the shortcuts: each verb has one, and they are alike.
    for name in group.commands or group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command
