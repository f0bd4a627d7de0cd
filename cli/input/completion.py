"""Words that TAB completes: kinds of work and their states, without waiting for the platform."""

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
    """Return every verb that some machine knows, with the kinds that know it and where it leads."""
    found: dict[str, dict[str, str]] = {}
    for kind, machine in _machines().items():
        for verb, target in machine.verbs.items():
            found.setdefault(verb, {})[kind.replace("_", "-")] = target
    return found


def complete_kinds(context: click.Context, _option: click.Parameter, begun: str) -> list[str]:
    """Return the kinds of work that begin like *begun*, for a verb those that know it."""
    known = [kind.replace("_", "-") for kind in _machines()]
    return _beginning(begun, verbs().get(str(context.info_name), known))


def complete_resource_types(
    _context: click.Context, _option: click.Parameter, begun: str
) -> list[str]:
    """Return what records are called that begin like *begun*; here the platform is waited for."""
    from lockside.session.records import known_resource_types

    return _beginning(begun, [each.replace("_", "-") for each in known_resource_types()])


def complete_states(context: click.Context, _option: click.Parameter, begun: str) -> list[str]:
    """Return the states that begin like *begun*, of the kind that stands before if one does."""
    machines = _machines()
    # An option without its value isn't parsed; what stands before it is left over.
    written = [str(context.params.get(name)) for name in ("kind", "resource_type")] + context.args
    named = [machines[word] for each in written if (word := each.replace("-", "_")) in machines]
    states = {state for machine in named or machines.values() for state in machine.states}
    return sorted(_beginning(begun.upper(), states))


def complete_operation_states(
    _context: click.Context, _option: click.Parameter, begun: str
) -> list[str]:
    """Return the states of operations that begin like *begun*."""
    return _beginning(begun.upper(), OPERATION.states)


def complete_isolation_levels(
    _context: click.Context, _option: click.Parameter, begun: str
) -> list[str]:
    """Return PostgreSQL's isolation levels that begin like *begun*."""
    return _beginning(begun, ISOLATION_LEVELS)


def _beginning(begun: str, words: Iterable[str]) -> list[str]:
    return [each for each in words if each.startswith(begun)]


def _machines() -> dict[str, Machine]:
    modules = [
        import_module(f"{machine_modules.__name__}.{each.name}")
        for each in iter_modules(machine_modules.__path__)
    ]
    values = [value for each in modules for value in vars(each).values()]
    found = [each for each in values if isinstance(each, Machine) and each is not OPERATION]
    return {each.kind: each for each in found}


def complete_policies(_context: click.Context, _option: click.Parameter, begun: str) -> list[str]:
    """Return the policies that every tenant begins with and that begin like *begun*."""
    return _beginning(begun, [each["name"] for each in DEFAULTS])
