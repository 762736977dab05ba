"""The table ``[plugin.pynetdicom-handlers]``."""

from pathlib import Path

from attrs import field, frozen, validators


@frozen
class HandlersConfig:
    """Where the handlers are, and what they may take.

    Attributes
    ----------
    module : str
        Module that has them, importable where the node runs: ``acme.server``.
    file : str
        Or the Python file that has them, relative to the working directory.
    handlers : str
        Name of the list of ``(event, handler)`` and ``(event, handler, arguments)`` in it, or of a
        function without arguments that returns it.
    ae : str
        Name of the ``AE`` in it, if it has one: its supported contexts are served.
    sop_classes : tuple of str
        UIDs of SOP classes, or names as in ``pynetdicom.sop_class``, to serve instead.
    threads : int
        Handlers that run at once.
    max_dataset : int
        Bytes of the largest dataset that is taken; a handler has it in memory.
    """

    module: str = ""
    file: str = ""
    handlers: str = field(default="handlers", validator=validators.min_len(1))
    ae: str = field(default="ae", validator=validators.min_len(1))
    sop_classes: tuple[str, ...] = ()
    threads: int = field(default=16, validator=validators.ge(1))
    max_dataset: int = field(default=256 << 20, validator=validators.ge(1))

    @property
    def is_set(self) -> bool:
        """Whether there are handlers to load."""
        return bool(self.module or self.file)

    def problems(self) -> list[str]:
        """Return what is wrong beyond types, as sentences."""
        found = []
        if self.module and self.file:
            found.append("set module or file, not both")
        if self.file and not Path(self.file).is_file():
            found.append(f"file: there is no file {self.file!r}, seen from {Path.cwd()}")
        return found
