"""A process that de-identifies files for a node: requests on standard input, answers on output.

Requests are pickled by the node, whom the process trusts; answers are lines of JSON, so that the
node need not trust the process, which reads what anybody may have sent.
"""

import json
import pickle
import resource
import signal
import sys
import warnings
from pathlib import Path
from struct import Struct

from attrs import frozen

from pacs_core.api.sandbox import confine
from pacs_deidentify.profile import Profile

HEAD = Struct("<Q")
"""Of a request: its length."""

MEMORY = 4 << 30


@frozen
class Request:
    """What is to be done.

    Attributes
    ----------
    source, target : Path
        DICOM files; the target does not exist yet.
    profile : Profile
    """

    source: Path
    target: Path
    profile: Profile


def main() -> None:
    """Answer requests until there are no more."""
    # Ctrl-C is for the node, which ends its processes itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    confine(files=False)
    # pydicom warns of what is not valid in a file; that is not for us to judge.
    warnings.simplefilter("ignore")
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while len(head := requests.read(HEAD.size)) == HEAD.size:
        request = pickle.loads(requests.read(HEAD.unpack(head)[0]))  # noqa: S301 of our own node
        answers.write(json.dumps(answer(request)).encode() + b"\n")
        answers.flush()


def answer(request: Request) -> dict[str, object]:
    """Do what is requested, and say what was made; or in ``refused``, why not."""
    from pacs_deidentify.errors import CompressedPixelsError, DeidentificationError
    from pacs_deidentify.files import deidentify_file, open_file
    from pacs_deidentify.leaks import find_leaks

    profile = request.profile
    try:
        with request.target.open("xb") as target:
            report = deidentify_file(request.source, profile, lambda made: target)
        if profile.proves:
            found = find_leaks(request.target, report.evidence, dates_move=profile.moves_dates)
            if found.leaks:
                where = ", ".join(found.leaks)
                return {"refused": f"it would still show who it is of, in {where}"}
        with open_file(request.target) as read:
            return {
                "sop_class_uid": read.meta.sop_class_uid,
                "sop_instance_uid": report.sop_instance_uid,
                "transfer_syntax_uid": read.meta.transfer_syntax_uid,
                "dataset_offset": read.meta.dataset_offset,
                "warnings": report.warnings,
            }
    except CompressedPixelsError as error:
        return {"compressed": str(error)}
    except DeidentificationError as error:
        return {"refused": str(error)}
    except (MemoryError, RecursionError):
        return {"refused": "it takes more memory than there is to de-identify it"}
    except Exception as error:
        # Its text may be a value of the instance.
        return {"refused": f"it cannot be de-identified: {type(error).__name__}"}


if __name__ == "__main__":
    main()
