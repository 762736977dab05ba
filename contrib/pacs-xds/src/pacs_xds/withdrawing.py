"""Withdrawal of manifests that nothing replaces (ITI-57, Update Document Set).

By RAD-68 alone a manifest can only be replaced, and by one of the same patient. Where the study is
gone, or has become another patient's without the registry having merged them, the entry stays
approved until an administrator of documents has it deprecated: this node, if it is told where.
"""

import logging
import time
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from pacs_core.contracts import EventAction
from pacs_jobs.api import JobFailedError

from pacs_xds.auditing import patient_objects, study_objects, submission_object
from pacs_xds.config import XdsPeer
from pacs_xds.desk import Desk
from pacs_xds.ebxml import Code, Submission, make_deprecation
from pacs_xds.interface import DEPRECATED, Registration, Registrations, RegistrationState
from pacs_xds.manifest import make_uid
from pacs_xds.soap.client import PeerAwayError, PeerError, is_passing
from pacs_xds.soap.envelope import SoapFault
from pacs_xds.transactions import SUCCESS, UPDATE, RegistryResponse, read_response

logger = logging.getLogger(__name__)

_PASSING: Final = frozenset({"XDSRegistryBusy", "XDSRegistryOutOfResources"})
_DEPRECATED_ALREADY: Final = frozenset(
    {"UnresolvedReferenceException", "XDSRegistryDeprecatedDocumentError"}
)


async def note_stale(desk: Desk, registration: Registration, reason: str) -> None:
    """Note that a registration ought not to be approved any more."""
    if desk.config.updates is None:
        reason += ": have it deprecated at the registry, or set [plugin.xds.updates]"
    uid = registration.study_instance_uid
    logger.warning("what is registered of the study %s is stale: %s", uid, reason)
    await desk.node.find(Registrations).note(registration, RegistrationState.STALE, reason)


async def withdraw(desk: Desk, study: str) -> None:
    """Have what is stale of a study deprecated, if this node knows by whom.

    Raises
    ------
    PeerAwayError, PeerError, SoapFault, JobFailedError
        It was not, for now; or it is refused.
    """
    peer = desk.config.updates
    if peer is None:
        return
    stale = desk.node.find(Registrations).search(study=study, state=RegistrationState.STALE)
    for registration in [each async for each in stale]:
        await _withdraw(desk, peer, registration)


async def _withdraw(desk: Desk, peer: XdsPeer, registration: Registration) -> None:
    submission = Submission(
        make_uid(f"{uuid4()} withdrawal"),
        desk.config.submitter,
        datetime.fromtimestamp(time.time(), UTC),
        Code(*desk.config.codes.content_type),
        registration.patient_id,
        institution=desk.config.institution,
    )
    try:
        response = await _ask(desk, peer, submission, registration)
    except (PeerError, PeerAwayError, SoapFault) as error:
        await _record(desk, peer, submission, registration, str(error))
        if isinstance(error, SoapFault) and not is_passing(error):
            raise JobFailedError(f"{peer.url}: {error}") from error
        raise
    codes = {each.code for each in response.errors if not each.is_warning}
    is_done = response.status == SUCCESS or (codes and codes <= _DEPRECATED_ALREADY)
    await _record(desk, peer, submission, registration, "" if is_done else response.reason)
    if is_done:
        state = RegistrationState.WITHDRAWN
        await desk.node.find(Registrations).note(registration, state, registration.reason)
        return
    reason = f"{peer.url}: {response.reason}"
    if codes and codes <= _PASSING:
        raise PeerAwayError(reason)
    raise JobFailedError(reason)


async def _ask(
    desk: Desk, peer: XdsPeer, submission: Submission, registration: Registration
) -> RegistryResponse:
    body = make_deprecation(submission, registration.entry_uuid)
    async with desk.client(peer).ask(UPDATE, body, is_package=False) as (message, _):
        return read_response(message.body)


async def _record(
    desk: Desk, peer: XdsPeer, submission: Submission, registration: Registration, error: str
) -> None:
    objects = (
        *patient_objects(registration.patient_id),
        submission_object(submission.unique_id),
        *study_objects([registration.study_instance_uid]),
    )
    details = {"document": registration.document_uid, "entry": registration.entry_uuid}
    await desk.record(DEPRECATED, peer, EventAction.UPDATE, details, objects, error=error)
