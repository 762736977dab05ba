"""Plugins in single files, to begin with: no distribution, and nothing to install."""

import sys
from pathlib import Path

from importlib_metadata import EntryPoint

from pacs_core.plugins.markers import ENTRY_POINT_GROUP
from pacs_core.plugins.records import PluginError


def single_file_plugin(path: Path) -> EntryPoint:
    """Return an entry point for a file with a plugin; its name is the file's.

    The file's folder becomes the first on the path of this process.

    Raises
    ------
    PluginError
        There is no such file, or no module could have its name.
    """
    name = path.stem
    if not path.is_file():
        raise PluginError(f"{path}: there is no such file")
    if path.suffix != ".py" or not name.isidentifier() or name in sys.stdlib_module_names:
        raise PluginError(f"{path}: name it like a module of its own, as my_plugin.py")
    sys.path.insert(0, str(path.parent.resolve()))
    return EntryPoint(name.replace("_", "-"), name, ENTRY_POINT_GROUP)
