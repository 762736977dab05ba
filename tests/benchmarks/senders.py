"""Programs that send files, measured by what they are called with."""

import sys
from collections.abc import Sequence
from pathlib import Path

from .contestant import Contestant
from .contestants import CONTESTANTS, dcmtk, needs, needs_module
from .converters import CONVERTERS
from .tools import TOOLBOXES


def _pacs_store(directory: Path, port: int, _: int) -> Sequence[str]:
    program = [sys.executable, "-m", "pacs_core.cli.main", "store", "--log-level", "warning"]
    return [*program, f"SINK@127.0.0.1:{port}", str(directory)]


def _storescu(directory: Path, port: int, _: int) -> Sequence[str]:
    options = ["--quiet", "+sd", "+r", "-xe", "-R", "--max-send-pdu", "131072", "-aec", "SINK"]
    return [dcmtk("storescu"), *options, "127.0.0.1", str(port), str(directory)]


def _pynetdicom(directory: Path, port: int, _: int) -> Sequence[str]:
    program = [sys.executable, "-W", "ignore", "-m", "pynetdicom", "storescu"]
    return [*program, "-q", "-r", "-cx", "-pdu", "131072", "127.0.0.1", str(port), str(directory)]


_SENDS = frozenset({"send"})

SENDERS = (
    Contestant(
        "ours-store",
        durable=False,
        does=_SENDS,
        command=_pacs_store,
        settings="pacs store, one association, its default window of operations",
    ),
    Contestant(
        "dcmtk-storescu",
        durable=False,
        does=_SENDS,
        command=_storescu,
        settings="+sd +r -xe -R --max-send-pdu 131072 --quiet, TCP_NODELAY=1",
        missing=needs("storescu"),
    ),
    Contestant(
        "pynetdicom-storescu",
        durable=False,
        does=_SENDS,
        command=_pynetdicom,
        settings="-q -r -cx -pdu 131072",
        missing=needs_module("pynetdicom"),
    ),
)


def chosen(names: Sequence[str]) -> list[Contestant]:
    """Return those of all whose names begin with one of those given; all if none is given."""
    return [
        contestant
        for contestant in (*CONTESTANTS, *SENDERS, *CONVERTERS, *TOOLBOXES)
        if not names or contestant.name.startswith(tuple(names))
    ]
