"""Writes the pages of docs/reference from the code; `--check` says which of them are stale."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

# Run as a script from a checkout, this file's folder is on the path and its parent is not.
sys.path.insert(0, str(Path(__file__).parent.parent))

from cli.exits import MEANINGS, exit_code_of_error
from cli.main import lockside
from docs.python_reference import python_reference
from docs.reasons import CELERY, HTTP
from domain.errors import LocksideError
from domain.machines.diagram import mermaid, transition_table
from domain.machines.operation import OPERATION
from domain.permissions import ROLES, permissions_of
from engine.input.fields import fields_of
from engine.input.record_types import parent_of
from models.base import kinds, records
from worker.app import celery_settings
from worker.settings import Settings

_WRITES = ("create", "update", "delete")
FOLDER = Path(__file__).parent / "reference"
_MADE = "<!-- Made by docs/generate.py from the code: change that, and run `make docs`. -->"


def pages() -> dict[str, str]:
    """Return the text of each page by its file's name."""
    made = {
        "machines.md": _machines(),
        "settings.md": _settings(),
        "celery.md": _celery(),
        "cli.md": _command_line(),
        "errors.md": _errors(),
        "records.md": _records(),
        "permissions.md": _permissions(),
        "python.md": python_reference(),
    }
    return {name: f"{_MADE}\n\n{text.strip()}\n" for name, text in made.items()}


def _machines() -> str:
    parts = [
        "# Machines",
        "Each kind of work with its states and the ways between them. Beside an arrow stand its "
        "verb and what it asks for; *undo* says whether an undo may go back. An operation has a "
        "machine too; nobody needs a permission for it.",
    ]
    for machine in [each.machine for each in kinds().values()] + [OPERATION]:
        heading = machine.kind.replace("_", " ").capitalize()
        parts += [
            f"## {heading}",
            f"```mermaid\n{mermaid(machine)}\n```",
            transition_table(machine),
        ]
    return "\n\n".join(parts)


def _records() -> str:
    parts = [
        "# Records",
        "What interfaces create, read, update, list and delete, with the fields that they may "
        "write. Beside these every record has `id`, `version`, `created_at`, `created_by`, "
        "`updated_at` and `updated_by`, and work has `uuid`, `state` and `state_since`; the "
        "platform writes those. A field that refers to another record takes its id or its name.",
    ]
    for resource_type, model in records().items():
        whole = parent_of(model)
        about = (model.__doc__ or "").strip().splitlines()[0]
        if whole is not None:
            needed = f"`{whole.resource_type}.{model.permit}`"
            if not model.permit:
                create, update, delete = (f"`{resource_type}.{each}`" for each in _WRITES)
                needed = f"{create}, {update} or {delete}"
            about += (
                f" A part of a {whole.resource_type}: whoever writes it needs {needed} "
                "and makes that row's next version too."
            )
        rows = [
            f"| `{each.name}` | {each.expected} | {'yes' if each.required else '—'} |"
            for each in fields_of(model).values()
        ]
        fields = "\n".join(["| field | value | required |", "|---|---|---|", *rows])
        parts += [f"## {resource_type}", about, fields]
    return "\n\n".join(parts)


def _permissions() -> str:
    machines = [each.machine for each in kinds().values()]
    held = {role: permissions_of(role, machines, records()) for role in ROLES}
    every = sorted({each for given in held.values() for each in given})
    rows = [
        f"| `{each}` | {' | '.join('✓' if each in held[role] else '' for role in ROLES)} |"
        for each in every
    ]
    return "\n".join(
        [
            "# Permissions",
            "",
            "What the standard roles of a new tenant hold. Whoever administers a tenant may give a "
            "role other permissions, and make roles of their own. The system itself needs none.",
            "",
            f"| permission | {' | '.join(ROLES)} |",
            f"|---|{'---|' * len(ROLES)}",
            *rows,
        ]
    )


def _settings() -> str:
    rows = []
    for name, field in Settings.model_fields.items():
        variable = f"LOCKSIDE_{name.upper()}"
        if name in ("database_url", "redis_url"):
            variable = name.upper()
        default = "—" if field.default is None else f"`{field.default}`"
        rows.append(f"| `{variable}` | {default} | {field.description} |")
    return "\n".join(
        [
            "# Settings",
            "",
            "Every setting is an environment variable. Spans are seconds.",
            "",
            "| variable | default | what it does |",
            "|---|---|---|",
            *rows,
        ]
    )


def _celery() -> str:
    settings = Settings(database_url="postgresql://…", redis_url="redis://…")
    values = _flat(celery_settings(settings))
    unexplained = values.keys() ^ CELERY.keys()
    if unexplained:
        raise SystemExit(f"docs/reasons.py and worker/app.py disagree on {sorted(unexplained)}")
    rows = [f"| `{name}` | `{value}` | {CELERY[name]} |" for name, value in values.items()]
    return "\n".join(
        [
            "# Celery's settings, each with its reason",
            "",
            "| setting | value | why |",
            "|---|---|---|",
            *rows,
            "",
            "Started as `celery -A worker.main worker --without-mingle --without-gossip`, with "
            "`REMAP_SIGTERM=SIGQUIT` in the environment: a stop lets short tasks end and gives "
            "the rest back.",
        ]
    )


def _flat(config: dict[str, Any]) -> dict[str, str]:
    shown: dict[str, str] = {}
    for name, value in config.items():
        if name == "broker_transport_options":
            shown |= {f"{name}.{option}": str(each) for option, each in value.items()}
        elif name == "task_queues":
            shown[name] = ", ".join(queue.name for queue in value)
        elif name == "beat_schedule":
            shown[name] = ", ".join(
                f"{each} every {e['schedule']:g} s" for each, e in value.items()
            )
        else:
            shown[name] = str(value)
    return shown


def _errors() -> str:
    rows = []
    for each in LocksideError.__subclasses__():
        if each.__module__ != "domain.errors":
            continue
        known = (
            f"`{each.__name__}`",
            f"`{each.code}`",
            "yes" if each.retryable else "no",
            str(HTTP[each.code]),
            str(exit_code_of_error(each.code)),
            (each.__doc__ or "").splitlines()[0],
        )
        rows.append(f"| {' | '.join(known)} |")
    return "\n".join(
        [
            "# Errors",
            "",
            "The same at every interface. HTTP comes later; its numbers are fixed already. The "
            "exit code is that of a refused request, and of an operation whose only item failed "
            "so; all of them stand below.",
            "",
            "| class | code | retryable | HTTP | exit | meaning |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
            "## Exit codes",
            "",
            "| exit | meaning |",
            "|---|---|",
            *(f"| {code} | {meaning} |" for code, meaning in MEANINGS.items()),
        ]
    )


def _command_line() -> str:
    shown = [f"## `{path}`\n\n```text\n{text}\n```" for path, text in _helps(lockside, "lockside")]
    return "\n\n".join(["# Command line", *shown])


def _helps(command: click.Command, path: str) -> Iterator[tuple[str, str]]:
    context = click.Context(command, info_name=path, terminal_width=90, max_content_width=90)
    formatter = context.make_formatter()
    # click's own plain form: that of rich is made for terminals.
    click.Command.format_usage(command, context, formatter)
    click.Command.format_help_text(command, context, formatter)
    click.Command.format_options(command, context, formatter)
    if isinstance(command, click.Group):
        click.Group.format_commands(command, context, formatter)
    yield path, formatter.getvalue().strip()
    if isinstance(command, click.Group):
        # Of `submit` not the shortcuts: each verb has one, and they are alike.
        for name in sorted(command.commands or command.list_commands(context)):
            found = command.get_command(context, name)
            if found is not None:
                yield from _helps(found, f"{path} {name}")


def main(*, check: bool) -> int:
    """Write the pages, or with *check* only say which are stale; return the exit code."""
    FOLDER.mkdir(exist_ok=True)
    stale = []
    for name, text in pages().items():
        page = FOLDER / name
        if page.exists() and page.read_text() == text:
            continue
        stale.append(name)
        if not check:
            page.write_text(text)
            print(f"wrote docs/reference/{name}")
    if check and stale:
        print(f"Stale: {', '.join(stale)} in docs/reference. Run `make docs` and commit them.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
