"""The system's PostgreSQL in place of the embedded one, such as the oldest that is supported.

`make test-pg15` installs Debian's and points POSTGRES_BIN at its programs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lockside.local import embedded_postgres

# What the embedded one is told when it is made, as far as PostgreSQL 15 understands it.
_INITDB_OPTIONS = (
    *("--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions"),
    *("--locale=C.UTF-8", "--lc-messages=C"),
)


@contextmanager
def postgres_of(programs: Path) -> Iterator[None]:
    """Let the embedded servers use the PostgreSQL in the folder *programs* during the block."""
    replaced = {
        "_postgres_program": lambda name: str(programs / name),
        "INITDB_OPTIONS": _INITDB_OPTIONS,
    }
    kept = {name: getattr(embedded_postgres, name) for name in replaced}
    try:
        for name, value in replaced.items():
            setattr(embedded_postgres, name, value)
        yield
    finally:
        for name, value in kept.items():
            setattr(embedded_postgres, name, value)
