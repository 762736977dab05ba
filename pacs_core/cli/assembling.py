"""The archive of this machine, assembled for a command."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Any

from pacs_core.app import Assembly, assemble_file, open_transcoder, restrict_files
from pacs_core.cli.logs import configure_logging
from pacs_core.cli.options import LocalOptions
from pacs_core.contracts import PassThrough, Transcoder

Overrides = Mapping[str, Mapping[str, Any]]


def assemble_local(options: LocalOptions, level: str = "warning") -> Assembly:
    """Return the assembly of this machine's archive; log at `level` unless an option says else."""
    configure_logging(options.log_level or level)
    return assemble_for_command(options.config, options.data)


def assemble_for_command(config: Path | None = None, data: Path | None = None) -> Assembly:
    """Return the assembly of this machine's node for a command, whose files are the node's.

    What the process makes from now on has the mode that ``[node] file_mode`` says.

    Parameters
    ----------
    config : Path, optional
        Config file, as of :data:`ConfigOption`.
    data : Path, optional
        Data directory instead of the configured, as of :data:`DataOption`.

    Raises
    ------
    ConfigError, PluginError
        As of :func:`load_assembly`.
    """
    assembly = load_assembly(config, {"node": {"data_directory": text(data)}})
    restrict_files(assembly)
    return assembly


def text(path: Path | None) -> str | None:
    """Return a path as a config file has it."""
    return None if path is None else str(path)


def load_assembly(path: Path | None, overrides: Overrides | None = None) -> Assembly:
    """Load configuration and plugins.

    Raises
    ------
    ConfigError
        With every problem of the kernel's tables and the plugins', and all that no plugin
        provides.
    PluginError
        A required plugin is not available.
    """
    return assemble_file(path, overrides)


def transcoder_for_command(
    config: Path | None, *, is_needed: bool
) -> AbstractAsyncContextManager[Transcoder]:
    """Return what opens the transcoder of a configuration; one without codecs if none is needed.

    Parameters
    ----------
    config : Path, optional
        Config file, as of :data:`ConfigOption`.
    is_needed : bool
        If not, no plugin is imported.

    Raises
    ------
    ConfigError, PluginError
        As of :func:`load_assembly`.
    """
    return open_transcoder(load_assembly(config)) if is_needed else nullcontext(PassThrough())
