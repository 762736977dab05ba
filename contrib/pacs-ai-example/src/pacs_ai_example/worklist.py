"""The service as a performer of work items (IHE RAD AIW-I; PS3.4 CC): it finds what is scheduled.

It asks for work items of its code that are SCHEDULED, again and again, or when told that there is
news. It claims one, says how far it is, reads the inputs by WADO-RS where the work item says so,
and else by C-GET, stores the results by C-STORE, says which there are, and completes the work item.
What it can see nothing in it cancels, with the reason.

A work item that is claimed can be changed with its Transaction UID only (PS3.4 CC.1.1): it is
written down before the claim, and so are results before they are sent. So whoever is killed goes
on with what it holds once it is started again, and stores nothing twice.
"""

import json
import os
import threading
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from pydicom import Dataset, dcmread
from pydicom.uid import CTImageStorage, generate_uid
from pynetdicom import AE, build_role, evt

from pacs_ai_example.archive import Archive, ArchiveAwayError
from pacs_ai_example.delay import Delay
from pacs_ai_example.events import StepEvents
from pacs_ai_example.model import NothingToSeeError
from pacs_ai_example.multipart import read_parts
from pacs_ai_example.results import infer, write
from pacs_ai_example.spool import Spool

_PUSH, _PULL = "1.2.840.10008.5.1.4.34.6.1", "1.2.840.10008.5.1.4.34.6.3"
_GET = "1.2.840.10008.5.1.4.1.2.2.3"  # Study Root
_ACCEPT = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_IN_PROGRESS_ALREADY = 0xC302
_PAUSE = 0.5
_TIMEOUT = 60.0
_LONGEST = 60.0
"""Seconds after which it looks although nobody has told it to."""


class RefusedError(Exception):
    """The node does not do with a work item what we want: it is somebody else's, or gone."""


class WorklistClient:
    """Performs work items, one after the other.

    Parameters
    ----------
    archive : Archive
        Which has the work items, the images, and gets the results.
    code : (str, str)
        Code Value and Coding Scheme Designator of the work items that are ours.
    directory : Path
        Of what we hold.
    delay : Delay
    events : StepEvents, optional
        By which it is told of work items; without, it looks for them.
    """

    def __init__(
        self,
        archive: Archive,
        code: tuple[str, str],
        directory: Path,
        delay: Delay,
        events: StepEvents | None = None,
    ) -> None:
        self._archive, self._delay, self._events = archive, delay, events
        self._code = _item(CodeValue=code[0], CodingSchemeDesignator=code[1], CodeMeaning=code[0])
        self._results = Spool(directory / "results")
        self._path = directory / "claims.json"
        self._claims: dict[str, dict[str, str]] = {}
        if self._path.exists():
            self._claims = json.loads(self._path.read_bytes())

    def run(self, ended: threading.Event) -> None:
        """Perform what there is until somebody says that it is over."""
        while not ended.wait(_PAUSE):
            if self._events is not None:
                self._events.news.wait(_LONGEST)
                self._events.news.clear()
            try:
                self._perform_all(ended)
            except (ArchiveAwayError, OSError) as error:
                print(error, flush=True)
                if self._events is not None:
                    self._events.news.set()  # what was there is there still

    def _perform_all(self, ended: threading.Event) -> None:
        entity = AE(self._archive.calling)
        entity.add_requested_context(_PULL)
        association = entity.associate(
            self._archive.host, self._archive.port, ae_title=self._archive.ae_title
        )
        if not association.is_established:
            raise ArchiveAwayError(f"{self._archive.ae_title} takes no association")
        try:
            steps = _Steps(association)
            for uid in [*self._claims, *steps.find(self._code)]:
                try:
                    self._perform(steps, uid, ended)
                except RefusedError as error:
                    print(error, flush=True)
                    self._forget(uid)
        finally:
            if association.is_established:
                association.release()

    def _perform(self, steps: "_Steps", uid: str, ended: threading.Event) -> None:
        claim = self._claims.setdefault(uid, {"transaction": str(generate_uid())})
        self._save()
        transaction = claim["transaction"]
        steps.change_state(uid, transaction, "IN PROGRESS", _IN_PROGRESS_ALREADY)
        progress = _item(ProcedureStepProgress="10", ProcedureStepProgressDescription="inferring")
        steps.set(uid, transaction, ProcedureStepProgressInformationSequence=[progress])
        began = _now()
        step = steps.get(uid)
        if "results" not in claim:
            try:
                files = self._read(step)
                self._delay.wait(lambda: ended.is_set() or self._is_unwanted(uid))
                if ended.is_set():
                    return
                if self._is_unwanted(uid):
                    self._cancel(steps, uid, transaction, "it is not wanted any more")
                    return
                results = infer(files)
            except (NothingToSeeError, HTTPError) as error:
                self._cancel(steps, uid, transaction, str(error))
                return
            claim["results"] = self._results.keep(results)
            self._save()
        results = self._results.read(claim["results"])
        self._archive.store(results)
        performed = _item(
            PerformedStationNameCodeSequence=[self._code],
            PerformedStationClassCodeSequence=[],
            PerformedStationGeographicLocationCodeSequence=[],
            PerformedProcedureStepStartDateTime=began,
            PerformedWorkitemCodeSequence=[self._code],
            PerformedProcedureStepEndDateTime=_now(),
            OutputInformationSequence=[
                _reference(each, self._archive.ae_title) for each in map(_read_header, results)
            ],
        )
        steps.set(uid, transaction, UnifiedProcedureStepPerformedProcedureSequence=[performed])
        steps.change_state(uid, transaction, "COMPLETED")
        self._forget(uid)

    def _is_unwanted(self, uid: str) -> bool:
        return self._events is not None and self._events.is_unwanted(uid)

    def _cancel(self, steps: "_Steps", uid: str, transaction: str, reason: str) -> None:
        why = _item(ProcedureStepCancellationDateTime=_now(), ReasonForCancellation=reason)
        steps.set(uid, transaction, ProcedureStepProgressInformationSequence=[why])
        steps.change_state(uid, transaction, "CANCELED")
        self._forget(uid)

    def _read(self, step: Dataset) -> list[bytes]:
        files: list[bytes] = []
        for each in step.get("InputInformationSequence") or []:
            if places := each.get("WADORSRetrievalSequence"):
                url = places[0].RetrieveURL
                asked = Request(url, headers={"Accept": _ACCEPT})  # noqa: S310  of our archive
                with urlopen(asked, timeout=_TIMEOUT) as answer:  # noqa: S310
                    files += read_parts(answer.headers["Content-Type"], answer.read())
            else:
                files += self._get(each)
        return files

    def _get(self, wanted: Dataset) -> list[bytes]:
        """Read the instances that an item names by C-GET (PS3.4 C.4.3)."""
        files: list[bytes] = []

        def take(event: Any) -> int:
            dataset = event.dataset
            dataset.file_meta = event.file_meta
            files.append(write(dataset))
            return 0x0000

        entity = AE(self._archive.calling)
        entity.add_requested_context(_GET)
        entity.add_requested_context(CTImageStorage)
        association = entity.associate(
            self._archive.host,
            self._archive.port,
            ae_title=self._archive.ae_title,
            ext_neg=[build_role(CTImageStorage, scp_role=True)],
            evt_handlers=[(evt.EVT_C_STORE, take)],
        )
        if not association.is_established:
            raise ArchiveAwayError(f"{self._archive.ae_title} takes no association")
        keys = _item(
            QueryRetrieveLevel="IMAGE",
            StudyInstanceUID=wanted.StudyInstanceUID,
            SeriesInstanceUID=wanted.SeriesInstanceUID,
            SOPInstanceUID=[e.ReferencedSOPInstanceUID for e in wanted.ReferencedSOPSequence],
        )
        statuses = [status.get("Status") for status, _ in association.send_c_get(keys, _GET)]
        association.release()
        if statuses[-1:] != [0]:
            raise ArchiveAwayError(f"{self._archive.ae_title} does not send what is to be read")
        return files

    def _forget(self, uid: str) -> None:
        claim = self._claims.pop(uid, {})
        self._save()
        if "results" in claim:
            self._results.remove(claim["results"])

    def _save(self) -> None:
        draft = self._path.with_suffix(".draft")
        with draft.open("w") as file:
            json.dump(self._claims, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)


class _Steps:
    """Work items, over an association (PS3.4 CC.2)."""

    def __init__(self, association: Any) -> None:
        self._association = association

    def find(self, code: Dataset) -> list[str]:
        """Return the UIDs of what is scheduled, and ready, for a code."""
        wanted = _item(CodeValue=code.CodeValue, CodingSchemeDesignator=code.CodingSchemeDesignator)
        keys = _item(
            SOPInstanceUID="",
            ProcedureStepState="SCHEDULED",
            InputReadinessState="READY",
            ScheduledWorkitemCodeSequence=[wanted],
        )
        found = [match for _, match in self._association.send_c_find(keys, _PULL) if match]
        return [str(match.SOPInstanceUID) for match in found]

    def get(self, uid: str) -> Dataset:
        status, found = self._association.send_n_get([], _PUSH, uid, meta_uid=_PULL)
        self._check(status, uid, "N-GET")
        return found if found is not None else Dataset()

    def set(self, uid: str, transaction: str, **values: Any) -> None:
        changed = _item(TransactionUID=transaction, **values)
        status, _ = self._association.send_n_set(changed, _PUSH, uid, meta_uid=_PULL)
        self._check(status, uid, "N-SET")

    def change_state(self, uid: str, transaction: str, state: str, *allowed: int) -> None:
        wanted = _item(ProcedureStepState=state, TransactionUID=transaction)
        status, _ = self._association.send_n_action(wanted, 1, _PUSH, uid, meta_uid=_PULL)
        self._check(status, uid, state, *allowed)

    def _check(self, status: Dataset, uid: str, what: str, *allowed: int) -> None:
        if "Status" not in status:
            raise ArchiveAwayError(f"nobody answers {what} of {uid}")
        code = int(status.Status)
        # 0001H and Bxxx are warnings (PS3.7 Annex C).
        if code and code != 1 and code >> 12 != 0xB and code not in allowed:
            raise RefusedError(f"work item {uid}: {what} is answered {code:04X}H")


def _item(**values: Any) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def _reference(result: Dataset, ae_title: str) -> Dataset:
    """Return an item of Output Information Sequence (PS3.3 Table 10-3b)."""
    reference = _item(
        ReferencedSOPClassUID=result.SOPClassUID, ReferencedSOPInstanceUID=result.SOPInstanceUID
    )
    return _item(
        TypeOfInstances="DICOM",
        StudyInstanceUID=result.StudyInstanceUID,
        SeriesInstanceUID=result.SeriesInstanceUID,
        ReferencedSOPSequence=[reference],
        DICOMRetrievalSequence=[_item(RetrieveAETitle=ae_title)],
    )


def _read_header(file: bytes) -> Dataset:
    return dcmread(BytesIO(file), stop_before_pixels=True)


def _now() -> str:
    return datetime.now().strftime("%Y%m%d%H%M%S")
