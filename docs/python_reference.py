"""The Python reference, made from the public classes: signatures and docstrings."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import lockside
from domain.errors import LocksideError
from lockside.session.archives import Archives
from lockside.session.audit import Audit
from lockside.session.autoclose import Autoclose
from lockside.session.records import Records

_FACETS = {
    Records: "`site.records(resource_type)`",
    Audit: "`site.audit`",
    Archives: "`site.archives`",
    Autoclose: "`site.autoclose`",
}
_SECTION = re.compile(r"^(Args|Attributes|Returns|Yields|Raises):$")
_ENTRY = re.compile(r"^( {4})(\*?[\w`.]+): (.*)$")


def python_reference() -> str:
    """Return the page as Markdown."""
    parts = [
        "# Python",
        "What `import lockside` gives. `connect` returns a `Session`; everything else comes from "
        "it. Errors are classes of [the list of errors](errors.md), and "
        "`except lockside.LocksideError` catches all of them.",
        *_function(lockside.connect, "lockside.connect", level=2),
        *_class(lockside.Session, "Session"),
        *_class(lockside.Operation, "Operation"),
    ]
    for facet, path in _FACETS.items():
        parts += _class(facet, path.strip("`"))
    for name in lockside.__all__:
        value = getattr(lockside, name)
        if isinstance(value, type) and value not in (lockside.Session, lockside.Operation):
            parts += _value(value, name)
    return "\n\n".join(parts)


def _class(owner: type, name: str) -> Iterator[str]:
    yield f"## `{name}`"
    yield _rendered(owner)
    members = {
        member: value
        for base in reversed(owner.__mro__[:-1])
        for member, value in vars(base).items()
        if not member.startswith("_")
    }
    for member, value in sorted(members.items()):
        if isinstance(value, property):
            yield f"### `{member}`"
            yield _rendered(value)
        elif inspect.isfunction(value) or isinstance(value, staticmethod):
            yield from _function(getattr(owner, member), member, level=3)


def _function(function: Any, name: str, *, level: int) -> Iterator[str]:
    yield f"{'#' * level} `{name}`"
    yield f"```python\n{_signature(function, name.rpartition('.')[2])}\n```"
    yield _rendered(function)


def _value(value: type, name: str) -> Iterator[str]:
    if not issubclass(value, LocksideError):
        yield f"## `{name}`"
        yield _rendered(value)


def _signature(function: Any, name: str) -> str:
    """Return a signature with its types, one parameter a line if it is long."""
    signature = inspect.signature(function)
    shown = [_parameter(each) for each in signature.parameters.values() if each.name != "self"]
    kinds = [each.kind for each in signature.parameters.values() if each.name != "self"]
    if inspect.Parameter.KEYWORD_ONLY in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds:
        shown.insert(kinds.index(inspect.Parameter.KEYWORD_ONLY), "*")
    returned = _type(signature.return_annotation)
    line = f"{name}({', '.join(shown)}) -> {returned}"
    if len(line) <= 88:  # noqa: PLR2004 -- what a page shows without scrolling
        return line
    inner = "".join(f"    {each},\n" for each in shown)
    return f"{name}(\n{inner}) -> {returned}"


def _parameter(parameter: inspect.Parameter) -> str:
    stars: dict[Any, str] = {
        inspect.Parameter.VAR_POSITIONAL: "*",
        inspect.Parameter.VAR_KEYWORD: "**",
    }
    text = f"{stars.get(parameter.kind, '')}{parameter.name}"
    if parameter.annotation is not inspect.Parameter.empty:
        text += f": {_type(parameter.annotation)}"
    if parameter.default is not inspect.Parameter.empty:
        default = "…" if callable(parameter.default) else repr(parameter.default)
        text += f" = {default}"
    return text


def _type(annotation: Any) -> str:
    if annotation is inspect.Signature.empty or annotation is None:
        return "None"
    shown = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"\b(?:[a-z_]+\.)+(?=\w)", "", shown)


def _rendered(value: Any) -> str:
    """Return a docstring in Google's form as Markdown."""
    lines = inspect.cleandoc(value.__doc__ or "").splitlines()
    out: list[str] = []
    for line in lines:
        if section := _SECTION.match(line):
            out.append(f"*{section.group(1)}*\n")
        elif entry := _ENTRY.match(line):
            out.append(f"- `{entry.group(2).strip('`')}`: {entry.group(3)}")
        else:
            out.append(line.strip())
    return "\n".join(out)
