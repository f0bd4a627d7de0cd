"""The data folder: one `up` at a time in it, and scratch ones that leave nothing behind."""

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
"""So long what a killed `up` left behind may take to stop by itself."""


@contextmanager
def alone_in(home: Path) -> Iterator[None]:
    """Hold a data folder, made if need be, while the block runs; a killed holder lets go.

    Raises:
        Unavailable: Somebody else holds it, or it can't be used.
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
    """Give settings for servers of our own in a new folder, which is removed afterwards.

    It lies in the data folder. What a killed run left in it is stopped and removed first.

    Raises:
        Unavailable: Another one of the same name runs.
        InvalidInput: A setting is not what was expected.
    """
    known = read_settings()
    around = known.home.expanduser().resolve()
    home = around / name
    with alone_in(home):
        _clear(home)
    around.chmod(0o700)
    try:
        yield known.model_copy(
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
        with suppress(OSError):  # somebody else's things are in it
            around.rmdir()


def _clear(home: Path) -> None:
    end_leftovers(home, within_s=LEFTOVER_S)
    embedded.stop(home)
    for each in home.iterdir():
        if each.is_dir():
            shutil.rmtree(each)
        else:
            each.unlink()
