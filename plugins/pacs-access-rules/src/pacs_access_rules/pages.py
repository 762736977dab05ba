"""The page on which people break the glass, and the same as JSON."""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from pacs_web.api import NavigationEntry, WebContext, WebRoutesDescriptor

from pacs_access_rules.authorizer import REASON, Glass
from pacs_access_rules.overrides import Override

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

_FORM: Final = (
    "<p>{warning}</p>"
    '<form method="post"><label>{reason}<textarea name="reason" rows="4" required '
    'minlength="{least}" maxlength="{most}"></textarea></label>'
    '<button class="danger">{do}</button></form>'
)
_BROKEN: Final = (
    "<dl><dt>{holds}</dt><dd><strong>{until}</strong></dd><dt>{reason}</dt><dd>{text}</dd></dl>"
    '<form method="post" action="{path}/end"><button class="primary">{end}</button></form>'
)
_BACK: Final = '<p class="after"><a href="{base}/">{back}</a></p>'
_TEXTS: Final = {
    "en": {
        "title": "Emergency access",
        "warning": "You are about to see what you otherwise may not. That is recorded with your "
        "reason, and will be looked at. It ends after {minutes} minutes.",
        "reason": "Reason",
        "do": "Break the glass",
        "holds": "Emergency access holds until",
        "end": "End it now",
        "back": "To the start page",
    },
    "de": {
        "title": "Notfallzugriff",
        "warning": "Sie sehen gleich, was Sie sonst nicht sehen dürfen. Das wird mit Ihrer "
        "Begründung aufgezeichnet und geprüft. Es endet nach {minutes} Minuten.",
        "reason": "Begründung",
        "do": "Notfallzugriff beginnen",
        "holds": "Der Notfallzugriff gilt bis",
        "end": "Jetzt beenden",
        "back": "Zur Startseite",
    },
}


def descriptor() -> WebRoutesDescriptor:
    """Return the routes."""
    entry = NavigationEntry("Emergency access", "/access/override", "warning", 80,
                            {"de": "Notfallzugriff"})  # fmt: skip
    return WebRoutesDescriptor(
        "access-rules", _create, "/access", "Emergency access", (entry,), _describe, 10_000
    )


def _describe(context: WebContext) -> dict[str, Any]:
    text = {"content": {"application/json": {"schema": {"type": "object"}}}}
    answers = {"200": {"description": "Whether an override holds.", **text}}
    request = {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object", "properties": {"reason": {"type": "string"}}}
            }
        },
    }
    return {
        "paths": {
            "/override": {
                "get": {"summary": "Whether you have broken the glass", "responses": answers},
                "post": {
                    "summary": "Break the glass", "requestBody": request, "responses": answers,
                },
                "delete": {"summary": "End the override", "responses": answers},
            }
        }
    }  # fmt: skip


def _create(context: WebContext) -> "Sequence[BaseRoute]":
    from starlette.routing import Route

    pages = _Pages(context)
    return [
        Route("/override", pages.show),
        Route("/override", pages.start, methods=["POST"]),
        Route("/override", pages.end, methods=["DELETE"]),
        Route("/override/end", pages.end, methods=["POST"]),
    ]


class _Pages:
    """Answers for whoever is authenticated and has a rule for emergencies.

    Requests of other origins do not come so far: the server turns changes away that pages of others
    ask for.
    """

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._glass = context.node.find(Glass)

    def _principal(self, request: "Request") -> str:
        from pacs_web.api.http import HttpError

        origin = self._context.origin_of(request)
        if not self._glass.policy.may_break_glass(origin):
            raise HttpError(403, "no rule for emergencies is about you")
        return origin.user

    async def show(self, request: "Request") -> "Response":
        """Show the form, or the override that holds."""
        return self._answer(request, self._glass.overrides.active(self._principal(request)))

    async def start(self, request: "Request") -> "Response":
        """Break the glass."""
        from pacs_web.api.http import HttpError

        principal = self._principal(request)
        minutes, origin = self._glass.policy.emergency_minutes, self._context.origin_of(request)
        try:
            override = await self._glass.break_for(
                principal, await _reason(request), origin, minutes
            )
        except ValueError as error:
            raise HttpError(400, str(error)) from error
        return self._answer(request, override)

    async def end(self, request: "Request") -> "Response":
        """End the override."""
        await self._glass.mend_for(self._principal(request), self._context.origin_of(request))
        return self._answer(request, None)

    def _answer(self, request: "Request", override: Override | None) -> "Response":
        from pacs_web.api.plain_pages import choose_language, plain_page
        from starlette.responses import JSONResponse, RedirectResponse

        until = ""
        if override:
            until = datetime.fromtimestamp(override.until, UTC).isoformat("T", "seconds")
        if "text/html" not in request.headers.get("accept", ""):
            found = {"active": override is not None, "until": until or None}
            return JSONResponse(found, headers={"cache-control": "no-store"})
        base = self._context.base_path(request)
        path = f"{base}/access/override"
        if request.method != "GET":
            return RedirectResponse(path, 303)
        language = choose_language(request, _TEXTS)
        t = _TEXTS[language]
        if override:
            text = escape(override.reason)
            body = _BROKEN.format(**t, until=until, text=text, path=escape(path))
        else:
            warning = t["warning"].format(minutes=self._glass.policy.emergency_minutes)
            body = _FORM.format(**(t | {"warning": warning}), least=REASON[0], most=REASON[1])
        body += _BACK.format(base=escape(base), back=t["back"])
        brand = self._context.node.settings.ae_title
        return plain_page(brand, t["title"], body, language=language)


async def _reason(request: "Request") -> str:
    """Return the reason that a form or a JSON object gives; empty if there is none."""
    import json

    from pacs_web.api.http import HttpError, read_body

    text = (await read_body(request, 10_000)).decode("utf-8", "replace")
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return parse_qs(text, max_num_fields=20).get("reason", [""])[0]
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise HttpError(400, "the body is no JSON") from error
    reason = found.get("reason") if isinstance(found, dict) else None
    return reason if isinstance(reason, str) else ""
