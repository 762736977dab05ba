"""Pages from templates: escaped, in the language of who asks, and free to load our files only."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from pacs_web.api import NavigationEntry, PageRenderer, WebContext
from pacs_web.api.http import HttpError, StreamResponse, read_body
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pacs_core.api.streams import closing
from pacs_core.contracts import Renderer, find_error_status
from pacs_web_ui.changes import check_token
from pacs_web_ui.charts import show_number
from pacs_web_ui.config import WebUiSettings
from pacs_web_ui.texts import COOKIE, choose_language, load_languages, translator

if TYPE_CHECKING:
    from jinja2 import Environment

Page = Callable[[Request], Awaitable[Response]]
"""What answers requests for a page."""

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
CSRF_COOKIE: Final = "pacs_csrf"
UNBUFFERED: Final = {"cache-control": "no-store, no-transform", "x-accel-buffering": "no"}
"""Headers of what is to be seen as it grows: compression, and proxies, would gather it."""

_OURS: Final = Path(__file__).parent
HEADERS: Final = {"content-security-policy": POLICY, "cache-control": "no-store"}


class TemplateRenderer(PageRenderer):
    """Renders templates for requests.

    Parameters
    ----------
    context : WebContext
    settings : WebUiSettings
    folder : Path, optional
        Of another plugin, with its templates and their languages, besides ours.
    """

    def __init__(
        self, context: WebContext, settings: WebUiSettings, folder: Path | None = None
    ) -> None:
        self._context, self._settings = context, settings
        folders = [folder] if folder else []
        further = settings.config.languages
        self._languages = load_languages([*(each / "locale" for each in folders), further])
        self._folders = [each / "templates" for each in (*folders, _OURS)]

    @cached_property
    def _templates(self) -> "Environment":
        # Imported for the first page: a node that none is asked of does without its two megabytes.
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        templates = Environment(
            loader=FileSystemLoader(self._folders), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip
        templates.filters |= {
            "person": show_name,
            "date": show_date,
            "moment": show_moment,
            "number": show_number,
            "size": show_size,
            "bound": show_bound,
        }
        return templates

    def page(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        """Return a page."""
        token = request.cookies.get(CSRF_COOKIE) or secrets.token_urlsafe(24)
        html = self.text(request, template, csrf=token, **values)
        response = HTMLResponse(html, status, headers=HEADERS)
        options: dict[str, Any] = {
            "path": f"{self._context.base_path(request)}/",
            "samesite": "strict",
        }
        options |= {"secure": request.url.scheme == "https"}
        if CSRF_COOKIE not in request.cookies:
            response.set_cookie(CSRF_COOKIE, token, httponly=True, **options)
        if request.query_params.get("lang") in self._languages:
            response.set_cookie(COOKIE, request.query_params["lang"], 1 << 25, **options)
        return response

    def with_problems(self, page: Page) -> Page:
        """Return a handler that shows problems of a page as a page."""

        @wraps(page)
        async def handle(request: Request) -> Response:
            try:
                return await page(request)
            except Exception as error:
                row = find_error_status(error)
                status = error.status if isinstance(error, HttpError) else row.http if row else 500
                if status == 500:
                    raise  # the server logs it
                return self.page(request, "problem.html", status, problem=str(error))

        return handle

    async def form(self, request: Request) -> Mapping[str, str]:
        """Return the fields of a form that one of our pages has made. HttpError 403 if not."""
        text = (await read_body(request, 10_000)).decode("utf-8", "replace")
        fields = {name: values[0] for name, values in parse_qs(text, max_num_fields=20).items()}
        check_token(request, CSRF_COOKIE, fields.get("csrf", ""))
        return fields

    def stream(
        self, request: Request, template: str, parts: AsyncIterator[str], **values: Any
    ) -> Response:
        """Return a page that grows by parts where its template has ``<!-- parts -->``."""
        begin, _, end = self.text(request, template, csrf="", **values).partition("<!-- parts -->")

        async def content() -> AsyncIterator[bytes]:
            yield begin.encode()
            async with closing(parts) as all_parts:
                async for part in all_parts:
                    yield part.encode()
            yield end.encode()

        return StreamResponse(
            content(),
            headers=HEADERS | UNBUFFERED,
            media_type="text/html; charset=utf-8",
        )

    def language(self, request: Request) -> tuple[str, Callable[[str], str]]:
        """Return the language of a page, and what translates into it."""
        language = choose_language(
            self._languages,
            request.query_params.get("lang") or request.cookies.get(COOKIE),
            request.headers.get("accept-language"),
        )
        return language, translator(self._languages[language])

    def text(self, request: Request, template: str, **values: Any) -> str:
        """Return a template filled in."""
        language, translate = self.language(request)
        base = self._context.base_path(request)
        user = self._context.origin_of(request).user
        return self._templates.get_template(template).render(
            t=translate,
            language=language,
            languages=sorted(self._languages),
            base=base,
            dicomweb=self._dicomweb(base),
            pictures=self._context.node.capabilities.provides(Renderer),
            navigation=[
                _entry(each, language, user) for each in self._context.site.navigation if each.path
            ],
            study_pages=[
                (each.titles.get(language, each.title), each.study_path, each.is_viewer)
                for each in self._context.site.navigation
                if each.study_path
            ],
            node=self._context.node.settings,
            path=request.url.path.removeprefix(base),
            may_delete=self._settings.config.deletion,
            **values,
        )

    def _dicomweb(self, base: str) -> str:
        """Return where DICOMweb is, for pictures, upload and download; empty if it is not."""
        sections = self._context.site.sections
        return next((base + each.prefix for each in sections if each.name == "dicomweb"), "")


def _entry(entry: NavigationEntry, language: str, user: str) -> Mapping[str, str]:
    title = entry.titles.get(language, entry.title)
    return {"title": user if entry.is_account and user else title, "path": entry.path}


def show_name(name: str) -> str:
    """Return a person name as people write it: with letters, and with ideographs if it has them.

    The phonetic group is shown where there is no other (PS3.5 §6.2.1.2).
    """
    groups = [group.split("^") for group in name.split("=")[:3]]
    alphabetic, ideographic, phonetic = (
        [part for part in (group[0].strip(), " ".join(group[1:3]).strip()) if part]
        for group in (*groups, *[[""]] * (3 - len(groups)))
    )
    letters, ideographs = ", ".join(alphabetic), " ".join(ideographic)
    if letters and ideographs and alphabetic != ideographic:
        return f"{letters} ({ideographs})"
    return letters or ideographs or " ".join(phonetic)


def show_date(date: str) -> str:
    """Return a date with hyphens (ISO 8601), which is read the same everywhere.

    Old ones have dots (PS3.5 Table 6.2-1, note).
    """
    plain = date.strip()
    digits = plain.replace(".", "") if plain[4:5] == plain[7:8] == "." else plain
    is_date = len(digits) == 8 and digits.isdigit()
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}" if is_date else plain


def show_moment(moment: datetime) -> str:
    """Return a moment in UTC, to the second (ISO 8601 but for the space)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def show_size(size: float) -> str:
    """Return a number of bytes with a decimal prefix."""
    units = ("B", "kB", "MB", "GB", "TB")
    power = next((n for n in range(len(units) - 1) if size < 999.5 * 1000**n), len(units) - 1)
    return f"{show_number(size / 1000**power)} {units[power]}"


def show_bound(milliseconds: float) -> str:
    """Return an upper bound of durations; below 0 there is none."""
    return "> 60 s" if milliseconds < 0 else f"{show_number(milliseconds)} ms"
