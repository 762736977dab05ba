"""``pacs archive aside``: what keep-first has set aside, and what becomes of it."""

from pathlib import Path

import pytest


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def aside(pacs, data: Path, samples: Path, tmp_path: Path) -> str:
    """Key of an object that was set aside."""
    original = samples / "CT_small.dcm"
    other = tmp_path / "other.dcm"
    other.write_bytes(original.read_bytes().replace(b"CompressedSamples", b"CompressedSamplez"))
    pacs("import", "--data", data, original)
    assert "1 set-aside" in pacs("import", "--data", data, other).out
    return keys(pacs, data)[0]


def keys(pacs, data: Path) -> list[str]:
    listed = pacs("archive", "aside", "list", "--data", data)
    assert listed.code == 0
    return [line.split()[0] for line in listed.out.splitlines()[1:]]


def served(pacs, data: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((data / "objects").rglob("*.dcm"))]


def test_nothing_is_set_aside(pacs, data: Path) -> None:
    data.mkdir()
    listed = pacs("archive", "aside", "list", "--data", data)
    assert (listed.code, listed.out) == (0, "nothing is set aside\n")


def test_show_says_how_they_differ(pacs, data: Path, aside: str) -> None:
    shown = pacs("archive", "aside", "show", aside, "--data", data)
    assert shown.code == 0
    first, second, name, last = shown.out.splitlines()
    assert first.startswith(f"set aside: {aside}: ")
    assert first.endswith("whole")
    assert second.startswith("served: ")
    assert name == "PatientName: 'CompressedSamplez^CT1', served is 'CompressedSamples^CT1'"
    assert last.startswith("the datasets differ from byte ")


def test_promote_and_rebuild(pacs, data: Path, aside: str) -> None:
    would = pacs("archive", "aside", "promote", aside, "--data", data)
    assert would.code == 0
    assert "--yes" in would.out
    assert keys(pacs, data) == [aside]
    done = pacs("archive", "aside", "promote", aside, "--yes", "--data", data)
    assert done.code == 0
    (now,) = keys(pacs, data)
    assert now != aside
    assert pacs("index", "verify", "--content", "--data", data).code == 0
    pacs("index", "rebuild", "--data", data)
    assert keys(pacs, data) == [now]
    assert '"promoted"' in (data / "audit" / "audit.jsonl").read_text()


def test_discard(pacs, data: Path, aside: str) -> None:
    pacs("archive", "aside", "discard", aside, "--data", data)
    assert keys(pacs, data) == [aside]
    assert pacs("archive", "aside", "discard", aside, "--yes", "--data", data).code == 0
    assert keys(pacs, data) == []
    assert len(served(pacs, data)) == 1
    assert pacs("index", "verify", "--data", data).out == "0 faults, 0 set aside\n"


@pytest.mark.parametrize("verb", ["show", "promote", "discard"])
@pytest.mark.parametrize("key", ["", "nothing", "../../etc/passwd", "served"])
def test_what_is_not_set_aside_is_left_alone(
    pacs, data: Path, aside: str, verb: str, key: str
) -> None:
    if key == "served":
        key = aside.partition("-")[0] + ".dcm"
    before = served(pacs, data)
    yes = [] if verb == "show" else ["--yes"]
    refused = pacs("archive", "aside", verb, key, *yes, "--data", data)
    assert refused.code == 1
    assert "is served" in refused.err or "no object" in refused.err
    assert served(pacs, data) == before
