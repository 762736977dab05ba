"""``pacs ups claim``, ``complete`` and ``cancel``: what the performer of a step does."""

import anyio

from pacs_core.api.commands import ConfigOption, open_node
from pacs_core.dataset import Attributes, MutableAttributes, items
from pacs_sop_ups.arguments import performed_item
from pacs_sop_ups.command_node import do, find_step
from pacs_sop_ups.interface import UnifiedProcedureSteps
from pacs_sop_ups.steps import PERFORMED, PROGRESS, REASON, TRANSACTION
from pacs_sop_ups.transitions import StepState


def claim(instance: str, /, *, config: ConfigOption = None) -> None:
    """Claim a procedure step, and print the Transaction UID with which it is changed from then on.

    Parameters
    ----------
    instance
        Its SOP Instance UID, as listed.
    """

    async def run() -> None:
        from pydicom.uid import generate_uid

        async with open_node(config, UnifiedProcedureSteps) as node:
            transaction, steps = str(generate_uid()), node.find(UnifiedProcedureSteps)
            title = node.settings.ae_title
            claimed = steps.change_state(
                instance, StepState.IN_PROGRESS, transaction, requestor=title
            )
            await do(node, "claim", instance, claimed)
            print(transaction)

    anyio.run(run)


def complete(instance: str, transaction: str, /, *, config: ConfigOption = None) -> None:
    """Complete a procedure step that was claimed.

    What its end demands and is not there is entered: as scheduled, by this archive, now.

    Parameters
    ----------
    instance
        Its SOP Instance UID, as listed.
    transaction
        Its Transaction UID, as printed by ``pacs ups claim``.
    """

    async def run() -> None:
        async with open_node(config, UnifiedProcedureSteps) as node:
            steps, step = node.find(UnifiedProcedureSteps), await find_step(node, instance)
            own: Attributes = {PERFORMED: (performed_item(step),), TRANSACTION: (transaction,)}
            await do(node, "set", instance, steps.change(instance, own))
            done = steps.change_state(instance, StepState.COMPLETED, transaction)
            await do(node, "complete", instance, done)

    anyio.run(run)


def cancel(
    instance: str,
    transaction: str = "",
    /,
    *,
    reason: str = "",
    config: ConfigOption = None,
) -> None:
    """Cancel a procedure step; of one that somebody has claimed, ask its performer to.

    Parameters
    ----------
    instance
        Its SOP Instance UID, as listed.
    transaction
        Its Transaction UID, of whoever has claimed it.
    reason
        Reason For Cancellation.
    """
    why: MutableAttributes = {REASON: (reason,)} if reason else {}

    async def run() -> None:
        async with open_node(config, UnifiedProcedureSteps) as node:
            steps = node.find(UnifiedProcedureSteps)
            if not transaction:
                title = node.settings.ae_title
                asked = steps.request_cancel(instance, why, requestor=title)
                made = await do(node, "request-cancel", instance, asked)
                print(f"the step is {made.step.state}")
                return
            step = await find_step(node, instance)
            if why:
                item: Attributes = {**next(iter(items(step.attributes, PROGRESS)), {}), **why}
                own: Attributes = {PROGRESS: (item,), TRANSACTION: (transaction,)}
                await do(node, "set", instance, steps.change(instance, own))
            ended = steps.change_state(instance, StepState.CANCELED, transaction)
            await do(node, "cancel", instance, ended)

    anyio.run(run)
