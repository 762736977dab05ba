"""A model behind KServe v2, asked through the example; the server holds to the protocol."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import prod
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from pydicom.uid import ComprehensiveSRStorage, SegmentationStorage

from pacs_core.testing.waiting import until

MODEL = "/v2/models/lesion-net/versions/3"
RESULTS = {SegmentationStorage, ComprehensiveSRStorage}


@define
class Model:
    """What the server of the model has seen, and how it answers next."""

    url: str = ""
    statuses: list[int] = field(factory=list)
    lose: str = ""

    def infer(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer an inference request (Open Inference Protocol, REST)."""
        (tensor,) = body["inputs"]
        good = (
            (tensor["name"], tensor["datatype"]) == ("image", "FP32")
            and len(tensor["shape"]) == 4
            and len(tensor["data"]) == prod(tensor["shape"])
            and body["outputs"] == [{"name": "mask"}]
        )
        if not good:
            return 400, {"error": "the input is not what the model takes"}
        data = [int(each > 200) for each in tensor["data"]]
        shape = [*tensor["shape"]]
        if self.lose == "shape":
            shape[1] += 1
        mask = {"name": "mask", "shape": shape, "datatype": "UINT8", "data": data}
        named = {"model_name": "lesion-net", "model_version": "3"}
        return 200, {**({} if self.lose == "name" else named), "outputs": [mask]}


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    model = Model()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = model.infer(body) if self.path == f"{MODEL}/infer" else (404, {})
            if not model.statuses:
                status, answer = 503, {"error": "the model is loading"}
            model.statuses.append(status)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        model.url = f"http://127.0.0.1:{server.server_address[1]}{MODEL}"
        yield model
        server.shutdown()


def test_a_model_behind_kserve_is_asked_and_its_mask_archived_as_segmentation(
    model: Model, tools: Any, tmp_path: Path
) -> None:
    """While it loads it is asked again; what cannot be its answer is no result."""
    with tools.run_example("--http", "0", "--kserve", model.url) as bridge:
        url = f"http://127.0.0.1:{bridge.http}/infer"
        services = {"lesion": {"adapter": "rest-push", "url": url, "version": "3"}}
        with tools.open_site(tmp_path, services) as site:
            images = tools.make_series()
            study = str(images[0].StudyInstanceUID)
            site.store(images)
            request = site.finish(site.ask("lesion", study).number)
            assert request.state == "answered", request.reason
            assert model.statuses == [503, 200]
            until(lambda: set(site.instances(study).values()) >= RESULTS)
            results = site.results(request=request.number)
            assert {each.state for each in results} == {"archived"}
            assert {each.algorithm for each in results} == {"lesion-net 3 (pacs-core)"}
            for lose, reason in (("shape", "the mask has the shape"), ("name", "which model")):
                model.lose = lose
                failed = site.finish(site.ask("lesion", study, again=True).number)
                assert failed.state == "failed"
                assert reason in failed.reason
            assert len(site.instances(study)) == len(images) + 2
