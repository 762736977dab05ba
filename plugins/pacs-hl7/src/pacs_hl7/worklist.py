"""The worklist follows what patients are called, if there is one (pacs-sop-worklist)."""

from importlib.util import find_spec
from typing import Final

from attrs import evolve

from pacs_core.api.attribute_lists import first
from pacs_core.api.streams import closing
from pacs_core.contracts import Node, SingleValue
from pacs_core.dataset import tag_of
from pacs_hl7.patients import PatientUpdate

_HAS_WORKLIST: Final = find_spec("pacs_sop_worklist") is not None
_ID, _ISSUER = tag_of("PatientID"), tag_of("IssuerOfPatientID")


async def update_worklist(node: Node, update: PatientUpdate) -> int:
    """Change the steps of a patient that have not ended; return how many there were."""
    if not _HAS_WORKLIST:
        return 0
    from pacs_sop_worklist.api import Worklist

    if not node.capabilities.provides(Worklist):
        return 0
    worklist, entity = node.find(Worklist), update.entity
    async with closing(worklist.search([SingleValue(_ID, entity.patient_id)])) as steps:
        found = [
            listed
            async for listed in steps
            if first(listed.step.attributes, _ISSUER) == entity.issuer_of_patient_id
        ]
    changed = 0
    for listed in found:
        attributes = dict(listed.step.attributes)
        for tag, values in update.changes.items():
            attributes[tag] = tuple(map(str, values or ()))
        if attributes != dict(listed.step.attributes):
            step = evolve(listed.step, attributes=attributes)
            changed += await worklist.put([step], listed.source)
    return changed
