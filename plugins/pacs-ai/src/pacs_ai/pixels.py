"""Pixel data of results: decoded once, to the end, before anybody may see them."""

from pacs_ai.files import ResultFile
from pacs_ai.findings import Fault, Finding
from pacs_core.api.images import is_video
from pacs_core.api.streams import closing
from pacs_core.contracts import Action, Transcoder, TranscodingError
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, encoding_of


async def find_undecodable(file: ResultFile, transcoder: Transcoder) -> list[Finding]:
    """Return why encapsulated pixel data of a result cannot be decoded, if they cannot.

    Native ones are what their length says (PS3.5 8.1.1), and a video is not taken apart: of it
    the structure alone is known.

    Parameters
    ----------
    file : ResultFile
    transcoder : Transcoder
        Its codecs run in processes of their own, which may be hung or killed by what they read.
    """
    syntax = file.transfer_syntax_uid
    if not encoding_of(syntax).encapsulated or is_video(syntax):
        return []
    plan = transcoder.plan(syntax, (EXPLICIT_VR_LITTLE_ENDIAN,))
    if plan.action is Action.REFUSE:
        return [Finding(Fault.CODEC, plan.reason)]
    try:
        async with closing(transcoder.transcode(plan, file.dataset())) as pieces:
            async for _ in pieces:
                pass
    except TranscodingError as error:
        return [Finding(Fault.UNREADABLE, f"its pixel data do not decode: {error}")]
    return []
