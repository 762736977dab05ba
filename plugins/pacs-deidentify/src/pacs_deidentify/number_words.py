"""Numbers of years from 90 to 119 in words, as people write ages of the old in seven languages."""

import re
from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Final

_FIRST: Final = 90
_HUNDRED: Final = 100

# Names of 1 to 19, with other forms of one behind a slash. What is joined to a ten may differ.
_UNITS: Final = {
    "en": "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    " fifteen sixteen seventeen eighteen nineteen",
    "de": "ein/eins/eine zwei drei vier fünf/fuenf sechs sieben acht neun zehn elf zwölf/zwoelf"
    " dreizehn vierzehn fünfzehn/fuenfzehn sechzehn siebzehn achtzehn neunzehn",
    "fr": "un/une deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze"
    " seize dix-sept dix-huit dix-neuf",
    "es": "un/uno/una dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce"
    " quince dieciséis/dieciseis diecisiete dieciocho diecinueve",
    "pt": "um/uma dois/duas três/tres quatro cinco seis sete oito nove dez onze doze treze"
    " catorze/quatorze quinze dezesseis/dezasseis dezessete/dezassete dezoito dezenove/dezanove",
    "it": "uno/un due tre/tré quattro cinque sei sette otto nove dieci undici dodici tredici"
    " quattordici quindici sedici diciassette diciotto diciannove",
    "nl": "een/één/eenen twee drie vier vijf zes zeven acht negen tien elf twaalf dertien veertien"
    " vijftien zestien zeventien achttien negentien",
}
_FORMS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]]] = {
    # language: ninety; ninety with a number below ten or twenty; hundred with one below twenty
    "en": (("ninety",), ("ninety {}",), ("{h}hundred", "{h}hundred {}", "{h}hundred and {}")),
    "de": (("neunzig",), ("{}undneunzig",), ("{h}hundert", "{h}hundert{}", "{h}hundertund{}")),
    "fr": (
        ("quatre vingt dix", "nonante"),
        ("nonante {}", "nonante et {}"),
        ("cent", "cent {}"),
    ),
    "es": (("noventa",), ("noventa y {}",), ("cien", "ciento {}")),
    "pt": (("noventa",), ("noventa e {}",), ("cem", "cento e {}")),
    "it": (("novanta",), ("novanta{}", "novant{}"), ("cento", "cento{}", "cent{}")),
    "nl": (
        ("negentig",),
        ("{}ennegentig", "{}ënnegentig", "{} en negentig"),
        ("honderd", "honderd{}", "honderd {}", "honderden{}", "honderd en {}"),
    ),
}
_BEFORE_HUNDRED: Final = {"en": ("one ", "a ", ""), "de": ("", "ein")}


@cache
def words_of_years(years: int) -> tuple[str, ...]:
    """Return how a number from 90 to 119 is written in words; none for any other.

    Examples
    --------
    >>> words_of_years(93)[:2], words_of_years(100)[0]
    (('ninety three', 'dreiundneunzig'), 'one hundred')
    """
    return tuple(dict.fromkeys(_words(years)))


def _words(years: int) -> Iterator[str]:
    rest = (years - _FIRST) % 10 if years < _HUNDRED else years - _HUNDRED
    if not _FIRST <= years < _HUNDRED + 20:
        return
    for language, (ninety, ninety_and, hundred) in _FORMS.items():
        names = _UNITS[language].split()
        units = names[rest - 1].split("/") if rest else [""]
        forms = (ninety_and if rest else ninety) if years < _HUNDRED else hundred
        before = _BEFORE_HUNDRED.get(language, ("",))
        for form, unit, h in product(forms, units, before):
            if ("{}" in form) == bool(rest):
                yield form.format(unit, h=h)
        if language == "fr" and years < _HUNDRED and rest:  # 91 is four twenties and eleven
            yield from (f"quatre vingt {unit}" for unit in names[rest + 9].split("/"))


@cache
def years_in_words() -> tuple[str, dict[str, int]]:
    """Return a pattern of all such words, and the number of each, its words one space apart."""
    values = {words: years for years in range(_FIRST, _HUNDRED + 20) for words in _both(years)}
    longest_first = sorted(values, key=lambda words: (-len(words), words))
    return "|".join(re.sub("[ -]", r"[ \\t-]{1,2}", words) for words in longest_first), values


def _both(years: int) -> Iterator[str]:
    yield from (words.replace("-", " ") for words in words_of_years(years))
