"""``ups``: requests are unified procedure steps that a service claims (IHE RAD AIW-I).

The step names what to read (Input Information Sequence), how (WADO-RS, or C-MOVE from this node),
and what is to be done, by the service's code. Results come by C-STORE or STOW-RS; the step says how
far the service is, and when it is done.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import NAMESPACE_OID, uuid5

from pacs_sop_ups.api import StepState, UnifiedProcedureSteps

from pacs_ai.desk import AiDesk
from pacs_ai.interface import (
    Answer,
    InferenceAdapter,
    Inputs,
    ResultTaker,
    ServiceError,
    ServiceRefusedError,
)
from pacs_ai.models import InferenceRequest, RequestState
from pacs_ai.references import Reference, code_item, reference_items
from pacs_core.api.attribute_lists import first
from pacs_core.api.normalized import RefusedRequestError
from pacs_core.contracts import StoredInstance
from pacs_core.dataset import Attributes, MutableAttributes, Value, items, tag_of, texts
from pacs_core.dimse import Status

_NONE: Final = (
    "WorklistLabel", "ScheduledProcessingParametersSequence", "ScheduledStationNameCodeSequence",
    "ScheduledStationClassCodeSequence", "ScheduledStationGeographicLocationCodeSequence",
    "IssuerOfPatientIDQualifiersSequence", "OtherPatientIDsSequence", "AdmissionID",
    "IssuerOfAdmissionIDSequence", "AdmittingDiagnosesDescription",
    "AdmittingDiagnosesCodeSequence", "ReferencedRequestSequence", "TransactionUID",
    "ProcedureStepProgressInformationSequence", "UnifiedProcedureStepPerformedProcedureSequence",
)  # fmt: skip
_PATIENT: Final = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex",
)  # fmt: skip


class ProcedureSteps(InferenceAdapter):
    """Hands out work items."""

    async def ask(self, request: InferenceRequest, inputs: Inputs, results: ResultTaker) -> Answer:
        """See base."""
        uid = step_uid(request)
        steps = self.node.find(UnifiedProcedureSteps)
        attributes = await self._describe(request, inputs.instances)
        try:
            await steps.create(uid, attributes, requestor=self.node.settings.ae_title)
        except RefusedRequestError as error:
            # It is there already: the node was killed before that was noted.
            if error.status != Status.DUPLICATE_SOP_INSTANCE:
                raise ServiceError(f"the work item is refused: {error}") from error
        await self.node.find(AiDesk).records.change(request.number, note=f"work item {uid}")
        return Answer.LATER

    async def look(self, request: InferenceRequest) -> Answer:
        """See base."""
        try:
            step = await self.node.find(UnifiedProcedureSteps).find(step_uid(request))
        except KeyError:
            raise ServiceRefusedError("its work item is not known any more") from None
        state = "".join(texts(step.attributes, tag_of("ProcedureStepState")))
        if state == StepState.CANCELED:
            raise ServiceRefusedError(f"its work item was canceled{_reason(step.attributes)}")
        if state == StepState.SCHEDULED:
            return Answer.WAITING
        return Answer.COMPLETE if state == StepState.COMPLETED else Answer.LATER

    async def cancel(self, request: InferenceRequest) -> None:
        """See base.

        A performer that is at work on it is asked to stop, if it has subscribed; one that cannot be
        told goes on (PS3.4 CC.2.2.3), and so does one that has ended. What it then stores is the
        answer to nothing, and in quarantine.
        """
        steps, uid = self.node.find(UnifiedProcedureSteps), step_uid(request)
        reason: Attributes = {tag_of("ReasonForCancellation"): ("it is not wanted any more",)}
        requestor = self.node.settings.ae_title
        try:
            await steps.request_cancel(uid, reason, requestor=requestor)
        except RefusedRequestError as error:
            note = f"work item {uid} is not canceled: {error}"
            ended = {RequestState.CANCELLED, RequestState.FAILED}
            await self.node.find(AiDesk).records.change(request.number, ended, note=note)

    async def _describe(
        self, request: InferenceRequest, instances: Sequence[StoredInstance]
    ) -> Attributes:
        """Return the attributes of a step (PS3.4 Table CC.2.5-3)."""
        header = await self.node.archive.read_dataset(instances[0])
        now = datetime.now().strftime("%Y%m%d%H%M%S")
        named = [
            Reference(
                request.study_uid,
                each.identity.series_instance_uid,
                each.identity.sop_class_uid,
                each.identity.sop_instance_uid,
            )
            for each in instances
        ]
        found: MutableAttributes = {tag_of(keyword): () for keyword in _NONE}
        for keyword in _PATIENT:
            value = str(header.get(keyword) or "")
            found[tag_of(keyword)] = (value,) if value else ()
        own: dict[str, tuple[Value, ...]] = {
            "SpecificCharacterSet": ("ISO_IR 192",),
            "ScheduledProcedureStepPriority": ("HIGH" if request.priority > 0 else "MEDIUM",),
            "ProcedureStepLabel": (f"{self.name} {request.version}".strip()[:64],),
            "ScheduledProcedureStepStartDateTime": (now,),
            "ScheduledWorkitemCodeSequence": (code_item(*self.service.code),),
            "CommentsOnTheScheduledProcedureStep": (f"request {request.number}",),
            "InputReadinessState": ("READY",),
            "InputInformationSequence": tuple(reference_items(self.node, named)),
            "StudyInstanceUID": (request.study_uid,),
            "ProcedureStepState": (str(StepState.SCHEDULED),),
        }
        found |= {tag_of(keyword): values for keyword, values in own.items()}
        return found


def _reason(step: Attributes) -> str:
    """Return what a performer says of why, with a colon, if it says that (PS3.4 CC.2.1.3)."""
    for item in items(step, tag_of("ProcedureStepProgressInformationSequence")):
        if reason := first(item, tag_of("ReasonForCancellation")):
            return f": {reason}"
    return ""


def step_uid(request: InferenceRequest) -> str:
    """Return the UID of the step of a request: the same each time that it is asked for."""
    name = f"pacs-ai/{request.number}/{request.created}/{request.study_uid}"
    return f"2.25.{uuid5(NAMESPACE_OID, name).int}"
