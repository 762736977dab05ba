"""Refuses answers from which no sound distribution can be made, before anything is written."""

import keyword
import re
import sys

NAME = {{ cookiecutter.name | tojson }}
AUTHOR = {{ cookiecutter.author | tojson }}
PACKAGE = NAME.replace("-", "_")

PROBLEMS = {
    "name: use lower-case words of letters and digits, with hyphens between them": re.fullmatch(
        r"[a-z][a-z0-9]*(-[a-z0-9]+)*", NAME
    )
    is None,
    "name: use at most 40 characters": len(NAME) > 40,
    f"name: {PACKAGE} is a module of Python": PACKAGE in sys.stdlib_module_names,
    f"name: {PACKAGE} is a word of the language": keyword.iskeyword(PACKAGE),
    f"name: {PACKAGE} is the kernel": PACKAGE in {"pacs", "pacs_core"},
    "author: give a name": not AUTHOR.strip(),
    "author: use printable characters only": not AUTHOR.isprintable(),
}

problems = [message for message, found in PROBLEMS.items() if found]
if problems:
    sys.exit("\n".join(problems))
