"""Files that are read in pieces."""

from contextlib import nullcontext

import pytest
from hypothesis import given, strategies as st

from pacs_core.concurrency import closing
from pacs_core.concurrency.files import file_chunks

pytestmark = pytest.mark.anyio
CONTENT = bytes(range(256)) * 12_000
"""More than two pieces."""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("file") / "content"
    path.write_bytes(CONTENT)
    return path


@given(st.integers(0, len(CONTENT) + 1), st.none() | st.integers(0, len(CONTENT) + 1))
async def test_what_was_asked_for_comes_or_the_file_is_too_short(path, offset, length):
    end = len(CONTENT) if length is None else offset + length
    read = b""
    lacks = end > len(CONTENT) and length != 0
    with pytest.raises(OSError, match="has become shorter") if lacks else nullcontext():
        async with closing(file_chunks(path, offset, length)) as chunks:
            async for chunk in chunks:
                assert len(chunk) <= 1 << 20
                read += chunk
    assert read == CONTENT[offset:end]
