"""``pacs-ai-example``: the service as a program."""

import argparse
import signal
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

from pacs_ai_example.delay import Delay
from pacs_ai_example.http_service import make_server


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="pacs-ai-example", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--http", type=int, metavar="PORT", help="serve HTTP; 0 is any port")
    parser.add_argument("--dicom", type=int, metavar="PORT", help="serve DIMSE; 0 is any port")
    parser.add_argument(
        "--worklist", metavar="CODE^SCHEME", help="perform work items of this code", default=""
    )
    parser.add_argument("--ae-title", default="AI_EXAMPLE")
    parser.add_argument(
        "--archive",
        metavar="AE@HOST:PORT",
        help="where results of DIMSE go, and work items are",
        default="",
    )
    parser.add_argument(
        "--subscribe",
        action="store_true",
        help="be told of work items, also that one is not wanted any more, in place of looking",
    )
    parser.add_argument("--delay", type=float, default=0.0, help="seconds an inference takes more")
    parser.add_argument(
        "--kserve", metavar="URL", help="have a model behind KServe v2 asked over HTTP", default=""
    )
    parser.add_argument(
        "--state",
        type=Path,
        metavar="FOLDER",
        help="what is under way with --dicom and --worklist; without it, it ends with the program",
    )
    given = parser.parse_args()
    if given.http is None and given.dicom is None and not given.worklist:
        parser.error("say --http, --dicom, --worklist, or several of them")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with TemporaryDirectory() as folder:
        ready = _start(parser, given, given.state or Path(folder), ended)
        print(f"ready: {' '.join(ready)}", flush=True)
        ended.wait()


def _start(
    parser: argparse.ArgumentParser,
    given: argparse.Namespace,
    state: Path,
    ended: threading.Event,
) -> list[str]:
    """Start what was asked for, and say where it is."""
    ready, delay = [], Delay(given.delay)
    if given.http is not None:
        server = make_server((given.host, given.http), delay=delay, model_url=given.kserve)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ready.append(f"http:{server.server_address[1]}")
    if given.dicom is None and not given.worklist:
        return ready
    # What speaks DIMSE takes seconds to import.
    from pacs_ai_example.archive import Archive
    from pacs_ai_example.dimse_service import DimseService
    from pacs_ai_example.events import StepEvents
    from pacs_ai_example.spool import Spool
    from pacs_ai_example.worklist import WorklistClient

    try:
        archive = Archive.read(given.archive, given.ae_title)
    except ValueError as error:
        parser.error(f"--archive: {error}")
    if given.dicom is not None:
        listens = (given.host, given.dicom)
        spool = Spool(state / "dicom")
        service = DimseService(given.ae_title, listens, archive, spool, delay)
        ready.append(f"dicom:{service.port}")
    if given.worklist:
        value, _, scheme = given.worklist.partition("^")
        (state / "worklist").mkdir(parents=True, exist_ok=True)
        events = StepEvents(archive) if given.subscribe else None
        if events is not None:
            threading.Thread(target=events.run, args=(ended,), daemon=True).start()
        client = WorklistClient(archive, (value, scheme), state / "worklist", delay, events)
        threading.Thread(target=client.run, args=(ended,), daemon=True).start()
        ready.append("worklist:0")
    return ready


if __name__ == "__main__":
    main()
