"""Public API for plugins whose state is in PostgreSQL: what a backup dumps."""

from attrs import field, frozen

__all__ = ["PostgresqlDatabase"]


@frozen
class PostgresqlDatabase:
    """A schema of a PostgreSQL database that belongs to an archive.

    Attributes
    ----------
    name : str
        By which backups know it; the same for as long as it is the same thing.
    url : str
        As libpq takes it: ``postgresql://USER:PASSWORD@HOST:PORT/DATABASE``.
    schema : str
        Has the tables, and belongs to this archive alone. Empty for all schemas of the database but
        those that others name.
    is_derived : bool
        Whether the archive can do without it, for it can be made of the objects.
    """

    name: str
    url: str = field(repr=False)
    schema: str = ""
    is_derived: bool = False
