"""Settings that can change while a node runs: how a config class says which they are."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from attrs import Attribute

RELOADABLE: Final[Mapping[str, Any]] = MappingProxyType({"pacs.reloadable": True})
"""Metadata of a field of a config class whose key may change while the node runs.

::

    @frozen
    class Config:
        path: Path = Path("rules.toml")
        colour: str = field(default="red", metadata=RELOADABLE)

On SIGHUP the config file is read again. Keys with this mark take effect; a change of any other is
named in the log, and waits for a restart. Components are told by
:meth:`~pacs_core.contracts.Component.reconfigure`.
"""


def is_reloadable(attribute: "Attribute[Any]") -> bool:
    """Tell whether a field of a config class may change while the node runs."""
    return bool(attribute.metadata.get("pacs.reloadable"))
