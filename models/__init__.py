"""What is stored: tables, constraints and migrations, and nothing that decides."""

from importlib import import_module
from pkgutil import iter_modules

_NOT_TABLES = ("archive_file", "schema")
"""They bring compression and migrations along, which most programs never need."""

# Every module of tables is mapped as soon as any is used, so that no list has to be kept.
for _module in iter_modules(__path__):
    if not _module.ispkg and _module.name not in _NOT_TABLES:
        import_module(f"{__name__}.{_module.name}")
