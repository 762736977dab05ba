"""What `pacs_core.dataset` has is imported when it is asked for."""

import subprocess
import sys

import pytest

import pacs_core.dataset


def test_every_name_is_in_the_module_that_is_said_to_have_it():
    assert sorted(pacs_core.dataset.__all__) == sorted(pacs_core.dataset._MODULES)
    for name in pacs_core.dataset.__all__:
        assert getattr(pacs_core.dataset, name) is not None


def test_nothing_else_is_there():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        pacs_core.dataset.nothing  # noqa: B018 asking is what fails


def test_only_that_module_is_imported():
    program = "from pacs_core.dataset import is_part10; import sys; print(*sys.modules)"
    modules = subprocess.check_output([sys.executable, "-c", program], text=True).split()
    assert "pacs_core.dataset.reader" in modules
    assert "pacs_core.dataset.encoder" not in modules
