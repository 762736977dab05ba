"""Migrations of plugins: Alembic, without any file beside the package of revisions.

Each plugin has a line of revisions, and a table that says where it is. SQLite's transaction, begun
as a writer, keeps two processes from migrating at once; on PostgreSQL an advisory lock does.

Nearly every start finds that nothing is missing, or everything is. The first can be told without
Alembic, which takes long to import; for the second there are :mod:`.snapshots`.
"""

import ast
import logging
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from sqlalchemy import Column, Connection, MetaData, Table, Text, func, inspect, select

from pacs_database.interface import MigrationError
from pacs_database.snapshots import load

logger = logging.getLogger(__name__)

_NAMES: Final = frozenset({"revision", "down_revision"})
_COLOURING: Final = "mako.ext.pygmentplugin"


def migrate(connection: Connection, owner: str, package: str, *, use_snapshot: bool = True) -> None:
    """Run the revisions that are missing, in the transaction of a connection.

    Parameters
    ----------
    connection : Connection
    owner, package : str
        As of :meth:`Database.migrate`.
    use_snapshot : bool
        Whether a database without tables gets them as they were written down.

    Raises
    ------
    MigrationError
    """
    if not owner.isidentifier():
        raise MigrationError(f"{owner!r} cannot own tables: use letters, digits and _ only")
    if connection.dialect.name == "postgresql":
        key = crc32(f"pacs-database {owner}".encode())
        connection.execute(select(func.pg_advisory_xact_lock(key)))
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise MigrationError(f"{package} is no package of revisions")
    folder = Path(spec.origin).parent
    table = f"{owner}_revisions"
    found = current_revisions(connection, table)
    heads = head_revisions(folder)
    if found and found == heads:
        return
    if use_snapshot and not found and load(connection, owner, heads, folder):
        logger.info("tables of %s: made as of revision %s", owner, ", ".join(heads))
        return
    _upgrade(connection, owner, table, folder)


def current_revisions(connection: Connection, name: str) -> frozenset[str]:
    """Return where the tables are; nowhere if there are none yet."""
    if not inspect(connection).has_table(name):
        return frozenset()
    table = Table(name, MetaData(), Column("version_num", Text))
    return frozenset(connection.execute(select(table.c.version_num)).scalars())


def head_revisions(folder: Path) -> frozenset[str]:
    """Return the revisions that no other follows, read without being run."""
    values = _values(folder)
    return frozenset(values["revision"] - values["down_revision"])


def known_revisions(folder: Path) -> frozenset[str]:
    """Return all revisions."""
    return frozenset(_values(folder)["revision"])


def _values(folder: Path) -> dict[str, set[str]]:
    values: dict[str, set[str]] = {name: set() for name in _NAMES}
    for path in folder.glob("*.py"):
        for name, value in _assigned(ast.parse(path.read_bytes())):
            values[name].update(filter(None, value if isinstance(value, tuple) else (value,)))
    return values


def _assigned(module: ast.Module) -> Iterator[tuple[str, Any]]:
    for node in module.body:
        pairs: list[tuple[ast.expr, ast.expr | None]] = []
        if isinstance(node, ast.AnnAssign):
            pairs = [(node.target, node.value)]
        elif isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
            pairs = [(target, value)]
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                pairs = list(zip(target.elts, value.elts, strict=False))
        for target, given in pairs:
            if isinstance(target, ast.Name) and target.id in _NAMES and given is not None:
                yield target.id, ast.literal_eval(given)


def _upgrade(connection: Connection, owner: str, table: str, folder: Path) -> None:
    # Alembic has Mako for files that it writes, and Mako would load all of Pygments, to colour the
    # errors in them: six megabytes that a node would keep. None there makes it do without.
    sys.modules.setdefault(_COLOURING, None)  # type: ignore[arg-type]
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext, MigrationStep
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    script = ScriptDirectory(str(folder), version_locations=[str(folder)])

    def missing(revision: Any, _context: MigrationContext) -> list[MigrationStep]:
        # What Alembic's own cookbook uses, for want of a public name.
        return list(script._upgrade_revs("head", revision))

    context = MigrationContext.configure(connection, opts={"version_table": table, "fn": missing})
    before = context.get_current_revision()
    try:
        with Operations.context(context):
            context.run_migrations()
    except CommandError as error:
        raise MigrationError(
            f"the tables of {owner} are at revision {context.get_current_revision()}, which this "
            f"version of the plugin does not know ({error}): install the newer one again"
        ) from error
    except Exception as error:
        raise MigrationError(f"the tables of {owner} cannot be migrated: {error}") from error
    if (now := context.get_current_revision()) != before:
        logger.info("tables of %s: revision %s is now %s", owner, before or "none", now)
