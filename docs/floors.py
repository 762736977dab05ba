"""Picture of the floors: the kernel's layers as the import contract has them."""

import tomllib
from itertools import pairwise
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"

# The way of a C-STORE: on which floor each step is, and what it is called in the picture.
_STEPS = (
    ("association", "socket"),
    ("upper_layer", "PDUs"),
    ("dimse", "message"),
    ("association", "task"),
    ("contracts", "C-STORE provider"),
    ("archive", "ingest"),
    ("dataset", "header scan"),
    ("contracts", "object store"),
    ("contracts", "index"),
    ("association", "0000H"),
)
_KNOWLEDGE = {
    "api": "what plugins may import",
    "cli": "commands; node and peers for tests",
    "conformance": "the statement",
    "app": "composition root, lifespan, workers",
    "config": "tables, secrets",
    "archive": "ingest, audit, events; sending; meter",
    "association": "both roles, timers, limits",
    "tls": "TLS contexts; planner, codec processes",
    "plugins": "quarantine, registry; queries as SQL",
    "contracts": "providers, stores, indexes, codecs",
    "query": "conditions, keys, matching",
    "concurrency": "threads, signals; messages; frames",
    "dataset": "header scanner, Part 10; PDUs, Table 9-10",
}
_HEIGHT = 44


def floors_picture() -> str:
    """Return the floors of the kernel as the import contract has them, as SVG."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in contracts if each["type"] == "layers")
    sans_io = next(each for each in contracts if "does no input" in each["name"])
    floors = [layer.split(" | ") for layer in layers]
    y = {room: 56 + _HEIGHT * n for n, rooms in enumerate(floors) for room in rooms}
    height = 56 + _HEIGHT * len(floors) + 40
    parts = [_SVG_HEAD.format(height=height)]
    for rooms in floors:
        pure = [f"pacs_core.{room}" in sans_io["source_modules"] for room in rooms]
        fill, top = "#e8f0fe" if all(pure) else "#f4f4f4", y[rooms[0]]
        colours = ["#3b5fa8" if each else "#000" for each in pure]
        names = " · ".join(
            f'<tspan fill="{colour}">{room}</tspan>'
            for room, colour in zip(rooms, colours, strict=True)
        )
        parts.append(
            f'<rect x="20" y="{top}" width="1180" height="{_HEIGHT - 4}" rx="6" fill="{fill}"/>\n'
            f'<text x="34" y="{top + 18}" font-weight="600" font-size="14">{names}'
            f'</text><text x="34" y="{top + 34}" fill="#555">{_KNOWLEDGE[rooms[0]]}</text>\n'
        )
    spots = [(340 + 90 * n, y[floor] + 14) for n, (floor, _) in enumerate(_STEPS)]
    for (x1, y1), (x2, y2) in pairwise(spots):
        parts.append(
            f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="#b3261e" stroke-width="1.6"/>\n'
        )
    for number, ((x, top), (_, name)) in enumerate(zip(spots, _STEPS, strict=True), start=1):
        parts.append(
            f'<circle cx="{x}" cy="{top}" r="11" fill="#b3261e"/>'
            f'<text x="{x}" y="{top + 4}" fill="#fff" text-anchor="middle" font-weight="600">'
            f'{number}</text><text x="{x}" y="{top + 24}" text-anchor="middle" font-size="11">'
            f"{name}</text>\n"
        )
    legend = "Blue rooms are sans-IO: bytes in, events out; no socket, no clock."
    parts.append(f'<text x="34" y="{height - 16}" fill="#3b5fa8">{legend} ')
    parts.append("A floor imports only those below it.</text></svg>\n")
    return "".join(parts)


_SVG_HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1220 {height}" '
    'font-family="system-ui, sans-serif" font-size="12">\n'
    '<rect width="1220" height="{height}" fill="#fff"/>'
    '<text x="20" y="36" font-size="18" font-weight="600">'
    "The way of a C-STORE through the floors</text>\n"
)
