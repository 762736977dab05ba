"""``pacs reidentify``."""

from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pacs_core.api.file_commands import (
    ConfigOption,
    Draft,
    JobsOption,
    Option,
    UsageError,
    complain,
    complain_of_nothing,
    has_dicom,
    map_files,
    say,
    walk,
)
from pacs_deidentify.command import load_assembly, read_key, settings_of
from pacs_deidentify.errors import DeidentificationError

if TYPE_CHECKING:
    from pacs_deidentify.vault import Identifiers


def reidentify(
    source: Path,
    output: Path,
    /,
    *,
    vault: Path,
    key_file: Path | None = None,
    overwrite: Annotated[bool, Option()] = False,
    jobs: JobsOption = 0,
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
    if not has_dicom([source], without=output):
        return complain_of_nothing()
    from pacs_deidentify.vault import Vault

    key = read_key(key_file, settings_of(load_assembly(config)))
    if key is None:
        raise UsageError("say with --key-file which key the vault has")
    identifiers = Vault(vault, key).read()

    def restore_one(found: tuple[Path, bool]) -> str:
        path, named = found
        try:
            _restore_file(path, identifiers, output, overwrite)
        except DeidentificationError as error:
            if str(error).startswith("not a DICOM file") and not named:
                return "skipped"
            complain(f"{path}: {error}")
        except OSError as error:
            complain(f"{path}: {error.strerror or error}")
        else:
            return "done"
        return "refused"

    files = walk([source], without=output)
    outcomes = Counter(map_files(restore_one, files, jobs, label="re-identifying"))
    done, refused = outcomes["done"], outcomes["refused"]
    say(
        f"{done} instance{'' if done == 1 else 's'} re-identified"
        + (f", {refused} refused" if refused else "")
    )
    if refused or done:
        return 1 if refused else 0
    return complain_of_nothing()


def _restore_file(path: Path, identifiers: "Identifiers", output: Path, overwrite: bool) -> None:
    from pacs_deidentify.batch import name_file
    from pacs_deidentify.files import change_file
    from pacs_deidentify.reidentification import reidentify as restore

    draft = Draft(output)
    try:
        names: list[str] = []
        change_file(
            path, lambda dataset: restore(dataset, identifiers), partial(name_file, draft, names)
        )
        target = output.joinpath(*names)
        if target.exists() and not overwrite:
            raise DeidentificationError(f"{target} exists; replace it with --overwrite")
        draft.finish(*names[:-1], name=names[-1])
    finally:
        draft.discard()
