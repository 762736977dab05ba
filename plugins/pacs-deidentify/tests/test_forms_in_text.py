"""Forms in which a name, a number or a date stands in text, and does not stay (PS3.15 E.1.1)."""

from io import BytesIO

import pytest
from pacs_deidentify.evidence import gather_evidence
from pacs_deidentify.files import deidentify_file
from pacs_deidentify.forms import find_spelled
from pacs_deidentify.leaks import find_leaks
from pacs_deidentify.options import Option
from pacs_deidentify.profile import Profile
from pacs_deidentify.pseudonyms import Pseudonyms
from pydicom import dcmread
from pydicom.dataset import Dataset

from .samples import make_instance

KEY = Pseudonyms(b"0123456789abcdef")


def run(dataset: Dataset, *options: Option) -> Dataset:
    dataset.save_as(source := BytesIO(), enforce_file_format=True)
    profile = Profile(pseudonyms=KEY, options=frozenset(options))
    target = BytesIO()
    report = deidentify_file(BytesIO(source.getvalue()), profile, lambda made: target)
    assert find_leaks(BytesIO(target.getvalue()), report.evidence).leaks == ()
    return dcmread(BytesIO(target.getvalue()))


@pytest.mark.parametrize(
    ("name", "text", "secret"),
    [
        ("Ruiz^Marisol", "Ruiz1", "Ruiz"),
        ("Ruiz^Marisol", "CT1RUIZ", "RUIZ"),
        ("Ruiz^Marisol", "ChestRuiz", "Ruiz"),
        ("Ruiz^Marisol", "RuizThorax", "Ruiz"),
        ("Ruiz^Marisol", "by mruiz", "ruiz"),
        ("Ruiz^Marisol", "ruizm", "ruiz"),
        ("Ruiz^Marisol", "Ru\u200biz", "Ru"),
        ("Ruiz^Marisol", "Ｒｕｉｚ", "Ｒ"),
        ("Smith-Jones^Ann", "Jones chest", "Jones"),
        ("Smith-Jones^Ann", "Smith Jones", "Smith"),
        ("O'Brien^Pat", "OBrien", "Brien"),
        ("O'Brien^Pat", "O’Brien", "Brien"),
        ("O'Brien^Pat", "Brien", "Brien"),
        ("Müller^Jan", "Mu\u0308ller", "ller"),
        ("Müller^Jan", "MUELLER", "ELLER"),
        ("Müller^Jan", "M%C3%BCller", "ller"),
        ("Mueller^Jan", "Müller", "ller"),
        ("Jose^Ana", "José", "Jos"),
        ("Kowalski^Łukasz", "Lukasz", "Lukasz"),
        ("Kowalski^Lukasz", "Łukasz", "ukasz"),
        ("Yıldız^İpek", "IPEK YILDIZ", "YILDIZ"),
        ("Παπαδόπουλος^Γιώργος", "ΠΑΠΑΔΟΠΟΥΛΟΣ", "ΠΑΠΑ"),
    ],
)
def test_a_name(name: str, text: str, secret: str) -> None:
    """In text of which the table says nothing, so that all else stays."""
    made = run(make_instance(PatientName=name, ReconstructionDescription=f"{text} B30f"))
    assert secret not in str(made.ReconstructionDescription)
    assert "B30f" in made.ReconstructionDescription


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("ID77120", "ID***"),
        ("x77120y", "x***y"),
        ("tel 555.0199", "tel ***"),
        ("20230817101530", "***101530"),
        ("s20230817_1", "s***_1"),
        ("2023-08-17T10:15", "***T10:15"),
        ("UID1.2.826.99.77", "UID***"),
        # Neither is part of a longer number, nor a number of four digits of a word.
        ("1771209", "1771209"),
        ("VB9921A", "VB9921A"),
    ],
)
def test_a_number_or_a_date(text: str, left: str) -> None:
    dataset = make_instance(PatientID="77120", StudyID="9921", ConvolutionKernel=text)
    assert run(dataset).ConvolutionKernel == left


def test_names_of_two_letters_in_descriptions() -> None:
    dataset = make_instance(PatientName="NG^Bo", StudyDescription="Ng, and Bo: ng tube, NGT")
    assert run(dataset, Option.CLEAN_DESCRIPTORS).StudyDescription == "***, and ***: ng tube, NGT"


@pytest.mark.parametrize("text", ["17. August 2023", "17 août 2023", "17 de agosto de 2023"])
def test_dates_in_other_languages(text: str) -> None:
    made = run(make_instance(StudyDescription=f"CT {text}"), Option.CLEAN_DESCRIPTORS)
    assert made.StudyDescription == "CT ***"


@pytest.mark.parametrize(
    "keyword",
    ["CommentsOnTheScheduledProcedureStep", "DocumentTitle", "SetupImageComment", "PulserNotes"],
)
def test_what_somebody_says_in_his_own_words(keyword: str) -> None:
    """The table has not all of them: they are treated as those that it has (E.3.5)."""
    said = {keyword: "Mrs. Zzyzx looks pale"}
    assert "Zzyzx" not in str(run(make_instance(**said)))
    cleaned = run(make_instance(**said), Option.CLEAN_DESCRIPTORS)
    assert cleaned[keyword].value == "*** looks pale"


def test_who_gives_out_ids() -> None:
    """Issuer of Patient ID (0010,0021) goes, and so does what its qualifiers say (PS3.3 10.15)."""
    issuer = Dataset()
    issuer.UniversalEntityID, issuer.UniversalEntityIDType = "zzyzx.example.org", "DNS"
    issuer.LocalNamespaceEntityID = "ZZYZX"
    said = {
        "IssuerOfPatientIDQualifiersSequence": [issuer],
        "IssuerOfAccessionNumberSequence": [issuer],
    }
    assert "zzyzx" not in str(run(make_instance(**said))).lower()
    kept = run(make_instance(**said), Option.RETAIN_INSTITUTION_IDENTITY)
    assert kept.IssuerOfPatientIDQualifiersSequence[0].LocalNamespaceEntityID == "ZZYZX"


def test_encrypted_attributes_lead_back() -> None:
    """Who had them encrypted could say whose they are (PS3.15 E.1.2)."""
    encrypted = Dataset()
    encrypted.EncryptedContentTransferSyntaxUID = "1.2.840.10008.1.2"
    encrypted.EncryptedContent = bytes(16)
    made = run(make_instance(EncryptedAttributesSequence=[encrypted]))
    assert "EncryptedAttributesSequence" not in made


def test_where_something_is_to_be_had() -> None:
    """Hosts and paths of a site tell of it, whatever the scheme is."""
    dataset = make_instance(RetrieveURL="file://zzyzx/wado", CodingSchemeURL="urn:oid:1.2.3")
    made = run(dataset)
    assert "zzyzx" not in str(made)
    assert made.CodingSchemeURL == "urn:oid:1.2.3"


@pytest.mark.parametrize("tag", [0x0002_0016, 0x0004_1141, 0x0004_1500, 0x0006_0010])
def test_groups_that_are_of_no_dataset(tag: int) -> None:
    """PS3.5 §7.1: those of commands, File Meta Information and DICOMDIRs."""
    content = BytesIO()
    make_instance().save_as(content, enforce_file_format=True)
    before, mark, after = content.getvalue().partition(b"\x08\0\x05\0CS")
    element = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
    element += b"CS\x06\0ZZYZX "
    target = BytesIO()
    source = BytesIO(before + element + mark + after)
    deidentify_file(source, Profile(pseudonyms=KEY), lambda made: target)
    assert b"ZZYZX" not in target.getvalue()


APART = [
    ("R u i z", "***"), ("R-u-i-z", "***"), ("R.u.i.z", "***"), ("R. u. i. z.", "***."),
    ("r_u_i_z", "***"), ("R  U  I  Z", "***"), ("M a r i s o l   R u i z", "***   ***"),
    ("M.A.R.I.S.O.L.R.U.I.Z", "***"), ("P: R u i z", "P: ***"), ("R,u,i,z 7", "*** 7"),
    ("L e e", "***"), ("L e e   W o n g", "***   W o n g"), ("L-e-e-c-h", "L-e-e-c-h"),
    ("É r o u a r d", "***"), ("G.E.", "G.E."), ("A-P, L-R", "A-P, L-R"), ("x y z", "x y z"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "left"), APART)
def test_letters_that_are_set_apart(text: str, left: str) -> None:
    names = ["Lee^Ann", "Erouard^Zoe"]
    dataset = make_instance(ReconstructionDescription=text, OtherPatientNames=names)
    made = run(dataset)
    assert made.ReconstructionDescription == left
    # The proof finds what a careless profile keeps.
    made.ReconstructionDescription = text
    made.save_as(shown := BytesIO(), enforce_file_format=True)
    leaks = find_leaks(BytesIO(shown.getvalue()), gather_evidence(dataset, ())).leaks
    assert leaks == (() if text == left else ("(0018,9531)",))


def test_a_long_text_of_letters_takes_no_longer_for_each() -> None:
    """A report may be a megabyte of anything."""
    assert list(find_spelled("r u i x " * 50_000, frozenset({"ruiz", "marisol"}))) == []
    assert len(list(find_spelled("r u i z  " * 50_000, frozenset({"ruiz"})))) == 50_000
