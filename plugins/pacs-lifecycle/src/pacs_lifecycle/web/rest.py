"""REST of lifecycle under ``/api/lifecycle``: what is kept, in the bin, and wrong, as JSON."""

import time
from datetime import UTC, datetime
from typing import Any, Final

from attrs import asdict, frozen
from pacs_web.api import WebContext
from pacs_web.api.http import HttpError, json_response, read_body, read_parameters
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pacs_core.api.streams import closing
from pacs_core.contracts import EventAction, PluginAuditKind
from pacs_core.dimse import is_valid_uid
from pacs_lifecycle.config import LifecycleConfig
from pacs_lifecycle.emptying import Emptying
from pacs_lifecycle.interface import Findings, Hold, LifecycleWarnings, Quotas, Studies, WaitingBin

INSPECT: Final = "lifecycle.inspect"
STEER: Final = "lifecycle.steer"
"""Actions that authorizers are asked for."""

VIEWED: Final = PluginAuditKind("lifecycle.viewed")
STEERED: Final = PluginAuditKind("lifecycle.steered")
MOST: Final = 1000


def api_routes(context: WebContext, config: LifecycleConfig) -> list[BaseRoute]:
    """Return the routes of the API."""
    api = LifecycleApi(context, config)
    return [
        Route("/", api.show),
        Route("/bin", api.list_bin),
        Route("/bin/restore", api.restore, methods=["POST"]),
        Route("/holds", api.list_holds),
        Route("/holds/add", api.hold, methods=["POST"]),
        Route("/holds/release", api.release, methods=["POST"]),
        Route("/faults", api.list_faults),
    ]


@frozen
class LifecycleApi:
    """The API of lifecycle."""

    context: WebContext
    config: LifecycleConfig

    async def show(self, request: Request) -> Response:
        """Tell what somebody should look at, and how much there is of what."""
        await self._inspect(request)
        node, quotas = self.context.node, []
        for name, quota in self.config.quotas.items():
            usage = asdict(await node.find(Quotas).usage(name))
            most = {"most_bytes": quota.bytes, "most_studies": quota.studies}
            quotas.append({"quota": name, "over": quota.over, **usage, **most})
        return json_response(
            {
                "warnings": list(await node.find(LifecycleWarnings).warnings()),
                "bin": asdict(await node.find(WaitingBin).total()),
                "quotas": quotas,
            }
        )

    async def list_bin(self, request: Request) -> Response:
        """List what was deleted and may be had back, what goes first first."""
        await self._inspect(request)
        found: list[dict[str, Any]] = []
        async with closing(self.context.node.find(WaitingBin).studies()) as studies:
            async for each in studies:
                if len(found) == MOST:
                    break
                found.append({**asdict(each), "deleted": _moment(each.deleted)})
        return json_response({"studies": found})

    async def restore(self, request: Request) -> Response:
        """Restore a study from the bin."""
        study = await self._steer(request, "restore")
        emptying = Emptying(self.context.node, self.context.origin_of(request))
        report = await emptying.restore(study)
        if not report.instances and not report.failures:
            raise HttpError(404, f"the bin has nothing of study {study}")
        if report.failures:
            raise HttpError(409, report.failures[0])
        return json_response({"instances": report.instances})

    async def list_holds(self, request: Request) -> Response:
        """List the studies that are held."""
        await self._inspect(request)
        holds = (await self.context.node.find(Studies).holds())[:MOST]
        found = [{**asdict(each), "since": _moment(each.since)} for each in holds]
        return json_response({"holds": found})

    async def hold(self, request: Request) -> Response:
        """Hold a study."""
        reason = read_parameters(request, ("study", "reason")).get("reason", "").strip()
        if not reason:
            raise HttpError(400, "reason: say why")
        study = await self._steer(request, "hold", reason=reason)
        user = self.context.origin_of(request).user
        await self.context.node.find(Studies).hold(Hold(study, reason, user, time.time()))
        return json_response({"study": study})

    async def release(self, request: Request) -> Response:
        """Hold a study no more."""
        study = await self._steer(request, "release")
        if not await self.context.node.find(Studies).release(study):
            raise HttpError(404, f"study {study} is not held")
        return json_response({"study": study})

    async def list_faults(self, request: Request) -> Response:
        """List objects that were found damaged, missing or unknown."""
        await self._inspect(request)
        found: list[dict[str, Any]] = []
        if self.config.finds_faults:
            faults = await self.context.node.find(Findings).found(MOST)
            found = [{**asdict(each), "found": _moment(each.found)} for each in faults]
        return json_response({"faults": found})

    async def _inspect(self, request: Request) -> None:
        await self.context.require(request, INSPECT)
        await self.context.record(request, VIEWED)

    async def _steer(self, request: Request, act: str, **more: str) -> str:
        """Return the study that is meant, once it is clear that who asks may do that."""
        await self.context.require(request, STEER)
        await read_body(request, 10_000)
        study = read_parameters(request, ("study", "reason")).get("study", "").strip()
        if not is_valid_uid(study):
            raise HttpError(400, "study: give a Study Instance UID")
        what = {"do": act, "study_instance_uid": study, **more}
        await self.context.record(request, STEERED, EventAction.EXECUTE, **what)
        return study


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
