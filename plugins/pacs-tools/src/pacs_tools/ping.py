"""``pacs ping``: what a peer negotiates, step by step."""

from typing import Annotated

from pacs_core.api.file_commands import (
    CLIENT,
    ClientOptions,
    CommandError,
    JsonOption,
    Option,
    dump_json,
    print_table,
    say,
)
from pacs_core.dataset import uid_name
from pacs_tools.names import list_sop_classes


def ping(
    peer: str,
    /,
    *,
    sop_class: Annotated[list[str] | None, Option("--sop-class", "-c")] = None,
    retired: Annotated[bool, Option()] = False,
    json: JsonOption = False,
    options: ClientOptions = CLIENT,
) -> int:
    """Find out what a peer accepts: the connection, the association, each SOP class and syntax.

    Nothing is sent but C-ECHO. A peer that takes any AE title and one that knows us may accept
    different things: say --ae-title.

    Parameters
    ----------
    peer
        AET@HOST:PORT, or the name of a configured peer.
    sop_class
        Ask for this only, by UID or keyword, as CTImageStorage; may be given several times.
    retired
        Ask for retired SOP classes, too.
    json
        Print one JSON object.
    """
    # They bring the network, which the help of all commands does not wait for.
    from pacs_core.api.commands import open_session, run_async
    from pacs_tools.diagnosis import Diagnosis

    known = list_sop_classes(retired=retired or bool(sop_class))
    wanted = [_find(known, text) for text in sop_class or ()] or [*known]
    steps: list[str] = []
    diagnosis = Diagnosis(open_session(peer, options), wanted, steps.append if json else say)
    run_async(diagnosis.run)
    if json:
        accepted = diagnosis.accepted
        print(
            dump_json({"peer": str(diagnosis.session.peer), "steps": steps, "accepted": accepted})
        )
    else:
        rows = [(uid_name(uid) or uid, ", ".join(names)) for uid, names in diagnosis.named()]
        if rows:
            print_table(["SOP CLASS", "TRANSFER SYNTAXES"], rows)
    return 0


def _find(known: dict[str, str], text: str) -> str:
    by_keyword = {keyword: uid for uid, keyword in known.items()}
    if text in known or text.replace(".", "").isdecimal():
        return text
    if text not in by_keyword:
        raise CommandError(f"--sop-class {text[:64]}: it is neither a UID nor a keyword of PS3.6")
    return by_keyword[text]
