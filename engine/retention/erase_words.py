"""Words that tell of a person, taken out of text and of JSON by PostgreSQL: whole words only.

In JSON it is strings that are looked into, as what they say: how a line break or a quote is
written there, or that a name is also a number, makes no difference.
"""

import json
import re
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from domain.redaction.masks import ERASED
from models.base import Base
from models.seal import TABLES, words_of

_JSON_IN_TEXT = {("outbox", "changes")}
_WITH_CALLERS_KEYS = {"metadata", "details"}
# Two people's could become one.
_UNIQUE = {"idempotency_key"}
_ORIGIN = ("session_id", "ip_address")
_BODY = "body"
_SPOKEN = ", ".join(sorted({f"'{each}'" for table in TABLES for each in words_of(table)}))

# What callers call things may be a name as well; what the platform calls them never goes.
_WITHOUT_WORDS = text("""
CREATE OR REPLACE FUNCTION pg_temp.without_words(
  given jsonb, pattern text, mask text, is_callers boolean
) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  CASE jsonb_typeof(given)
  WHEN 'string' THEN
    RETURN to_jsonb(regexp_replace(given #>> '{}', pattern, mask, 'gi'));
  WHEN 'array' THEN
    RETURN (SELECT coalesce(jsonb_agg(
        pg_temp.without_words(each, pattern, mask, is_callers) ORDER BY n), '[]')
      FROM jsonb_array_elements(given) WITH ORDINALITY AS e(each, n));
  WHEN 'object' THEN
    RETURN (SELECT coalesce(jsonb_object_agg(
        CASE WHEN is_callers AND key NOT IN ('erased', 'records', 'digest', 'left', 'again')
             THEN regexp_replace(key, pattern, mask, 'gi') ELSE key END,
        pg_temp.without_words(value, pattern, mask, is_callers OR key = 'metadata')), '{}')
      FROM jsonb_each(given));
  ELSE
    RETURN given;
  END CASE;
END $$
""")

_SAID = """(
  SELECT coalesce(jsonb_object_agg(key, value), '{{}}') FROM jsonb_each({column})
   WHERE key IN ({spoken}))"""

_EACH = """
CASE WHEN {column} IS NOT NULL THEN ARRAY(
  SELECT {element} FROM unnest({column}) WITH ORDINALITY AS e(each, n) ORDER BY n) END
"""


def prepare(db: Connection) -> None:
    """Make what takes words out of JSON, for this connection alone."""
    db.execute(_WITHOUT_WORDS)


def wanted_of(words: Iterable[str]) -> Mapping[str, str]:
    """Return what the SQL below asks for: the patterns of whole words, and what replaces them."""
    known = sorted(set(words))
    return {
        "pattern": f"(?<![[:alnum:]_])({_any_of(known)})(?![[:alnum:]_])",
        "anywhere": _any_of(forms_of(known)),
        "mask": ERASED,
    }


def forms_of(words: Iterable[str]) -> list[str]:
    """Return words as they stand in text and in JSON."""
    return sorted(
        {form for each in words for form in (each, json.dumps(each, ensure_ascii=False)[1:-1])}
    )


def without_words(table: str, column: str) -> str:
    """Return SQL for a column without the words: of what its actor did, origins are gone whole."""
    kind = Base.metadata.tables[table].c[column].type
    if column == _BODY and table == "outbox":
        left = f"{column} || {_walked(_SAID.format(column=column, spoken=_SPOKEN), 'false')}"
        return f"CASE WHEN {_is_actors(table)} THEN ({left}) - ARRAY{list(_ORIGIN)} ELSE {left} END"
    if isinstance(kind, JSONB):
        left = _walked(column, _callers(column))
    elif isinstance(kind, ARRAY):
        left = _EACH.format(column=column, element=_element(table, column))
    elif column in _UNIQUE:
        left = f"CASE WHEN {column} ~* :pattern THEN NULL ELSE {column} END"
    else:
        left = _replaced(column)
    if column in origins_in(table):
        return f"CASE WHEN {_is_actors(table)} THEN NULL ELSE {left} END"
    return left


def mentions_person(table: str, columns: Iterable[str]) -> str:
    """Return SQL for whether any of the columns has the words, or tells where the person was."""
    found = [_tells(table, each) for each in columns]
    found += [f"{_is_actors(table)} AND {each} IS NOT NULL" for each in origins_in(table)]
    if table == "outbox":
        found.append(f"{_is_actors(table)} AND {_BODY} ?| ARRAY{list(_ORIGIN)}")
    return " OR ".join(f"({each})" for each in found)


def tells(row: str) -> str:
    """Return SQL for whether JSON has the words in any of its strings."""
    return f"CAST({row} AS text) ~* :anywhere AND {_walked(row, 'false')} <> {row}"


def origins_in(table: str) -> list[str]:
    """Return the columns that tell from where somebody acted."""
    return [each for each in (*_ORIGIN, "origin") if each in Base.metadata.tables[table].c]


def _tells(table: str, column: str) -> str:
    kind = Base.metadata.tables[table].c[column].type
    if isinstance(kind, JSONB):
        said = _SAID.format(column=column, spoken=_SPOKEN) if table == "outbox" else column
        walked = _walked(said, _callers(column))
        return f"CAST({column} AS text) ~* :anywhere AND {walked} <> {said}"
    if isinstance(kind, ARRAY):
        differs = f"{_element(table, column)} <> {_given(table, column)}"
        return f"EXISTS (SELECT FROM unnest({column}) AS e(each) WHERE {differs})"
    return f"{column} ~* :pattern"


def _given(table: str, column: str) -> str:
    return "CAST(CAST(each AS jsonb) AS text)" if (table, column) in _JSON_IN_TEXT else "each"


def _element(table: str, column: str) -> str:
    if (table, column) in _JSON_IN_TEXT:
        return f"CAST({_walked('CAST(each AS jsonb)', 'false')} AS text)"
    return _replaced("each")


def _replaced(value: str) -> str:
    return f"regexp_replace({value}, :pattern, :mask, 'gi')"


def _walked(value: str, is_callers: str) -> str:
    return f"pg_temp.without_words({value}, :pattern, :mask, {is_callers})"


def _callers(column: str) -> str:
    return "true" if column in _WITH_CALLERS_KEYS else "false"


def _is_actors(table: str) -> str:
    if table == "outbox":
        return f"{_BODY} ->> 'actor_id' = CAST(CAST(:person_id AS bigint) AS text)"
    return "actor_id = :person_id"


def _any_of(words: Iterable[str]) -> str:
    return "|".join(re.sub(r"([^\w\s])", r"\\\1", each) for each in words)
