"""Explanation of what a peer would get of files, for ``pacs explain``."""

from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from pacs_core.association import AssociationError
from pacs_core.cli.assembling import transcoder_for_command
from pacs_core.cli.errors import FAILURE
from pacs_core.cli.file_counts import complain_of_skipped, name_skipped
from pacs_core.cli.files import DicomFile, Skipped, Unusable, inspect_all
from pacs_core.cli.folders import walk
from pacs_core.cli.options import ClientOptions
from pacs_core.cli.output import complain, say
from pacs_core.cli.running import run_async
from pacs_core.cli.sending import accepted_contexts
from pacs_core.cli.session import Session, open_session
from pacs_core.cli.store_batches import store_batches
from pacs_core.contracts import Action, Plan, Transcoder
from pacs_core.dataset import short_name_of

Answers = AsyncIterator[tuple[DicomFile, Collection[str]]]


def explain_files(
    peer: str,
    paths: tuple[Path, ...],
    options: ClientOptions,
    *,
    ask: bool,
    transcode: bool,
    verbose: bool,
) -> int:
    """Print what becomes of each file, and return the exit code.

    See :func:`pacs_core.cli.commands.explain`; `transcode` says whether plugins are asked.
    """
    session = open_session(peer, options)
    transcoding = transcoder_for_command(options.config, is_needed=transcode)
    return run_async(_explain, session, transcoding, paths, ask, verbose)


async def _explain(
    session: Session,
    transcoding: AbstractAsyncContextManager[Transcoder],
    paths: tuple[Path, ...],
    ask: bool,
    verbose: bool,
) -> int:
    files, skipped, code = [], 0, 0
    async for found in inspect_all(walk(paths)):
        if isinstance(found, Unusable):
            complain(f"{found.path}: {found.reason}")
            code = FAILURE
        elif isinstance(found, Skipped):
            name_skipped(found, verbose)
            skipped += 1
        else:
            files.append(found)
    if not files and not code:
        return complain_of_skipped(skipped, verbose)
    async with transcoding as transcoder:
        answers = (
            _ask_peer(session, transcoder, files)
            if ask
            else _assume_offers(session, transcoder, files)
        )
        async for file, accepted in answers:
            plan = transcoder.plan(file.transfer_syntax_uid, accepted, session.peer)
            if plan.encoder:
                image = await file.image()
                plan = transcoder.plan(file.transfer_syntax_uid, accepted, session.peer, image)
            _print(file, accepted, plan, ask)
            code = FAILURE if plan.action is Action.REFUSE else code
    return code


async def _assume_offers(
    session: Session, transcoder: Transcoder, files: list[DicomFile]
) -> Answers:
    for file in files:
        offered = transcoder.proposals(file.transfer_syntax_uid, session.peer)
        # Where nothing can be made of it, what the peer takes shows why.
        yield file, offered or session.peer.transfer.accepted


async def _ask_peer(session: Session, transcoder: Transcoder, files: list[DicomFile]) -> Answers:
    try:
        for batch in store_batches(files, transcoder, session.peer):
            async with session.associate(batch.proposals) as association:
                answered = [(file, [*accepted_contexts(association, file)]) for file in batch.files]
            for file, accepted in answered:
                yield file, accepted
    except AssociationError as error:
        raise session.failure(error) from error


def _print(file: DicomFile, accepted: Collection[str], plan: Plan, asked: bool) -> None:
    stored = short_name_of(file.transfer_syntax_uid)
    say(f"{file.path}: {plan.action.value}")
    say(
        f"  stored in {stored}; the peer {'accepts' if asked else 'would be offered'} "
        f"{_names(accepted)}"
    )
    if plan.action is Action.TRANSCODE:
        say(f"  goes out in {short_name_of(plan.target)}{_work(plan)}")
    say(f"  because {plan.reason}")


def _names(uids: Iterable[str]) -> str:
    return ", ".join(map(short_name_of, uids)) or "nothing for its SOP class"


def _work(plan: Plan) -> str:
    done = "recompressed" if plan.recompress else "encoded"
    steps = [
        *([f"decoded by {plan.decoder}"] if plan.decoder else []),
        *([f"{done} by {plan.encoder}"] if plan.encoder else []),
        *([f"quality {plan.options.quality:g}"] if plan.options.quality is not None else []),
        *([f"ratio {plan.options.ratio:g}"] if plan.options.ratio is not None else []),
        *(["with a SOP Instance UID of its own"] if plan.new_uid else []),
    ]
    return f", {', '.join(steps)}" if steps else ""
