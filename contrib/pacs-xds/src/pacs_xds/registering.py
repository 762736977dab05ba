"""Imaging Document Source: manifests registered by RAD-68, which is ITI-41 (RAD TF-3 4.68).

Theory of operation
-------------------
A job registers what there is of a study when it runs, so that one that runs late, or twice, is
right: it does nothing if what is registered names the same instances. Of each study one job runs at
a time.

What is to be sent is kept first, and is sent again as it is until the repository has answered. A
node that is killed between the repository's work and our note of it sends once more; then the
repository says that it has this uniqueId, or takes the identical document as the same one. As no
one else can have made that UID, the former means that it was taken the first time.

A registry that does not know the entry any more that is to be replaced, or has it deprecated, as
one that was restored or tidied, would refuse each replacement for ever: then the study is
registered anew, and replaces nothing. So it is where the entry is of another patient, as after a
merge of which the registry has not heard; but then the entry is approved still, and stale.

What is stale, also because its study is gone, is withdrawn last, where ``[plugin.xds.updates]``
says by whom (see :mod:`pacs_xds.withdrawing`).

A repository that refuses is not asked again until somebody wants it: nothing changes by itself that
would make it agree. One that is away, or busy, is asked again and again.
"""

import logging
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from attrs import define, evolve
from pacs_core.contracts import EventAction, IngestError, Origin, Setup
from pacs_core.dataset import read_file_meta
from pacs_jobs.api import JobFailedError, JobHandler, RunningJob
from pacs_web.api.multipart_writing import OutgoingPart

from pacs_xds import studies
from pacs_xds.auditing import patient_objects, study_objects, submission_object
from pacs_xds.config import XdsConfig, XdsPeer
from pacs_xds.desk import DOOR, Desk
from pacs_xds.ebxml import Code, Document, Submission, digest
from pacs_xds.interface import PROVIDED, Registration, Registrations, RegistrationState
from pacs_xds.manifest import (
    Location,
    StudyContent,
    build_manifest,
    describe_manifest,
    encode_manifest,
    make_uid,
)
from pacs_xds.soap.client import PeerAwayError, PeerError, is_passing
from pacs_xds.soap.envelope import SoapFault
from pacs_xds.soap.mtom import new_content_id
from pacs_xds.studies import FORMAT, StudyGoneError, UnshareableStudyError
from pacs_xds.transactions import (
    PROVIDE,
    SUCCESS,
    RegistryResponse,
    provide_request,
    read_response,
)
from pacs_xds.withdrawing import note_stale, withdraw

logger = logging.getLogger(__name__)

_BUSY: Final = frozenset(
    {
        "XDSRegistryBusy",
        "XDSRepositoryBusy",
        "XDSRegistryNotAvailable",
        "XDSRegistryOutOfResources",
        "XDSRepositoryOutOfResources",
    }
)
"""Errors that pass (ITI TF-3 Table 4.2.4.1-2)."""
_KNOWN_ALREADY: Final = frozenset(
    {"XDSDuplicateUniqueIdInRegistry", "XDSRepositoryDuplicateUniqueIdInMessage"}
)
_GONE: Final = frozenset({"UnresolvedReferenceException", "XDSRegistryDeprecatedDocumentError"})
"""What is said where the entry that is to be replaced is not there, or not approved."""
_OF_ANOTHER: Final = frozenset({"XDSPatientIdDoesNotMatch"})
"""What is said where it is of another patient."""


@define(eq=False)
class RegisterStudy(JobHandler):
    """Registers a study.

    Parameters
    ----------
    desk : Desk
    """

    desk: Desk

    async def reconfigure(self, setup: Setup) -> None:
        """Go by other settings from the next job on."""
        self.desk.config = setup.config(XdsConfig)

    async def run(self, job: RunningJob) -> None:
        """Register what there is of a study."""
        study, repository = str(job.arguments["study"]), self.desk.config.repository
        if repository is None:
            raise JobFailedError("there is no [plugin.xds.repository]")
        try:
            await self._register(study, repository)
        except StudyGoneError as error:
            registrations = self.desk.node.find(Registrations)
            if await registrations.latest(study) is None:
                raise JobFailedError(str(error)) from error
            if (current := await registrations.current(study)) is not None:
                await note_stale(self.desk, current, str(error))
        except UnshareableStudyError as error:
            raise JobFailedError(str(error)) from error
        await withdraw(self.desk, study)

    async def _register(self, study: str, repository: XdsPeer) -> None:
        """Register what there is, as far as it is not registered."""
        registrations = self.desk.node.find(Registrations)
        latest = await registrations.latest(study)
        is_known = True
        if latest is not None and latest.state is RegistrationState.PENDING:
            # Of a job that was killed, or given up: what was begun is ended first.
            is_known = await self._send(latest, repository)
        content = await studies.read_study(self.desk.node.archive, study)
        cx = studies.identifier(content, self.desk.config.domains)
        named = evolve(content, attributes={**content.attributes, "identifier": cx})
        current = await registrations.current(study) if is_known else None
        if current is not None and current.digest == named.digest():
            return
        made = await self._make(content, cx, named.digest(), current)
        if not await self._send(made, repository):
            await self._send(await self._make(content, cx, named.digest(), None), repository)

    async def _make(
        self, content: StudyContent, cx: str, content_digest: str, current: Registration | None
    ) -> Registration:
        """Make a manifest, and keep it as what is to be sent."""
        node, config = self.desk.node, self.desk.config
        document_uid, now = f"2.25.{uuid4().int}", time.time()
        location = Location(config.location_uid, node.settings.ae_title, config.web_url)
        manifest = build_manifest(
            content, location, document_uid, datetime.fromtimestamp(now).astimezone()
        )
        return await node.find(Registrations).add(
            Registration(
                number=0,
                study_instance_uid=content.study_instance_uid,
                digest=content_digest,
                document_uid=document_uid,
                entry_uuid=uuid4().urn,
                submission_uid=make_uid(f"{document_uid} submission"),
                state=RegistrationState.PENDING,
                created=now,
                changed=now,
                replaces="" if current is None else current.entry_uuid,
                patient_id=cx,
                instances=len(content.instances),
                modalities=content.modalities,
                attempts=0,
                reason="",
                content=encode_manifest(manifest),
            )
        )

    async def _send(self, registration: Registration, repository: XdsPeer) -> bool:
        """Send a registration, note what became of it, and tell whether what it replaces is known.

        Raises
        ------
        PeerError, JobFailedError
            It was not taken, for now; or for another reason than that.
        """
        registrations = self.desk.node.find(Registrations)
        await registrations.note_attempt(registration)
        try:
            response = await self._provide(registration, repository)
        except (PeerAwayError, SoapFault) as error:
            passing = not isinstance(error, SoapFault) or is_passing(error)
            state = RegistrationState.PENDING if passing else RegistrationState.FAILED
            await self._note(registration, repository, state, str(error))
            if passing:
                raise
            raise JobFailedError(f"{repository.url}: {error}") from error
        except PeerError as error:
            await self._note(registration, repository, RegistrationState.PENDING, str(error))
            raise
        codes = {each.code for each in response.errors if not each.is_warning}
        known = bool(codes) and codes <= _KNOWN_ALREADY and registration.attempts > 0
        if response.status == SUCCESS or known:
            if self.desk.config.archive_manifests:
                await self._archive(registration)
            reason = "it was taken at an attempt before" if known else ""
            await self._note(registration, repository, RegistrationState.REGISTERED, reason)
            return True
        reason = f"{repository.url}: {response.reason}"
        if codes and codes <= _BUSY:
            await self._note(registration, repository, RegistrationState.PENDING, reason)
            raise PeerAwayError(reason)
        await self._note(registration, repository, RegistrationState.FAILED, reason)
        if not (registration.replaces and codes and codes <= _GONE | _OF_ANOTHER):
            raise JobFailedError(reason)
        logger.warning("the registry does not replace %s: the study %s is registered anew",
            registration.replaces, registration.study_instance_uid)  # fmt: skip
        current = await registrations.current(registration.study_instance_uid)
        if current is not None and codes & _OF_ANOTHER:
            await note_stale(self.desk, current, f"its study is of {registration.patient_id} now")
        return False

    async def _provide(self, registration: Registration, repository: XdsPeer) -> RegistryResponse:
        content_id = new_content_id()
        described = describe_manifest(registration.content, registration.modalities)
        document = self._document(registration, described)
        submission = Submission(
            registration.submission_uid,
            self.desk.config.submitter,
            datetime.fromtimestamp(registration.created, UTC),
            Code(*self.desk.config.codes.content_type),
            registration.patient_id,
            document.title,
            document.institution,
            registration.replaces,
        )
        body = provide_request(submission, document, content_id)
        part = OutgoingPart("application/dicom", registration.content, content_id=content_id)
        async with self.desk.client(repository).ask(PROVIDE, body, [part]) as (message, _):
            return read_response(message.body)

    def _document(self, registration: Registration, content: StudyContent) -> Document:
        config, codes, cx = self.desk.config, self.desk.config.codes, registration.patient_id
        return Document(
            entry_uuid=registration.entry_uuid,
            unique_id=registration.document_uid,
            patient_id=cx,
            source_patient_id=cx,
            source_patient_info=studies.patient_info(content, cx),
            created=datetime.fromtimestamp(registration.created, UTC),
            service_start=studies.service_start(content),
            codes={
                "class": (Code(*codes.document_class),),
                "type": (Code(*codes.document_type),),
                "format": (FORMAT,),
                "practice_setting": (Code(*codes.practice_setting),),
                "facility": (Code(*codes.facility),),
                "confidentiality": (Code(*codes.confidentiality),),
                "event": studies.events(content),
            },
            language=config.language,
            title=content.attributes.get("StudyDescription") or "Manifest",
            institution=config.institution,
            references=studies.references(content, cx),
            size=len(registration.content),
            hash=digest(registration.content),
        )

    async def _archive(self, registration: Registration) -> None:
        """Store the manifest in its study; the archive knows one that it has already."""
        node, meta = self.desk.node, read_file_meta(registration.content)

        async def dataset() -> AsyncIterator[bytes]:
            yield registration.content[meta.dataset_offset :]

        origin = Origin(DOOR, called_ae_title=node.settings.ae_title, host=node.settings.host)
        try:
            await node.archive.ingest(
                dataset(),
                transfer_syntax_uid=meta.transfer_syntax_uid,
                sop_class_uid=FORMAT.value,
                sop_instance_uid=registration.document_uid,
                origin=origin,
            )
        except IngestError as error:
            # It is registered all the same, and the repository has it.
            logger.warning("the manifest %s is not archived: %s", registration.document_uid, error)

    async def _note(
        self,
        registration: Registration,
        repository: XdsPeer,
        state: RegistrationState,
        reason: str,
    ) -> None:
        """Record what became of an attempt, then keep it."""
        is_registered = state is RegistrationState.REGISTERED
        if not is_registered:
            logger.warning(
                "the study %s is not registered: %s", registration.study_instance_uid, reason
            )
        await self.desk.record(
            PROVIDED,
            repository,
            EventAction.READ,
            {
                "document": registration.document_uid,
                "submission": registration.submission_uid,
                "replaces": registration.replaces,
            },
            (
                *patient_objects(registration.patient_id),
                submission_object(registration.submission_uid),
                *study_objects([registration.study_instance_uid]),
            ),
            error="" if is_registered else reason,
        )
        await self.desk.node.find(Registrations).note(registration, state, reason)
