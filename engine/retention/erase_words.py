"""Erasure in SQL: remove the words that identify a person from text and JSON, whole words only.

In JSON, strings are searched for what they say: how a line break or a quote is escaped there, or
that a name is also a number, makes no difference.
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
# Masked, the keys of two people could become equal.
_UNIQUE = {"idempotency_key"}
_ORIGIN = ("session_id", "ip_address")
_BODY = "body"
_WORD_COLUMNS = ", ".join(sorted({f"'{column}'" for table in TABLES for column in words_of(table)}))

# Keys that callers chose may be names as well; the platform's own keys are kept.
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

_BODY_WORDS = """(
  SELECT coalesce(jsonb_object_agg(key, value), '{{}}') FROM jsonb_each({column})
   WHERE key IN ({spoken}))"""

_ARRAY_ELEMENTS = """
CASE WHEN {column} IS NOT NULL THEN ARRAY(
  SELECT {element} FROM unnest({column}) WITH ORDINALITY AS e(each, n) ORDER BY n) END
"""


def create_function(db: Connection) -> None:
    """Create the function that removes words from JSON, for this connection only."""
    db.execute(_WITHOUT_WORDS)


def word_parameters(words: Iterable[str]) -> Mapping[str, str]:
    """Return the SQL parameters: patterns of whole words, and the mask that replaces them."""
    unique_words = sorted(set(words))
    return {
        "pattern": f"(?<![[:alnum:]_])({_any_of(unique_words)})(?![[:alnum:]_])",
        "anywhere": _any_of(forms_of(unique_words)),
        "mask": ERASED,
    }


def forms_of(words: Iterable[str]) -> list[str]:
    """Return words in the forms that they have in text and in JSON."""
    return sorted(
        {form for word in words for form in (word, json.dumps(word, ensure_ascii=False)[1:-1])}
    )


def without_words(table: str, column: str) -> str:
    """Return SQL for a column without the words; origins of the person's own acts become NULL."""
    column_type = Base.metadata.tables[table].c[column].type
    if column == _BODY and table == "outbox":
        words = _BODY_WORDS.format(column=column, spoken=_WORD_COLUMNS)
        without = f"{column} || {_json_without_words(words, 'false')}"
        origin = f"ARRAY{list(_ORIGIN)}"
        return f"CASE WHEN {_is_of_person(table)} THEN ({without}) - {origin} ELSE {without} END"
    if isinstance(column_type, JSONB):
        without = _json_without_words(column, _has_callers_keys(column))
    elif isinstance(column_type, ARRAY):
        without = _ARRAY_ELEMENTS.format(column=column, element=_element(table, column))
    elif column in _UNIQUE:
        without = f"CASE WHEN {column} ~* :pattern THEN NULL ELSE {column} END"
    else:
        without = _masked(column)
    if column in origins_in(table):
        return f"CASE WHEN {_is_of_person(table)} THEN NULL ELSE {without} END"
    return without


def mentions_person(table: str, columns: Iterable[str]) -> str:
    """Return SQL for whether a column has the words, or says from where the person acted."""
    conditions = [_mentions_in(table, column) for column in columns]
    conditions += [
        f"{_is_of_person(table)} AND {column} IS NOT NULL" for column in origins_in(table)
    ]
    if table == "outbox":
        conditions.append(f"{_is_of_person(table)} AND {_BODY} ?| ARRAY{list(_ORIGIN)}")
    return " OR ".join(f"({condition})" for condition in conditions)


def has_words(row: str) -> str:
    """Return SQL for whether JSON has the words in any of its strings."""
    return f"CAST({row} AS text) ~* :anywhere AND {_json_without_words(row, 'false')} <> {row}"


def origins_in(table: str) -> list[str]:
    """Return the columns that say from where somebody acted."""
    return [column for column in (*_ORIGIN, "origin") if column in Base.metadata.tables[table].c]


def _mentions_in(table: str, column: str) -> str:
    column_type = Base.metadata.tables[table].c[column].type
    if isinstance(column_type, JSONB):
        words = (
            _BODY_WORDS.format(column=column, spoken=_WORD_COLUMNS) if table == "outbox" else column
        )
        without = _json_without_words(words, _has_callers_keys(column))
        return f"CAST({column} AS text) ~* :anywhere AND {without} <> {words}"
    if isinstance(column_type, ARRAY):
        differs = f"{_element(table, column)} <> {_as_text(table, column)}"
        return f"EXISTS (SELECT FROM unnest({column}) AS e(each) WHERE {differs})"
    return f"{column} ~* :pattern"


def _as_text(table: str, column: str) -> str:
    return "CAST(CAST(each AS jsonb) AS text)" if (table, column) in _JSON_IN_TEXT else "each"


def _element(table: str, column: str) -> str:
    if (table, column) in _JSON_IN_TEXT:
        return f"CAST({_json_without_words('CAST(each AS jsonb)', 'false')} AS text)"
    return _masked("each")


def _masked(value: str) -> str:
    return f"regexp_replace({value}, :pattern, :mask, 'gi')"


def _json_without_words(value: str, is_callers: str) -> str:
    return f"pg_temp.without_words({value}, :pattern, :mask, {is_callers})"


def _has_callers_keys(column: str) -> str:
    return "true" if column in _WITH_CALLERS_KEYS else "false"


def _is_of_person(table: str) -> str:
    if table == "outbox":
        return f"{_BODY} ->> 'actor_id' = CAST(CAST(:person_id AS bigint) AS text)"
    return "actor_id = :person_id"


def _any_of(words: Iterable[str]) -> str:
    return "|".join(re.sub(r"([^\w\s])", r"\\\1", word) for word in words)
