"""The SOP classes of performed steps, as SCP (PS3.4 F.7, F.8)."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from attrs import define

from pacs_core.api.attribute_lists import first, read_attribute_list
from pacs_core.api.auditing import Details, audit_work
from pacs_core.api.normalized import RefusedRequestError, answer_get
from pacs_core.contracts import (
    AssociationInfo,
    AuditKind,
    AuditObject,
    AuditObjectKind,
    EventAction,
    Link,
    Node,
    Operation,
    Response,
    Restriction,
    ServiceProvider,
    Setup,
)
from pacs_core.dataset import (
    MutableAttributes,
)
from pacs_core.dimse import CommandField, DimseError, Status
from pacs_sop_mpps.config import MppsConfig
from pacs_sop_mpps.interface import PerformedProcedureSteps
from pacs_sop_mpps.restricting import restrictions_of
from pacs_sop_mpps.sop_classes import MPPS, MPPS_NOTIFICATION, MPPS_RETRIEVE
from pacs_sop_mpps.steps import (
    PATIENT_ID,
    PerformedStep,
)
from pacs_sop_mpps.subscribers import Subscribers

_ACTIONS: Final[Mapping[CommandField, EventAction]] = {
    CommandField.N_CREATE_RQ: EventAction.CREATE,
    CommandField.N_SET_RQ: EventAction.UPDATE,
    CommandField.N_GET_RQ: EventAction.READ,
}
# N-GET belongs to Retrieve; that a modality asks in the context that it has harms nobody.
_OPERATIONS: Final[Mapping[str, frozenset[CommandField]]] = {
    MPPS: frozenset(_ACTIONS),
    MPPS_RETRIEVE: frozenset({CommandField.N_GET_RQ}),
    MPPS_NOTIFICATION: frozenset(),
}


@define(eq=False)
class MppsProvider(ServiceProvider):
    """Answers N-CREATE, N-SET and N-GET.

    Parameters
    ----------
    node : Node
    config : MppsConfig
    """

    applies_restrictions: ClassVar[bool] = True

    node: Node
    config: MppsConfig

    async def reconfigure(self, setup: Setup) -> None:
        """Go by other settings from the next request on."""
        self.config = setup.config(MppsConfig)

    async def association_accepted(self, link: Link) -> None:
        """Report changes to whoever associates as SCU of the Notification SOP Class (F.9)."""
        contexts = link.association.contexts.values()
        if any(each.abstract_syntax == MPPS_NOTIFICATION and each.scu for each in contexts):
            await self.node.find(Subscribers).add(self.node, link)

    async def association_ended(self, association: AssociationInfo, reason: str) -> None:
        """Report no more on it."""
        self.node.find(Subscribers).discard(association.id)

    async def handle(self, operation: Operation) -> Response:
        """Answer a request; 0211H if its SOP class has none of the kind."""
        command = operation.command
        if command.field not in _OPERATIONS[operation.context.abstract_syntax]:
            raise DimseError(
                Status.UNRECOGNIZED_OPERATION,
                f"{command.field.name} is no operation of this SOP class",
            )
        if command.sop_class_uid not in _OPERATIONS:
            raise DimseError(
                Status.NO_SUCH_SOP_CLASS, f"{command.sop_class_uid} is no SOP class of MPPS"
            )
        objects: list[AuditObject] = []

        async def work(operation: Operation, details: Details) -> Response:
            details["operation"] = command.field.name.removesuffix("_RQ").replace("_", "-")
            try:
                return await self._work(operation, details, objects)
            except RefusedRequestError as error:
                details["reason"] = error.comment
                return error.response()

        kind, action = AuditKind.N_SERVICE, _ACTIONS[command.field]
        return await audit_work(
            self.node.audit, kind, operation, work, action=action, objects=objects
        )

    async def _work(
        self, operation: Operation, details: Details, objects: list[AuditObject]
    ) -> Response:
        uid = operation.command.sop_instance_uid
        steps, title = self.node.find(PerformedProcedureSteps), _calling(operation)
        if uid is None:  # The SCU has to give it (F.7.2.1.2), but PS3.7 §10.1.5 lets the SCP.
            from pydicom.uid import generate_uid

            uid = str(generate_uid())
        details["instance"] = uid
        allowed = await restrictions_of(self.node, operation.association.origin, operation.command)
        match operation.command.field:
            case CommandField.N_CREATE_RQ:
                attributes = await self._read(operation)
                step = await steps.create(uid, attributes, created_by=title, restrictions=allowed)
                response = Response(Status.SUCCESS, affected_sop_instance_uid=uid)
            case CommandField.N_SET_RQ:
                known = await _find(steps, uid, allowed)
                modifications = await self._read(operation, known.character_set)
                step = await steps.change(
                    uid, modifications, changed_by=title, restrictions=allowed
                )
                response = Response(Status.SUCCESS)
            case _:
                step = await _find(steps, uid, allowed)
                response = answer_get(operation, step.attributes, step.character_set)
        details["state"], details["studies"] = str(step.state), list(step.studies)
        patient = first(step.attributes, PATIENT_ID)
        objects += [AuditObject(AuditObjectKind.PATIENT, patient)] if patient else []
        objects += [AuditObject(AuditObjectKind.STUDY, each) for each in step.studies]
        return response

    async def _read(
        self, operation: Operation, character_set: tuple[str, ...] = ()
    ) -> MutableAttributes:
        """Return the attribute list of a request, in the character set of its step's N-CREATE.

        F.7.2.2.1 demands that an N-SET has that one, so many leave out to say so.
        """
        assumed = character_set or self.node.settings.character_set_of(_calling(operation))
        return await read_attribute_list(operation, self.config.max_bytes, assumed)


async def _find(
    steps: PerformedProcedureSteps, uid: str, restrictions: Sequence[Restriction]
) -> PerformedStep:
    try:
        return await steps.find(uid, restrictions=restrictions)
    except KeyError as error:
        raise RefusedRequestError(Status.NO_SUCH_SOP_INSTANCE, "there is no such step") from error


def _calling(operation: Operation) -> str:
    return operation.association.origin.calling_ae_title
