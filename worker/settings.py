"""Settings: read them from the environment, check them once, and pass them on as a value."""

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import AliasChoices, Field, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from domain.audit.retention import Retention
from domain.errors import Unavailable
from engine.ports.platform import Pace
from worker import local_servers

DATABASE = "lockside"


class Settings(BaseSettings):
    """Everything that can be set, each as an environment variable.

    Raises:
        pydantic.ValidationError: A value is not what was expected, or production would run
            on the embedded servers.
    """

    model_config = SettingsConfigDict(env_prefix="LOCKSIDE_", frozen=True, populate_by_name=True)

    environment: Literal["development", "production"] = Field(
        "development", description="`production` refuses the embedded servers."
    )
    database_url: str | None = Field(
        None,
        repr=False,  # it contains a password
        validation_alias=AliasChoices("DATABASE_URL", "LOCKSIDE_DATABASE_URL"),
        description="PostgreSQL; without it Lockside brings its own.",
    )
    redis_url: str | None = Field(
        None,
        repr=False,  # it contains a password
        validation_alias=AliasChoices("REDIS_URL", "LOCKSIDE_REDIS_URL"),
        description="Redis or Valkey; databases 0, 1 and 2 carry messages, results and locks.",
    )
    home: Path = Field(Path(".lockside"), description="The folder of the embedded servers.")
    anchor_file: Path | None = Field(
        None,
        description="Where the newest seals of the records are pinned, best where nobody who "
        "can change the database can write; `anchors.ndjson` in the home by default.",
    )
    tenant: str = Field("demo", description="The tenant that the command line acts for.")
    actor: str | None = Field(
        "admin", description="The person who acts; empty for the system itself."
    )
    flower_port: int = Field(5555, description="Flower's port on the loopback address.")
    flower_user: str = Field("operator", description="Who signs in to Flower.")
    flower_password: str | None = Field(
        None,
        repr=False,
        description="Flower's password; without it one is made up at each start.",
    )
    heartbeat_file: Path | None = Field(
        None, description="Touched by a worker that is alive, for health checks."
    )
    pool_size: int = Field(
        2, ge=1, le=100, description="Connections to PostgreSQL that each process keeps open."
    )
    pool_overflow: int = Field(
        3,
        ge=0,
        le=100,
        description="Connections beyond `LOCKSIDE_POOL_SIZE` that a process may open for a while.",
    )
    redis_locks: bool = Field(
        default=True,
        description="Take Redis locks; without them rows are only less often free.",
    )
    concurrency: int = Field(2, ge=1, description="Worker processes of `lockside up`.")
    chunk_items: int = Field(1000, ge=1, le=10_000, description="Items of one chunk.")
    attempts: int = Field(5, ge=1, description="Starts of a chunk before it is given up.")
    lease_s: float = Field(45.0, gt=0, description="Lease of a bulk chunk, in seconds.")
    person_lease_s: float = Field(
        10.0, gt=0, description="Lease of a single transition, in seconds."
    )
    republish_after_s: float = Field(
        10.0,
        gt=0,
        description="Age in seconds at which the sweeper sends a dispatch message again.",
    )
    sweep_every_s: float = Field(
        15.0, gt=0, description="How often, in seconds, a worker asks for a sweep by itself."
    )
    visibility_timeout_s: int = Field(
        600, ge=60, description="Redis redelivers what is unacknowledged for so many seconds."
    )

    archive_folder: Path | None = Field(
        None,
        description="Where old records are kept, compressed; `archive` in `LOCKSIDE_HOME` by "
        "default. The same for every process on every host.",
    )
    hot_days: int = Field(
        90, ge=1, description="Days that records stay in their tables; then they are archived."
    )
    kept_years: int = Field(
        2, ge=1, description="Years after which archived records are dropped, unless held."
    )
    key_days: int = Field(
        30,
        ge=1,
        description="Days after an operation's end for which its idempotency key is known.",
    )
    operation_days: int = Field(
        90,
        validate_default=True,
        description="Days after its end for which an operation is kept, no fewer than "
        "`LOCKSIDE_KEY_DAYS`; its records stay for longer.",
    )

    @field_validator("operation_days")
    @classmethod
    def _outlives_its_key(cls, days: int, others: ValidationInfo) -> int:
        key_days = others.data.get("key_days", days)
        if days < key_days:
            raise ValueError(
                f"{key_days} or more: an operation outlives its idempotency key (LOCKSIDE_KEY_DAYS)"
            )
        return days

    @model_validator(mode="after")
    def _production_brings_servers(self) -> "Settings":
        if self.environment == "production" and not (self.database_url and self.redis_url):
            raise ValueError(
                "production needs DATABASE_URL and REDIS_URL: the embedded servers are for one "
                "developer's machine"
            )
        return self

    @property
    def anchors(self) -> Path:
        """Return the file of the anchors."""
        return self.anchor_file or self.home.expanduser() / "anchors.ndjson"

    @property
    def pace(self) -> Pace:
        """Return the sizes and times of the chunk protocol."""
        return Pace(
            chunk_items=self.chunk_items,
            in_flight_limit=2 * self.concurrency,
            attempts=self.attempts,
            lease_s=self.lease_s,
            person_lease_s=self.person_lease_s,
            republish_after_s=self.republish_after_s,
        )

    @property
    def retention(self) -> Retention:
        """Return how long records, operations and keys are kept."""
        return Retention(
            hot_days=self.hot_days,
            kept_years=self.kept_years,
            key_days=self.key_days,
            operation_days=self.operation_days,
        )

    @property
    def archives(self) -> Path:
        """Return the folder of the archives."""
        return (self.archive_folder or self.home / "archive").expanduser().resolve()

    def resolved(self) -> "Settings":
        """Return these settings with the addresses of the servers, embedded ones included.

        Raises:
            Unavailable: No address is set, and no embedded servers run in `home`.
        """
        if self.database_url and self.redis_url:
            return self
        servers = local_servers.find_running(self.home)
        if servers is None:
            raise Unavailable(
                message=f"Nothing is running in {self.home.expanduser().resolve()}. "
                "Start it with `lockside up`; or set LOCKSIDE_HOME to where it runs, or "
                "DATABASE_URL and REDIS_URL."
            )
        return self.model_copy(
            update={
                "database_url": self.database_url or servers.database_url_for(DATABASE),
                "redis_url": self.redis_url or servers.redis_url_for(0),
            }
        )

    def redis_database(self, number: int) -> str:
        """Return the address of one of Redis's numbered databases."""
        parts = urlsplit(self.redis_url or "")
        return urlunsplit(parts._replace(path=f"/{number}"))
