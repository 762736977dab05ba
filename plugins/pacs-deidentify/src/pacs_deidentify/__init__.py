"""De-identification by the profiles of PS3.15 Annex E: ``pacs deidentify``."""

from collections.abc import Callable, Iterable

from pacs_core.contracts import CliCommandDescriptor, Setup
from pacs_core.plugins import hookimpl
from pacs_deidentify.config import DeidentifyConfig

__all__ = ["DeidentifyConfig", "pacs_check", "pacs_cli_commands", "pacs_config"]


def _load() -> Callable[..., int | None]:
    from pacs_deidentify.command import deidentify

    return deidentify


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.deidentify]``."""
    return DeidentifyConfig


@hookimpl
def pacs_check(setup: Setup) -> Iterable[str]:
    """Return what is wrong with profiles."""
    from pacs_deidentify.profiles import problems_of

    return problems_of(setup.config(DeidentifyConfig))


@hookimpl
def pacs_cli_commands() -> list[CliCommandDescriptor]:
    """Return the command."""
    return [CliCommandDescriptor("deidentify", "De-identify DICOM files.", _load)]
