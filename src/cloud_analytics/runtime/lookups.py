"""Names in the JVM are looked up once a process, not each time that they are used.

py4j remembers nothing: for `jvm.functions.col` it asks what `functions` is (the JVM searches every imported package,
jar by jar), then what `col` is, and then calls it. Of 80,000 messages of a reference run 16,500 were such questions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from py4j.java_gateway import JavaClass, JavaMember, JavaPackage, JVMView

_MARK = "_remembers"


def remember_lookups() -> None:
    """Make py4j keep packages, classes and static methods that it found, as attributes of where it found them."""
    for kind in (JVMView, JavaPackage, JavaClass):
        if not hasattr(kind.__getattr__, _MARK):
            kind.__getattr__ = _remembering(kind.__getattr__)


def _remembering(look_up: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    def __getattr__(self: Any, name: str) -> Any:
        found = look_up(self, name)
        if _lasts(found, name):
            self.__dict__[name] = found  # Python finds it there, and does not ask here again
        return found

    setattr(__getattr__, _MARK, True)
    return __getattr__


def _lasts(found: Any, name: str) -> bool:
    """Whether what was found stays true.

    Values of static fields change. An unknown name is a package to py4j, and may be a class of a jar that comes later.
    """
    return isinstance(found, JavaClass | JavaMember) or (isinstance(found, JavaPackage) and name.islower())
