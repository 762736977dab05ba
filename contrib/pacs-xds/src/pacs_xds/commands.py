"""``pacs xds``."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar

import anyio
from pacs_core.api.commands import (
    CommandError,
    ConfigOption,
    JsonOption,
    UsageError,
    assemble_for_command,
    local_origin,
    open_archive,
    open_node,
    print_rows,
    print_table,
    say,
)
from pacs_core.dimse import is_valid_uid

from pacs_xds.config import XdsConfig
from pacs_xds.description import describe_entry, describe_registration
from pacs_xds.desk import DOOR, Desk
from pacs_xds.fetching import FetchError, find_documents, retrieve_images, retrieve_manifest
from pacs_xds.interface import Registration, Registrations, RegistrationState
from pacs_xds.studies import escape
from pacs_xds.transactions import DocumentKey

T = TypeVar("T")

_COLUMNS: Final = {"NUMBER": 7, "STATE": 11, "INSTANCES": 10, "STUDY": 45, "REASON": 0}
_FOUND: Final = ("document", "repository", "created", "events", "title")


def list_registrations(
    *,
    study: str = "",
    state: RegistrationState | None = None,
    limit: int = 50,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List manifests that are registered, or wait, the latest first.

    Parameters
    ----------
    study
        Only those of this study.
    state
        Only those of which this is so; `failed` are those that wait for somebody.
    limit
        How many at most.
    """

    async def run() -> None:
        async with open_node(config, Registrations) as node:
            found = node.find(Registrations).search(study=study, state=state)
            if not json_output:
                await print_rows(_COLUMNS, found, _cells, limit)
                return
            left = limit
            async for each in found:
                if not left:
                    return
                left -= 1
                print(json.dumps(describe_registration(each)))

    anyio.run(run)


def _cells(each: Registration) -> tuple[str, ...]:
    study = each.study_instance_uid
    return str(each.number), str(each.state), str(each.instances), study, each.reason


def register(study: str, /, *, config: ConfigOption = None) -> None:
    """Have a study registered, also one that was refused; the node that runs does it.

    Parameters
    ----------
    study
        Study Instance UID.
    """
    if not is_valid_uid(study):
        raise UsageError(f"{study!r} is no UID")

    async def run() -> None:
        async with open_node(config, Registrations) as node:
            await node.find(Registrations).request(study)
            say(f"{study} will be registered; see: pacs xds list --study {study}")

    anyio.run(run)


def find(
    patient: str,
    /,
    *,
    issuer: str = "",
    every: bool = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Find documents of a patient in the registry (ITI-18).

    Parameters
    ----------
    patient
        Patient ID; or with its assigning authority, as in `4711^^^&1.2.3&ISO`.
    issuer
        Who assigned it, as in `[plugin.xds.domains]`.
    every
        Documents of any kind, instead of manifests of imaging studies only.
    """

    async def run() -> list[dict[str, object]]:
        async with _open(config) as desk:
            cx = _identifier(desk.config, patient, issuer)
            found = await find_documents(desk, cx, manifests=not every)
            return [describe_entry(each) for each in found]

    rows = _run(run)
    if json_output:
        for row in rows:
            print(json.dumps(row))
        return
    print_table([name.upper() for name in _FOUND], [[str(r[n]) for n in _FOUND] for r in rows])


def _identifier(config: XdsConfig, patient: str, issuer: str) -> str:
    if "^^^" in patient:
        return patient
    if issuer not in config.domains:
        known = ", ".join(repr(each) for each in config.domains) or "none"
        raise UsageError(f"[plugin.xds.domains] has no OID for the issuer {issuer!r}: {known}")
    return f"{escape(patient)}^^^&{config.domains[issuer]}&ISO"


def retrieve(
    document: str, /, *, repository: str = "", home: str = "", config: ConfigOption = None
) -> int:
    """Retrieve a manifest (ITI-43), and its images into the archive (RAD-69).

    Parameters
    ----------
    document
        Its unique ID, as found.
    repository
        The unique ID of the repository that has it; by default that of `[plugin.xds.repository]`.
    home
        Home community ID, as found.
    """

    async def run() -> tuple[int, int, int, list[str]]:
        async with _open(config) as desk:
            own = desk.config.repository
            key = DocumentKey(repository or (own.unique_id if own else ""), document, home)
            references = await retrieve_manifest(desk, key)
            report = await retrieve_images(desk, references, local_origin(DOOR))
            return report.named, report.stored, report.known, report.failures

    named, stored, known, failures = _run(run)
    say(f"{named} instances: {stored} stored, {known} were there")
    for failure in failures:
        say(f"  {failure}")
    return 1 if failures else 0


def _run(function: Callable[[], Awaitable[T]]) -> T:
    try:
        return anyio.run(function)
    except FetchError as error:
        raise CommandError(str(error)) from error


@asynccontextmanager
async def _open(config: Path | None) -> AsyncIterator[Desk]:
    """Open the node with what asks others."""
    assembly = assemble_for_command(config)
    settings = assembly.plugin_configs["xds"]
    if not isinstance(settings, XdsConfig):
        raise CommandError("[plugin.xds] is not read: the plugin is disabled")
    async with open_archive(assembly) as opened:
        node = opened.node
        yield Desk(node, settings, node.settings.data_directory / "xds")


BY_VERB: Final[dict[str, Callable[..., int | None]]] = {
    "list": list_registrations,
    "register": register,
    "find": find,
    "retrieve": retrieve,
}
