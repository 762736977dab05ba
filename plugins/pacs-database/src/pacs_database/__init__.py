"""Database of pacs-core's plugins: one place for the tables that they keep.

What other plugins import is :mod:`pacs_database.api`, and :mod:`pacs_database.testing` in their
tests.
"""

import logging
from typing import TYPE_CHECKING

from pacs_core.contracts import (
    CapabilityDescriptor,
    DataVersion,
    Hooks,
    Node,
    SecurityFinding,
    Setup,
)
from pacs_core.plugins import hookimpl
from pacs_database.interface import Database

if TYPE_CHECKING:
    from pacs_backup.api import PostgresqlDatabase

__all__ = [
    "pacs_capabilities",
    "pacs_check",
    "pacs_data_versions",
    "pacs_postgresql_databases",
    "pacs_security_findings",
]


@hookimpl
def pacs_check(setup: Setup) -> list[str]:
    """Return what is wrong with ``[database]`` on this machine."""
    if not setup.settings.database.url:
        return []  # the file beside the archive, for which a start need not wait for SQLAlchemy
    from pacs_database.address import address_problems

    return address_problems(setup.settings)


@hookimpl
def pacs_security_findings(setup: Setup, hooks: Hooks) -> list[SecurityFinding]:
    """Return what lets others read what is in the database, or on its way there."""
    from pacs_database.weaknesses import find_weaknesses

    return list(find_weaknesses(setup.settings))


@hookimpl
def pacs_data_versions(setup: Setup) -> list[DataVersion]:
    """Return the versions of the tables of all plugins."""
    from pacs_database.address import database_url
    from pacs_database.versions import find_versions

    return find_versions(database_url(setup.settings))


@hookimpl(optionalhook=True)
def pacs_postgresql_databases(setup: Setup) -> "list[PostgresqlDatabase]":
    """Return the database if it is in PostgreSQL, for backups; without pacs-backup nobody asks."""
    if not setup.settings.database.url.startswith("postgresql"):
        return []
    from pacs_backup.api import PostgresqlDatabase

    from pacs_database.address import database_url

    url = database_url(setup.settings).set(drivername="postgresql")
    return [PostgresqlDatabase("database", url.render_as_string(hide_password=False))]


@hookimpl
def pacs_capabilities(setup: Setup) -> list[CapabilityDescriptor]:
    """Offer the database to those who require it."""

    def create(node: Node) -> Database:
        # Alembic has ten lines to say about itself when it is imported.
        logging.getLogger("alembic").setLevel(logging.WARNING)
        from pacs_database.address import database_url
        from pacs_database.engine import make_database

        return make_database(database_url(node.settings))

    return [CapabilityDescriptor("database", Database, create)]
