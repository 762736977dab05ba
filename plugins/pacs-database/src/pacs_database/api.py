"""Public API for plugins that keep tables: the interface, and what may go wrong."""

from pacs_database.interface import Database, DatabaseConnection, Listener, MigrationError

__all__ = ["Database", "DatabaseConnection", "Listener", "MigrationError"]
