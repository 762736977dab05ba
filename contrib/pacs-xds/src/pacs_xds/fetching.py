"""Imaging Document Consumer: documents found and retrieved, their images archived (RAD TF-1 18).

How it works: a stored query says which manifests a patient has (ITI-18); a manifest is retrieved
from its repository (ITI-43), and says of each series by which Retrieve Location UID (0040,E011) its
instances are had; these are retrieved from that source (RAD-69) by some at a time. Each arrives on
disk before it is archived, and only what was asked for is archived: another instance, or one of
another study, is not. Where a source is known as a peer only, by the Retrieve AE Title (0008,0054)
of the manifest, they are had by C-MOVE, see :mod:`.moving`.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import groupby
from typing import IO, Final

import anyio
from attrs import define, field
from pacs_core.contracts import AuditValue, EventAction, IngestError, IngestOutcome, Origin
from pacs_core.dataset import MalformedDataset
from pacs_dicomweb.api import read_file

from pacs_xds.auditing import document_objects, patient_objects, query_object, study_objects
from pacs_xds.config import XdsPeer
from pacs_xds.desk import Desk
from pacs_xds.ebxml import DocumentEntry
from pacs_xds.interface import IMAGES_RETRIEVED, QUERIED, RETRIEVED
from pacs_xds.manifest import Reference, UnreadableManifest, read_manifest
from pacs_xds.moving import find_peer, move_images
from pacs_xds.soap.client import PeerAwayError, PeerError
from pacs_xds.soap.envelope import SoapFault
from pacs_xds.soap.mtom import MalformedPackage, Package
from pacs_xds.studies import FORMAT
from pacs_xds.transactions import (
    FAILURE,
    RETRIEVE,
    RETRIEVE_IMAGING,
    STORED_QUERY,
    AnsweredDocument,
    DocumentKey,
    ImagingDocument,
    ImagingRequest,
    find_documents_request,
    imaging_request,
    read_documents,
    read_found,
    read_response,
    retrieve_request,
)

_MAX_MANIFEST: Final = 64 << 20
_PIECE: Final = 1 << 18

SYNTAXES: Final = tuple(
    f"1.2.840.10008.1.2{each}"
    for each in (
        ".1", ".4.90", ".4.80", ".4.70", ".4.57", ".5", ".4.201", ".4.202", ".4.50", ".4.51",
        ".4.81", ".4.91", ".4.203", ".4.110", ".4.100", ".4.101", ".4.102", ".4.103", ".1.99", "",
    )
)  # fmt: skip
"""Transfer syntaxes that are asked for; the archive takes any."""


class FetchError(Exception):
    """Something could not be found or retrieved; says why."""


@define
class FetchReport:
    """What became of the instances of a manifest.

    Attributes
    ----------
    named, stored, known : int
        Instances that it names, that were archived, and that the archive had.
    failures : list of str
        What could not be had, and why.
    """

    named: int = 0
    stored: int = 0
    known: int = 0
    failures: list[str] = field(factory=list)


async def find_documents(desk: Desk, patient_id: str, *, manifests: bool) -> list[DocumentEntry]:
    """Return the documents of a patient that the registry holds for approved (ITI-18).

    Parameters
    ----------
    desk : Desk
    patient_id : str
        As CX.
    manifests : bool
        Only those that are manifests of imaging studies.

    Raises
    ------
    FetchError
    """
    registry = desk.config.registry
    if registry is None:
        raise FetchError("say where documents are looked for: [plugin.xds.registry]")
    formats = [f"{FORMAT.value}^^{FORMAT.scheme}"] if manifests else []
    body = find_documents_request(patient_id, formats)
    found: list[DocumentEntry] = []
    error = ""
    try:
        async with desk.client(registry).ask(STORED_QUERY, body, is_package=False) as (answer, _):
            response = read_response(answer.body)
            if response.status == FAILURE:
                error = response.reason
            else:
                found = read_found(answer.body)
    except (PeerAwayError, PeerError, SoapFault) as problem:
        error = str(problem)
    details = {"found": len(found)}
    objects = (*patient_objects(patient_id), query_object(body))
    await desk.record(QUERIED, registry, EventAction.EXECUTE, details, objects, error=error)
    if error:
        raise FetchError(f"{registry.url}: {error}")
    return found


async def retrieve_manifest(desk: Desk, key: DocumentKey) -> tuple[Reference, ...]:
    """Return what a manifest names, retrieved from its repository (ITI-43).

    Raises
    ------
    FetchError
    """
    repository = desk.config.repository_of(key.repository_id)
    if repository is None:
        raise FetchError(
            f"[plugin.xds.repositories] has none with the unique_id {key.repository_id}"
        )
    error = ""
    found: tuple[Reference, ...] = ()
    try:
        async with desk.client(repository).ask(RETRIEVE, retrieve_request([key])) as answer:
            content = await _document(answer[1], read_documents(answer[0].body), key)
            found = read_manifest(content, key.unique_id)
    except (PeerAwayError, PeerError, SoapFault, UnreadableManifest, FetchError) as problem:
        error = str(problem)
    studies = study_objects(each.study_instance_uid for each in found)
    details = {"document": key.unique_id, "repository": key.repository_id}
    objects = (*document_objects([key]), *studies)
    await desk.record(RETRIEVED, repository, EventAction.CREATE, details, objects, error=error)
    if error:
        raise FetchError(f"the document {key.unique_id}: {error}")
    return found


async def _document(
    package: Package, documents: Sequence[AnsweredDocument], key: DocumentKey
) -> bytes:
    for each in documents:
        if each.key.unique_id == key.unique_id:
            if not each.content_id:
                return each.content
            file = _file(package, each)
            return await anyio.to_thread.run_sync(file.read, _MAX_MANIFEST)
    raise FetchError("the repository has not answered with it")


def _file(package: Package, document: AnsweredDocument) -> IO[bytes]:
    try:
        return package.documents[document.content_id]
    except KeyError:
        raise MalformedPackage(
            f"the document {document.key.unique_id[:64]} refers to a part that is not there"
        ) from None


async def retrieve_images(
    desk: Desk, references: Iterable[Reference], origin: Origin
) -> FetchReport:
    """Retrieve instances from their sources, and archive them (RAD-69, RAD-16).

    Parameters
    ----------
    desk : Desk
    references : iterable of Reference
    origin : Origin
        On whose behalf they are archived.
    """
    report = FetchReport()
    ordered = sorted(references, key=_place)
    report.named = len(ordered)
    for (location, title), group in groupby(ordered, key=_place):
        source, peer = desk.config.source_of(location), find_peer(desk.node, title)
        wanted = list(group)
        if source is None and peer is None:
            text = (
                f"{len(wanted)} instances: no [plugin.xds.sources] has the unique_id "
                f"{location or 'that the manifest lacks'}, and no peer the AE title "
                f"{title or 'that it lacks'}"
            )
            report.failures.append(text)
            continue
        for start in range(0, len(wanted), desk.config.batch):
            batch = wanted[start : start + desk.config.batch]
            if source is not None:
                await _retrieve_batch(desk, source, batch, origin, report)
            elif peer is not None:
                stored, known, failures = await move_images(desk, peer, batch)
                report.stored += stored
                report.known += known
                report.failures += failures
    return report


def _place(reference: Reference) -> tuple[str, str]:
    return reference.retrieve_location_uid, reference.retrieve_ae_title


async def _retrieve_batch(
    desk: Desk, source: XdsPeer, batch: Sequence[Reference], origin: Origin, report: FetchReport
) -> None:
    wanted = {each.sop_instance_uid: each for each in batch}
    request = ImagingRequest(
        tuple(
            ImagingDocument(
                each.study_instance_uid,
                each.series_instance_uid,
                DocumentKey(each.retrieve_location_uid, each.sop_instance_uid),
            )
            for each in batch
        ),
        SYNTAXES,
    )
    before, failures = report.stored + report.known, len(report.failures)
    had: set[str] = set()
    try:
        async with desk.client(source).ask(RETRIEVE_IMAGING, imaging_request(request)) as answer:
            response = read_response(answer[0].body)
            for error in response.errors:
                wanted.pop(error.location, None)
                told = f"{error.location or 'the source'}: {error.code}: {error.context}"
                report.failures.append(told)
            for document in read_documents(answer[0].body):
                reference = wanted.get(document.key.unique_id)
                if reference is None:
                    uid = document.key.unique_id[:64]
                    report.failures.append(f"{uid}: was not asked for, and is not archived")
                    continue
                if await _archive(desk, answer[1], document, reference, origin, report):
                    had.add(reference.sop_instance_uid)
                del wanted[reference.sop_instance_uid]
        missing = "the source has not answered with it"
    except (PeerAwayError, PeerError, SoapFault) as error:
        missing = str(error)
    report.failures += [f"{uid}: {missing}" for uid in wanted]
    details: dict[str, AuditValue] = {
        "received": report.stored + report.known - before,
        "failed": len(report.failures) - failures,
        "repository": source.unique_id,
    }
    problem = report.failures[failures] if len(report.failures) > failures else ""
    for error_text, is_had in (("", True), (problem or "it was not archived", False)):
        about = [each for each in request.documents if (each.key.unique_id in had) == is_had]
        if about:
            objects = (
                *document_objects(each.key for each in about),
                *study_objects(each.study_instance_uid for each in about),
            )
            await desk.record(
                IMAGES_RETRIEVED, source, EventAction.CREATE, details, objects, error=error_text
            )


async def _archive(
    desk: Desk,
    package: Package,
    document: AnsweredDocument,
    reference: Reference,
    origin: Origin,
    report: FetchReport,
) -> bool:
    """Archive what a source has answered with; tell whether the archive has it now."""
    uid = reference.sop_instance_uid
    try:
        incoming = await read_file(_pieces(package, document), reference.study_instance_uid)
        if incoming.sop_instance_uid != uid:
            report.failures.append(f"{uid}: the source answers with {incoming.sop_instance_uid}")
            return False
        result = await desk.node.archive.ingest(
            incoming.dataset,
            transfer_syntax_uid=incoming.transfer_syntax_uid,
            sop_class_uid=incoming.sop_class_uid,
            sop_instance_uid=uid,
            origin=origin,
        )
    except (IngestError, MalformedDataset) as error:
        report.failures.append(f"{uid}: {error}")
        return False
    if result.outcome is IngestOutcome.IDENTICAL:
        report.known += 1
    else:
        report.stored += 1
    return True


async def _pieces(package: Package, document: AnsweredDocument) -> AsyncIterator[bytes]:
    if not document.content_id:
        yield document.content
        return
    file = _file(package, document)
    while piece := await anyio.to_thread.run_sync(file.read, _PIECE):
        yield piece
