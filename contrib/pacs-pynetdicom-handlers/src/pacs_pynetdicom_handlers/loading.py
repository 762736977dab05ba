"""The import of the user's module, and what is found in it."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from attrs import frozen
from pynetdicom import AE, evt

from pacs_pynetdicom_handlers.config import HandlersConfig

Handler = tuple[Callable[..., Any], list[Any] | None]

ANSWERED = (
    evt.EVT_C_ECHO,
    evt.EVT_C_STORE,
    evt.EVT_C_FIND,
    evt.EVT_C_GET,
    evt.EVT_C_MOVE,
    evt.EVT_N_ACTION,
    evt.EVT_N_CREATE,
    evt.EVT_N_DELETE,
    evt.EVT_N_EVENT_REPORT,
    evt.EVT_N_GET,
    evt.EVT_N_SET,
)
"""The events that requests cause; associations are negotiated by the node."""


@frozen
class LoadedHandlers:
    """What the user's module has.

    Attributes
    ----------
    handlers : mapping
        A handler and its further arguments by event.
    ae : pynetdicom.AE or None
    """

    handlers: Mapping[Any, Handler]
    ae: AE | None = None


def load_handlers(config: HandlersConfig) -> LoadedHandlers:
    """Import the user's module.

    Raises
    ------
    ValueError
        It has no handlers, or some that would not be called.
    """
    if problems := config.problems():
        raise ValueError("; ".join(problems))
    module = _import_file(Path(config.file)) if config.file else import_module(config.module)
    given = getattr(module, config.handlers, None)
    if callable(given):
        given = given()
    if not given:
        raise ValueError(
            f"{module.__name__} has no list {config.handlers!r} of (event, handler); if it is made "
            'under `if __name__ == "__main__":`, move it up to the module'
        )
    ae = getattr(module, config.ae, None)
    handlers = {each[0]: _handler(*each) for each in given}
    return LoadedHandlers(handlers, ae if isinstance(ae, AE) else None)


def _handler(
    event: Any, function: Callable[..., Any], arguments: list[Any] | None = None
) -> Handler:
    # A guard that is not called must not seem to guard.
    if event not in ANSWERED:
        raise ValueError(
            f"{event.name}: associations are negotiated by the node, which would not call "
            f"{getattr(function, '__name__', function)}; remove it, and configure the node instead"
        )
    return function, arguments


def _import_file(path: Path) -> ModuleType:
    spec = spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is no Python file")
    module = module_from_spec(spec)
    # As if it was started: what lies beside it can be imported, and its classes be pickled.
    sys.path.insert(0, str(path.resolve().parent))
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module
