"""Commands: check the rules, say which decides, break the glass for somebody, list who did."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated

import anyio
from attrs import evolve
from cyclopts import Parameter

from pacs_access_rules.authorizer import judge, unknown_to_index
from pacs_access_rules.config import AccessRulesConfig
from pacs_access_rules.control import BREAK, MEND, BreakGlass, MendGlass
from pacs_access_rules.overrides import Overrides
from pacs_access_rules.policy import Policy, Rule
from pacs_access_rules.reading import MAX_RULES, PolicyError, check_policy, policy_of, read_policy
from pacs_core.api.commands import (
    Assembly,
    CommandError,
    ConfigOption,
    JsonOption,
    UsageError,
    assemble_for_command,
    complain,
    dump_json,
    open_archive,
)
from pacs_core.api.control import connect_to_node
from pacs_core.api.streams import closing
from pacs_core.contracts import (
    Access,
    AccessAction,
    AccessTarget,
    Allow,
    Deny,
    Level,
    Origin,
    Principal,
    Query,
    SingleValue,
    admits,
)
from pacs_core.dataset import Attributes, tag_of

NAME = "access-rules"
Flag = Annotated[bool, Parameter(negative=())]
Texts = Annotated[list[str] | None, Parameter(negative=())]
_UIDS = tuple(map(tag_of, ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")))


def _policy(assembly: Assembly) -> tuple[Policy, str]:
    """Return the policy that the configuration names, and the name of its file."""
    file = assembly.setup_for(NAME).config(AccessRulesConfig).policy
    if file is None:
        raise CommandError(
            "there are no rules: name their file with policy in [plugin.access-rules]"
        )
    return policy_of(file), str(file)


def check(file: Path | None = None, /, *, config: ConfigOption = None) -> int:
    """Check the rules: what cannot be used, and what is odd.

    Exits with 1 if they cannot be used.

    Parameters
    ----------
    file
        A file with rules; else that of the configuration, which is checked with its index.
    """
    problems: list[str] = []
    if file is not None:
        try:
            policy, name = read_policy(file.read_text(encoding="utf-8"), str(file)), str(file)
        except PolicyError as error:
            for problem in error.problems:
                complain(problem)
            return 1
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{file} cannot be read: {error}") from error
    else:
        assembly = assemble_for_command(config)
        policy, name = _policy(assembly)
        problems = anyio.run(_unknown, assembly, policy)
    for problem in problems:
        complain(f"{name}: {problem}")
    for warning in check_policy(policy):
        complain(f"{name}: warning: {warning}")
    allowing = sum(rule.allows for rule in policy.rules)
    print(f"{name}: {len(policy.rules)} rules, {allowing} of them allow something")
    return 1 if problems else 0


async def _unknown(assembly: Assembly, policy: Policy) -> list[str]:
    if not assembly.config.settings.data_directory.is_dir():
        return []
    async with open_archive(assembly) as opened:
        return unknown_to_index(opened.node, policy)


def explain(
    who: str,
    action: str,
    uid: str = "",
    /,
    *,
    role: Texts = None,
    method: str = "",
    ae: str = "",
    from_: Annotated[str, Parameter(name="--from")] = "",
    interface: str = "",
    to: str = "",
    emergency: Flag = False,
    config: ConfigOption = None,
) -> int:
    """Say what somebody may do, and which rule decides. Nothing is done, and nothing recorded.

    Exits with 1 if it is denied.

    Parameters
    ----------
    who
        Name of the principal; - for nobody, as where only AE title and address are known.
    action
        Such as echo, store, query, retrieve, move, delete, update, workflow.
    uid
        Study, Series or SOP Instance UID: which rule decides about each instance of it.
    role
        A role of the principal; may be repeated.
    method
        How the principal was authenticated.
    ae
        Calling AE title.
    from_
        Address of the peer.
    interface
        The door, such as DIMSE or HTTP; else HTTP, or DIMSE with an AE title.
    to
        AE title to which instances are to be moved.
    emergency
        As after breaking the glass.
    """
    assembly = assemble_for_command(config)
    policy, name = _policy(assembly)
    known = {*map(str, AccessAction)}
    if action not in known and "." not in action:
        raise UsageError(f"{action!r} is no action: {', '.join(sorted(known))}, or one of a plugin")
    principal = None if who == "-" else Principal(who, frozenset(role or ()), method)
    door = interface or ("DIMSE" if ae or principal is None else "HTTP")
    origin = Origin(door, calling_ae_title=ae, host=from_, principal=principal)
    access = Access(action, origin, AccessTarget(destination=to))
    rules = tuple(r for r in policy.applicable(access) if emergency or not r.emergency)
    if uid:
        return anyio.run(_explain_instances, assembly, rules, uid)
    verdict = judge(rules)
    print({Allow: "allowed", Deny: "denied"}.get(type(verdict), "allowed for some instances"))
    for rule in rules:
        what = "allows" if rule.allows else "denies"
        about = "everything" if rule.objects.is_all else "what meets its conditions"
        print(f"  {name}: {rule} {what} {about}")
    if not (rules and rules[-1].objects.is_all and not rules[-1].emergency):
        print(f"  {name}: no {'further ' if rules else ''}rule fits: denied")
        for rule in () if role else policy.rules:
            anyone = evolve(rule, who=evolve(rule.who, principal=(), role=(), method=()))
            counts = rule.who.role and (emergency or not rule.emergency)
            if counts and anyone.covers(access):
                roles = " or ".join(rule.who.role)
                print(f"  {name}: {rule} is for the role {roles}: name it with --role")
    return 1 if isinstance(verdict, Deny) else 0


async def _explain_instances(assembly: Assembly, rules: tuple[Rule, ...], uid: str) -> int:
    tags = frozenset[int](_UIDS).union(*(rule.objects.tags for rule in rules))
    decided: Counter[Rule | None] = Counter()
    async with open_archive(assembly) as opened:
        for key in _UIDS:
            query = Query(Level.IMAGE, (SingleValue(key, uid),), returning=tags)
            async with closing(opened.archive.search(query)) as found:
                async for attributes in found:
                    decided[deciding_rule(rules, attributes)] += 1
            if decided:
                break
    if not decided:
        raise CommandError(f"the archive holds nothing with the UID {uid}")
    allowed = 0
    by_rule = sorted(decided.items(), key=lambda item: item[0].number if item[0] else MAX_RULES + 1)
    for rule, count in by_rule:
        what = "allowed" if rule and rule.allows else "denied"
        allowed += count if rule and rule.allows else 0
        print(f"{count} {'instance' if count == 1 else 'instances'} {what} by {rule or 'no rule'}")
    return 0 if allowed else 1


def deciding_rule(rules: Iterable[Rule], attributes: Attributes) -> Rule | None:
    """Return the first rule that is about an instance with these attributes."""
    today = date.today()
    return next((r for r in rules if admits(r.objects.restriction(today), attributes)), None)


def override(
    who: str,
    /,
    *,
    reason: str = "",
    minutes: int = 0,
    end: Flag = False,
    config: ConfigOption = None,
) -> int:
    """Break the glass for somebody: rules for emergencies hold for them for a time.

    The running node is asked; it records who did so, and why.

    Parameters
    ----------
    who
        Name of the principal.
    reason
        Why.
    minutes
        How long; else as long as the rules say.
    end
        End it instead.
    """
    if not end and not reason:
        raise UsageError("say why with --reason")
    return anyio.run(partial(_override, who, reason, minutes, end=end, config=config))


async def _override(who: str, reason: str, minutes: int, *, end: bool, config: Path | None) -> int:
    async with connect_to_node(config) as node:
        if end:
            mended = await node.ask(MEND, MendGlass(who))
            print(f"{who}: {'ended' if mended.was_broken else 'no override holds'}")
            return 0 if mended.was_broken else 1
        broken = await node.ask(BREAK, BreakGlass(who, reason, minutes))
        print(f"{who}: override {broken.number} holds until {_moment(broken.until)}")
        return 0


def overrides(
    *,
    days: int = 0,
    json_: JsonOption = False,
    config: ConfigOption = None,
) -> int:
    """List who broke the glass, when and why.

    Parameters
    ----------
    days
        Of so many days up to now; else all.
    json_
        As JSON.
    """
    kept = Overrides(assemble_for_command(config).setup_for(NAME).directory)
    since = (datetime.now(UTC) - timedelta(days=days)).timestamp() if days else 0.0
    rows = [
        {
            "number": each.number,
            "principal": each.principal,
            "since": _moment(each.since),
            "until": _moment(each.until),
            "given_by": each.given_by,
            "host": each.host,
            "reason": each.reason,
        }
        for each in kept.all(since)
    ]
    if json_:
        print(dump_json(rows, indent=2))
        return 0
    for row in rows:
        by = f" by {row['given_by']}" if row["given_by"] != row["principal"] else ""
        print(
            f"{row['number']} {row['principal']} {row['since']} to {row['until']}{by}: "
            f"{row['reason']}"
        )
    return 0


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat("T", "seconds")
