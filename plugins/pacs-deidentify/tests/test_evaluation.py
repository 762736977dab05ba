"""All that the answer key of the evaluation asks for is done, by the command and on the way out."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

from pacs_deidentify.pseudonyms import Pseudonyms
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt

from pacs_core.testing.node import node_thread

from .evaluation_set import CLASSES, Scorer, make_cases
from .test_files import run, save

__all__ = ["run"]

PAGE = Path(__file__).parents[3] / "docs/explanation/deidentification-evaluated.md"
MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
KEY = "a key of some length"
PLUGINS = (
    "store-filesystem", "index-sqlite", "audit-json", "sop-storage", "codec-basic",
    "sop-query-retrieve", "deidentify",
)  # fmt: skip
CONFIG = """
[plugin.deidentify]
profile = "research"
[plugin.deidentify.profiles.research]
options = [
    "clean-pixel-data", "clean-descriptors", "clean-structured-content", "clean-graphics",
    "retain-modified-dates", "retain-patient-characteristics", "retain-safe-private",
]
[[plugin.deidentify.devices]]
modality = "US"
manufacturer = "ACME"
regions = [[0, 0, 48, 8]]
"""


def test_answers(run: Callable, tmp_path: Path) -> None:
    cases = {}
    for number, case in enumerate(make_cases()):
        path = Path("in") / f"{number}"
        save(tmp_path / path, case.dataset)
        cases[str(path)] = case
    (tmp_path / "pacs.toml").write_text(CONFIG)
    result = run("in", "out", "--config", "pacs.toml", "--report", "r", "--json", "--jobs", 1)
    assert (result.code, result.err) == (0, "")
    scorer = Scorer()
    for line in map(json.loads, result.out.splitlines()):
        scorer.add(cases.pop(line["source"]), tmp_path / "out" / line["target"])
    assert cases == {}
    assert scorer.score.wrong == []
    for category, required in scorer.score.required.items():
        assert f"| {category} | {required} | {required} |" in PAGE.read_text(encoding="utf-8")


def test_the_key_finds_everything_where_nothing_was_done(tmp_path: Path) -> None:
    """What was planted counts as left, and what was to be made as missing."""
    cases = list(make_cases())[:4]
    scorer = Scorer()
    for number, case in enumerate(cases):
        scorer.add(case, save(tmp_path / f"{number}", case.dataset))
    wrong = [line for line in scorer.score.wrong if not line.startswith("marks")]
    kept = {"text_retained", "text_notnull", "tag_retained", "patid_consistent", "pixels_retained"}
    expected = [row for case in cases for row in case.answers if row.action not in kept]
    assert len(wrong) == len(expected)


def test_answers_of_a_node(tmp_path: Path) -> None:
    """The same, of what an archive sends to a peer that is to get pseudonyms (C-MOVE)."""
    cases = list(make_cases())
    received: dict[str, bytes] = {}
    ae = AE("RESEARCH")
    for uid in CLASSES.values():
        ae.add_supported_context(uid, ExplicitVRLittleEndian)
        ae.add_requested_context(uid, ExplicitVRLittleEndian)
    ae.add_requested_context(MOVE, ExplicitVRLittleEndian)

    def store(event: evt.Event) -> int:
        received[event.request.AffectedSOPInstanceUID] = event.encoded_dataset()
        return 0

    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    try:
        port = server.socket.getsockname()[1]
        address = {"ae_title": "RESEARCH", "host": "127.0.0.1", "port": port}
        tables = tomllib.loads(CONFIG)
        (tmp_path / "key").write_text(KEY)
        tables["plugin"]["deidentify"]["key"] = {"file": str(tmp_path / "key")}
        tables["peers"] = {"research": {**address, "deidentify": "research"}}
        with node_thread(tmp_path / "data", tables, plugins=PLUGINS) as node:
            association = ae.associate("127.0.0.1", node.peer.port, ae_title="PACS")
            for case in cases:
                assert association.send_c_store(case.dataset).Status == 0
            for uid in {case.dataset.StudyInstanceUID for case in cases}:
                keys = Dataset()
                keys.QueryRetrieveLevel, keys.StudyInstanceUID = "STUDY", uid
                *_, (final, _) = association.send_c_move(keys, "RESEARCH", MOVE)
                assert (final.Status, final.NumberOfCompletedSuboperations) == (0, 4)
            association.release()
    finally:
        server.shutdown()
    scorer = Scorer()
    for case in cases:
        path = tmp_path / "made.dcm"
        path.write_bytes(received.pop(Pseudonyms(KEY.encode()).uid(case.dataset.SOPInstanceUID)))
        scorer.add(case, path)
    assert received == {}
    assert scorer.score.wrong == []
