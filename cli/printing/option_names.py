"""Option names: let an error name the option that was typed in place of a field."""

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
"""The options with another name than their field; the first one that the command has counts."""


class _GotNothing(InvalidInput):
    """A value is missing: the message says "nothing" in place of None."""

    template = "{field}: got nothing, expected {expected}"


def as_typed(
    error: InvalidInput, command: Command | None, names: Mapping[str, str]
) -> InvalidInput:
    """Return the error with the name that was typed in place of the field's name.

    For people only: JSON keeps the field's name, which is the same at every interface.

    Args:
        error: The error.
        command: The command whose options are known.
        names: Typed names by field, which come before the options.
    """
    typed = _typed(str(error.facts["field"]), command, names)
    error_class = _GotNothing if error.facts["got"] in (None, "") else InvalidInput
    return error_class(**{**error.facts, "field": typed})


def _typed(field: str, command: Command | None, names: Mapping[str, str]) -> str:
    if field in names:
        return names[field]
    params = command.params if command else []
    # A use case never refuses the options that all commands share.
    own_options = {option for param in params if param.expose_value for option in param.opts}
    candidates = _OPTIONS.get(field, (f"--{field.replace('_', '-')}",))
    return next((option for option in candidates if option in own_options), field)
