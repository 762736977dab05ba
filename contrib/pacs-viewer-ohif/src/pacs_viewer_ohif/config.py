"""The table ``[plugin.viewer-ohif]``."""

import json
import re
from pathlib import Path
from typing import Any

from attrs import Attribute, field, frozen

_PATH = re.compile(r"(/[a-z0-9-]+)+")


def _check_path(_: object, attribute: "Attribute[str]", path: str) -> None:
    if not _PATH.fullmatch(path):
        raise ValueError(f"{attribute.name} is {path!r}, not a path such as '/viewer'")


def _check_settings(_: object, attribute: "Attribute[Path | None]", path: Path | None) -> None:
    if path is not None:
        read_settings(path)


@frozen
class OhifConfig:
    """How OHIF is served.

    Attributes
    ----------
    path : str
        Where, below the root of the site.
    settings : Path or None
        A JSON file whose members replace those of OHIF's ``window.config``, such as
        ``hotkeys`` or ``whiteLabeling``.
    segmentations : bool
        Whether segmentations can be opened. The library by which OHIF reads them makes functions
        of text, so the page's Content-Security-Policy then allows ``'unsafe-eval'``.
    """

    path: str = field(default="/viewer", validator=_check_path)
    settings: Path | None = field(default=None, validator=_check_settings)
    segmentations: bool = True


def read_settings(path: Path) -> dict[str, Any]:
    """Return a site's own settings.

    Raises
    ------
    ValueError
        The file cannot be read, or is not a JSON object.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path}: not a JSON object")
    return found
