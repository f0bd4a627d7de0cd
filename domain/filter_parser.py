"""Filter parser: parse a filter such as `state=OPEN and created_at < -7d` into comparisons."""

from functools import cache
from typing import Any, NoReturn

from lark import Lark, Transformer
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from domain.errors import InvalidInput
from domain.selection import (
    DEEPEST,
    EMPTY,
    IN,
    LONGEST,
    Combination,
    Comparison,
    Filter,
    Negation,
    walk,
)

# The lexer is contextual: it expects other words in other places, so that a value may be called
# `in` or `empty`.
_GRAMMAR = r"""
?filter: all ("or"i all)*        -> any_of
?all: one ("and"i one)*          -> all_of
?one: "not"i one                 -> negation
    | "(" filter ")"
    | FIELD COMPARES value       -> comparison
    | FIELD CONTAINS value       -> comparison
    | FIELD IN values            -> listing
    | FIELD "not"i IN values     -> other_listing
    | FIELD "is"i "empty"i       -> emptiness
    | FIELD "is"i "not"i "empty"i -> other_emptiness
values: "(" value ("," value)* ")"
?value: VALUE | QUOTED

COMPARES: /[<>]=?|!=|==?/
CONTAINS: "contains"i
IN: "in"i
FIELD: /[a-z_][a-z_0-9]*/i
VALUE: /[^\s(),=<>!"']+/
QUOTED: /"(?:[^"]|"")*"|'(?:[^']|'')*'/
%import common.WS
%ignore WS
"""


_EXPECTED_PHRASES = {
    "FIELD": "a field",
    "VALUE": "a value",
    "COMPARES": "one of = != < <= > >=, in, contains, is empty",
    "AND": "and, or, or the end",
    "COMMA": "a comma or a closing parenthesis",
    "LPAR": "an opening parenthesis",
    "RPAR": "a closing parenthesis",
    "EMPTY": "empty",
    "IN": "in",
}


class _Reader(Transformer[Any, Filter]):
    """Builds a filter from the parse tree, from the inside out."""

    def any_of(self, parts: list[Filter]) -> Filter:
        return parts[0] if len(parts) == 1 else Combination(is_all=False, parts=tuple(parts))

    def all_of(self, parts: list[Filter]) -> Filter:
        return parts[0] if len(parts) == 1 else Combination(is_all=True, parts=tuple(parts))

    def negation(self, parts: list[Filter]) -> Filter:
        return Negation(parts[0])

    def comparison(self, parts: list[str]) -> Filter:
        field, operator, value = parts
        return Comparison(field, "=" if operator == "==" else operator.lower(), (value,))

    def listing(self, parts: list[Any]) -> Filter:
        field, _, values = parts
        return Comparison(field, IN, values)

    def other_listing(self, parts: list[Any]) -> Filter:
        return Negation(self.listing(parts))

    def emptiness(self, parts: list[str]) -> Filter:
        return Comparison(parts[0], EMPTY)

    def other_emptiness(self, parts: list[str]) -> Filter:
        return Negation(self.emptiness(parts))

    def values(self, parts: list[str]) -> tuple[str, ...]:
        return tuple(parts)

    def FIELD(self, token: str) -> str:  # noqa: N802 -- the grammar's name
        return str(token).lower()

    def VALUE(self, token: str) -> str:  # noqa: N802
        return str(token)

    def QUOTED(self, token: str) -> str:  # noqa: N802
        return token[1:-1].replace(token[0] * 2, token[0])


def parse_filter(text: str) -> Filter:
    """Return the parsed form of a filter.

    Raises:
        InvalidInput: It is empty, too long or too deep, or can't be read; the error shows where.
    """
    if not text.strip():
        _refuse("nothing", "a filter such as state=OPEN; all rows are meant by id > 0")
    if len(text) > LONGEST:
        _refuse(f"{len(text):,} characters", f"at most {LONGEST:,}; long lists of ids go by file")
    try:
        parsed: Any = _parser().parse(text)
    except (UnexpectedCharacters, UnexpectedToken) as error:
        _refuse_at(text, error)
    if any(depth > DEEPEST for depth, _ in walk(parsed)):
        _refuse("too many parentheses in each other", f"at most {DEEPEST}")
    return parsed  # type: ignore[no-any-return]


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", start="filter", transformer=_Reader())


def _refuse_at(text: str, error: UnexpectedCharacters | UnexpectedToken) -> NoReturn:
    place: Any = error.pos_in_stream
    if isinstance(error, UnexpectedCharacters):
        accepted = error.allowed or set()
    else:
        accepted = error.accepts or error.expected
        if error.token.type == "$END":
            place = len(text)
    got = text[place : place + 20] or "the end"
    phrases = (phrase for name, phrase in _EXPECTED_PHRASES.items() if name in accepted)
    expected = next(phrases, _EXPECTED_PHRASES["AND"])
    _refuse(f"{got} at character {place + 1} of {text}", expected)


def _refuse(got: str, expected: str) -> NoReturn:
    raise InvalidInput(field="where", got=got, expected=expected)
