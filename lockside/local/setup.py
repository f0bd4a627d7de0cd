"""Setup: create the database, upgrade its tables and open the first tenant."""

from sqlalchemy import select, text

from engine.records.standard_roles import update_standard_roles
from engine.records.tenants import add_default_policies, open_tenant
from lockside.session.configuration import Settings
from lockside.session.server_errors import TROUBLES, refusal_of_server_error
from models.people import Tenant
from models.schema_upgrade import missing_migrations, upgrade
from worker.interface_app import InterfaceApp
from worker.platform_per_process import make_engine, make_platform
from worker.publisher import Publisher

FIRST_PEOPLE = {
    "admin": ("admin", "manager"),
    "asha": ("manager",),
    "samuel": ("supervisor",),
    "dora": ("dispatcher",),
    "tomas": ("technician",),
    "victor": ("viewer",),
    "aiko": ("auditor",),
}
"""The people of a new tenant, with their roles."""


def create_database(server_url: str, name: str) -> None:
    """Create the database of this name unless the server has it."""
    engine = make_engine(server_url).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as db:
        query = text("SELECT 1 FROM pg_database WHERE datname = :name")
        if db.scalar(query, {"name": name}) is None:
            db.execute(text(f"CREATE DATABASE {db.dialect.identifier_preparer.quote(name)}"))
    engine.dispose()


def upgrade_database(settings: Settings) -> tuple[str, ...]:
    """Upgrade the tables and the machines' arrows for the guard; return the missing migrations.

    Raises:
        Unavailable: PostgreSQL doesn't answer; nothing was changed.
    """
    engine = make_engine(str(settings.database_url))
    try:
        missing = missing_migrations(engine)
        upgrade(engine)
    except TROUBLES as error:
        refusal = refusal_of_server_error(error)
        if refusal is None:
            raise
        raise refusal from error
    finally:
        engine.dispose()
    _update_tenants(settings, has_new_tables=bool(missing))
    return missing


def _update_tenants(settings: Settings, *, has_new_tables: bool) -> None:
    """Give tenants what came with a release: permissions of new verbs, default policies."""
    app = InterfaceApp(settings)
    platform = make_platform(settings, Publisher(app))
    try:
        update_standard_roles(platform)
        if has_new_tables:
            add_default_policies(platform)
    finally:
        platform.database.dispose()
        app.close()


def open_first_tenant(settings: Settings) -> bool:
    """Open the tenant of the settings with its first people, if there is no tenant yet.

    Returns:
        Whether it was opened.
    """
    app = InterfaceApp(settings)
    platform = make_platform(settings, Publisher(app))
    try:
        with platform.database.connect() as db:
            if db.scalar(select(Tenant.id).limit(1)) is not None:
                return False
        open_tenant(platform, settings.tenant, FIRST_PEOPLE)
    finally:
        platform.database.dispose()
        app.close()
    return True
