"""Data folder: lock it for one `up` at a time, and make scratch folders that are removed again."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from domain.errors import Unavailable
from lockside.local import embedded
from lockside.local.children import end_leftovers
from lockside.session.configuration import Settings, read_settings

LEFTOVER_S = 10.0
"""How long processes that a killed `up` left behind may take to stop by themselves."""


@contextmanager
def alone_in(home: Path) -> Iterator[None]:
    """Lock a data folder, made if it is missing, while the block runs.

    The lock is the kernel's, so that it ends with a process that is killed.

    Raises:
        Unavailable: Another process has locked it, or it can't be used.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = os.open(home, os.O_RDONLY)
    except OSError as error:
        raise Unavailable(
            message=f"The data folder {home} can't be used: {error.strerror}. Choose another one "
            "with LOCKSIDE_HOME."
        ) from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Unavailable(
            message=f"Lockside is already up in {home}. Use it as it is, or stop it with "
            "Ctrl-C where it runs; with another LOCKSIDE_HOME one more runs beside it."
        ) from None
    finally:
        os.close(folder)


@contextmanager
def scratch(name: str) -> Iterator[Settings]:
    """Yield settings for embedded servers in a new folder, which is removed afterwards.

    The folder lies in the data folder. What a killed run left in it is stopped and removed first.

    Raises:
        Unavailable: Another run with the same name uses it.
        InvalidInput: A setting is not what was expected.
    """
    settings = read_settings()
    parent = settings.home.expanduser().resolve()
    home = parent / name
    with alone_in(home):
        _clear(home)
    parent.chmod(0o700)
    try:
        yield settings.model_copy(
            update={
                "home": home,
                "environment": "development",
                "database_url": None,
                "redis_url": None,
                "tenant": "demo",
                "actor": "admin",
            }
        )
    finally:
        with alone_in(home):
            _clear(home)
            home.rmdir()
        with suppress(OSError):  # it isn't empty: other files are in it
            parent.rmdir()


def _clear(home: Path) -> None:
    end_leftovers(home, within_s=LEFTOVER_S)
    embedded.stop(home)
    for entry in home.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
