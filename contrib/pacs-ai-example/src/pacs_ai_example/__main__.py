"""``pacs-ai-example``: the service as a program."""

import argparse
import signal
import threading

from pacs_ai_example.http_service import make_server


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="pacs-ai-example", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--http", type=int, metavar="PORT", help="serve HTTP; 0 is any port")
    parser.add_argument("--dicom", type=int, metavar="PORT", help="serve DIMSE; 0 is any port")
    parser.add_argument("--ae-title", default="AI_EXAMPLE")
    parser.add_argument(
        "--archive", metavar="AE@HOST:PORT", help="where results of DIMSE go", default=""
    )
    parser.add_argument("--delay", type=float, default=0.0, help="seconds an inference takes more")
    parser.add_argument(
        "--kserve", metavar="URL", help="have a model behind KServe v2 asked over HTTP", default=""
    )
    given = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    ready = []
    if given.http is not None:
        server = make_server((given.host, given.http), delay=given.delay, model_url=given.kserve)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ready.append(f"http:{server.server_address[1]}")
    if given.dicom is not None:
        title, _, address = given.archive.partition("@")
        host, _, port = address.rpartition(":")
        if not (title and host and port):
            parser.error("--dicom needs --archive AE@HOST:PORT")
        from pacs_ai_example.dimse_service import DimseService

        archive = (title, host, int(port))
        listens = (given.host, given.dicom)
        service = DimseService(given.ae_title, listens, archive, given.delay)
        ready.append(f"dicom:{service.port}")
    if not ready:
        parser.error("say --http, --dicom, or both")
    print(f"ready: {' '.join(ready)}", flush=True)
    ended.wait()


if __name__ == "__main__":
    main()
