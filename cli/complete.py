"""Words that TAB completes: kinds of work and their states, without waiting for the platform."""

from importlib import import_module
from pkgutil import iter_modules

import rich_click as click

import domain
from domain.machine import Machine
from domain.operation import OPERATION


def complete_kinds(_context: click.Context, _option: click.Parameter, begun: str) -> list[str]:
    """Return the kinds of work that begin like *begun*."""
    return [
        each for each in (kind.replace("_", "-") for kind in _machines()) if each.startswith(begun)
    ]


def complete_states(context: click.Context, _option: click.Parameter, begun: str) -> list[str]:
    """Return the states that begin like *begun*, of the kind that stands before if one does."""
    machines = _machines()
    # An option without its value isn't parsed; what stands before it is left over.
    written = [str(context.params.get("kind")), *context.args]
    named = [machines[word] for each in written if (word := each.replace("-", "_")) in machines]
    states = {state for machine in named or machines.values() for state in machine.states}
    return sorted(each for each in states if each.startswith(begun.upper()))


def _machines() -> dict[str, Machine]:
    modules = [import_module(f"domain.{each.name}") for each in iter_modules(domain.__path__)]
    values = [value for each in modules for value in vars(each).values()]
    found = [each for each in values if isinstance(each, Machine) and each is not OPERATION]
    return {each.kind: each for each in found}
