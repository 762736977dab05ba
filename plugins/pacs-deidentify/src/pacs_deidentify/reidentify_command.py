"""``pacs reidentify``."""

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pacs_core.api.commands import (
    ConfigOption,
    Draft,
    UsageError,
    assemble,
    complain,
    load_config,
    progress,
    say,
)
from pacs_deidentify.batch import find_files, name_draft
from pacs_deidentify.command import NOTHING, read_key
from pacs_deidentify.config import DeidentifyConfig
from pacs_deidentify.errors import DeidentificationError
from pacs_deidentify.files import change_file
from pacs_deidentify.reidentification import reidentify as restore
from pacs_deidentify.vault import Identifiers, Vault


def reidentify(
    source: Path,
    output: Path,
    /,
    *,
    vault: Path,
    key_file: Path | None = None,
    overwrite: Annotated[bool, Parameter(negative=())] = False,
    config: ConfigOption = None,
) -> int:
    """Put back into de-identified files who they are of, as a vault says.

    Patient, study and all UIDs become what they were; what else was removed stays so. What is made
    of a file is OUT/STUDY/SERIES/INSTANCE.dcm, by the old UIDs. Nothing of the input is changed.

    Parameters
    ----------
    source
        A file, or a folder with all below it.
    output
        Folder for what is made.
    vault
        What `pacs deidentify --vault` has written.
    key_file
        File with the key; else $PACS_DEIDENTIFY_KEY, or what the configuration says.
    overwrite
        Replace files that exist.
    """
    if not source.exists():
        raise UsageError(f"{source} does not exist")
    if output.resolve() == source.resolve():
        raise UsageError("the input is never changed: name another folder for what is made")
    if not vault.is_file():
        raise UsageError(f"{vault} does not exist")
    settings = assemble(load_config(config)).setup_for("deidentify").config(DeidentifyConfig)
    key = read_key(key_file, settings)
    if key is None:
        raise UsageError("say with --key-file which key the vault has")
    identifiers = Vault(vault, key).read()
    outcomes: Counter[str] = Counter()
    with progress("re-identifying", None) as advance:
        for path in find_files(source, output):
            advance(1)
            try:
                _restore_file(path, identifiers, output, overwrite)
                outcomes["done"] += 1
            except DeidentificationError as error:
                skipped = str(error).startswith("not a DICOM file") and path != source
                outcomes["skipped" if skipped else "refused"] += 1
                if not skipped:
                    complain(f"{path}: {error}")
            except OSError as error:
                outcomes["refused"] += 1
                complain(f"{path}: {error.strerror or error}")
    done, refused = outcomes["done"], outcomes["refused"]
    say(
        f"{done} instance{'' if done == 1 else 's'} re-identified"
        + (f", {refused} refused" if refused else "")
    )
    return 1 if refused else 0 if done else NOTHING


def _restore_file(path: Path, identifiers: Identifiers, output: Path, overwrite: bool) -> None:
    draft = Draft(output)
    try:
        names: list[str] = []
        change_file(
            path, lambda dataset: restore(dataset, identifiers), partial(name_draft, draft, names)
        )
        target = output.joinpath(*names)
        if target.exists() and not overwrite:
            raise DeidentificationError(f"{target} exists; replace it with --overwrite")
        draft.finish(*names[:-1], name=names[-1])
    finally:
        draft.discard()
