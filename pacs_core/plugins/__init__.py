"""The plugin layer: markers, hook specifications, manager, and the registry of descriptors."""

from typing import TYPE_CHECKING

from pacs_core.on_demand import import_on_demand

if TYPE_CHECKING:
    from pacs_core.plugins.code import CodeFrame as CodeFrame, frame_of as frame_of
    from pacs_core.plugins.code_owners import CodeMap as CodeMap
    from pacs_core.plugins.deprecation import (
        RENAMED_HOOKS as RENAMED_HOOKS,
        RenamedHook as RenamedHook,
    )
    from pacs_core.plugins.manager import PluginManager as PluginManager
    from pacs_core.plugins.markers import (
        API_VERSION as API_VERSION,
        ENTRY_POINT_GROUP as ENTRY_POINT_GROUP,
        hookimpl as hookimpl,
        hookspec as hookspec,
    )
    from pacs_core.plugins.records import (
        Fault as Fault,
        PluginError as PluginError,
        PluginRecord as PluginRecord,
        PluginState as PluginState,
        summarize_error as summarize_error,
    )
    from pacs_core.plugins.registry import (
        KINDS as KINDS,
        ConflictError as ConflictError,
        DescriptorKind as DescriptorKind,
        RegistrationError as RegistrationError,
        Registry as Registry,
    )
    from pacs_core.plugins.settings import PluginPolicy as PluginPolicy
    from pacs_core.plugins.single_file import single_file_plugin as single_file_plugin

import_on_demand(
    __name__,
    """
.code CodeFrame frame_of
.code_owners CodeMap
.deprecation RENAMED_HOOKS RenamedHook
.manager PluginManager
.markers API_VERSION ENTRY_POINT_GROUP hookimpl hookspec
.records Fault PluginError PluginRecord PluginState summarize_error
.registry KINDS ConflictError DescriptorKind RegistrationError Registry
.settings PluginPolicy
.single_file single_file_plugin
""",
)
