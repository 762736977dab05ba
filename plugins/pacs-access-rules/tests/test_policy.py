"""Policies: how they are read, what is refused with its line, and that the first rule decides."""

import contextlib
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from pacs_access_rules.conditions import Age, AgeRange
from pacs_access_rules.policy import EVERYTHING, NOTHING, Rule, Who, compose
from pacs_access_rules.reading import PolicyError, check_policy, read_policy

from pacs_core.contracts import (
    Access,
    AccessTarget,
    Empty,
    Origin,
    Principal,
    Range,
    SingleValue,
    admits,
)
from pacs_core.dataset import tag_of

MODALITY = tag_of("Modality")
TODAY = date(2026, 2, 28)


def read(text):
    return read_policy(text, "rules.toml")


def problems(text):
    with pytest.raises(PolicyError) as raised:
        read(text)
    return list(raised.value.problems)


def rule(**keys):
    given = {"number": 1, "line": 1, "name": "", "who": Who(), "actions": ("query",)}
    return Rule(**given | {"allows": True} | keys)


def by(name="", *roles, ae="", host="", action="query", to="", interface="DIMSE", method=""):
    principal = Principal(name, frozenset(roles), method) if name else None
    origin = Origin(interface, ae, host=host, principal=principal)
    return Access(action, origin, AccessTarget(destination=to))


def conditions(text):
    """Return the conditions that a table says, of a rule that has no others."""
    [found] = read(f"[[rule]]\nmay = 'query'\nwhere = {{ {text} }}").rules
    return found.objects.restriction(TODAY)


# --- who, what, whither


@pytest.mark.parametrize(
    ("who", "access", "fits"),
    [
        ("", by(), True),
        ("principal = 'anna'", by("anna"), True),
        ("principal = 'anna'", by("Anna"), False),
        ("principal = 'anna'", by(ae="anna"), False),
        ("principal = '*'", by("anna"), True),
        ("principal = '*'", by(ae="CT1"), False),
        ("principal = ['a*', 'b?b']", by("bob"), True),
        ("role = 'viewer'", by("anna", "viewer", "other"), True),
        ("role = 'viewer'", by("viewer"), False),
        ("principal = 'anna'\nrole = 'viewer'", by("anna", "other"), False),
        ("method = 'tls'", by("anna", method="tls"), True),
        ("method = 'tls'", by("anna", method="ae-title"), False),
        ("ae_title = 'CT*'", by(ae="CT1"), True),
        ("ae_title = 'CT*'", by(ae="MR1"), False),
        ("interface = 'HTTP'", by("anna"), False),
        ("interface = ['HTTP', 'DIMSE']", by("anna"), True),
        ("network = '10.0.0.0/8'", by(host="10.1.2.3"), True),
        ("network = '10.0.0.0/8'", by(host="::ffff:10.1.2.3"), True),
        ("network = '10.0.0.0/8'", by(host="11.1.2.3"), False),
        ("network = '10.0.0.0/8'", by(host=""), False),
        ("network = ['10.0.0.0/8', '2001:db8::/32']", by(host="2001:db8::1%eth0"), True),
        ("network = '0.0.0.0/0'", by(host="elsewhere"), False),
        ("ae_title = 'CT1'\nnetwork = '10.0.0.1'", by(ae="CT1", host="10.0.0.2"), False),
    ],
)
def test_who(who, access, fits):
    [found] = read(f"[[rule]]\n{who}\nmay = ['query']").rules
    assert found.covers(access) is fits


@pytest.mark.parametrize(
    ("keys", "action", "to", "fits"),
    [
        ("may = '*'", "echo", "", True),
        ("may = '*'", "acme.print", "", True),
        ("may = '*'\nwhere.Modality = 'CT'", "store", "", True),
        ("may = '*'\nwhere.Modality = 'CT'", "echo", "", False),
        ("may = '*'\nwhere.Modality = 'CT'", "acme.print", "", False),
        ("may = 'acme.print'\nwhere.Modality = 'CT'", "acme.print", "", True),
        ("may = 'acme.*'", "acme.print", "", True),
        ("may = 'acme.*'", "query", "", False),
        ("may = ['move', 'query']\nto = 'DEST'", "move", "DEST", True),
        ("may = ['move', 'query']\nto = 'DEST'", "move", "OTHER", False),
        ("may = ['move', 'query']\nto = 'DEST'", "move", "", False),
        ("may = ['move', 'query']\nto = 'DEST'", "query", "", True),
        ("may = ['move']\nto = 'A*'", "move", "ARCHIVE", True),
        ("may = ['move']", "move", "OTHER", True),
    ],
)
def test_what_and_whither(keys, action, to, fits):
    [found] = read(f"[[rule]]\n{keys}").rules
    assert found.covers(by(action=action, to=to)) is fits


# --- on what


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("Modality = 'CT'", SingleValue(MODALITY, "CT")),
        ("'0008,0060' = 'CT'", SingleValue(MODALITY, "CT")),
        ("IssuerOfPatientID = ''", Empty(tag_of("IssuerOfPatientID"))),
        ("StudyDate = '2020-2021'", None),
        ("StudyDate = '20200101-'", Range(tag_of("StudyDate"), "20200101", "")),
        ("StudyDate = 2020-01-01", SingleValue(tag_of("StudyDate"), "20200101")),
        ("InstanceNumber = 5", SingleValue(tag_of("InstanceNumber"), "5")),
        (
            "StudyDate = { newer_than = '2 years', older_than = '1 week' }",
            Range(tag_of("StudyDate"), "20240228", "20260220"),
        ),
    ],
)
def test_conditions(text, condition):
    if condition is None:
        assert (
            "StudyDate is neither a DA nor a range"
            in problems(f"[[rule]]\nmay='query'\nwhere={{ {text} }}")[0]
        )
    else:
        assert conditions(text) == condition


@pytest.mark.parametrize(
    ("text", "values", "admitted"),
    [
        ("Modality = ['CT', 'MR']", {"Modality": ("MR",)}, True),
        ("Modality = ['CT', 'MR']", {"Modality": ("US",)}, False),
        # What instances have is never a pattern, whatever they have.
        ("InstitutionName = 'A'", {"InstitutionName": ("*",)}, False),
        ("InstitutionName = 'A*'", {"InstitutionName": ("?*",)}, False),
        ("Modality = '?R'", {"Modality": ("MR",)}, True),
        ("Modality = ['C*', 'US']", {"Modality": ("CT",)}, True),
        ("InstitutionName = 'St. *'", {"InstitutionName": ("St. Elsewhere",)}, True),
        ("ReferringPhysicianName = 'house^*'", {"ReferringPhysicianName": ("House^G",)}, True),
        ("Modality = 'CT', InstitutionName = 'A'", {"Modality": ("CT",)}, False),
        ("StudyDate = { older_than = '1 year' }", {"StudyDate": ("20250227",)}, True),
        ("StudyDate = { older_than = '1 year' }", {"StudyDate": ("20250228",)}, False),
        ("StudyDate = { older_than = '1 year' }", {}, False),
        ("StudyDate = { newer_than = '1 year' }", {}, False),
        (
            "ProcedureCodeSequence = { CodeValue = 'X', CodingSchemeDesignator = 'Y' }",
            {
                "ProcedureCodeSequence": (
                    {tag_of("CodeValue"): ("X",), tag_of("CodingSchemeDesignator"): ("Y",)},
                )
            },
            True,
        ),
    ],
)
def test_conditions_hold(text, values, admitted):
    attributes = {tag_of(keyword): value for keyword, value in values.items()}
    assert admits(conditions(text), attributes) is admitted


def test_alternatives_and_exceptions():
    [found] = read("""
        [[rule]]
        may = "query"
        where = [{ Modality = "CT" }, { Modality = "MR", InstitutionName = "A" }]
        unless = { PatientID = "VIP*" }
    """).rules
    restriction = found.objects.restriction(TODAY)

    def seen(modality, institution="", patient=""):
        values = {"Modality": modality, "InstitutionName": institution, "PatientID": patient}
        return admits(restriction, {tag_of(k): (v,) for k, v in values.items()})

    assert seen("CT")
    assert not seen("MR")
    assert seen("MR", "A")
    assert not seen("CT", patient="VIP1")


@pytest.mark.parametrize(
    ("age", "day"),
    [
        (Age(0, "day"), TODAY),
        (Age(3, "week"), date(2026, 2, 7)),
        (Age(2, "year"), date(2024, 2, 28)),
        (Age(9999, "year"), date.min),
        (Age(9999, "week"), date(1834, 7, 12)),
    ],
)
def test_ages(age, day):
    assert age.before(TODAY) == day
    assert Age(1, "year").before(date(2024, 2, 29)) == date(2023, 2, 28)
    assert AgeRange(1, older_than=Age(9999, "year")).range(TODAY) == Range(1, "", "00010101")


# --- the first rule decides


class TestFirstMatch:
    letters = "ABC"
    abouts = st.one_of(st.none(), st.sets(st.sampled_from(letters), min_size=1))

    @given(st.lists(st.tuples(abouts, abouts, st.booleans()), max_size=8))
    def test_of_each_instance(self, given_rules):
        """Folded into a restriction, rules say of every instance what the first about it says."""
        rules = []
        for where, unless, allows in given_rules:
            keys = ""
            for key, letters in (("where", where), ("unless", unless)):
                if letters:
                    keys += f"{key}.Modality = {sorted(letters)}\n"
            verb = "may" if allows else "may_not"
            rules += read(f"[[rule]]\n{verb} = 'query'\n{keys}").rules
        restriction = compose(rules, TODAY)
        for letter in (*self.letters, "X"):
            expected = False
            for where, unless, allows in given_rules:
                if (not where or letter in where) and letter not in (unless or ()):
                    expected = allows
                    break
            assert admits(restriction, {MODALITY: (letter,)}) is expected
        if restriction == EVERYTHING:
            assert restriction is EVERYTHING
        if restriction == NOTHING:
            assert restriction is NOTHING

    @pytest.mark.parametrize("alternating", [True, False])
    def test_many_rules_are_neither_deep_nor_long(self, alternating):
        """As an index has to parse what comes of them."""
        allows = [n % 2 == 0 if alternating else n < 500 for n in range(999)]
        text = "".join(
            f"[[rule]]\n{'may' if each else 'may_not'} = 'query'\nwhere.PatientID = 'P{n}'\n"
            for n, each in enumerate(allows)
        )
        found = compose(read(text + "[[rule]]\nmay='query'").rules, TODAY)

        def below(restriction):
            inner = getattr(restriction, "restriction", None)
            return [inner] if inner else getattr(restriction, "restrictions", ())

        def depth(restriction):
            return 1 + max(map(depth, below(restriction)), default=0)

        def size(restriction):
            return 1 + sum(map(size, below(restriction)))

        assert depth(found) < 40
        assert size(found) < 12_000
        for n in (0, 1, 2, 498, 499, 500, 998):
            patient = {tag_of("PatientID"): (f"P{n}",)}
            assert admits(found, patient) is allows[n]


# --- what is refused, and where


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[[rule]]\nmay = ]\n", "rules.toml is not TOML: Invalid value (at line 2, column 7)"),
        ("", "rules.toml has no [[rule]]"),
        ("rule = 5", "rules.toml has no [[rule]]"),
        ("[[rule]]\nmay='query'\n[rules]", "rules.toml, line 3: unknown key 'rules'"),
        ("[emergency]\nminutes = 0\n[[rule]]\nmay='*'", "rules.toml, line 2: a number from 1"),
        ("[[rule]]\n", "rules.toml, line 1: rule 1: a rule says either what may be done"),
        (
            "[[rule]]\nmay='query'\n\n[[rule]]\nmay='store'\nmay_not='query'",
            "rules.toml, line 5: rule 2: a rule says either",
        ),
        ("[[rule]]\n# may\nmay = ['query', 'qery']", "rules.toml, line 3: rule 1: unknown action"),
        ("[[rule]]\nmay = []", "rules.toml, line 2: rule 1: an empty list fits nobody"),
        ("[[rule]]\nmay = 'query'\nwhom = 'a'", "rules.toml, line 3: rule 1: unknown key 'whom'"),
        (
            "[[rule]]\nmay='query'\nrole = 5",
            "rules.toml, line 3: rule 1: expected a text or a list",
        ),
        (
            "[[rule]]\nmay='query'\nnetwork = '10.0.0.1/8'",
            "line 3: rule 1: 10.0.0.1/8 has host bits",
        ),
        (
            "[[rule]]\nmay='query'\nto = 'A'",
            "line 3: rule 1: nothing of this rule has a destination",
        ),
        ("[[rule]]\nmay='echo'\nwhere.Modality='CT'", "line 2: rule 1: echo is about no instances"),
        (
            "[[rule]]\nmay_not='query'\nemergency=true",
            "line 3: rule 1: a rule for emergencies says",
        ),
        (
            "[[rule]]\nmay='query'\nname = \"a\\u0007\"\nrole='x'",
            "line 3: rule 1: expected a text in",
        ),
        (
            "[[rule]]\nmay='query'\n# Modalty = 'MR'\nwhere = { Modality = 'CT', Modalty = 'MR' }",
            "line 4: rule 1: where.Modalty: no attribute is called 'Modalty'",
        ),
        (
            "[[rule]]\nmay='query'\n[rule.where]\nPatientID = 'A'\nModalitiesInStudy = 'CT'",
            "line 5: rule 1: where.ModalitiesInStudy: is worked out by the index: name Modality",
        ),
        (
            "[[rule]]\nmay='query'\nwhere = { NumberOfStudyRelatedInstances = 1 }",
            "line 3: rule 1: where.NumberOfStudyRelatedInstances: is counted",
        ),
        ("[[rule]]\nmay='query'\nwhere = {}", "line 3: rule 1: where: a table without conditions"),
        (
            "[[rule]]\nmay='query'\nwhere = [1]",
            "line 3: rule 1: expected a table or a list of them",
        ),
        (
            "[[rule]]\nmay='query'\nunless = { Modality = '*' }",
            "line 3: rule 1: unless.Modality: matches everything: leave it out",
        ),
        (
            "[[rule]]\nmay='query'\nwhere = { StudyInstanceUID = '1.2.*' }",
            "line 3: rule 1: where.StudyInstanceUID: StudyInstanceUID: a UID takes no wild card",
        ),
        (
            "[[rule]]\nmay='query'\nwhere = { StudyDate = { newer_than = '90 d' } }",
            "line 3: rule 1: where.StudyDate: newer_than: expected a text such as",
        ),
        (
            "[[rule]]\nmay='query'\nwhere = { Modality = { newer_than = '90 days' } }",
            "line 3: rule 1: where.Modality: has no age: Modality is no date",
        ),
        (
            "[[rule]]\nmay='query'\nwhere = { Modality = true }",
            "line 3: rule 1: where.Modality: expected a text or a list of them, found True",
        ),
        ("rule = [{ may = 'qury' }]", "rules.toml: rule 1: unknown action 'qury'"),
    ],
)
def test_what_is_refused(text, problem):
    [found] = problems(text)
    assert problem in found


def test_every_problem_is_told_at_once():
    found = problems("[[rule]]\nmay='a'\nx=1\n[[rule]]\nmay='query'\nwhere.A='1'\nwhere.B='1'")
    assert [each.partition(": ")[0] for each in found] == [
        *("rules.toml, line 3", "rules.toml, line 2"),
        *("rules.toml, line 6", "rules.toml, line 7"),
    ]


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(PolicyError):
        assert read(text).rules


# --- what is odd


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (
            "[[rule]]\nmay='*'\n[[rule]]\nmay='query'\nrole='a'",
            "rule 2 (line 3) never decides: rule 1",
        ),
        (
            "[[rule]]\nmay_not='query'\nrole='a'\n[[rule]]\nmay='query'\nrole='a'\n"
            "where.Modality='CT'",
            "before it, and says the contrary",
        ),
        (
            "[[rule]]\nmay='query'\nnetwork='10.0.0.0/8'\n"
            "[[rule]]\nmay_not='query'\nnetwork='10.1.0.0/16'",
            "never decides",
        ),
        (
            "[[rule]]\nmay='query'\nwhere.Modality='CT'\nunless.Modality='CT'",
            "rule 1 (line 1) is about nothing",
        ),
        ("[[rule]]\nmay_not='query'", "nobody may do anything"),
        (
            "".join(f"[[rule]]\nmay='query'\nwhere.PatientID='{n}'\n" for n in range(201)),
            "201 rules have conditions, more than 200",
        ),
    ],
)
def test_what_is_odd(text, warning):
    [found] = check_policy(read(text))
    assert warning in found


@pytest.mark.parametrize(
    "text",
    [
        "[[rule]]\nmay='query'\nrole='a'\n[[rule]]\nmay='query'",
        "[[rule]]\nmay='query'\nemergency=true\n[[rule]]\nmay='query'",
        "[[rule]]\nmay='query'\nwhere.Modality='CT'\n[[rule]]\nmay='query'\nwhere.Modality='MR'",
        "[[rule]]\nmay='query'\nnetwork='10.1.0.0/16'\n[[rule]]\nmay='query'\nnetwork='10.0.0.0/8'",
        "[[rule]]\nmay='move'\nto='A'\n[[rule]]\nmay='move'\nto='B'",
    ],
)
def test_what_is_not_odd(text):
    assert list(check_policy(read(text))) == []


def test_the_policy_of_the_documentation_is_sound():
    page = Path(__file__).parents[3] / "docs" / "how-to" / "who-may-do-what.md"
    examples = page.read_text().split("```toml")[1:]
    policies = [each.partition("```")[0] for each in examples if "[[rule]]" in each]
    assert policies
    for text in policies:
        assert list(check_policy(read(text))) == []
