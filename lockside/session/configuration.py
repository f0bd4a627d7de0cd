"""Configuration: read the settings of an interface; errors name the environment variable."""

from urllib.parse import urlsplit

from pydantic import ValidationError

from domain.errors import InvalidInput
from worker.logs import configure_logs
from worker.settings import Settings

__all__ = ["Settings", "configure_logs", "read_settings"]

_ADDRESSES = {
    "database_url": (
        ("postgresql", "postgresql+psycopg"),
        "postgresql+psycopg://user:password@host:5432/database",
    ),
    "redis_url": (("redis", "rediss"), "redis://user:password@host:6379/0"),
}


def read_settings() -> Settings:
    """Return the settings from the environment.

    Raises:
        InvalidInput: A variable is not what was expected; `field` is its name.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        raise _refusal(error) from error
    check_addresses(settings)
    return settings


def check_addresses(settings: Settings) -> None:
    """Check the form of the servers' addresses, before anything is stored that needs them.

    Raises:
        InvalidInput: One has another form; it isn't repeated.
    """
    for name, (schemes, example) in _ADDRESSES.items():
        url = getattr(settings, name)
        if url and not _is_address(url, schemes):
            # The address isn't repeated: it may contain a password.
            raise InvalidInput(
                field=name.upper(),
                got="an address of another form",
                expected=f"one such as {example}",
            )


def _is_address(url: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in schemes and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _refusal(error: ValidationError) -> InvalidInput:
    first = error.errors()[0]
    if not first["loc"]:
        # The only check across several settings.
        return InvalidInput(
            field="LOCKSIDE_ENVIRONMENT",
            got="production",
            expected="DATABASE_URL and REDIS_URL beside it: the embedded servers are for "
            "one developer's machine",
        )
    name = str(first["loc"][0])
    return InvalidInput(
        field=name if name.isupper() else f"LOCKSIDE_{name.upper()}",
        got=first["input"],
        expected=first["msg"]
        .removeprefix("Value error, ")
        .removeprefix("Input should be ")
        .removeprefix("a valid "),
    )
