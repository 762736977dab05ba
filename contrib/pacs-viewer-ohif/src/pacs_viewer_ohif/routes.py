"""Routes of the viewer: its page, its settings, its files.

OHIF is a page that rewrites its own path, so every path below the viewer that is not a file is the
page. It is written here, not taken from OHIF: that one has scripts within it, which a strict
Content-Security-Policy forbids, and absolute paths.
"""

from html import escape
from pathlib import Path
from typing import Final

from pacs_web.api import WebContext
from pacs_web.api.http import HttpError
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from pacs_viewer_ohif.config import OhifConfig, read_settings
from pacs_viewer_ohif.settings import settings_script

APP: Final = Path(__file__).parent / "app"

POLICY: Final = (
    "default-src 'self'; "
    # WebAssembly, and workers that OHIF makes of blobs.
    "script-src 'self' 'wasm-unsafe-eval' blob:; worker-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; "
    "connect-src 'self' blob: data:; object-src 'self' blob:; frame-src 'self' blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
# The codecs bind their functions by `new Function`. They run in workers, which have neither a page
# nor cookies to read, and are subject to the policy of their own script.
WORKER_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval' 'unsafe-eval' blob:; "
    "connect-src 'self' blob: data:; worker-src 'self' blob:"
)
# So does the library of arrays by which OHIF reads segmentations, in the page itself.
SEGMENTATION_POLICY: Final = POLICY.replace(
    "'wasm-unsafe-eval'", "'wasm-unsafe-eval' 'unsafe-eval'", 1
)
_FOREVER: Final = "public, max-age=31536000, immutable"  # names contain a digest of the content
_ASK_AGAIN: Final = "no-cache"

_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>OHIF Viewer</title>
<link rel="icon" href="{base}assets/favicon.ico">
<link rel="stylesheet" href="{base}app.bundle.css">
<script src="{base}settings.js"></script>
<script defer src="{base}{bundle}"></script>
</head>
<body>
<noscript>OHIF needs JavaScript.</noscript>
<div id="react-portal"></div>
<div id="root"></div>
</body>
</html>
"""


def create_routes(context: WebContext, config: OhifConfig) -> list[BaseRoute]:
    """Return the routes of the viewer.

    Raises
    ------
    LookupError
        OHIF was not built into this distribution, or nothing serves DICOMweb.
    """
    bundle = _main_bundle()
    files = {path.relative_to(APP).as_posix(): path for path in APP.rglob("*") if path.is_file()}
    workers = frozenset((APP / "WORKERS").read_text(encoding="utf-8").split())
    own = read_settings(config.settings) if config.settings else {}
    dicomweb = _dicomweb_prefix(context)
    page_policy = SEGMENTATION_POLICY if config.segmentations else POLICY

    async def page(request: Request) -> Response:
        base = escape(f"{context.base_path(request)}{config.path}/")
        return Response(
            _PAGE.format(base=base, bundle=bundle),
            media_type="text/html",
            headers={"content-security-policy": page_policy, "cache-control": _ASK_AGAIN},
        )

    async def settings(request: Request) -> Response:
        public = f"{context.base_path(request)}{config.path}/"
        script = settings_script(public, f"{context.base_url(request)}{dicomweb}", own)
        return Response(script, media_type="text/javascript", headers={"cache-control": _ASK_AGAIN})

    async def file_or_page(request: Request) -> Response:
        name = request.path_params["name"]
        if path := files.get(name):  # names are looked up, never made into paths
            caching = _FOREVER if ".bundle." in name or path.suffix == ".wasm" else _ASK_AGAIN
            policy = WORKER_POLICY if name in workers else POLICY
            headers = {"content-security-policy": policy, "cache-control": caching}
            return FileResponse(path, headers=headers)
        if "." in name.rpartition("/")[2]:
            raise HttpError(404, f"the viewer has no file {name!r:.100}")
        return await page(request)

    return [
        Route("/", page),
        Route("/settings.js", settings),
        Route("/{name:path}", file_or_page),
    ]


def _main_bundle() -> str:
    found = sorted(APP.glob("app.bundle.*.js"))
    if len(found) != 1:
        raise LookupError(
            "OHIF was not built into this distribution: run contrib/pacs-viewer-ohif/build.py, or "
            "install a wheel that it has made"
        )
    return found[0].name


def _dicomweb_prefix(context: WebContext) -> str:
    prefixes = [each.prefix for each in context.site.sections if each.name == "dicomweb"]
    if not prefixes:
        raise LookupError("OHIF needs DICOMweb: install pacs-dicomweb, or enable it")
    return prefixes[0]
