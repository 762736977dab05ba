"""The SOP classes of procedure steps, as SCP (PS3.4 CC.2, CC.3).

All steps are instances of UPS Push, so requests in the presentation contexts of the other SOP
classes name that one, or, as some do, their own (CC.3.1).
"""

from collections.abc import Mapping
from typing import ClassVar, Final

from attrs import define

from pacs_core.api.attribute_lists import first, read_attribute_list
from pacs_core.api.auditing import Details, audit_work
from pacs_core.api.normalized import RefusedRequestError, answer_get
from pacs_core.contracts import (
    AccessAction,
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
from pacs_sop_ups.config import UpsConfig
from pacs_sop_ups.find import UpsFind
from pacs_sop_ups.interface import UnifiedProcedureSteps
from pacs_sop_ups.receivers import Receivers
from pacs_sop_ups.restricting import restrictions_of, restrictions_on_telling
from pacs_sop_ups.sop_classes import ACTIONS, OPERATIONS, UPS_EVENT, WELL_KNOWN, ActionType
from pacs_sop_ups.statuses import UpsStatus
from pacs_sop_ups.steps import (
    CHARACTER_SET,
    DELETION_LOCK,
    PATIENT_ID,
    RECEIVER,
    STATE,
    TRANSACTION,
    ChangedStep,
    ProcedureStep,
    check_receiver,
)

_ACTIONS: Final[Mapping[CommandField, EventAction]] = {
    CommandField.N_CREATE_RQ: EventAction.CREATE,
    CommandField.N_SET_RQ: EventAction.UPDATE,
    CommandField.N_GET_RQ: EventAction.READ,
    CommandField.N_ACTION_RQ: EventAction.EXECUTE,
}


_FOLLOWING: Final = frozenset(
    {ActionType.SUBSCRIBE, ActionType.UNSUBSCRIBE, ActionType.SUSPEND_GLOBAL}
)
_LOCKS: Final = {"TRUE": True, "FALSE": False}
_OWN: Final = frozenset({RECEIVER, DELETION_LOCK, CHARACTER_SET})
"""Of the information of a subscription what is no key of its filter."""


@define(eq=False)
class UpsProvider(ServiceProvider):
    """Answers N-CREATE, N-GET, N-SET, N-ACTION and C-FIND.

    Parameters
    ----------
    node : Node
    config : UpsConfig
    """

    applies_restrictions: ClassVar[bool] = True

    node: Node
    config: UpsConfig

    async def reconfigure(self, setup: Setup) -> None:
        """Go by other settings from the next request on."""
        self.config = setup.config(UpsConfig)

    async def association_accepted(self, link: Link) -> None:
        """Tell whoever associates as SCU of the UPS Event SOP Class what it follows (CC.2.4)."""
        contexts = link.association.contexts.values()
        if any(each.abstract_syntax == UPS_EVENT and each.scu for each in contexts):
            await self.node.find(Receivers).add(self.node, link)

    async def association_ended(self, association: AssociationInfo, reason: str) -> None:
        """Tell it no more."""
        self.node.find(Receivers).discard(association.id)

    async def handle(self, operation: Operation) -> Response:
        """Answer a request; 0211H, or 0123H, if the SOP class of its context has no such."""
        command, context = operation.command, operation.context.abstract_syntax
        if command.field not in OPERATIONS[context]:
            raise DimseError(
                Status.UNRECOGNIZED_OPERATION,
                f"{command.field.name} is no operation of this SOP class",
            )
        if command.sop_class_uid not in OPERATIONS:
            raise DimseError(
                Status.NO_SUCH_SOP_CLASS, f"{command.sop_class_uid} is no SOP class of UPS"
            )
        if command.field is CommandField.C_FIND_RQ:
            return await UpsFind(self.node, self.config).answer(operation)
        is_action = command.field is CommandField.N_ACTION_RQ
        if is_action and command.action_type_id not in ACTIONS[context]:
            raise DimseError(
                Status.NO_SUCH_ACTION_TYPE,
                f"{command.action_type_id} is no action of this SOP class",
            )
        objects: list[AuditObject] = []

        async def work(operation: Operation, details: Details) -> Response:
            details["operation"] = command.field.name.removesuffix("_RQ").replace("_", "-")
            if is_action:
                details["action"] = ActionType(command.action_type_id or 0).name
            try:
                return await self._work(operation, details, objects)
            except RefusedRequestError as error:
                details["reason"] = error.comment
                return error.response()

        return await audit_work(
            self.node.audit,
            AuditKind.N_SERVICE,
            operation,
            work,
            action=_ACTIONS[command.field],
            objects=objects,
        )

    async def _work(
        self, operation: Operation, details: Details, objects: list[AuditObject]
    ) -> Response:
        command = operation.command
        uid = command.sop_instance_uid
        if uid is None:  # The SCU may leave it to the SCP (PS3.7 §10.1.5.1.4).
            from pydicom.uid import generate_uid

            uid = str(generate_uid())
        details["instance"] = uid
        if command.action_type_id in _FOLLOWING:
            status = await self._follow(operation, uid, details)
            return Response(status, action_type_id=command.action_type_id)
        is_read = command.field is CommandField.N_GET_RQ
        act = AccessAction.QUERY if is_read else AccessAction.WORKFLOW
        allowed = await restrictions_of(self.node, act, operation.association.origin, command)
        if is_read:
            step = await self._find(uid, allowed)
            response = answer_get(operation, step.attributes, step.character_set)
        else:
            made = await self._change(operation, uid, allowed)
            step = made.step
            response = Response(
                made.status,
                affected_sop_instance_uid=uid,
                action_type_id=command.action_type_id,
                attribute_identifier_list=made.tags,
            )
        details["state"], details["studies"] = str(step.state), list(step.studies)
        patient = first(step.attributes, PATIENT_ID)
        objects += [AuditObject(AuditObjectKind.PATIENT, patient)] if patient else []
        objects += [AuditObject(AuditObjectKind.STUDY, each) for each in step.studies]
        return response

    async def _change(
        self, operation: Operation, uid: str, allowed: tuple[Restriction, ...]
    ) -> ChangedStep:
        """Do what a request asks for."""
        steps, title = self.node.find(UnifiedProcedureSteps), _calling(operation)
        if operation.command.field is CommandField.N_CREATE_RQ:
            attributes = await self._read(operation)
            return await steps.create(uid, attributes, requestor=title, restrictions=allowed)
        if uid in WELL_KNOWN:
            raise RefusedRequestError(
                UpsStatus.INAPPROPRIATE_ACTION, "this stands for steps, and is none"
            )
        # PS3.4 CC.2.6.2: in the character set of the step, whether that is said or not.
        known = await self._find(uid, allowed)
        given = await self._read(operation, known.character_set)
        if operation.command.field is CommandField.N_SET_RQ:
            return await steps.change(uid, given, requestor=title, restrictions=allowed)
        if operation.command.action_type_id == ActionType.REQUEST_CANCEL:
            return await steps.request_cancel(uid, given, requestor=title, restrictions=allowed)
        return await steps.change_state(
            uid, first(given, STATE), first(given, TRANSACTION),
            requestor=title, restrictions=allowed,
        )  # fmt: skip

    async def _follow(self, operation: Operation, uid: str, details: Details) -> int:
        """Subscribe, unsubscribe or suspend somebody (CC.2.3), and return the status."""
        steps, given = self.node.find(UnifiedProcedureSteps), await self._read(operation)
        receiver, lock = first(given, RECEIVER), first(given, DELETION_LOCK)
        details["receiver"] = receiver
        check_receiver(receiver)
        command, origin = operation.command, operation.association.origin
        allowed = await restrictions_on_telling(self.node, receiver, origin, command)
        action = command.action_type_id
        if action == ActionType.UNSUBSCRIBE:
            await steps.unsubscribe(uid, receiver, restrictions=allowed)
            return Status.SUCCESS
        if action == ActionType.SUSPEND_GLOBAL:
            await steps.suspend(uid, receiver)
            return Status.SUCCESS
        if lock not in _LOCKS:
            raise RefusedRequestError(
                Status.INVALID_ARGUMENT_VALUE, f"{lock!r:.20} is no answer", [DELETION_LOCK]
            )
        is_known = self.node.settings.peer(receiver) or self.node.find(Receivers).link_of(receiver)
        if not is_known:
            raise RefusedRequestError(
                UpsStatus.UNKNOWN_RECEIVING_AE,
                f"{receiver} is no peer, nor connected",
            )
        keys = {tag: values for tag, values in given.items() if tag not in _OWN}
        return await steps.subscribe(
            uid, receiver, keys=keys, has_lock=_LOCKS[lock], restrictions=allowed
        )

    async def _find(self, uid: str, allowed: tuple[Restriction, ...]) -> ProcedureStep:
        try:
            return await self.node.find(UnifiedProcedureSteps).find(uid, restrictions=allowed)
        except KeyError as error:
            raise RefusedRequestError(UpsStatus.NO_SUCH_STEP, "there is no such step") from error

    async def _read(
        self, operation: Operation, character_set: tuple[str, ...] = ()
    ) -> MutableAttributes:
        assumed = character_set or self.node.settings.character_set_of(_calling(operation))
        return await read_attribute_list(operation, self.config.max_bytes, assumed)


def _calling(operation: Operation) -> str:
    return operation.association.origin.calling_ae_title
