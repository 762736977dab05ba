"""The plugin layer: markers, hook specifications, manager, and the registry of descriptors."""

from pacs_core.plugins.code import CodeFrame, frame_of
from pacs_core.plugins.code_owners import CodeMap
from pacs_core.plugins.deprecation import RENAMED_HOOKS, RenamedHook
from pacs_core.plugins.manager import PluginManager
from pacs_core.plugins.markers import API_VERSION, ENTRY_POINT_GROUP, hookimpl, hookspec
from pacs_core.plugins.records import (
    Fault,
    PluginError,
    PluginPolicy,
    PluginRecord,
    PluginState,
    summarize_error,
)
from pacs_core.plugins.registry import (
    KINDS,
    ConflictError,
    DescriptorKind,
    RegistrationError,
    Registry,
)
from pacs_core.plugins.single_file import single_file_plugin

__all__ = [
    "API_VERSION",
    "ENTRY_POINT_GROUP",
    "KINDS",
    "RENAMED_HOOKS",
    "CodeFrame",
    "CodeMap",
    "ConflictError",
    "DescriptorKind",
    "Fault",
    "PluginError",
    "PluginManager",
    "PluginPolicy",
    "PluginRecord",
    "PluginState",
    "RegistrationError",
    "Registry",
    "RenamedHook",
    "frame_of",
    "hookimpl",
    "hookspec",
    "single_file_plugin",
    "summarize_error",
]
