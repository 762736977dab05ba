"""Names of UIDs (PS3.6 Annex A), from pydicom's tables.

The tables are modules of nothing but a dictionary each, which are executed without importing
pydicom: that would take longer than all that a command does.
"""

from functools import cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any


def uid_name(uid: str) -> str:
    """Return the name of a UID, or nothing."""
    known = pydicom_table("_uid_dict", "UID_dictionary").get(uid)
    return str(known[0]) if known else ""


@cache
def pydicom_table(module: str, name: str) -> dict[str, Any]:
    """Return a dictionary that a module of pydicom has; an empty one if it has it no more."""
    package = find_spec("pydicom")
    if package is None or package.origin is None:
        return {}
    path = Path(package.origin).with_name(f"{module}.py")
    spec = spec_from_file_location(module, path)
    if spec is None or spec.loader is None or not path.exists():
        return {}
    loaded = module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return getattr(loaded, name, {})
