"""Names of a package that are imported when they are asked for.

A package of the kernel has names of many modules, and who wants one of them would wait for all: a
command for a file, or for a peer, is often done sooner than that. So a package says which module
has which names, and a module is imported with the first of its names (PEP 562). Type checkers read
the same from the imports beside the table.
"""

import sys
from importlib import import_module
from typing import Any


def import_on_demand(package: str, rows: str) -> None:
    """Give a package the names of its modules.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    rows : str
        On each line a module, with a dot before it if it is the package's own, and names that it
        has. No module of the package may have such a name: the name would become that module.
    """
    split = map(str.split, rows.strip().splitlines())
    modules = {name: module for module, *names in split for name in names}
    names = vars(sys.modules[package])

    def load(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(import_module(modules[name], package), name)
        names[name] = found
        return found

    names["__all__"] = list(modules)
    names["__getattr__"] = load
    names["__dir__"] = lambda: sorted({*names, *modules})
