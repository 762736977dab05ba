"""Tables of lifecycle in the site's database, all made by the same revisions."""

from pacs_database.api import Database

from pacs_core.contracts import Component


class DatabaseTables(Component):
    """Tables of all nodes that share a database.

    Parameters
    ----------
    database : Database
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    async def start(self) -> None:
        """Make the tables what this version expects."""
        await self.database.migrate("lifecycle", "pacs_lifecycle.revisions")
