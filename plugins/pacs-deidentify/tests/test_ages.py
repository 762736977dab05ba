"""Ages over 89 are told as 90 or older (45 CFR 164.514(b)(2)(i)(C); PS3.15 E.3.7)."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pacs_deidentify.ages import cap_ages
from pacs_deidentify.deidentify import deidentify
from pacs_deidentify.evidence import gather_evidence
from pacs_deidentify.options import Option
from pacs_deidentify.profile import Profile
from pacs_deidentify.pseudonyms import Pseudonyms
from pydicom import config, dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from .samples import make_instance, make_report
from .test_files import run, save
from .test_proof import CONFIG

__all__ = ["run"]

CHARACTERISTICS = Option.RETAIN_PATIENT_CHARACTERISTICS
KEY = Pseudonyms(b"0123456789abcdef")


def made_of(dataset: Dataset, *options: Option, **more) -> Dataset:
    return deidentify(dataset, Profile(pseudonyms=KEY, options=frozenset(options), **more))[0]


@pytest.mark.parametrize(
    ("age", "told"),
    [
        ("062Y", "062Y"), ("089Y", "089Y"), ("090Y", "090Y"), ("091Y", "090Y"), ("118Y", "090Y"),
        ("999M", "999M"), ("014D", "014D"), ("95", "090Y"), ("95y", "090Y"), ("1092M", "090Y"),
        ("094Y ", "090Y"), ("", ""),
    ],
)  # fmt: skip
def test_an_age_over_89_is_told_as_90(age: str, told: str) -> None:
    dataset = make_instance(PatientBirthDate="")
    dataset["PatientAge"] = DataElement(0x00101010, "AS", age, validation_mode=config.IGNORE)
    assert (made_of(dataset, CHARACTERISTICS).PatientAge or "") == told
    # What `keep` names stays as it is, but for ages.
    assert (made_of(dataset, keep=frozenset({0x00101010})).PatientAge or "") == told
    assert (made_of(dataset, CHARACTERISTICS, oldest_age=0).PatientAge or "") == age


def test_what_is_no_age_goes() -> None:
    dataset = make_instance()
    dataset["PatientAge"] = DataElement(0x00101010, "AS", "old!", validation_mode=config.IGNORE)
    made = made_of(dataset, CHARACTERISTICS)
    assert "PatientAge" not in made
    assert made_of(make_instance(PatientAge="085Y"), CHARACTERISTICS, oldest_age=79).PatientAge == (
        "080Y"
    )


def test_ages_of_private_and_nested_attributes() -> None:
    dataset = make_instance()
    dataset.private_block(0x0029, "ACME 1", create=True).add_new(0x10, "AS", "097Y")
    dataset.RequestAttributesSequence[0].PatientAge = "096Y"
    safe = frozenset({("ACME 1", 0x0029, 0x10)})
    keep = frozenset({0x00400275, 0x00101010})
    made = made_of(dataset, Option.RETAIN_SAFE_PRIVATE, safe_private=safe, keep=keep)
    assert made[0x0029, 0x1010].value == "090Y"
    assert made.RequestAttributesSequence[0].PatientAge == "090Y"


@pytest.mark.parametrize(
    ("born", "age", "stays"),
    [
        ("19230818", "", True), ("19330818", "", True), ("19330817", "", False),
        ("19611231", "095Y", False),
    ],
)  # fmt: skip
def test_a_birth_date_does_not_tell_it(born: str, age: str, stays: bool) -> None:
    """Ninety years before Study Date (0008,0020), which is 20230817, is the last that is told."""
    dataset = make_instance(PatientBirthDate=born, PatientAge=age)
    if born == "19230818":
        dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDateTime = "20130817"
    made = made_of(dataset, CHARACTERISTICS, keep=frozenset({0x00100030}))
    assert made.PatientBirthDate == (born if stays else "")
    without_limit = made_of(dataset, keep=frozenset({0x00100030}), oldest_age=0)
    assert without_limit.PatientBirthDate == born


def test_text_tells_neither_age_nor_year_of_birth() -> None:
    dataset = make_instance(PatientAge="095Y", PatientBirthDate="19280423")
    dataset.StudyDescription = "95-year-old, 95yo, 095Y, aged 95, b. 1928, for 30 years"
    dataset.ConvolutionKernel = "95yF 1928"
    made = made_of(dataset, Option.CLEAN_DESCRIPTORS)
    assert made.StudyDescription == "90-year-old, 90yo, 90Y, aged 90, b. ***, for 30 years"
    assert made.ConvolutionKernel == "90yF ***"
    young = make_instance(StudyDescription="b. 1961")
    assert made_of(young, Option.CLEAN_DESCRIPTORS).StudyDescription == "b. 1961"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("91 y/o M", "90 y/o M"), ("93 y.o.", "90 y.o."), ("F/94y", "F/90y"), ("104J.", "90J."),
        ("95-jähriger Patient", "90-jähriger Patient"), ("96 Jahre alt", "90 Jahre alt"),
        ("97 ans", "90 ans"), ("98 años", "90 años"), ("Age: 99", "Age: 90"),
        ("99.5 yrs", "90 yrs"),
        ("Alter 092", "Alter 90"), ("at the age of 101.", "at the age of 90."),
        ("89 years", "89 years"), ("aged 95 months", "aged 95 months"), ("95 mm", "95 mm"),
        ("image 95 of 120", "image 95 of 120"), ("1995 years", "1995 years"), ("-95 HU", "-95 HU"),
        ("94+ years", "90+ years"), ("94½ years", "90½ years"), ("94 1/2 y", "90 1/2 y"),
        ("94 or 95 years", "90 or 90 years"), ("88-95 years", "88-90 years"),
        ("92 bis 94 Jahre", "90 bis 90 Jahre"), ("im 95. Lebensjahr", "im 90. Lebensjahr"),
        ("her 93rd birthday", "her 90rd birthday"), ("95. Lj.", "90. Lj."),
        ("ninety-one and a half years", "90 and a half years"),
        ("T2 95-120 ms", "T2 95-120 ms"), ("95th percentile", "95th percentile"),
        ("97J", "90J"), ("91 yoM", "90 yoM"), ("92yof,", "90yof,"), ("91 y.o", "90 y.o"),
        ("93-jährige", "90-jährige"), ("aged 101", "aged 90"), ("95 J of energy", "95 J of energy"),
        ("a ninety-one year old", "a 90 year old"), ("Ninety four years", "90 years"),
        ("one hundred and two-year-old", "90-year-old"), ("a hundred years", "90 years"),
        ("aged ninety-nine", "aged 90"), ("at the age of one hundred", "at the age of 90"),
        ("dreiundneunzigjährige Frau", "90jährige Frau"),
        ("hundertein Jahre", "90 Jahre"), ("fünfundneunzig Jahre", "90 Jahre"),
        ("quatre-vingt-dix-sept ans", "90 ans"), ("nonante et un ans", "90 ans"),
        ("cent deux ans", "90 ans"), ("noventa y tres años", "90 años"),
        ("noventa e dois anos", "90 anos"), ("novantotto anni", "90 anni"),
        ("centodue anni", "90 anni"), ("drieënnegentig jaar", "90 jaar"),
        ("vierennegentigjarige", "90jarige"), ("a nonagenarian", "a 90"), ("centenarian", "90"),
        ("woman in her late nineties", "woman in her 90"),
        ("quatre-vingts ans", "quatre-vingts ans"), ("eighty-nine years", "eighty-nine years"),
        ("ninety-one days", "ninety-one days"), ("hundred mm", "hundred mm"),
        ("a hundred images", "a hundred images"), ("cent images", "cent images"),
        ("nonanatomical, centering", "nonanatomical, centering"),
        ("90Y-SIRT", "90Y-SIRT"), ("120 kV 300 mA", "120 kV 300 mA"), ("average 95", "average 95"),
    ],
)  # fmt: skip
def test_ages_in_text(text: str, cleaned: str) -> None:
    assert cap_ages(text, 89) == cleaned


def test_another_limit_for_words() -> None:
    assert cap_ages("ninety-one years, one hundred and three years", 99) == (
        "ninety-one years, 100 years"
    )
    assert cap_ages("a nonagenarian", 99) == "a nonagenarian"


def item(scheme: str, code: str, **values: object) -> Dataset:
    concept, made = Dataset(), Dataset()
    concept.CodeValue, concept.CodingSchemeDesignator, concept.CodeMeaning = code, scheme, "x"
    made.RelationshipType, made.ConceptNameCodeSequence = "HAS OBS CONTEXT", [concept]
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def measured(value: str, unit: str, code: str = "121033") -> Dataset:
    number, units = Dataset(), Dataset()
    units.CodeValue, units.CodingSchemeDesignator, units.CodeMeaning = unit, "UCUM", unit
    number.NumericValue, number.MeasurementUnitsCodeSequence = value, [units]
    number.FloatingPointValue = float(value)
    return item("DCM", code, ValueType="NUM", MeasuredValueSequence=[number])


def test_content_items_tell_neither_age_nor_birth_date() -> None:
    """Subject Age and Subject Birth Date stay the patient's (PS3.16 TID 1007)."""
    report = make_report()
    report.ContentSequence = [
        measured("97", "a"), measured("1100", "mo"), measured("88", "a"),
        measured("97", "mm", "112032"),
        item("DCM", "121031", ValueType="DATE", Date="19280423"),
        item("DCM", "111060", ValueType="DATE", Date="20230817"),
    ]  # fmt: skip
    options = (Option.CLEAN_STRUCTURED_CONTENT, Option.RETAIN_FULL_DATES, CHARACTERISTICS)
    *numbers, born, study = made_of(report, *options).ContentSequence
    values = [number.MeasuredValueSequence[0] for number in numbers]
    assert [str(value.NumericValue) for value in values] == ["90", "1080", "88", "97"]
    assert ["FloatingPointValue" in value for value in values] == [False, False, True, True]
    assert (born.Date, study.Date) == ("19000101", "20230817")
    # They are sought by the proof, too.
    assert "19280423" in gather_evidence(report, options).groups["birth"]


def test_a_profile_that_keeps_text_is_found_out(run: Callable, tmp_path: Path) -> None:
    """The proof finds ages that a careless profile keeps in text, and says where."""
    told = ("seen at 95 years", "born 1928", "a ninety-five-year-old", "ninety five years")
    for number, text in enumerate((*told, "ninety-six years")):
        dataset = make_instance(PatientAge="095Y", PatientBirthDate="19280423", ImageComments=text)
        dataset.SOPInstanceUID += f".{number}"
        save(tmp_path / "in" / f"{number}", dataset)
    (tmp_path / "pacs.toml").write_text(CONFIG.format('keep = ["ImageComments", "PatientAge"]'))
    result = run("in", "out", "--config", "pacs.toml", "--report", "r", "--jobs", 1)
    assert (result.code, result.out) == (1, "1 instance de-identified, 4 leaking\n")
    assert result.err.count("(0020,4000)") == 4
    made = dcmread(next((tmp_path / "out").rglob("*.dcm")))
    assert made[Tag("PatientAge")].value == "090Y"
