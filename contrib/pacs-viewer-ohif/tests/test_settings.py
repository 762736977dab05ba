"""The settings that the page loads before OHIF, and the keys of the plugin's table."""

import json
from pathlib import Path

import pytest

from pacs_viewer_ohif import OhifConfig
from pacs_viewer_ohif.settings import settings_script


def config_in(script: str) -> dict[str, object]:
    text = script.partition("window.config = ")[2].rstrip().rstrip(";")
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


def test_ohif_is_told_where_it_is_and_where_the_images_are() -> None:
    script = settings_script("/pacs/viewer/", "https://pacs.example/pacs/dicom-web", {})
    assert 'window.PUBLIC_URL = "/pacs/viewer/";' in script
    config = config_in(script)
    assert config["routerBasename"] == "/pacs/viewer"
    assert "https://pacs.example/pacs/dicom-web" in script


def test_a_sites_own_settings_count() -> None:
    config = config_in(settings_script("/v/", "http://x/dicom-web", {"showStudyList": False}))
    assert config["showStudyList"] is False


@pytest.mark.parametrize("path", ["viewer", "/", "/a b", "/../etc", "/a//b", '/"><script>'])
def test_a_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="not a path such as"):
        OhifConfig(path=path)


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_settings_that_cannot_be_read_are_refused(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ohif.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ValueError, match=r"ohif\.json"):
        OhifConfig(settings=file)
