"""Common ground of all transactions: who asks, where, what is accepted, what is recorded."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from attrs import field, frozen
from pacs_web.api import WebContext, datasets
from pacs_web.api.http import HttpError
from pacs_web.api.media_types import Choice, Representation
from starlette.requests import Request

from pacs_core.contracts import (
    Archive,
    AuditCode,
    AuditEvent,
    AuditObject,
    AuditObjectKind,
    AuditValue,
    EventAction,
    InstanceIdentity,
    Node,
    Outcome,
    PluginAuditKind,
)
from pacs_dicomweb.config import DicomWebConfig, DicomWebSettings
from pacs_dicomweb.search_parameters import InvalidParameterError, accept_of, read_query

_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)*")

SEARCHED: Final = PluginAuditKind("dicomweb.searched", AuditCode("110112", "DCM", "Query"))
RETRIEVED: Final = PluginAuditKind(
    "dicomweb.retrieved", AuditCode("110104", "DCM", "DICOM Instances Transferred")
)
STORED: Final = PluginAuditKind(
    "dicomweb.stored", AuditCode("110104", "DCM", "DICOM Instances Transferred")
)


@frozen
class Resource:
    """What a path names: a study, a series of it, an instance of that; UIDs, perhaps empty."""

    study: str = ""
    series: str = ""
    instance: str = ""

    @property
    def path(self) -> str:
        """The path of the resource, from the root of the service."""
        names = (("studies", self.study), ("series", self.series), ("instances", self.instance))
        return "".join(f"/{name}/{uid}" for name, uid in names if uid)

    def __str__(self) -> str:
        """Return how messages name it."""
        kinds = (
            ("instance", self.instance),
            ("series", self.series),
            ("study", self.study),
        )
        return " in ".join(f"{kind} {uid}" for kind, uid in kinds if uid)


def resource_of_instance(identity: InstanceIdentity) -> Resource:
    """Return the resource of an instance."""
    return Resource(
        identity.study_instance_uid, identity.series_instance_uid, identity.sop_instance_uid
    )


@frozen
class DicomWeb:
    """The service, as its transactions share it.

    Attributes
    ----------
    context : WebContext
    settings : DicomWebSettings
    """

    context: WebContext
    settings: DicomWebSettings = field(factory=DicomWebSettings)

    @property
    def config(self) -> DicomWebConfig:
        """The settings as they are by now."""
        return self.settings.config

    @property
    def node(self) -> Node:
        """The node."""
        return self.context.node

    def archive(self, request: Request) -> Archive:
        """Return the archive as whoever makes a request may use it."""
        return self.node.archive.on_behalf_of(self.context.origin_of(request))

    def url(self, request: Request) -> str:
        """Return the absolute URL of the service, as the client sees it, without a slash."""
        return f"{self.context.base_url(request)}{self.config.root}"

    async def record(
        self,
        request: Request,
        kind: PluginAuditKind,
        outcome: Outcome,
        details: Mapping[str, AuditValue],
        studies: Sequence[str] = (),
    ) -> None:
        """Record what was done for whom.

        Raises
        ------
        AuditFailedError
            It could not be recorded, so must not be answered.
        """
        objects = tuple(AuditObject(AuditObjectKind.STUDY, uid) for uid in studies)
        origin = self.context.origin_of(request)
        action = EventAction.CREATE if kind is STORED else EventAction.EXECUTE
        event = AuditEvent(kind, outcome, origin, dict(details), action=action, objects=objects)
        await self.node.audit.record(event)


def parameters_of(request: Request) -> list[tuple[str, str]]:
    """Return the query parameters of a request.

    Raises
    ------
    HttpError
        400: they cannot be read.
    """
    try:
        return read_query(request.scope["query_string"].decode("ascii", "replace"))
    except InvalidParameterError as error:
        raise HttpError(400, str(error)) from error


def accept(
    request: Request, parameters: list[tuple[str, str]], offered: Sequence[Representation]
) -> list[Choice]:
    """Return the representations that a request accepts, the best first; HttpError 406 if none."""
    return datasets.accept(request, offered, accept_of(parameters))


def resource_of(request: Request) -> Resource:
    """Return what the path of a request names.

    Raises
    ------
    HttpError
        400: it has what is no UID (PS3.5 §9.1).
    """
    found = {name: request.path_params.get(name, "") for name in ("study", "series", "instance")}
    for name, uid in found.items():
        check_uid(f"the {name}", uid)
    return Resource(**found)


def check_uid(name: str, uid: str) -> None:
    """Refuse what is no UID (PS3.5 §9.1); nothing is none.

    Raises
    ------
    HttpError
        400.
    """
    if uid and (len(uid) > 64 or not _UID.fullmatch(uid)):
        raise HttpError(400, f"{uid[:80]!r} is no UID: {name} cannot be named so")
