"""What a refused field is called on the command line: errors name the option that was typed."""

from collections.abc import Mapping

from click import Command

from domain.errors import InvalidInput

_OPTIONS = {
    "target_state": ("--to",),
    "state": ("--state", "--to"),
    "to": ("--to",),
    "chunk_items": ("--chunk-size",),
    "expected_versions": ("--expected-version",),
    "lease_s": ("--lease",),
    "wait_s": ("--lock-wait",),
    "isolation_level": ("--isolation",),
    "assigned_to_user": ("--user",),
    "assigned_to_team": ("--team",),
}
"""Where an option isn't called as its field is; the first that the command has counts."""


class _GotNothing(InvalidInput):
    """A value is missing: people aren't told of None."""

    template = "{field}: got nothing, expected {expected}"


def as_typed(
    error: InvalidInput, command: Command | None, names: Mapping[str, str]
) -> InvalidInput:
    """Return the refusal with what was typed in the place of the field's name.

    For people: what programs read keeps the field's name, which is the same at every interface.

    Args:
        error: The refusal.
        command: Whose options count.
        names: What this call calls its fields, before the options.
    """
    typed = _typed(str(error.facts["field"]), command, names)
    told = _GotNothing if error.facts["got"] in (None, "") else InvalidInput
    return told(**{**error.facts, "field": typed})


def _typed(field: str, command: Command | None, names: Mapping[str, str]) -> str:
    if field in names:
        return names[field]
    params = command.params if command else []
    # The options that all commands share are never refused by a use case.
    known = {each for param in params if param.expose_value for each in param.opts}
    wanted = _OPTIONS.get(field, (f"--{field.replace('_', '-')}",))
    return next((each for each in wanted if each in known), field)
