"""The command: its signature and docstring are the command line."""

from pathlib import Path

from pacs_core.api.commands import load_config

from modality_count.counts import Counts


def modality_count(*, config: Path | None = None, data: Path | None = None) -> None:
    """Print how many instances were stored of each modality, and are still there.

    Parameters
    ----------
    config
        Config file; else $PACS_CONFIG, else pacs.toml if there is one.
    data
        Data directory, instead of the configured.
    """
    node = {"data_directory": None if data is None else str(data)}
    settings = load_config(config, {"node": node}).settings
    for modality, count in Counts(settings.data_directory).read():
        print(f"{modality:<8} {count:>7}")
