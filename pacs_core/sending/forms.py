"""In which form, and in which presentation context, instances go to a destination."""

import logging
from collections.abc import Iterable
from typing import Final

from pacs_core.contracts import (
    Action,
    Form,
    FrameFormat,
    Peer,
    Plan,
    StoredInstance,
    Transcoder,
)
from pacs_core.dataset import short_name_of
from pacs_core.sending.read_ahead import Conversion, MissingInstance, Outgoing
from pacs_core.transcoding import image_in
from pacs_core.upper_layer import AcceptedContext

logger = logging.getLogger(__name__)


def form_of(instance: StoredInstance) -> Form:
    """Return the form in which an instance is stored."""
    return instance.identity.sop_class_uid, instance.transfer_syntax_uid


class Forms:
    """Plans once for each form in which instances are stored.

    Parameters
    ----------
    transcoder : Transcoder
    contexts : iterable of AcceptedContext
        Those in which instances can be sent.
    peer : Peer or None
        If it is configured.
    destination : str
        Its name, for the log.
    """

    def __init__(
        self,
        transcoder: Transcoder,
        contexts: Iterable[AcceptedContext],
        peer: Peer | None,
        destination: str,
    ) -> None:
        self._transcoder = transcoder
        self._peer = peer
        self._destination = destination
        self._contexts: dict[Form, int] = {}
        self._accepted: dict[str, list[str]] = {}
        self._plans: dict[Form, Plan] = {}
        self._logged: set[tuple[str, Plan]] = set()
        for context in contexts:
            self._contexts[context.abstract_syntax, context.transfer_syntax] = context.id
            self._accepted.setdefault(context.abstract_syntax, []).append(context.transfer_syntax)

    def plan(self, instance: StoredInstance) -> Plan:
        """Return what becomes of an instance."""
        form = form_of(instance)
        plan = self._plans.get(form)
        if plan is None:
            plan = self._plans[form] = self._make_plan(*form)
        return plan

    def refusal(self, instance: StoredInstance) -> str:
        """Return why an instance cannot be sent; nothing if it can."""
        plan = self.plan(instance)
        return plan.reason if plan.action is Action.REFUSE else ""

    def context_id(self, item: Outgoing | Conversion) -> int:
        """Return the presentation context in which an instance goes out."""
        return self._contexts[item.instance.identity.sop_class_uid, item.transfer_syntax_uid]

    def conversion(self, item: Outgoing) -> Conversion | MissingInstance | None:
        """Return what converts an instance; None if it goes out as it is stored."""
        plan = self.plan(item.instance)
        if plan.encoder:
            # A codec may not hold this very image, of 16 bits say: then the plan is another.
            image = image_in(item.head, item.transfer_syntax_uid)
            plan = self._make_plan(*form_of(item.instance), image)
        if plan.action is Action.PASS_THROUGH:
            return None
        if plan.action is Action.REFUSE:
            return MissingInstance(item.instance, plan.reason)
        return Conversion(plan, item, self._transcoder.transcode(plan, item))

    def _make_plan(
        self, sop_class_uid: str, transfer_syntax_uid: str, image: FrameFormat | None = None
    ) -> Plan:
        accepted = self._accepted.get(sop_class_uid, ())
        plan = self._transcoder.plan(transfer_syntax_uid, accepted, self._peer, image)
        # Few plans, though there may be as many images as instances.
        if (sop_class_uid, plan) not in self._logged:
            self._logged.add((sop_class_uid, plan))
            self._log(sop_class_uid, plan)
        return plan

    def _log(self, sop_class_uid: str, plan: Plan) -> None:
        level, what = _LOGGED[plan.action]
        logger.log(
            level,
            "instances of SOP class %s stored in %s %s %s%s: %s",
            sop_class_uid,
            short_name_of(plan.source),
            what,
            self._destination,
            f" in {short_name_of(plan.target)}" if plan.target else "",
            plan.reason,
        )


_LOGGED: Final = {
    Action.PASS_THROUGH: (logging.DEBUG, "go to"),
    Action.TRANSCODE: (logging.INFO, "go to"),
    Action.REFUSE: (logging.WARNING, "cannot be sent to"),
}
