"""``pacs tiers``."""

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Literal

import anyio
from cyclopts import Parameter

from pacs_core.api.commands import (
    CommandError,
    ConfigOption,
    UsageError,
    assemble_for_command,
    complain,
    local_origin,
    open_archive,
    parse_keys,
    print_table,
    progress,
)
from pacs_core.api.streams import closing
from pacs_core.contracts import (
    Condition,
    KeyMatching,
    Level,
    Node,
    ObjectNotFoundError,
    Query,
    StoredInstance,
)
from pacs_core.dataset import tag_of
from pacs_store_tiered.auditing import RECALLED, MoveRecorder
from pacs_store_tiered.config import TieringConfig
from pacs_store_tiered.interface import Studies
from pacs_store_tiered.migration import Migration
from pacs_store_tiered.planning import Move, Planner, find_store, first_text, free_room
from pacs_store_tiered.store import TieredStore

Keys = Annotated[tuple[str, ...], Parameter(name=["--key", "-k"], negative=())]
_STUDY = tag_of("StudyInstanceUID")


def status(*, config: ConfigOption = None) -> None:
    """Show how much lies in each tier, and how much room is left.

    That takes a look at the names of all objects. A recalled one lies in two tiers.
    """

    async def run() -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = []
        async with _opened(config) as (node, _):
            store = _store(node)
            for name, tier in store.tiers.items():
                if store.is_offline(name):
                    rows.append((name, "offline", "-", "-", "-"))
                    continue
                objects = size = 0
                async with closing(tier.objects()) as found:
                    async for each in found:
                        objects, size = objects + 1, size + each.size
                free, total = free_room(tier)
                room = f"{free / 1e9:.1f} GB of {total / 1e9:.1f}" if total else "unbounded"
                state = "nearline" if store.is_nearline(name) else "online"
                rows.append((name, state, str(objects), f"{size / 1e6:.1f}", room))
        return rows

    print_table(("TIER", "STATE", "OBJECTS", "MEGABYTES", "FREE"), anyio.run(run))


def plan(
    *,
    each: Annotated[bool, Parameter(negative=())] = False,
    config: ConfigOption = None,
) -> None:
    """Show what the policies would move now. Nothing is moved.

    Parameters
    ----------
    each
        Name each object.
    """
    anyio.run(_plan, config, each)


async def _plan(config: Path | None, each: bool = False) -> None:
    objects: Counter[tuple[str, str]] = Counter()
    sizes: Counter[tuple[str, str]] = Counter()
    async with _opened(config) as (node, tiering):
        if not tiering.policies:
            raise CommandError("there are no policies: see [[plugin.store-tiered.policies]]")
        _store(node)
        async with closing(Planner(node, tiering).moves()) as moves:
            async for move in moves:
                way = (move.source, move.target)
                objects[way] += 1
                sizes[way] += move.instance.size
                if each:
                    print(f"{move.source} -> {move.target} {move.instance.key}")
    if not objects:
        print("nothing is to move")
    for (source, target), count in sorted(objects.items()):
        size = sizes[source, target] / 1e6
        print(f"{source} -> {target}: {count} objects, {size:.1f} MB")


def migrate(
    *,
    key: Keys = (),
    to: Literal["warm", "cold"] | None = None,
    yes: Annotated[bool, Parameter(negative=())] = False,
    config: ConfigOption = None,
) -> int:
    """Move what the policies say, or, with -k and --to, some studies whatever they say.

    Without --yes it shows what would move. A pinned study stays. Exits with 1 if an object could
    not be moved: it stays where it is, and the log says why.

    Parameters
    ----------
    key
        Which studies, as in `pacs find`: ``StudyInstanceUID=1.2.3``.
    to
        The tier to which they go.
    yes
        Do it.
    """
    if bool(key) != bool(to):
        raise UsageError("say both which studies, with -k, and where they go, with --to")
    if not yes:
        anyio.run(_show_some, config, key, to) if to else anyio.run(_plan, config)
        print("nothing was moved: say --yes to do it")
        return 0
    return anyio.run(_migrate, config, key, to)


async def _show_some(config: Path | None, key: tuple[str, ...], to: str) -> None:
    count = size = 0
    async with _opened(config) as (node, _):
        async for instance in _instances(node, key, but_pinned=True):
            count, size = count + 1, size + instance.size
    print(f"to {to}, where they are not there or below: {count} objects, {size / 1e6:.1f} MB")


async def _migrate(config: Path | None, key: tuple[str, ...], to: str | None) -> int:
    async with _opened(config) as (node, tiering):
        store = _store(node)
        if to and to not in store.tiers:
            raise CommandError(f"there is no tier {to}")
        planned = _chosen(node, store, key, to) if to else Planner(node, tiering).moves()
        migration = Migration(node, tiering.rate, local_origin("tiers"))
        with progress("moving", None) as advance:
            async with closing(migration.run(planned)) as moves:
                async for _ in moves:
                    advance(1)
    print(migration.report)
    return 1 if migration.report.failed else 0


async def _chosen(
    node: Node, store: TieredStore, key: tuple[str, ...], to: str
) -> AsyncIterator[Move]:
    async with closing(_instances(node, key, but_pinned=True)) as found:
        async for each in found:
            places = await store.places([each.key])
            yield Move(each, places.get(each.key, ""), to)


def recall(*, key: Keys, config: ConfigOption = None) -> int:
    """Bring studies to the hot tier, and leave the copies that lower tiers have.

    Exits with 1 if an object did not come.

    Parameters
    ----------
    key
        Which studies, as in `pacs find`: ``StudyInstanceUID=1.2.3``.
    """

    async def run() -> tuple[int, int]:
        came = failed = 0
        async with _opened(config) as (node, _):
            store, studies = _store(node), node.find(Studies)
            recorder = MoveRecorder(node.audit, RECALLED, local_origin("tiers"))
            top = next(iter(store.tiers))
            used: set[str] = set()
            with progress("recalling", None) as advance:
                async for each in _instances(node, key):
                    source = (await store.places([each.key])).get(each.key, "")
                    size: int | None = None
                    try:
                        size = await store.fetch(each.key, expected=each)
                    except (OSError, ObjectNotFoundError) as error:
                        failed += 1
                        complain(f"{each.key} did not come: {error}")
                    if size != 0:
                        await recorder.add(each, source, top, size)
                    came += bool(size)
                    used.add(each.identity.study_instance_uid)
                    advance(1)
            await recorder.close()
            await studies.note_uses(used, time.time())
        return came, failed

    came, failed = anyio.run(run)
    print(f"{came} objects recalled" + (f", {failed} failed" if failed else ""))
    return 1 if failed else 0


def pin(*, key: Keys = (), reason: str = "pinned by hand", config: ConfigOption = None) -> None:
    """Keep studies where they are, whatever the policies say; without -k, list those that are.

    Parameters
    ----------
    key
        Which studies, as in `pacs find`: ``PatientID=4711``. Those that are there now.
    reason
        Why, for whoever lists them.
    """
    if not key:
        print_table(("STUDY INSTANCE UID", "WHY"), anyio.run(_pinned, config))
        return
    if not reason:
        raise UsageError("say why, with --reason")
    print(f"{anyio.run(_pin, config, key, reason)} studies are pinned")


def unpin(*, key: Keys, config: ConfigOption = None) -> None:
    """Leave studies to the policies again.

    Parameters
    ----------
    key
        Which studies, as in `pacs find`.
    """
    print(f"{anyio.run(_pin, config, key, '')} studies are pinned no more")


async def _pinned(config: Path | None) -> list[tuple[str, str]]:
    async with _opened(config) as (node, _), closing(node.find(Studies).pinned()) as found:
        return [(each.uid, each.pinned) async for each in found]


async def _pin(config: Path | None, key: tuple[str, ...], reason: str) -> int:
    async with _opened(config) as (node, _):
        query = Query(Level.STUDY, _conditions(key), frozenset({_STUDY}))
        async with closing(node.archive.search(query)) as found:
            uids = [first_text(each, _STUDY) async for each in found]
        await node.find(Studies).pin(uids, reason)
    return len(uids)


def _conditions(key: tuple[str, ...]) -> tuple[Condition, ...]:
    keys = parse_keys(key)
    if not keys:
        raise UsageError("say which studies, with -k StudyInstanceUID=...")
    return tuple(KeyMatching().conditions(keys, keys))


async def _instances(
    node: Node, key: tuple[str, ...], *, but_pinned: bool = False
) -> AsyncIterator[StoredInstance]:
    """Iterate over all instances of the studies that match."""
    pinned: set[str] = set()
    if but_pinned:
        async with closing(node.find(Studies).pinned()) as facts:
            pinned = {each.uid async for each in facts}
    query = Query(Level.STUDY, _conditions(key))
    async with closing(node.archive.instances(query)) as found:
        async for each in found:
            if each.identity.study_instance_uid not in pinned:
                yield each


def _store(node: Node) -> TieredStore:
    try:
        return find_store(node)
    except LookupError as error:
        raise CommandError(str(error)) from error


@asynccontextmanager
async def _opened(config: Path | None) -> AsyncIterator[tuple[Node, TieringConfig]]:
    assembly = assemble_for_command(config)
    tiering = assembly.plugin_configs["store-tiered"]
    assert isinstance(tiering, TieringConfig)  # noqa: S101  it is the plugin's own
    async with open_archive(assembly, requires=(Studies,)) as opened:
        yield opened.node, tiering


BY_VERB: dict[str, Callable[..., int | None]] = {
    "status": status,
    "plan": plan,
    "migrate": migrate,
    "recall": recall,
    "pin": pin,
    "unpin": unpin,
}
