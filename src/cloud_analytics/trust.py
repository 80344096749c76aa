"""Whose files and folders this process relies on. The owner of a folder can exchange what lies in it at any time."""

from __future__ import annotations

import itertools
import os
import pwd
import re
from contextlib import suppress
from pathlib import Path

from cloud_analytics.errors import UsageError

TRUST = "CLOUD_ANALYTICS_TRUST"


def trusted_users() -> set[int]:
    """The users who can run code as this user anyway, and those named in `CLOUD_ANALYTICS_TRUST`.

    The former are this user, root, the owner of the package, and the user who called `sudo`. UsageError for a name that
    this machine does not know.
    """
    root = Path("/").stat().st_uid  # not 0 where a container shows root under another number
    users = {os.geteuid(), 0, root, Path(__file__).stat().st_uid}
    named = os.environ.get(TRUST, "").split(",")
    if os.geteuid() == 0:
        named.append(os.environ.get("SUDO_UID", ""))
    for name in filter(None, map(str.strip, named)):
        try:
            users.add(int(name) if re.fullmatch("[0-9]+", name) else pwd.getpwnam(name).pw_uid)
        except KeyError:
            raise UsageError(f"{TRUST}: this machine knows no user {name!r}; give names or numbers of users") from None
    return users


def expect_trusted(path: Path, so: str) -> None:
    """UsageError if another user could exchange the path: the owner of it, of a folder above, or of a link on the way.

    `so` continues the message: what such a user could do, and what to do against it. Parts of the path that do not
    exist are passed over.
    """
    trusted, given = trusted_users(), path.absolute()
    places = (given, *given.parents, *Path(os.path.realpath(given)).parents)
    for place, look in itertools.product(places, (os.lstat, os.stat)):
        with suppress(OSError):  # it does not exist, or cannot be reached
            owner = look(place).st_uid
            if owner not in trusted:
                raise UsageError(
                    f"{place} belongs to another user, {so}, or, if you trust that user, set {TRUST}={_name(owner)}"
                )


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
