"""Server errors: translate errors of PostgreSQL into refusals that say what to do."""

from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.exc import SQLAlchemyError as DatabaseTrouble

from domain.errors import InvalidInput, LocksideError, Unavailable

__all__ = ["TROUBLES", "refusal_of_server_error"]

TROUBLES = (DatabaseTrouble,)
"""The errors that `refusal_of_server_error` may translate."""

_NO_SUCH_TABLE = "42P01"


def refusal_of_server_error(error: BaseException | None) -> LocksideError | None:
    """Return the refusal for an error of the server, or None if it is another kind of error."""
    if isinstance(error, ArgumentError):
        # The address isn't repeated: it may contain a password.
        return InvalidInput(
            field="DATABASE_URL",
            got="an address that can't be read",
            expected="postgresql+psycopg://user:password@host:5432/database",
        )
    if isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) == _NO_SUCH_TABLE:
        return Unavailable(
            message="The database has no tables of Lockside yet. Run `lockside db upgrade`."
        )
    if isinstance(error, OperationalError):
        return Unavailable(
            message=f"PostgreSQL doesn't answer: {_first_line(error)}. Start it with "
            "`lockside up`, or check DATABASE_URL."
        )
    return None


def _first_line(error: DBAPIError) -> str:
    return (str(error.orig).strip().splitlines() or ["no reason given"])[0].rstrip(".")
