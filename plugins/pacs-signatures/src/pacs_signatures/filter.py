"""Ingest filter: signatures of what arrives are verified before it is stored.

How it works: a header tells whether there are signatures at all, by MAC Parameters Sequence, which
comes before Pixel Data. What has none goes its way at once. The rest is diverted: written to a
file, verified there, and handed to the archive again as it came. That it is handed over by this
filter, which then lets it pass, is told by the context, so that it keeps its origin for all others.
"""

import logging
import os
from collections.abc import AsyncIterable
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Final
from uuid import uuid4

import anyio
import anyio.to_thread
from attrs import evolve
from pacs_tools.api import open_dicom

from pacs_core.api.file_commands import CommandError
from pacs_core.api.files import file_chunks, sync_directory
from pacs_core.api.streams import closing
from pacs_core.contracts import (
    Accept,
    AuditEvent,
    Divert,
    FilterVerdict,
    IncomingHeader,
    IngestFilter,
    IngestResult,
    Node,
    Origin,
    Outcome,
    PluginAuditKind,
    Reject,
    RejectedInstanceError,
)
from pacs_core.dataset import ElementSet, NotPart10, file_meta
from pacs_core.dimse import Status
from pacs_signatures.byte_stream import DIGITAL_SIGNATURES, MAC_PARAMETERS
from pacs_signatures.config import SignaturesConfig
from pacs_signatures.model import find_signatures
from pacs_signatures.profile import Profile, title_of
from pacs_signatures.revocation import RevocationLists, load_lists
from pacs_signatures.trust import load_store
from pacs_signatures.verifying import Policy, Verification, verify_file

_log = logging.getLogger(__name__)

VERIFIED: Final = PluginAuditKind("signatures.verified")
"""Signatures of an instance were verified when it arrived; `details` say with what result."""

_handed_over: ContextVar[bool] = ContextVar("handed_over", default=False)


class SignatureFilter(IngestFilter):
    """Verifies signatures, and does about those that are not valid what the site wants.

    Parameters
    ----------
    node : Node
    config : SignaturesConfig
    """

    def __init__(self, node: Node, config: SignaturesConfig) -> None:
        self._node = node
        self._config = config
        self._directory = node.settings.data_directory / "signatures"
        trusted = load_store(Path(config.trusted)) if config.trusted else None
        authorities = config.timestamp_authorities
        self._policy = Policy(trusted, load_store(Path(authorities)) if authorities else trusted)

    async def judge(self, header: IncomingHeader, origin: Origin) -> FilterVerdict:
        """See base."""
        if _handed_over.get():
            return Accept()
        if has_signatures(header.elements) or (
            self._config.require and self._config.on_ingest == "set-aside"
        ):
            return Divert(partial(self._take, header, origin))
        if not self._config.require:
            return Accept()
        reason = self._missing()
        await self._record(header, origin, [], reason)
        if self._config.on_ingest == "reject":
            return Reject(reason, Status.NOT_AUTHORIZED)
        return Accept()

    async def _take(
        self, header: IncomingHeader, origin: Origin, dataset: AsyncIterable[bytes | memoryview]
    ) -> IngestResult:
        path = await self._spool(header, dataset)
        try:
            verifications = await anyio.to_thread.run_sync(self._verify, path)
            reason = self._judge(verifications)
            await self._record(header, origin, verifications, reason)
            if reason and self._config.on_ingest != "warn":
                if self._config.on_ingest == "set-aside":
                    await anyio.to_thread.run_sync(self._set_aside, path)
                    reason = f"set aside: {reason}"
                raise RejectedInstanceError(reason, Status.NOT_AUTHORIZED)
            return await self._store(header, origin, path)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(partial(path.unlink, missing_ok=True))

    def _verify(self, path: Path) -> list[Verification]:
        policy = self._policy
        if lists := self._config.revocation_lists:
            try:
                policy = evolve(policy, revocations=load_lists([Path(lists)]))
            except (OSError, ValueError) as error:
                # Perhaps they are being renewed; no signer may pass meanwhile who was revoked.
                _log.warning("signatures: revocation lists cannot be read: %s", error)
                policy = evolve(policy, revocations=RevocationLists(()))
        try:
            with open_dicom(path) as file:
                return list(verify_file(file, policy))
        except (NotPart10, CommandError):
            return []  # the archive says what is wrong with it

    async def _spool(
        self, header: IncomingHeader, dataset: AsyncIterable[bytes | memoryview]
    ) -> Path:
        """Write what comes as a file; what is not kept is not made durable."""
        directory = self._directory / "arriving"
        await anyio.to_thread.run_sync(partial(directory.mkdir, 0o700, True, True))
        path = directory / f"{uuid4().hex}.dcm"
        try:
            async with await anyio.open_file(path, "xb") as file:
                await file.write(_file_meta(header))
                async for chunk in dataset:
                    await file.write(chunk)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path

    def _judge(self, found: list[Verification]) -> str:
        """Return what is against an instance; empty if nothing is."""
        for each in found:
            if each.reason:
                return f"digital signature {each.status.value}: {each.reason}"
        required = self._config.require
        if required and not any(each.satisfies(Profile(required)) for each in found):
            return self._missing()
        return ""

    def _missing(self) -> str:
        return f"no valid signature by the {title_of(Profile(self._config.require))}"

    async def _record(
        self, header: IncomingHeader, origin: Origin, found: list[Verification], reason: str
    ) -> None:
        uid = header.identity.sop_instance_uid
        if reason:
            _log.warning("%s from %s: %s", uid, origin.calling_ae_title or origin.interface, reason)
        details = {
            "instance": uid,
            "policy": self._config.on_ingest,
            "signatures": [each.signature.uid for each in found],
            "signers": [each.signer for each in found],
            "statuses": [each.status.value for each in found],
            "reason": reason,
        }
        outcome = Outcome.SUCCESS
        if reason:
            outcome = Outcome.WARNING if self._config.on_ingest == "warn" else Outcome.FAILURE
        await self._node.audit.record(AuditEvent(VERIFIED, outcome, origin, details))

    def _set_aside(self, path: Path) -> None:
        directory = self._directory / "aside"
        directory.mkdir(0o700, parents=True, exist_ok=True)
        with path.open("rb") as file:
            os.fsync(file.fileno())
        path.rename(directory / path.name)
        sync_directory(directory)

    async def _store(self, header: IncomingHeader, origin: Origin, path: Path) -> IngestResult:
        token = _handed_over.set(True)
        try:
            async with closing(file_chunks(path, len(_file_meta(header)))) as dataset:
                return await self._node.archive.ingest(
                    dataset,
                    transfer_syntax_uid=header.transfer_syntax_uid,
                    sop_class_uid=header.identity.sop_class_uid,
                    sop_instance_uid=header.identity.sop_instance_uid,
                    origin=origin,
                )
        finally:
            _handed_over.reset(token)


def has_signatures(elements: ElementSet) -> bool:
    """Tell whether a dataset has signatures, as far as its header says."""
    return (
        MAC_PARAMETERS in elements.elements
        or DIGITAL_SIGNATURES in elements.elements
        or any(find_signatures(elements))
    )


def _file_meta(header: IncomingHeader) -> bytes:
    identity = header.identity
    return file_meta(identity.sop_class_uid, identity.sop_instance_uid, header.transfer_syntax_uid)
