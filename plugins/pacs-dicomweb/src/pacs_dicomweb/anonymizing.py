"""Files that do not tell whose they are: what ``anonymize=yes`` asks for (PS3.18 §9.4.1.2)."""

from collections.abc import AsyncIterable, AsyncIterator

from pacs_web.api.http import HttpError

from pacs_core.contracts import Deidentifier, Node


def deidentifier_of(node: Node) -> Deidentifier:
    """Return the de-identifier of the node.

    Raises
    ------
    HttpError
        501: there is none.
    """
    if not node.capabilities.provides(Deidentifier):
        raise HttpError(501, "nothing here anonymizes; install pacs-deidentify")
    return node.find(Deidentifier)


async def anonymize(
    deidentifier: Deidentifier, content: AsyncIterable[bytes | memoryview]
) -> AsyncIterator[bytes]:
    """Iterate over what is made of a DICOM file, by the usual profile of the site.

    Raises
    ------
    DeidentificationRefusedError
        The server refuses to anonymize it, as it may.
    """
    async with deidentifier.deidentify(content) as made:
        async for piece in made.read(0):
            yield piece
