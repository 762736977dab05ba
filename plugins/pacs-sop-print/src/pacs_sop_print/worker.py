"""The process that draws a film: ``python -m pacs_sop_print.worker``.

It reads a request in JSON from standard input, and writes files. It is killed when it takes too
long; what it was drawing costs one film then, and no node.
"""

import json
import sys
from pathlib import Path
from typing import Any

from cattrs.preconf.json import make_converter

from pacs_sop_print.config import PrintConfig
from pacs_sop_print.documents import WRITERS
from pacs_sop_print.films import Film
from pacs_sop_print.render import draw


def draw_request(film: Film, folder: Path, target: Path, config: PrintConfig) -> dict[str, Any]:
    """Return a request to draw a film into ``TARGET.png``, ``TARGET.pdf`` and so on."""
    plain: Any = make_converter().unstructure(film)
    drawing = {
        "resolution": config.resolution,
        "high_resolution": config.high_resolution,
        "min_density": config.min_density,
        "max_density": config.max_density,
        "margin": config.margin,
        "gap": config.gap,
        "font": None if config.font is None else str(config.font),
        "behaviour": config.behaviour,
    }
    return {"film": plain, "folder": str(folder), "target": str(target), "config": drawing}


def main() -> None:
    """Draw what standard input asks for."""
    request = json.load(sys.stdin)
    film = make_converter().structure(request["film"], Film)
    drawing = request["config"]
    font = drawing.pop("font")
    config = PrintConfig(font=None if font is None else Path(font), **drawing)
    picture = draw(film, Path(request["folder"]), config)
    for suffix in request["formats"]:
        if suffix == "dcm":
            from pacs_sop_print.secondary_capture import encode  # pydicom takes its time

            dataset = encode(picture, request["attributes"])
            Path(f"{request['target']}.dcm").write_bytes(dataset)
        else:
            WRITERS[suffix](picture, Path(f"{request['target']}.{suffix}"))


if __name__ == "__main__":
    main()
