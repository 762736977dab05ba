"""A server as the examples of pynetdicom's documentation have it: only `start_server` is gone.

https://pydicom.github.io/pynetdicom/stable/examples/: storage.html, qr_find.html, qr_get.html,
qr_move.html, mpps.html, verification.html.
"""

import os
import time
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit
from pynetdicom import AE, AllStoragePresentationContexts, build_context, evt
from pynetdicom.sop_class import (
    ModalityPerformedProcedureStep,
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    StorageCommitmentPushModel,
    Verification,
)

STORAGE = Path(os.environ["HANDLERS_STORAGE"])
SEEN = []
managed_instances = {}


def handle_echo(event):
    """Handle a C-ECHO request event."""
    requestor = event.assoc.requestor
    SEEN.append((requestor.ae_title, requestor.address, requestor.port > 0, event.event.name))
    return 0x0000


def handle_store(event, storage):
    """Handle EVT_C_STORE events."""
    ds = event.dataset
    ds.file_meta = event.file_meta
    if "PatientID" not in ds:
        status = Dataset()
        status.Status = 0xA900
        status.ErrorComment = "a patient needs an ID"
        status.OffendingElement = [0x00100020]
        return status
    ds.save_as(storage / f"{ds.SOPInstanceUID}.dcm", enforce_file_format=True)
    return 0x0000


def _instances():
    return [dcmread(path) for path in sorted(STORAGE.glob("*.dcm"))]


def handle_find(event):
    """Handle a C-FIND request event."""
    ds = event.identifier
    if "QueryRetrieveLevel" not in ds:
        yield 0xC000, None
        return
    if ds.get("PatientID") == "SLOW":
        while True:
            if event.is_cancelled:
                SEEN.append("cancelled")
                yield 0xFE00, None
                return
            time.sleep(0.02)
            identifier = Dataset()
            identifier.QueryRetrieveLevel = ds.QueryRetrieveLevel
            identifier.PatientID = "SLOW"
            yield 0xFF00, identifier
    if ds.get("PatientID") == "FAULT":
        raise RuntimeError("a fault in the handler")
    for instance in _instances():
        if ds.get("PatientID") and instance.PatientID != ds.PatientID:
            continue
        if event.is_cancelled:
            yield 0xFE00, None
            return
        identifier = Dataset()
        identifier.PatientName = instance.PatientName
        identifier.QueryRetrieveLevel = ds.QueryRetrieveLevel
        if "SpecificCharacterSet" in instance:
            identifier.SpecificCharacterSet = instance.SpecificCharacterSet
        yield 0xFF00, identifier


def handle_get(event):
    """Handle a C-GET request event."""
    ds = event.identifier
    if "QueryRetrieveLevel" not in ds:
        yield 0xC000, None
        return
    matching = [each for each in _instances() if each.PatientID == ds.PatientID]
    yield len(matching)
    for instance in matching:
        if event.is_cancelled:
            yield 0xFE00, None
            return
        yield 0xFF00, instance


def handle_move(event):
    """Handle a C-MOVE request event."""
    ds = event.identifier
    if event.move_destination != "DEST":
        yield None, None
        return
    yield "127.0.0.1", int(os.environ["HANDLERS_DESTINATION"])
    matching = [each for each in _instances() if each.PatientID == ds.PatientID]
    yield len(matching)
    for instance in matching:
        yield 0xFF00, instance


def handle_create(event):
    """Handle an N-CREATE request event (MPPS)."""
    req = event.request
    if req.AffectedSOPInstanceUID is None:
        return 0x0106, None
    if req.AffectedSOPInstanceUID in managed_instances:
        return 0x0111, None
    attr_list = event.attribute_list
    if "PerformedProcedureStepStatus" not in attr_list:
        return 0x0120, None
    if attr_list.PerformedProcedureStepStatus.upper() != "IN PROGRESS":
        return 0x0106, None
    ds = Dataset()
    ds.SOPClassUID = ModalityPerformedProcedureStep
    ds.SOPInstanceUID = req.AffectedSOPInstanceUID
    ds.update(attr_list)
    managed_instances[ds.SOPInstanceUID] = ds
    return 0x0000, ds


def handle_set(event):
    """Handle an N-SET request event (MPPS)."""
    req = event.request
    if req.RequestedSOPInstanceUID not in managed_instances:
        return 0x0112, None
    ds = managed_instances[req.RequestedSOPInstanceUID]
    mod_list = event.modification_list
    ds.update(mod_list)
    return 0x0000, ds


def handle_action(event):
    """Handle an N-ACTION request event (Storage Commitment), and report on the same association."""
    information = event.action_information
    reply = Dataset()
    reply.TransactionUID = information.TransactionUID
    status, _ = event.assoc.send_n_event_report(
        reply, 1, StorageCommitmentPushModel, event.request.RequestedSOPInstanceUID
    )
    SEEN.append(("reported", status.Status))
    return 0x0000, None


handlers = [
    (evt.EVT_C_ECHO, handle_echo),
    (evt.EVT_C_STORE, handle_store, [STORAGE]),
    (evt.EVT_C_FIND, handle_find),
    (evt.EVT_C_GET, handle_get),
    (evt.EVT_C_MOVE, handle_move),
    (evt.EVT_N_CREATE, handle_create),
    (evt.EVT_N_SET, handle_set),
    (evt.EVT_N_ACTION, handle_action),
]

ae = AE(ae_title="OLDSERVER")
for cx in AllStoragePresentationContexts:
    ae.add_supported_context(
        cx.abstract_syntax,
        ["1.2.840.10008.1.2", ExplicitVRLittleEndian, JPEGBaseline8Bit],
        scp_role=True,
        scu_role=True,
    )
ae.add_supported_context(Verification)
ae.add_supported_context(PatientRootQueryRetrieveInformationModelFind)
ae.add_supported_context(PatientRootQueryRetrieveInformationModelGet)
ae.add_supported_context(PatientRootQueryRetrieveInformationModelMove)
ae.add_supported_context(ModalityPerformedProcedureStep)
ae.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=False)
ae.requested_contexts = [build_context("1.2.840.10008.5.1.4.1.1.2", ExplicitVRLittleEndian)]


if __name__ == "__main__":
    ae.start_server(("127.0.0.1", 11112), evt_handlers=handlers)
