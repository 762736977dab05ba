"""``pacs archive aside``."""

from contextlib import aclosing
from typing import Annotated, cast

from pacs_core.app import Assembly, OpenArchive, open_archive
from pacs_core.archive import Aside, NodeArchive, NotSetAsideError, SetAside, compare
from pacs_core.cli.assembling import assemble_local
from pacs_core.cli.errors import CommandError
from pacs_core.cli.local import require_archive, require_data_directory
from pacs_core.cli.option import Option
from pacs_core.cli.options import LOCAL, LocalOptions
from pacs_core.cli.output import count, print_table, say
from pacs_core.cli.progress import progress
from pacs_core.cli.running import run_async
from pacs_core.contracts import InstanceHeldError, Origin
from pacs_core.dataset import keyword_of, short_name_of

ORIGIN = Origin("aside")
Yes = Annotated[bool, Option()]


def list_all(*, options: LocalOptions = LOCAL) -> None:
    """List what was set aside, because another object is served under its SOP Instance UID.

    That takes a look at every object.
    """
    run_async(_list, assemble_local(options))


async def _list(assembly: Assembly) -> None:
    require_data_directory(assembly)
    async with open_archive(assembly) as opened:
        found = []
        with progress("looking", None) as advance:
            async with aclosing(_aside(opened).find_all()) as items:
                async for item in items:
                    found.append(item)
                    advance(1)
    if not found:
        say("nothing is set aside")
        return
    found.sort(key=lambda item: item.instance.key)
    print_table(
        ("KEY", "BYTES", "SOP INSTANCE UID", "SERVED"),
        [
            (
                item.instance.key,
                str(item.instance.size),
                item.instance.identity.sop_instance_uid,
                item.served.key,
            )
            for item in found
        ],
    )


def show(key: str, /, *, options: LocalOptions = LOCAL) -> None:
    """Show how an object that was set aside differs from the one that is served.

    Parameters
    ----------
    key
        As `pacs archive aside list` names it.
    """
    run_async(_show, assemble_local(options), key)


async def _show(assembly: Assembly, key: str) -> None:
    require_data_directory(assembly)
    async with open_archive(assembly) as opened:
        store, index = require_archive(opened)
        item = await _find(opened, key)
        found = await compare(store, item.instance, item.served, index.wanted_tags)
    for name, instance, damage in (
        ("set aside", item.instance, found.damage),
        ("served", item.served, found.other_damage),
    ):
        syntax = short_name_of(instance.transfer_syntax_uid)
        size = count(instance.size - instance.dataset_offset, "byte")
        say(f"{name}: {instance.key}: {size}, {syntax}, {damage or 'whole'}")
    for tag, values in found.attributes.items():
        here, there = _text(values), _text(found.other_attributes[tag])
        say(f"{keyword_of(tag)}: {here!r}, served is {there!r}")
    if found.position is None:
        say("the datasets are the same")
    else:
        say(f"the datasets differ from byte {found.position} on")


def _text(values: tuple[object, ...]) -> str:
    return "\\".join(map(str, values))[:80]


def promote(
    key: str, /, *, override: str = "", yes: Yes = False, options: LocalOptions = LOCAL
) -> None:
    """Serve an object that was set aside; the one that was served is set aside.

    Without --yes, only says what would be done.

    Parameters
    ----------
    key
        As `pacs archive aside list` names it.
    override
        Why that is done although a deletion guard holds what is served. The audit trail has it.
    yes
        Do it.
    """
    run_async(_promote, assemble_local(options, level="error"), key, override, yes)


async def _promote(assembly: Assembly, key: str, override: str, yes: bool) -> None:
    require_data_directory(assembly)
    async with open_archive(assembly) as opened:
        item = await _find(opened, key)
        if not yes:
            say(f"{key} would be served instead of {item.served.key}; add --yes to do it")
            return
        try:
            promoted = await _aside(opened).promote(key, ORIGIN, override=override)
        except InstanceHeldError as error:
            raise CommandError(str(error)) from error
    say(f"{promoted.key} is served, {item.served.key} is set aside")


def discard(key: str, /, *, yes: Yes = False, options: LocalOptions = LOCAL) -> None:
    """Delete an object that was set aside.

    Without --yes, only says what would be done.

    Parameters
    ----------
    key
        As `pacs archive aside list` names it.
    yes
        Do it.
    """
    run_async(_discard, assemble_local(options, level="error"), key, yes)


async def _discard(assembly: Assembly, key: str, yes: bool) -> None:
    require_data_directory(assembly)
    async with open_archive(assembly) as opened:
        item = await _find(opened, key)
        if yes:
            await _aside(opened).discard(key, ORIGIN)
    done = "deleted" if yes else "would be deleted; add --yes to do it"
    say(f"{key} {done}; {item.served.key} is served")


def _aside(opened: OpenArchive) -> Aside:
    require_archive(opened)
    return cast(NodeArchive, opened.archive).aside


async def _find(opened: OpenArchive, key: str) -> SetAside:
    try:
        return await _aside(opened).find(key)
    except NotSetAsideError as error:
        raise CommandError(str(error)) from error
