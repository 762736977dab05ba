"""The plugin layer: markers, hook specifications, manager, and the registry of descriptors."""

from pacs_core.plugins.manager import PluginManager
from pacs_core.plugins.markers import API_VERSION, ENTRY_POINT_GROUP, hookimpl, hookspec
from pacs_core.plugins.records import PluginError, PluginPolicy, PluginRecord, PluginState
from pacs_core.plugins.registry import KINDS, Kind, RegistrationError, Registry

__all__ = [
    "API_VERSION",
    "ENTRY_POINT_GROUP",
    "KINDS",
    "Kind",
    "PluginError",
    "PluginManager",
    "PluginPolicy",
    "PluginRecord",
    "PluginState",
    "RegistrationError",
    "Registry",
    "hookimpl",
    "hookspec",
]
