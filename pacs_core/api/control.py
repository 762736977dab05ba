"""The running node as a command of a plugin reaches it."""

from pacs_core.app.control import NodeConnection, connect_to_node

__all__ = ["NodeConnection", "connect_to_node"]
