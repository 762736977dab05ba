"""The process that draws a film: ``python -m pacs_sop_print.worker``.

Theory of operation
-------------------
It reads a request in JSON from standard input, and writes files. Pixels, fonts and text are what
anybody may send, and go through libraries written in C; so the process opens what it reads and
writes first, and then takes from itself what drawing does not need: other files, the network,
programs, and more memory than is configured. It is killed when it takes too long. What it was
drawing costs one film then, and no node.
"""

import json
import resource
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from cattrs.preconf.json import make_converter

from pacs_core.api.sandbox import confine
from pacs_sop_print.config import PrintConfig
from pacs_sop_print.documents import WRITERS
from pacs_sop_print.films import Film
from pacs_sop_print.render import Sources, draw


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
        "behaviour": config.behaviour,
        "memory": config.memory,
    }
    return {
        "film": plain,
        "folder": str(folder),
        "target": str(target),
        "font": None if config.font is None else str(config.font),
        "config": drawing,
    }


def main() -> None:
    """Draw what standard input asks for."""
    # Ctrl-C is for the node, which ends its processes itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    request = json.load(sys.stdin)
    config = PrintConfig(**request["config"])
    _limit(config.memory)
    film = make_converter().structure(request["film"], Film)
    folder, font = Path(request["folder"]), request["font"]
    with ExitStack() as opened:
        names = {image.image.file for image in film.images}
        images = {name: opened.enter_context((folder / name).open("rb")) for name in names}
        files = {
            suffix: opened.enter_context(Path(f"{request['target']}.{suffix}").open("wb"))
            for suffix in request["formats"]
        }
        sources = Sources(images, None if font is None else Path(font).read_bytes())
        confine()
        try:
            picture = draw(film, sources, config)
            for suffix, file in files.items():
                if suffix == "dcm":
                    from pacs_sop_print.secondary_capture import encode  # pydicom takes its time

                    file.write(encode(picture, request["attributes"]))
                else:
                    WRITERS[suffix](picture, file)
        except MemoryError:
            megabytes = config.memory >> 20
            sys.exit(f"it takes more than the {megabytes} MiB that `memory` allows")


def _limit(memory: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # each image of a film is open


if __name__ == "__main__":
    main()
