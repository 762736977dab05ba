"""Assessments by people: of a result, or of one of its findings; what stands, and its document.

A document says all that stands of a result when it is made: what is thought of the whole, and of
each finding that somebody has assessed. So the latest one is enough, and names the one before.
"""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from pacs_ai.assessment import COMPREHENSIVE_SR, Judgement, encode, make_assessment
from pacs_ai.desk import ASSESSED, DOOR, AiDesk
from pacs_ai.marking import remark
from pacs_ai.models import Assessment, InferenceResult, ResultFinding, ResultState
from pacs_ai.result_findings import find_finding, findings_of
from pacs_core.contracts import AuditValue, InstancePath, Node, Origin
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN

if TYPE_CHECKING:
    from pydicom import Dataset


def is_withheld(whole: Assessment, findings: Sequence[ResultFinding]) -> bool:
    """Tell whether a result is to be hidden or marked: nobody has assessed it, or it is rejected.

    What is thought of the whole counts. Without that it is what is thought of its findings, once
    each of them has been assessed: the result is rejected if all of them are.
    """
    if whole:
        return whole is Assessment.REJECTED
    given = {each.assessment for each in findings}
    return not given or Assessment.NONE in given or given == {Assessment.REJECTED}


@frozen
class Assessor:
    """Assesses results, and finds what stands.

    Attributes
    ----------
    node : Node
    desk : AiDesk
    """

    node: Node
    desk: AiDesk

    async def findings(self, number: int) -> list[ResultFinding]:
        """Return the findings of a result, and what is thought of each. KeyError."""
        result = await self.desk.records.find_result(number)
        try:
            return await self._findings(result, await self._read(result))
        except ValueError:
            return []

    async def assess(
        self, number: int, assessment: Assessment, origin: Origin, comment: str, key: str
    ) -> InferenceResult:
        """Assess a result, or the finding with a key. LookupError, ValueError."""
        records = self.desk.records
        result = await records.find_result(number)
        if assessment is Assessment.NONE:
            raise ValueError("a result is accepted, modified or rejected")
        header, by, now = await self._read(result), origin.user or origin.interface, time.time()
        findings = await self._findings(result, header)
        whole = Judgement(result.assessment, result.assessed_by, result.comment)
        if key:
            found = find_finding(findings, key)
            key = found.key
            given = evolve(
                found, assessment=assessment, assessed_by=by, assessed=now, comment=comment
            )
            findings = [given if each is found else each for each in findings]
        else:
            whole = Judgement(assessment, by, comment)
        document = make_assessment(header, result, whole, by, findings)
        await self.node.archive.ingest(
            encode(document),
            transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
            sop_class_uid=COMPREHENSIVE_SR,
            sop_instance_uid=document.SOPInstanceUID,
            origin=evolve(origin, interface=DOOR),
        )
        uid = str(document.SOPInstanceUID)
        service = self.desk.config.services.get(result.service)
        policy = "show" if service is None else service.unassessed
        is_hidden = int(policy != "show" and is_withheld(whole.assessment, findings))
        if key:
            await records.assess_finding(result, given)
            await records.change_result(
                number, {result.state}, assessment_uid=uid, is_hidden=is_hidden
            )
        else:
            await records.change_result(
                number,
                {result.state},
                assessment=str(assessment),
                assessed_by=by,
                assessed=now,
                comment=comment,
                assessment_uid=uid,
                is_hidden=is_hidden,
            )
        await remark(self.node, self.desk, result, header)
        details: dict[str, AuditValue] = {
            "service": result.service,
            "result": number,
            "assessment": str(assessment),
            "sop_instance_uid": uid,
            **({"finding": key} if key else {}),
        }
        await self.desk.record(ASSESSED, None, details, origin=origin, study_uid=result.study_uid)
        return await records.find_result(number)

    async def _read(self, result: InferenceResult) -> "Dataset":
        if result.state not in {ResultState.ARCHIVED, ResultState.RELEASED}:
            raise ValueError(f"result {result.number} is {result.state}")
        path = InstancePath(result.study_uid, result.instance_uid)
        instance = await self.node.archive.locate(path)
        if instance is None:
            raise ValueError(f"result {result.number} is not in the archive any more")
        return await self.node.archive.read_dataset(instance)

    async def _findings(self, result: InferenceResult, header: "Dataset") -> list[ResultFinding]:
        assessed = await self.desk.records.assessed_findings(result.number)
        return [evolve(each, **assessed.get(each.key, {})) for each in findings_of(header)]
