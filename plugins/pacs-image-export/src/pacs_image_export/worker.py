"""A process that makes pictures: a request on standard input, an answer on standard output.

Requests are pickled by the node, whom the process trusts; answers are bytes with a length and a
status before them, so that the node need not trust the process.
"""

import pickle
import resource
import signal
import sys
from struct import Struct

from pacs_core.api.sandbox import confine
from pacs_core.contracts import RenderingError

HEAD = Struct("<BQ")
"""Of a message: the status of an answer, 0 for success, and the length of what follows."""

DONE, REFUSED = 0, 1
MEMORY = 4 << 30


def main() -> None:
    """Answer requests until there are no more."""
    # Ctrl-C is for the node, which ends its processes itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    confine()
    from pacs_image_export.pictures import make_picture

    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while len(head := requests.read(HEAD.size)) == HEAD.size:
        request = pickle.loads(requests.read(HEAD.unpack(head)[1]))  # noqa: S301 of our own node
        try:
            status, content = DONE, make_picture(*request)
        except RenderingError as error:
            status, content = REFUSED, str(error).encode("utf-8", "replace")
        except MemoryError:
            status, content = REFUSED, b"it takes more memory than there is for a picture"
        except Exception as error:
            status = REFUSED
            content = f"it cannot be shown: {type(error).__name__}: {error}"[:500].encode()
        answers.write(HEAD.pack(status, len(content)) + content)
        answers.flush()


if __name__ == "__main__":
    main()
