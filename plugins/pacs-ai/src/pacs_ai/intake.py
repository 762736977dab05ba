"""Intake of results: each is looked at whole, and then archived or quarantined.

Theory of operation
-------------------
A result is written to a file before anything is made of it. What is found wrong with it is written
down with it; what is good enough has its row before it is stored, so that whoever is killed in
between, and is sent it again, finds the row, and that the archive has nothing of it yet. A service
is told that a result has arrived only when it is in the archive or in quarantine.

A report may come before the segmentation that it refers to: what has nothing wrong but a reference
to what is not there is looked at again whenever another result of the request is archived. Where
another is just coming it waits for that, see :mod:`.turns`.
"""

import json
import logging
import time
from collections.abc import AsyncIterable, AsyncIterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread
from attrs import evolve

from pacs_ai.desk import DOOR, RESULT, AiDesk
from pacs_ai.examination import Examiner
from pacs_ai.files import ResultFile, make_editor, open_file, read_header, spool_dataset, spool_file
from pacs_ai.findings import FATAL, FIXED, Fault, Finding, Verdict
from pacs_ai.marking import mark
from pacs_ai.models import (
    InferenceRequest,
    InferenceResult,
    RequestFilter,
    RequestState,
    ResultState,
)
from pacs_ai.pixels import find_undecodable
from pacs_ai.reidentification import reidentify
from pacs_ai.sources import read_source
from pacs_core.api.streams import closing
from pacs_core.contracts import (
    AuditValue,
    IngestError,
    InstancePath,
    Origin,
    Outcome,
)
from pacs_core.dataset import MalformedDataset, keyword_of
from pacs_core.dimse import is_valid_uid

if TYPE_CHECKING:
    from pydicom import Dataset

logger = logging.getLogger(__name__)

_UIDS: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
_PAGE: Final = 500
_PATIENCE: Final = 10.0
"""Seconds that a report waits for what it refers to, while something is coming."""


class Intake:
    """Takes results.

    Parameters
    ----------
    desk : AiDesk
    """

    def __init__(self, desk: AiDesk) -> None:
        self._desk = desk
        self._node = desk.node
        self._records = desk.records
        self._examiner = Examiner(desk)

    async def take_file(
        self, service: str, content: AsyncIterable[bytes], request: InferenceRequest | None
    ) -> InferenceResult:
        """Take what should be a Part 10 file."""
        limit = self._desk.service(service).max_size
        with self._desk.turns.take(service):
            file = await spool_file(content, self._desk.spool, limit)
            return await self._settle(service, file, request, Origin(DOOR))

    async def take_dataset(
        self,
        service: str,
        dataset: AsyncIterable[bytes | memoryview],
        identity: tuple[str, str, str],
        request: InferenceRequest | None,
        origin: Origin,
    ) -> InferenceResult:
        """Take a dataset: SOP Class, SOP Instance and Transfer Syntax UID are its identity."""
        limit = self._desk.service(service).max_size
        with self._desk.turns.take(service):
            file = await spool_dataset(dataset, identity, self._desk.spool, limit)
            result = await self._settle(service, file, request, origin)
        if result.request:
            # Of those whose results come later, the first one answers the request.
            answered = request or await self._records.find(result.request)
            await self._desk.note_answered(answered, {RequestState.ASKED})
        return result

    async def release(self, result: InferenceResult, origin: Origin) -> InferenceResult:
        """Archive what is in quarantine. ValueError where that cannot be done."""
        if result.state is not ResultState.QUARANTINED:
            raise ValueError(f"result {result.number} is not in quarantine")
        fatal = [each for each in map(Finding.read, result.reasons) if each.fault in FATAL]
        if fatal:
            raise ValueError(f"result {result.number} cannot be archived: {fatal[0].text}")
        path = self._path_of(result)
        if not path.exists():
            raise ValueError(f"the file of result {result.number} is not on this node")
        file = await open_file(path)
        dataset, _ = await anyio.to_thread.run_sync(read_header, file)
        request = await self._records.find(result.request) if result.request else None
        source = await read_source(self._node, request) if request else None
        verdict = await self._examiner.check(result.service, dataset, source)
        if fatal := [each for each in verdict.findings if each.fault in FATAL]:
            raise ValueError(f"result {result.number} cannot be archived: {fatal[0].text}")
        changed = await self._records.change_result(
            result.number,
            {ResultState.QUARANTINED},
            state=str(ResultState.RELEASED),
            changed_by=origin.user or origin.interface,
            # Who releases it has not assessed it.
            is_hidden=int(self._desk.service(result.service).unassessed != "show"),
        )
        if not changed:
            raise ValueError(f"result {result.number} is not in quarantine any more")
        try:
            await self._archive(file, dataset, verdict, result, origin)
        except IngestError as error:
            back = {"state": str(ResultState.QUARANTINED), "changed_by": "", "is_hidden": 0}
            await self._records.change_result(result.number, {ResultState.RELEASED}, **back)
            raise ValueError(f"the archive does not take it: {error}") from error
        path.unlink(missing_ok=True)
        return await self._records.find_result(result.number)

    async def discard(self, result: InferenceResult, by: str) -> None:
        """Delete what is in quarantine. ValueError where it is not."""
        changed = await self._records.change_result(
            result.number,
            {ResultState.QUARANTINED},
            state=str(ResultState.DISCARDED),
            changed_by=by,
        )
        if not changed:
            raise ValueError(f"result {result.number} is not in quarantine")
        self._path_of(result).unlink(missing_ok=True)

    async def _settle(
        self, service: str, file: ResultFile, request: InferenceRequest | None, origin: Origin
    ) -> InferenceResult:
        try:
            return await self._judge(service, file, request, origin)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(partial(file.path.unlink, missing_ok=True))

    async def _judge(
        self, service: str, file: ResultFile, request: InferenceRequest | None, origin: Origin
    ) -> InferenceResult:
        verdict = Verdict()
        dataset, findings = await _read(file)
        if request is None and dataset is not None:
            request = await self._examiner.find_request(service, dataset)
        if request is not None and dataset is not None:
            names = await self._records.names_of(request.number)
            source = await read_source(self._node, request) if names else None
            if source is not None:
                file = await reidentify(file, names, source.headers[0])
                dataset, _ = await anyio.to_thread.run_sync(read_header, file)
        earlier = await self._records.find_same(service, file.digest)
        if earlier is not None and request and earlier.request != request.number:
            text = f"it is identical to result {earlier.number}"
            findings.append(Finding(Fault.REPEATED, text))
        elif earlier is not None and await self._is_settled(earlier):
            return earlier
        if dataset is not None and {each.fault for each in findings} <= {Fault.SIZE}:
            findings += await find_undecodable(file, self._node.transcoder)
            source = await read_source(self._node, request) if request else None
            if request is not None:
                findings += await self._examiner.count(request)
            verdict = await self._examiner.check(service, dataset, source)
            lacks = {each.fault for each in verdict.findings} == {Fault.REFERENCE}
            if lacks and await self._desk.turns.give_way(service, _PATIENCE):
                verdict = await self._examiner.check(service, dataset, source)
        return await self._decide(service, file, request, origin, dataset, verdict, findings)

    async def _decide(
        self,
        service: str,
        file: ResultFile,
        request: InferenceRequest | None,
        origin: Origin,
        dataset: "Dataset | None",
        verdict: Verdict,
        findings: list[Finding],
    ) -> InferenceResult:
        config = self._desk.service(service)
        findings = [*findings, *verdict.findings]
        blocking = [each for each in findings if not (config.fix and each.fault in FIXED)]
        changes = verdict.changes if config.fix and not blocking else {}
        state = ResultState.QUARANTINED if blocking else ResultState.ARCHIVED
        values = {
            "request": request.number if request else 0,
            "service": service,
            "version": request.version if request else config.version,
            **_identity_of(dataset, request),
            "digest": file.digest,
            "algorithm": verdict.algorithm,
            "state": str(state),
            "reasons": [str(each) for each in blocking],
            "fixes": sorted(keyword_of(tag) or f"{tag:08X}" for tag in changes),
            "is_hidden": int(config.unassessed != "show" and not blocking),
        }
        if blocking:
            result = await self._quarantine(file, values)
        else:
            assert dataset is not None  # noqa: S101  else that would block
            result = await self._records.add_result(**values)
            try:
                verdict = evolve(verdict, changes=changes)
                await self._archive(file, dataset, verdict, result, origin)
            except IngestError as error:
                reasons = [str(Finding(Fault.UNREADABLE, f"the archive does not take it: {error}"))]
                result = await self._quarantine(file, values | {"reasons": reasons})
            else:
                if request is not None:
                    await self._reconsider(request)
        await self._tell(result, request, origin)
        return result

    async def _quarantine(self, file: ResultFile, values: dict[str, object]) -> InferenceResult:
        values = values | {"state": str(ResultState.QUARANTINED), "is_hidden": 0}
        name = f"{values['service']}-{values['request']}-{file.digest}.dcm"
        directory = self._desk.quarantine

        def keep() -> None:
            directory.mkdir(0o700, parents=True, exist_ok=True)
            if not (directory / name).exists():
                file.path.replace(directory / name)

        await anyio.to_thread.run_sync(keep)
        result = await self._records.add_result(**values)
        if result.state is ResultState.ARCHIVED:  # its row was made before the archive refused it
            await self._records.change_result(
                result.number,
                {ResultState.ARCHIVED},
                state=str(ResultState.QUARANTINED),
                reasons=json.dumps(values["reasons"]),
                is_hidden=0,
            )
        return await self._records.find_result(result.number)

    def _path_of(self, result: InferenceResult) -> Path:
        return self._desk.quarantine / f"{result.service}-{result.request}-{result.digest}.dcm"

    async def _archive(
        self,
        file: ResultFile,
        dataset: "Dataset",
        verdict: Verdict,
        result: InferenceResult,
        origin: Origin,
    ) -> None:
        """Store a result, corrected if need be; its mark is there before it is."""
        settings, service = self._node.settings, result.service
        if self._desk.service(service).unassessed == "mark":
            await mark(self._node, result, dataset)
        content: AsyncIterator[bytes | memoryview] = file.dataset()
        if verdict.changes:
            source = origin.calling_ae_title or service
            editor = make_editor(file, verdict.changes, time.time(), settings.ae_title, source[:64])
            content = file.edit(editor)
        own = evolve(origin, interface=DOOR, called_ae_title=settings.ae_title)
        async with closing(content):
            await self._node.archive.ingest(
                content,
                transfer_syntax_uid=file.transfer_syntax_uid,
                sop_class_uid=str(dataset.SOPClassUID),
                sop_instance_uid=str(dataset.SOPInstanceUID),
                origin=own,
            )

    async def _reconsider(self, request: InferenceRequest) -> None:
        """Look again at results that refer to what was not there."""
        wanted = RequestFilter(request=request.number, states=(ResultState.QUARANTINED,))
        waiting = [each async for each in self._records.results(wanted, _PAGE)]
        for result in waiting:
            path = self._path_of(result)
            if not all(Finding.read(r).fault is Fault.REFERENCE for r in result.reasons):
                continue
            if not path.exists():
                continue
            file = await open_file(path)
            dataset, _ = await anyio.to_thread.run_sync(read_header, file)
            source = await read_source(self._node, request)
            verdict = await self._examiner.check(request.service, dataset, source)
            config = self._desk.service(request.service)
            if any(not (config.fix and f.fault in FIXED) for f in verdict.findings):
                continue
            await self._records.change_result(
                result.number,
                {ResultState.QUARANTINED},
                state=str(ResultState.ARCHIVED),
                reasons="[]",
                is_hidden=int(config.unassessed != "show"),
            )
            changes = verdict.changes if config.fix else {}
            verdict = evolve(verdict, changes=changes)
            await self._archive(file, dataset, verdict, result, Origin(DOOR))
            path.unlink(missing_ok=True)

    async def _is_settled(self, result: InferenceResult) -> bool:
        """Tell whether what was written down of a result has been done."""
        if result.state not in {ResultState.ARCHIVED, ResultState.RELEASED}:
            return True
        path = InstancePath(result.study_uid, result.instance_uid)
        return await self._node.archive.locate(path) is not None

    async def _tell(
        self, result: InferenceResult, request: InferenceRequest | None, origin: Origin
    ) -> None:
        is_good = result.state is ResultState.ARCHIVED
        if not is_good:
            logger.warning(
                "result %d of %s is quarantined: %s",
                result.number, result.service, "; ".join(result.reasons),
            )  # fmt: skip
        details: dict[str, AuditValue] = {
            "service": result.service,
            "result": result.number,
            "state": str(result.state),
            "sop_instance_uid": result.instance_uid,
            "sha256": result.digest,
            "algorithm": result.algorithm,
        }
        if result.reasons:
            details["reasons"] = result.reasons
        if result.fixes:
            details["fixed"] = result.fixes
        outcome = Outcome.SUCCESS if is_good else Outcome.WARNING
        settings = self._node.settings
        origin = evolve(origin, called_ae_title=origin.called_ae_title or settings.ae_title)
        await self._desk.record(
            RESULT, request, details, outcome=outcome, origin=origin, study_uid=result.study_uid
        )


async def _read(file: ResultFile) -> "tuple[Dataset | None, list[Finding]]":
    """Return the header of a result, if it has one, and what is wrong with its form."""
    findings = list(file.findings)
    if any(each.fault is Fault.UNREADABLE for each in findings):
        return None, findings
    try:
        dataset, problem = await anyio.to_thread.run_sync(read_header, file)
    except MalformedDataset as error:
        return None, [*findings, Finding(Fault.UNREADABLE, str(error))]
    if bad := [k for k in _UIDS if not is_valid_uid(str(dataset.get(k, "")))]:
        problem = f"{', '.join(bad)} is no UID"
    return dataset, [*findings, Finding(Fault.UNREADABLE, problem)] if problem else findings


def _identity_of(dataset: "Dataset | None", request: InferenceRequest | None) -> dict[str, str]:
    names = ("study_uid", "series_uid", "instance_uid", "sop_class_uid")
    found = [str(dataset.get(keyword, "")) if dataset else "" for keyword in _UIDS]
    identity = dict(zip(names, found, strict=True))
    if request is not None:
        identity["study_uid"] = request.study_uid
    return identity
