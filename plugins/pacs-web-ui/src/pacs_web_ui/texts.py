"""Languages of the pages: English is in the templates, every other in a file."""

import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

ENGLISH: Final = "en"
COOKIE: Final = "pacs_language"
_OWN: Final = Path(__file__).parent / "locale"


def load_languages(further: Iterable[str | Path] = ()) -> dict[str, Mapping[str, str]]:
    """Return the texts by language.

    Parameters
    ----------
    further : iterable of str or Path
        Folders with further files, each of which goes before ours and those of earlier ones.

    Raises
    ------
    ValueError
        A file cannot be read.
    """
    languages: dict[str, Mapping[str, str]] = {ENGLISH: {}}
    for language, texts in (*_read_own(), *_read(Path(each) for each in further if each)):
        languages[language] = {**languages.get(language, {}), **texts}
    return languages


@cache
def _read_own() -> tuple[tuple[str, Mapping[str, str]], ...]:
    """Return what comes with this package: the pages of each plugin have it, too."""
    return tuple(_read((_OWN, _OWN / "viewer")))


def _read(folders: Iterable[Path]) -> Iterator[tuple[str, Mapping[str, str]]]:
    for folder in folders:
        for path in sorted(folder.glob("*.toml")):
            try:
                yield path.stem, tomllib.loads(path.read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
                raise ValueError(f"{path}: {error}") from error


def choose_language(
    languages: Mapping[str, object], chosen: str | None, accepted: str | None
) -> str:
    """Return the language that was chosen, or else is accepted (RFC 9110 §12.5.4)."""
    if chosen in languages:
        return str(chosen)
    weighed = []
    for position, element in enumerate((accepted or "").lower().split(",")):
        name, _, parameter = element.partition(";")
        try:
            weight = float(parameter.partition("=")[2] or 1)
        except ValueError:
            weight = 0.0
        weighed.append((-weight, position, name.strip().partition("-")[0]))
    return next(
        (name for weight, _, name in sorted(weighed) if weight and name in languages), ENGLISH
    )


def translator(texts: Mapping[str, str]) -> Callable[[str], str]:
    """Return the function that templates translate with; what follows a bar is for translators."""
    return lambda text: texts.get(text) or text.partition("|")[0]
