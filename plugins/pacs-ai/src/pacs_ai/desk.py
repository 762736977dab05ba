"""Desk of the plugin: configuration, records and directories that its parts share."""

import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from pacs_database.api import Database
from pacs_jobs.api import JobQueue

from pacs_ai.config import AiConfig, RuleConfig, ServiceConfig
from pacs_ai.models import LIVE, InferenceRequest, RequestState
from pacs_ai.sources import restriction_of
from pacs_ai.turns import Turns
from pacs_core.api.conditions import read_test
from pacs_core.contracts import (
    AuditEvent,
    AuditObject,
    AuditObjectKind,
    AuditValue,
    Component,
    EventAction,
    Level,
    Node,
    Origin,
    Outcome,
    PluginAuditKind,
    Restriction,
    Setup,
)

DOOR: Final = "ai"
"""Interface of the origin of what the plugin itself stores: results that were found good."""

ASKED: Final = PluginAuditKind("ai.asked")
GIVEN_UP: Final = PluginAuditKind("ai.given-up")
RESULT: Final = PluginAuditKind("ai.result")
VIEWED: Final = PluginAuditKind("ai.viewed")
STEERED: Final = PluginAuditKind("ai.steered")
ASSESSED: Final = PluginAuditKind("ai.assessed")
PERFORMED: Final = PluginAuditKind("ai.performed")


class AiDesk(Component):
    """What the parts of the plugin share.

    Parameters
    ----------
    node : Node
    setup : Setup

    Attributes
    ----------
    config : AiConfig
    records : Records
    breakers : Breakers
    spool, quarantine, answers : Path
        Directories of results that are being looked at, that were found wanting, and of answers
        that results are still to be made of.
    turns : Turns
        Of results that are being looked at.
    """

    def __init__(self, node: Node, setup: Setup) -> None:
        from pacs_ai.breakers import Breakers
        from pacs_ai.records import Records

        self.node = node
        self.config = setup.config(AiConfig)
        database = node.find(Database)
        self.records: Records = Records(database, node.find(JobQueue))
        self.breakers: Breakers = Breakers(database)
        self.spool: Path = setup.directory / "spool"
        self.quarantine: Path = setup.directory / "quarantine"
        self.answers: Path = setup.directory / "answers"
        self.turns = Turns()
        self.restrictions: Mapping[int, Restriction] = {
            number: restriction_of(rule) for number, rule in enumerate(self.config.rules)
        }

    async def start(self) -> None:
        """Make the tables what this version expects; refuse rules about what is not kept."""
        self._check_tags()
        await self.records.start()

    async def reconfigure(self, setup: Setup) -> None:
        """Go by other settings from the next request on."""
        self.config = setup.config(AiConfig)

    def _check_tags(self) -> None:
        known = self.node.archive.searchable_tags(Level.IMAGE) if self.config.rules else frozenset()
        for number, rule in enumerate(self.config.rules):
            for table in ("where", "unless"):
                for key, value in getattr(rule, table).items():
                    if read_test(key, value).tag not in known:
                        name = f"rules[{number}].{table}.{key}"
                        raise ValueError(f"{name}: the index does not keep {key}")

    def service(self, name: str) -> ServiceConfig:
        """Return a service. LookupError."""
        try:
            return self.config.services[name]
        except KeyError:
            known = ", ".join(sorted(self.config.services)) or "none"
            raise LookupError(f"there is no service {name!r}; there are {known}") from None

    def rules(self, on: str = "", service: str = "") -> list[tuple[int, RuleConfig]]:
        """Return the rules for an event, or of a service, with their numbers from 0."""
        return [
            (number, rule)
            for number, rule in enumerate(self.config.rules)
            if on in {"", rule.on} and service in {"", rule.service}
        ]

    async def note_answered(
        self, request: InferenceRequest, states: Collection[RequestState] = LIVE
    ) -> None:
        """Note that a request was answered, if it is in one of some states."""
        from pacs_ai.metering import observe_answer

        now = time.time()
        if await self.records.change(
            request.number, states, state=str(RequestState.ANSWERED), answered=now, reason=""
        ):
            observe_answer(self.node.meter, request, now)

    async def record(
        self,
        kind: PluginAuditKind,
        request: InferenceRequest | None,
        details: Mapping[str, AuditValue],
        *,
        outcome: Outcome = Outcome.SUCCESS,
        origin: Origin | None = None,
        action: EventAction = EventAction.EXECUTE,
        study_uid: str = "",
    ) -> None:
        """Record what was done about a request."""
        settings = self.node.settings
        origin = origin or Origin(DOOR, called_ae_title=settings.ae_title, host=settings.host)
        given: dict[str, AuditValue] = {}
        if request is not None:
            given = {"request": request.number, "service": request.service}
            given["version"] = request.version
            study_uid = request.study_uid
        objects = (AuditObject(AuditObjectKind.STUDY, study_uid),) if study_uid else ()
        event = AuditEvent(
            kind, outcome, origin, given | dict(details), action=action, objects=objects
        )
        await self.node.audit.record(event)
