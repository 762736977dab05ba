"""``pacs web``."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Final, Literal

import anyio
import anyio.to_thread
from cyclopts import Parameter

from pacs_core.api.commands import (
    WRITERS,
    CommandError,
    ConfigOption,
    Format,
    OpenArchive,
    UsageError,
    assemble_for_command,
    complain,
    complain_of_nothing,
    count,
    local_origin,
    open_archive,
    parse_keys,
)
from pacs_core.contracts import AuditEvent, AuditKind, DicomWebPeer, Outcome
from pacs_core.dataset import (
    Attributes,
    ElementSet,
    MalformedDataset,
    NotPart10,
    items,
    keyword_of,
    read_file_meta,
    tag_of,
)
from pacs_core.dimse import is_valid_uid
from pacs_dicomweb.client.downloads import BadInstanceError, Folder
from pacs_dicomweb.client.importing import WebImport
from pacs_dicomweb.client.uploads import Upload, batches
from pacs_dicomweb.client.web_client import DicomWebClient, DicomWebError, open_client

Level = Literal["study", "series", "image"]

_BATCH_FILES: Final = 100
_BATCH_BYTES: Final = 64 << 20
_PATHS: Final[dict[Level, str]] = {"study": "studies", "series": "series", "image": "instances"}
_RETURNED: Final[dict[Level, tuple[str, ...]]] = {
    "study": (
        "PatientName",
        "PatientID",
        "StudyDate",
        "AccessionNumber",
        "ModalitiesInStudy",
        "StudyDescription",
        "NumberOfStudyRelatedInstances",
        "StudyInstanceUID",
    ),
    "series": (
        "Modality",
        "SeriesNumber",
        "SeriesDescription",
        "NumberOfSeriesRelatedInstances",
        "SeriesInstanceUID",
    ),
    "image": ("InstanceNumber", "SOPClassUID", "SOPInstanceUID"),
}


def find(
    peer: str,
    /,
    *,
    level: Level = "study",
    key: Annotated[tuple[str, ...], Parameter(name=["--key", "-k"], negative=())] = (),
    limit: int = 1000,
    format: Format = "table",  # noqa: A002 (the name of the option)
    config: ConfigOption = None,
) -> None:
    """Query a DICOMweb server (QIDO-RS, PS3.18 §10.6).

    Parameters
    ----------
    peer
        URL of its root, or the name of a configured peer.
    level
        What to look for.
    key
        KEYWORD=VALUE to match, KEYWORD to return; may be given several times.
    limit
        How many at most.
    format
        How to print matches.
    """
    keys = parse_keys(key)
    wanted = [tag_of(keyword) for keyword in _RETURNED[level]]
    columns = [*keys, *(tag for tag in wanted if tag not in keys)]
    parameters = [("limit", str(limit)), *_parameters(keys)]

    async def run() -> None:
        writer = WRITERS[format](columns)
        async with _client(peer, config) as client:
            for match in await client.search(_PATHS[level], parameters):
                writer.write(_attributes(match))
        writer.close()

    _run(run)


def get(
    peer: str,
    /,
    *,
    study: str,
    series: str = "",
    instance: str = "",
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    config: ConfigOption = None,
) -> None:
    """Retrieve instances from a DICOMweb server into a folder (WADO-RS, PS3.18 §10.4).

    They become OUTPUT/STUDY/SERIES/INSTANCE.dcm, byte for byte as received.

    Parameters
    ----------
    peer
        URL of its root, or the name of a configured peer.
    study
        Study Instance UID.
    series
        Series Instance UID: only this series.
    instance
        SOP Instance UID, with --series: only this instance.
    output
        Folder to write to; made if it is not there.
    """
    path = "studies"
    for name, uid in (("", study), ("/series", series), ("/instances", instance)):
        if uid and not is_valid_uid(uid):
            raise UsageError(f"{uid!r} is no UID")
        path += f"{name}/{uid}" if uid else ""
    if instance and not series:
        raise UsageError("--instance needs --series")
    output.mkdir(parents=True, exist_ok=True)
    folder = Folder(output)

    async def run() -> None:
        async with _client(peer, config) as client, client.retrieve(path) as parts:
            async for part in parts:
                await folder.take(aiter(part))

    try:
        _run(run)
    except (BadInstanceError, CommandError, OSError) as error:
        raise CommandError(f"{error}; {folder.received} instances were received") from error
    print(f"{folder.received} instances received")


def store(peer: str, /, *paths: Path, config: ConfigOption = None) -> int:
    """Send files to a DICOMweb server (STOW-RS, PS3.18 §10.5).

    They are sent byte for byte, many in a request. What is no DICOM file is passed over.

    Parameters
    ----------
    peer
        URL of its root, or the name of a configured peer.
    paths
        Files, and folders with all that is below.
    """
    if not paths:
        raise UsageError("give at least one file or folder to send")
    stored, failed = 0, 0

    async def run() -> None:
        nonlocal stored, failed
        uploads = await anyio.to_thread.run_sync(lambda: list(_uploads(paths)))
        async with _client(peer, config) as client:
            for batch in batches(uploads, _BATCH_FILES, _BATCH_BYTES):
                answer = await client.store(batch)
                stored += len(answer.stored)
                failed += len(answer.failed) + answer.unnamed_failures
                for uid, reason in answer.failed.items():
                    complain(f"{uid} was not stored: {reason:04X}H")
                for uid, reason in answer.warned.items():
                    complain(f"{uid} was stored with a warning: {reason:04X}H")

    _run(run)
    print(f"{count(stored, 'instance')} stored, {failed} not")
    if stored or failed:
        return 1 if failed else 0
    return complain_of_nothing()


def take_over(
    peer: str,
    /,
    *,
    key: Annotated[tuple[str, ...], Parameter(name=["--key", "-k"], negative=())] = (),
    at_once: int = 4,
    config: ConfigOption = None,
) -> int:
    """Take all that a DICOMweb server has into this machine's archive.

    What is here already is not fetched: interrupted, run it again, and a last time for what came
    meanwhile. What could not be taken is named, with the reason; the exit code is 1 then.

    Parameters
    ----------
    peer
        URL of its root, or the name of a configured peer.
    key
        KEYWORD=VALUE that studies have to match, such as StudyDate=2020-2021; may be given several
        times.
    at_once
        Studies to take at the same time.
    """
    if at_once < 1:
        raise UsageError(f"--at-once is 1 or more, not {at_once}")
    parameters = list(_parameters(parse_keys(key)))
    counts: Counter[str] = Counter()

    async def run() -> None:
        async with _opened(peer, config) as (client, opened):
            if opened.index is None or opened.store is None:
                raise CommandError("there is no archive here: install an object store and an index")
            origin = local_origin("import")
            task = WebImport(opened, opened.index, client, origin, parameters, counts)
            try:
                await task.run(at_once)
            finally:
                details: dict[str, str | int] = {"from": client.peer.url, **counts}
                event = AuditEvent(AuditKind.IMPORT, Outcome.SUCCESS, origin, details)
                with anyio.CancelScope(shield=True):
                    await opened.node.audit.record(event)

    _run(run)
    others = [f"{n} {name}" for name, n in sorted(counts.items()) if n and name != "stored"]
    print(", ".join([f"{count(counts['stored'], 'instance')} stored", *others]))
    return 1 if counts["failed"] else 0


BY_VERB: Final[dict[str, Callable[..., int | None]]] = {
    "find": find,
    "get": get,
    "store": store,
    "import": take_over,
}


def _run(function: Callable[[], object]) -> None:
    try:
        anyio.run(function)  # type: ignore[arg-type]
    except (DicomWebError, LookupError) as error:
        raise CommandError(str(error)) from error


@asynccontextmanager
async def _client(peer: str, config: Path | None) -> AsyncIterator[DicomWebClient]:
    async with _opened(peer, config) as (client, _):
        yield client


@asynccontextmanager
async def _opened(
    peer: str, config: Path | None
) -> AsyncIterator[tuple[DicomWebClient, OpenArchive]]:
    assembly = assemble_for_command(config)
    known = assembly.config.settings.dicomweb_peers
    if peer not in known and "://" not in peer:
        names = ", ".join(known) or "none"
        raise UsageError(f"no peer with `dicomweb` is called {peer!r}: configured are {names}")
    try:
        server = known[peer] if peer in known else DicomWebPeer(peer.rstrip("/"))
    except ValueError as error:
        raise UsageError(str(error)) from error
    async with open_archive(assembly) as opened, open_client(server, opened.node.tls) as client:
        yield client, opened


def _parameters(keys: Attributes, path: str = "") -> Iterator[tuple[str, str]]:
    """Iterate over the query parameters of keys (PS3.18 §8.3.4)."""
    for tag, values in keys.items():
        name = f"{path}{keyword_of(tag)}"
        if nested := items(keys, tag):
            yield from _parameters(nested[0], f"{name}.")
        elif values:
            yield name, ",".join(map(str, values)) if len(values) > 1 else str(values[0])
        else:
            yield "includefield", name


def _attributes(match: ElementSet) -> Attributes:
    return {
        element.tag: tuple(map(_attributes, element.items)) or match.texts(element.tag)
        for element in match
    }


def _uploads(paths: tuple[Path, ...]) -> Iterator[Upload]:
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path} does not exist")
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_symlink() or not file.is_file():
                continue
            try:
                with file.open("rb") as opened:
                    read_file_meta(opened.read(1 << 16))
            except (NotPart10, MalformedDataset):
                complain(f"{file} is no DICOM file with a header: passed over")
                continue
            except OSError as error:
                raise CommandError(f"{file}: cannot be read: {error.strerror}") from error
            yield Upload(file, file.stat().st_size)
