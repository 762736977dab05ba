"""The commands of ``pacs backup``."""

from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from pacs_backup.bucket import Bucket
from pacs_backup.creating import Creation
from pacs_backup.postgresql import find_schemas
from pacs_backup.pruning import Pruning, Rules
from pacs_backup.repository import BackupError, NewBackup, Repository
from pacs_backup.restoring import MARKER, Restore, claim, write_config
from pacs_backup.verifying import verify as verify_backup
from pacs_core.api.commands import (
    Assembly,
    CommandError,
    ConfigOption,
    JsonOption,
    UsageError,
    assemble_for_command,
    complain,
    count,
    dump_json,
    local_origin,
    main,
    open_archive,
    print_table,
    run_async,
    say,
)
from pacs_core.contracts import AuditEvent, Outcome, PluginAuditKind

CREATED = PluginAuditKind("backup.created")
RESTORED = PluginAuditKind("backup.restored")

YesOption = Annotated[bool, Parameter(negative=(), help="Do it.")]
NameOption = Annotated[str, Parameter(name="--name", help="Of the backup; else the latest.")]


def create(
    folder: Path,
    *,
    by_reference: Annotated[bool, Parameter(negative=())] = False,
    reread: Annotated[bool, Parameter(negative=())] = False,
    without_database: Annotated[bool, Parameter(negative=())] = False,
    config: ConfigOption = None,
) -> None:
    """Back up objects, index, tables of plugins, audit trail and configuration, while it is in use.

    Objects that the latest backup in the folder has under the same key and length are not read
    again. What a backup needs is in its folder alone; files that the configuration names, such as
    certificates, are not.

    Parameters
    ----------
    folder
        Where the backups are: one for this archive alone.
    by_reference
        Name the objects, and copy them not: their store is backed up by other means.
    reread
        Read all objects, also those that the latest backup has.
    without_database
        Leave out what is in PostgreSQL, which is backed up by other means.
    """
    assembly = assemble_for_command(config)
    data = assembly.config.settings.data_directory.resolve()
    if folder.resolve().is_relative_to(data):
        raise UsageError(
            f"{folder} is in the data directory, and would be lost with it, and be in its own "
            "backups: choose a folder on another disk"
        )
    run = partial(_create, by_reference=by_reference, reread=reread, without=without_database)
    backup, counts = run_async(run, assembly, Repository(folder))
    told = ", ".join(f"{number} {name}" for name, number in sorted(counts.items()))
    say(f"{backup.name}: {count(backup.entries, 'entry', 'entries')}, {backup.size} bytes ({told})")


async def _create(
    assembly: Assembly, repository: Repository, *, by_reference: bool, reread: bool, without: bool
) -> tuple[NewBackup, Counter[str]]:
    source = assembly.source.path if assembly.source is not None else None
    try:
        # Before anything is started: a plugin whose server is away has failed then, and names none.
        schemas = {} if without else await find_schemas(assembly.hooks)
    except BackupError as error:
        raise CommandError(f"there is no backup: {error}") from error
    async with open_archive(assembly, repair=True) as opened:
        if opened.store is None:
            raise CommandError("the configuration names no object store")
        creation = Creation(opened, opened.store, repository, source, by_reference, reread, schemas)
        origin = local_origin("backup")
        try:
            # Before: whoever takes a copy of everything does not do so without a record.
            details = {"folder": str(repository.folder)}
            event = AuditEvent(CREATED, Outcome.SUCCESS, origin, details)
            await opened.node.audit.record(event)
            return await creation.run(), creation.counts
        except (BackupError, OSError) as error:
            raise CommandError(f"there is no backup: {error}") from error


def show(folder: Path, *, json: JsonOption = False) -> int:
    """List the backups in a folder, the earliest first; exits with 1 if there is none.

    Parameters
    ----------
    folder
        Where they are.
    """
    repository = Repository(folder)
    rows = []
    for name in repository.names:
        counts: Counter[str] = Counter()
        size = 0
        for entry in repository.entries(name):
            counts[entry.kind] += 1
            size += entry.size
        rows.append((name, counts["object"], counts["database"], counts["file"], size))
    if json:
        keys = ("name", "objects", "databases", "files", "bytes")
        say(dump_json([dict(zip(keys, row, strict=True)) for row in rows]))
    elif rows:
        header = ("NAME", "OBJECTS", "DATABASES", "FILES", "BYTES")
        print_table(header, [tuple(map(str, row)) for row in rows])
    return 0 if rows else 1


def verify(folder: Path, *, name: NameOption = "") -> int:
    """Read everything that a backup has, and compare it with its digests; exits with 1 on damage.

    Databases are checked by SQLite as well. Objects that are only referred to are not looked at.

    Parameters
    ----------
    folder
        Where the backups are.
    """
    return run_async(_verify, Repository(folder), name)


async def _verify(repository: Repository, name: str) -> int:
    number = faults = 0
    try:
        chosen = repository.choose(name)
        with repository.locked(shared=True):
            async for _, problem in verify_backup(repository, chosen):
                number += 1
                if problem:
                    faults += 1
                    complain(problem)
    except BackupError as error:
        raise CommandError(str(error)) from error
    say(f"{chosen}: {count(number, 'entry', 'entries')}, {faults} damaged")
    return 1 if faults else 0


def restore(
    folder: Path,
    *,
    name: NameOption = "",
    resume: Annotated[bool, Parameter(negative=())] = False,
    config: Annotated[Path, Parameter(help="Config file; written if it is not there.")] = Path(
        "pacs.toml"
    ),
) -> int:
    """Make an archive from a backup, in the data directory of the configuration, which is empty.

    The store may be another than the one that was backed up. Interrupted, run it again with
    --resume. Exits with 1 if the index does not agree with the objects afterwards.

    Parameters
    ----------
    folder
        Where the backups are.
    resume
        Go on with a restore that was interrupted.
    """
    repository = Repository(folder)
    try:
        chosen = repository.choose(name)
        if write_config(repository, chosen, config):
            say(f"{config} was written")
        assembly = assemble_for_command(config if config.exists() else None)
        directory = assembly.config.settings.data_directory
        claim(directory, resume=resume)
        task = Restore(repository, chosen, assembly, resume=resume)
        with repository.locked(shared=True):
            run_async(task.run)
    except (BackupError, OSError) as error:
        raise CommandError(f"{error}; nothing serves what was restored so far") from error
    say(f"{chosen}: {count(task.restored, 'object')} restored, {task.there} were there")
    for missing in task.missing:
        complain(f"the object {missing} is in no backup, and not in the store")
    where = ["--config", str(config)] if config.exists() else []
    code = main(["index", "rebuild", *where]) or main(["index", "verify", *where])
    run_async(_record, assembly, folder, chosen)
    if not code:
        (directory / MARKER).unlink()
    return 1 if code or task.missing else 0


async def _record(assembly: Assembly, folder: Path, name: str) -> None:
    async with open_archive(assembly) as opened:
        details = {"folder": str(folder), "backup": name}
        event = AuditEvent(RESTORED, Outcome.SUCCESS, local_origin("backup"), details)
        await opened.node.audit.record(event)


def prune(
    folder: Path,
    *,
    keep_last: int = 0,
    keep_daily: int = 0,
    keep_weekly: int = 0,
    keep_monthly: int = 0,
    keep_yearly: int = 0,
    yes: YesOption = False,
) -> None:
    """Forget backups that no rule keeps, and delete contents that no other backup has.

    The latest backup that is whole is kept in any case. What interrupted backups have left is
    deleted as well. Days, weeks (from Monday) and so on are those of UTC.

    Parameters
    ----------
    folder
        Where the backups are.
    keep_last
        So many of the latest.
    keep_daily
        The latest of each of so many days that have one.
    keep_weekly
        The same for weeks.
    keep_monthly
        For months.
    keep_yearly
        For years.
    """
    counts = (keep_last, keep_daily, keep_weekly, keep_monthly, keep_yearly)
    if min(counts) < 0 or not any(counts):
        raise UsageError("say what is kept: --keep-last 7, for one")
    repository = Repository(folder)
    try:
        repository.choose("")
        with repository.locked():
            pruning = Pruning.plan(repository, Rules(*counts))
            if yes:
                pruning.run()
    except (BackupError, OSError) as error:
        raise CommandError(str(error)) from error
    for name in pruning.kept:
        say(f"kept {name}")
    what = f"{len(pruning.forgotten)} backups, {len(pruning.files)} files of {pruning.size} bytes"
    say(f"{what} deleted" if yes else f"{what} would be deleted: say --yes")


def push(
    folder: Path, url: str, /, *, prune: Annotated[bool, Parameter(negative=())] = False
) -> None:
    """Copy a folder of backups to a bucket; what is there already is not copied again.

    Interrupted, run it again. A prefix of a bucket is for one folder alone.

    Parameters
    ----------
    folder
        Where the backups are.
    url
        Such as s3://bucket/prefix, gs:// or az://; credentials come from the environment.
    prune
        Take away there what is not here any more, as after a prune.
    """
    bucket, repository = Bucket(url), Repository(folder)
    _with_bucket(repository, bucket, lambda: bucket.push(repository, delete=prune))


def pull(folder: Path, url: str, /) -> None:
    """Copy backups from a bucket to a folder, from which they are verified and restored.

    Each content is compared with its digest. Interrupted, run it again.

    Parameters
    ----------
    folder
        Where the backups come to.
    url
        As of push.
    """
    bucket, repository = Bucket(url), Repository(folder)
    _with_bucket(repository, bucket, lambda: bucket.pull(repository))


def _with_bucket(
    repository: Repository, bucket: Bucket, action: Callable[[], Awaitable[None]]
) -> None:
    try:
        with repository.locked():
            run_async(action)
    except (BackupError, OSError) as error:
        raise CommandError(f"{error}; what was copied so far stays") from error
    say(f"{count(bucket.copied, 'file')} copied, {bucket.known} known, {bucket.deleted} deleted")


BY_VERB: Final[dict[str, Callable[..., int | None]]] = {
    "create": create,
    "list": show,
    "verify": verify,
    "prune": prune,
    "restore": restore,
    "push": push,
    "pull": pull,
}
