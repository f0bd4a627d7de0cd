"""Completion: the words that TAB completes, such as kinds of work and states, without a server."""

from collections.abc import Iterable
from importlib import import_module
from pkgutil import iter_modules

import rich_click as click

from domain import machines as machine_modules
from domain.machines.machine import Machine
from domain.machines.operation import OPERATION
from domain.policies.defaults import DEFAULTS

ISOLATION_LEVELS = ("read-committed", "repeatable-read", "serializable")


def verbs() -> dict[str, dict[str, str]]:
    """Return every verb of any machine, with its target state for each kind that has it."""
    targets: dict[str, dict[str, str]] = {}
    for kind, machine in _machines().items():
        for verb, target in machine.verbs.items():
            targets.setdefault(verb, {})[kind.replace("_", "-")] = target
    return targets


def complete_kinds(context: click.Context, _option: click.Parameter, prefix: str) -> list[str]:
    """Return the kinds of work that begin with *prefix*; for a verb only those that have it."""
    kinds = [kind.replace("_", "-") for kind in _machines()]
    return _beginning(prefix, verbs().get(str(context.info_name), kinds))


def complete_resource_types(
    _context: click.Context, _option: click.Parameter, prefix: str
) -> list[str]:
    """Return the resource types that begin with *prefix*; this imports the whole platform."""
    from lockside.session.records import known_resource_types

    return _beginning(prefix, [name.replace("_", "-") for name in known_resource_types()])


def complete_states(context: click.Context, _option: click.Parameter, prefix: str) -> list[str]:
    """Return the states that begin with *prefix*, of the kind that was typed before, or of all."""
    machines = _machines()
    # click stops parsing at an option without a value; the words before it are in `args`.
    written = [str(context.params.get(name)) for name in ("kind", "resource_type")] + context.args
    kinds = [word.replace("-", "_") for word in written]
    chosen = [machines[kind] for kind in kinds if kind in machines]
    states = {state for machine in chosen or machines.values() for state in machine.states}
    return sorted(_beginning(prefix.upper(), states))


def complete_operation_states(
    _context: click.Context, _option: click.Parameter, prefix: str
) -> list[str]:
    """Return the states of operations that begin with *prefix*."""
    return _beginning(prefix.upper(), OPERATION.states)


def complete_isolation_levels(
    _context: click.Context, _option: click.Parameter, prefix: str
) -> list[str]:
    """Return PostgreSQL's isolation levels that begin with *prefix*."""
    return _beginning(prefix, ISOLATION_LEVELS)


def _beginning(prefix: str, words: Iterable[str]) -> list[str]:
    return [word for word in words if word.startswith(prefix)]


def _machines() -> dict[str, Machine]:
    modules = [
        import_module(f"{machine_modules.__name__}.{module.name}")
        for module in iter_modules(machine_modules.__path__)
    ]
    values = [value for module in modules for value in vars(module).values()]
    machines = (value for value in values if isinstance(value, Machine))
    return {machine.kind: machine for machine in machines if machine is not OPERATION}


def complete_policies(_context: click.Context, _option: click.Parameter, prefix: str) -> list[str]:
    """Return the names of default policies that begin with *prefix*."""
    return _beginning(prefix, [policy["name"] for policy in DEFAULTS])
