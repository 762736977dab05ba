"""The two decorators that mark hook specifications and implementations."""

import pluggy

PROJECT = "pacs_core"
ENTRY_POINT_GROUP = "pacs_core.plugins"
API_VERSION = (1, 0)
"""Version of hooks and contracts. A plugin may state what it was built for as a module attribute
``PACS_API_VERSION = (major, minor)``: another major, or a later minor, is not loaded.
It counts from the first release on, which has 1.0."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
