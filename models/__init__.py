"""Models: define what is stored, as tables, constraints and migrations, and decide nothing."""

from importlib import import_module
from pkgutil import iter_modules

_NOT_TABLES = ("archive_file", "schema_upgrade")
"""They need compression and migrations, which most programs never use."""

# Every module of tables is mapped as soon as one is used, so that there is no list to maintain.
for _module in iter_modules(__path__):
    if not _module.ispkg and _module.name not in _NOT_TABLES:
        import_module(f"{__name__}.{_module.name}")
