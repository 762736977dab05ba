"""`pacs plugins new`."""

import sys

import pytest

KINDS = [
    "sop-class",
    "object-store",
    "index",
    "codec",
    "audit-sink",
    "event-handler",
    "change-consumer",
    "ingest-filter",
    "service",
    "job-kind",
    "inference-adapter",
    "web-routes",
    "access",
    "control",
    "cli-command",
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_the_template(pacs, tmp_path, kind) -> None:
    made = pacs("plugins", "new", f"acme-{kind}", "--kind", kind, "--author", "Jane Doe")
    assert made.code == 0
    folder = tmp_path / f"acme-{kind}"
    assert f"cd acme-{kind} && uv run pytest" in made.out.replace(f"{tmp_path}/", "")
    assert "Jane Doe" in (folder / "pyproject.toml").read_text()
    assert (folder / "src" / f"acme_{kind.replace('-', '_')}" / "__init__.py").is_file()


def test_a_kind_that_is_not_there_is_answered_with_those_that_are(pacs) -> None:
    result = pacs("plugins", "new", "acme-tape", "--kind", "tape")
    assert result.code == 2
    assert all(kind in result.err for kind in KINDS)


def test_nothing_is_overwritten(pacs, tmp_path) -> None:
    (tmp_path / "acme-codec").mkdir()
    result = pacs("plugins", "new", "acme-codec", "--kind", "codec")
    assert result.code == 1
    assert "is there already" in result.err


def test_a_name_that_no_distribution_can_have(pacs, tmp_path) -> None:
    result = pacs("plugins", "new", "Acme_Codec", "--kind", "codec", "-o", tmp_path / "out")
    assert result.code == 1
    assert "nothing was made" in result.err
    assert not (tmp_path / "out" / "Acme_Codec").exists()


def test_without_cookiecutter_it_says_what_to_install(pacs, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "cookiecutter.main", None)
    result = pacs("plugins", "new", "acme-codec", "--kind", "codec")
    assert result.code == 1
    assert "pip install 'pacs-core[template]'" in result.err
