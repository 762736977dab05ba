"""Reading of a policy from TOML: every problem at once, each with its line."""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_network
from typing import Any, Final

from attrs import fields

from pacs_access_rules.conditions import ConditionError, Objects, Part, read_conditions
from pacs_access_rules.policy import Network, Policy, Rule, Who
from pacs_core.contracts import AccessAction, ConfigFile

_HEADER: Final = re.compile(r"""\s*\[\[\s*(["']?)rule\1\s*\]\]""")
_WHO: Final = tuple(each.name for each in fields(Who))
_KEYS: Final = (
    "name", *_WHO, "may", "may_not", "to", "where", "unless", "emergency",
)  # fmt: skip
_DOTTED: Final = re.compile(r"[a-z0-9*-]+(\.[a-z0-9*-]+)+")
_ACTIONS: Final = frozenset(map(str, AccessAction)) | {"*"}
MAX_RULES: Final = 1000
MANY: Final = 200
"""Rules with conditions; as of these the time that they take in a query is worth a word."""
MAX_MINUTES: Final = 24 * 60


class PolicyError(Exception):
    """A policy that cannot be used.

    Attributes
    ----------
    problems : tuple of str
        All of them, with their lines.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class _ProblemError(Exception):
    """What is wrong at a key of a rule."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(reason)
        self.key, self.reason = key, reason


def read_policy(text: str, name: str) -> Policy:
    """Return the policy of a text.

    Parameters
    ----------
    text : str
        TOML.
    name : str
        Of the file, for messages.

    Raises
    ------
    PolicyError
        It is no TOML, or something in it makes no sense.
    """
    try:
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise PolicyError([f"{name} is not TOML: {error}"]) from error
    rows = tables.pop("rule", [])
    lines = _Lines(text, rows)
    problems = []
    minutes = 60
    try:
        minutes = _read_minutes(tables)
    except _ProblemError as problem:
        problems.append(f"{lines.place(name, -1, problem.key)}: {problem.reason}")
    rules = []
    if not isinstance(rows, list) or not rows:
        problems.append(
            f"{name} has no [[rule]]: without rules nobody may do anything; a rule with "
            'may = ["*"] allows everything'
        )
    elif len(rows) > MAX_RULES:
        problems.append(f"{name} has more than {MAX_RULES} rules")
    else:
        for index, row in enumerate(rows):
            reader = _RuleReader(row, index + 1, lines.header(index))
            rule = reader.read()
            rules += [rule] if rule else []
            problems += [
                f"{lines.place(name, index, each.key)}: rule {index + 1}: {each.reason}"
                for each in reader.problems
            ]
    if problems:
        raise PolicyError(problems)
    return Policy(tuple(rules), minutes)


def _read_minutes(tables: dict[str, Any]) -> int:
    if unknown := sorted(tables.keys() - {"emergency"}):
        raise _ProblemError(unknown[0], f"unknown key {unknown[0]!r}; known are emergency, rule")
    table = tables.get("emergency", {})
    if not isinstance(table, Mapping) or table.keys() - {"minutes"}:
        raise _ProblemError("emergency", "expected a table with the key minutes")
    minutes = table.get("minutes", 60)
    if not isinstance(minutes, int) or isinstance(minutes, bool) or not 1 <= minutes <= MAX_MINUTES:
        raise _ProblemError("minutes", f"a number from 1 to {MAX_MINUTES}")
    return minutes


class _Lines:
    """Lines of a text that belong to its rules, as far as they can be told.

    The reader of TOML does not say where it found what. Where there are as many headers as rules,
    each rule goes from one to the next; a key is where its name first stands before an equals sign.
    """

    def __init__(self, text: str, rows: object) -> None:
        self._lines = text.splitlines()
        headers = [n for n, line in enumerate(self._lines, 1) if _HEADER.match(line)]
        count = len(rows) if isinstance(rows, list) else 0
        self._headers = headers if len(headers) == count else []

    def header(self, index: int) -> int:
        """Return the line of the header of a rule, counted from 0; 0 if it cannot be told."""
        return self._headers[index] if index < len(self._headers) else 0

    def place(self, name: str, index: int, key: str) -> str:
        """Return where a key of a rule is; with an index below 0, a key anywhere."""
        start, end = 1, len(self._lines)
        if index >= 0:
            start = self.header(index)
            if not start:
                return name
            later = self._headers[index + 1 :]
            end = later[0] - 1 if later else end
        pattern = re.compile(rf"""(^|[\s{{,.\[])(["']?){re.escape(key)}\2\s*([=.\]])""")
        for number in range(start, end + 1):
            line = self._lines[number - 1]
            if not line.lstrip().startswith("#") and pattern.search(line):
                return f"{name}, line {number}"
        return f"{name}, line {start}"


class _RuleReader:
    """Reads a rule, and gathers what is wrong with it."""

    def __init__(self, row: object, number: int, line: int) -> None:
        self._row: Mapping[str, Any] = row if isinstance(row, Mapping) else {}
        self._number, self._line = number, line
        self.problems: list[_ProblemError] = []
        if not isinstance(row, Mapping):
            self._add("rule", f"expected a table, found {row!r}")

    def _add(self, key: str, reason: str) -> None:
        self.problems.append(_ProblemError(key, reason))

    def read(self) -> Rule | None:
        """Return the rule; None if something is wrong."""
        row = self._row
        for key in row.keys() - set(_KEYS):
            self._add(key, f"unknown key {key!r}; known are {', '.join(_KEYS)}")
        who = {each: self._texts(each) for each in _WHO if each != "network"}
        objects = Objects(self._conditions("where"), self._conditions("unless"))
        if ("may" in row) == ("may_not" in row):
            self._add("may", "a rule says either what may be done, or what may_not be done")
        verb = "may" if "may" in row else "may_not"
        actions = self._actions(verb, objects)
        destinations = self._texts("to")
        if destinations and not any(a in ("*", "move") or "." in a for a in actions):
            self._add("to", "nothing of this rule has a destination: it is for move")
        emergency = row.get("emergency", False)
        if not isinstance(emergency, bool):
            self._add("emergency", f"expected true or false, found {emergency!r}")
        elif emergency and verb == "may_not":
            self._add("emergency", "a rule for emergencies says what may be done")
        name = row.get("name", "")
        if not isinstance(name, str) or not (name == "" or name.isprintable()):
            self._add("name", "expected a text in one line")
        networks = self._networks()
        if self.problems:
            return None
        return Rule(
            self._number, self._line, name, Who(**who, network=networks), actions, verb == "may",
            destinations, objects, emergency,
        )  # fmt: skip

    def _texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts, which one text may stand for; nothing if the key is not there."""
        value = self._row.get(key)
        if value is None:
            return ()
        found = [value] if isinstance(value, str) else value
        if not isinstance(found, list) or not all(isinstance(t, str) and t for t in found):
            self._add(key, f"expected a text or a list of them, found {value!r}")
            return ()
        if not found:
            self._add(key, "an empty list fits nobody and nothing: leave the key out for all")
        return tuple(found)

    def _actions(self, key: str, objects: Objects) -> tuple[str, ...]:
        found = self._texts(key)
        for action in found:
            if action not in _ACTIONS and not _DOTTED.fullmatch(action):
                self._add(
                    key,
                    f"unknown action {action!r}; known are {', '.join(sorted(_ACTIONS))}, and "
                    "those of plugins, which have a dot",
                )
            elif action == AccessAction.ECHO and not objects.is_all:
                self._add(key, "echo is about no instances: it can have no conditions")
        return found

    def _networks(self) -> tuple[Network, ...]:
        found = []
        for text in self._texts("network"):
            try:
                found.append(ip_network(text))
            except ValueError as error:
                self._add("network", f"{error}: write it as 192.0.2.0/24")
        return tuple(found)

    def _conditions(self, key: str) -> tuple[tuple[Part, ...], ...]:
        if key not in self._row:
            return ()
        value = self._row[key]
        tables = value if isinstance(value, list) and value else [value]
        if not all(isinstance(table, Mapping) for table in tables):
            self._add(key, f"expected a table or a list of them, found {value!r}")
            return ()
        return tuple(self._read_table(key, table, read_conditions) for table in tables)

    def _read_table(
        self,
        key: str,
        table: Mapping[str, Any],
        read: Callable[[Mapping[str, Any]], tuple[Part, ...]],
    ) -> tuple[Part, ...]:
        found: list[Part] = []
        if not table:
            self._add(key, f"{key}: a table without conditions is about nothing in particular")
        for name, value in table.items():
            try:
                found += read({name: value})
            except ConditionError as error:
                self._add(error.key, f"{key}.{error}")
        return tuple(found)


@lru_cache(maxsize=4)
def policy_of(file: ConfigFile) -> Policy:
    """Return the policy of a file.

    Raises
    ------
    PolicyError
        It cannot be used.
    """
    return read_policy(file.text, str(file))


def check_policy(policy: Policy) -> Iterator[str]:
    """Iterate over what is odd about a policy: rules that never decide, or contradict others."""
    for index, rule in enumerate(policy.rules):
        objects = rule.objects
        if objects.where and objects.where == objects.unless:
            yield f"{rule} is about nothing: where and unless are the same"
        before = next((r for r in policy.rules[:index] if _hides(r, rule)), None)
        if before is not None:
            how = "" if before.allows == rule.allows else ", and says the contrary"
            yield f"{rule} never decides: {before} is about all of that before it{how}"
    conditional = sum(not rule.objects.is_all for rule in policy.rules)
    if conditional > MANY:
        yield (
            f"{conditional} rules have conditions, more than {MANY}: a query compares whatever it"
            " looks at with those of them that are about the person and action; give one rule a"
            " list of values rather than each value a rule"
        )
    if not any(rule.allows for rule in policy.rules):
        yield "nobody may do anything: no rule allows something"


def _hides(first: Rule, second: Rule) -> bool:
    """Tell whether a rule decides all that a later one would."""
    if first.emergency and not second.emergency:
        return False
    same_objects = first.objects.is_all or first.objects == second.objects
    return (
        same_objects
        and all(_is_among(a, first.actions) for a in second.actions)
        and _covers_all(first.destinations, second.destinations)
        and _names_all(first.who, second.who)
    )


def _is_among(action: str, actions: tuple[str, ...]) -> bool:
    prefix = [each.removesuffix("*") for each in actions if each.endswith("*")]
    return action in actions or any(action.startswith(each) for each in prefix)


def _covers_all(wide: tuple[str, ...], narrow: tuple[str, ...]) -> bool:
    return not wide or (bool(narrow) and (set(narrow) <= set(wide) or "*" in wide))


def _names_all(wide: Who, narrow: Who) -> bool:
    texts = all(
        _covers_all(getattr(wide, name), getattr(narrow, name))
        for name in _WHO
        if name != "network"
    )
    return texts and (
        not wide.network
        or (bool(narrow.network) and all(_is_inside(each, wide.network) for each in narrow.network))
    )


def _is_inside(inner: Network, outers: tuple[Network, ...]) -> bool:
    return any(
        inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]
        for outer in outers
    )
