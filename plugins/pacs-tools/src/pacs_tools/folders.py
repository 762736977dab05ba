"""Folders whose files become others in another folder, one by one."""

from collections.abc import Callable
from pathlib import Path

from pacs_core.api.file_commands import CommandError, UsageError, complain, map_files, say, walk
from pacs_core.dataset import MalformedDataset, NotPart10
from pacs_tools.changing import exit_code
from pacs_tools.files import explain


def convert_folder(
    source: Path, output: Path, convert: Callable[[Path, Path], bool], jobs: int
) -> int:
    """Convert the files below a folder; say of each that fails why; return the exit code.

    Parameters
    ----------
    source, output : Path
        Folders. What is made of a file lies below the one as the file does below the other.
    convert : callable
        Given a file, and the folder to write to; False if it is passed over. What it raises fails
        the file, but for `UsageError`, which ends everything.
    jobs : int
        Processes, see `map_files`.
    """

    def convert_one(found: tuple[Path, bool]) -> tuple[bool, bool]:
        """Return whether a file was converted, and whether that failed."""
        path, _ = found
        try:
            return convert(path, output / path.relative_to(source).parent), False
        except UsageError:
            raise
        except CommandError as error:
            reason = str(error)
        except (NotPart10, MalformedDataset, OSError) as error:
            reason = explain(path, False, error)
            reason = f"{path}: {reason}" if reason else ""
        if reason:
            complain(reason)
        return False, bool(reason)

    done = failed = 0
    files = walk([source], without=output)
    for is_done, has_failed in map_files(convert_one, files, jobs, label="converting"):
        done += is_done
        failed += has_failed
    say(f"{done} file{'' if done == 1 else 's'} written")
    return exit_code(done, failed, "the folder has no file to convert")
