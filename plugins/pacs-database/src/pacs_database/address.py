"""Addresses of the database: from the configuration to what SQLAlchemy takes."""

from importlib.util import find_spec

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from pacs_core.contracts import NodeSettings

_DRIVERS = {"sqlite": "pysqlite", "postgresql": "asyncpg"}

DEFAULT_FILE = "database.sqlite"


def database_url(settings: NodeSettings) -> URL:
    """Return the URL of the configured database, its password included.

    Raises
    ------
    LookupError
        The password's file or variable is not there.
    ValueError
        The URL cannot be understood.
    """
    given = settings.database
    if not given.url:
        file = (settings.data_directory / DEFAULT_FILE).absolute()
        return URL.create("sqlite+pysqlite", database=str(file))
    try:
        url = make_url(given.url)
    except ArgumentError as error:
        raise ValueError("cannot be understood: write it as postgresql://user@host/name") from error
    url = url.set(drivername=f"{url.get_backend_name()}+{_DRIVERS[url.get_backend_name()]}")
    return url if given.password is None else url.set(password=given.password.reveal())


def address_problems(settings: NodeSettings) -> list[str]:
    """Return what would keep the database from being opened, as far as can be told offline."""
    try:
        url = database_url(settings)
    except (ValueError, LookupError) as error:
        return [f"database.url: {error}"]
    problems = []
    if url.get_backend_name() == "sqlite" and not url.database:
        problems.append("database.url: names no file: write it as sqlite:///path")
    if url.get_backend_name() == "postgresql" and find_spec("asyncpg") is None:
        problems.append("database.url: needs asyncpg: pip install 'pacs-database[postgresql]'")
    return problems
