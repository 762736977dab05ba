"""``pacs plugins new``."""

import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from pacs_core.cli.errors import CommandError
from pacs_core.cli.logs import configure_logging
from pacs_core.cli.output import say

Kind = Literal[
    "sop-class",
    "object-store",
    "index",
    "codec",
    "audit-sink",
    "event-handler",
    "change-consumer",
    "ingest-filter",
    "service",
    "job-kind",
    "inference-adapter",
    "web-routes",
    "access",
    "control",
    "cli-command",
]


def new(
    name: str,
    *,
    kind: Kind,
    author: str | None = None,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path(),
) -> None:
    """Begin a plugin: a distribution with code, tests and settings, all working at once.

    Parameters
    ----------
    name
        Of the distribution and of the plugin: lower-case words with hyphens.
    kind
        What the plugin provides.
    author
        For the project's metadata; else git's user.name.
    output
        Folder in which the project's folder is made.
    """
    folder = output / name
    if folder.exists():
        raise CommandError(f"{folder} is there already; choose another name or --output")
    answers = {"name": name, "kind": kind, "author": author or _git_user()}
    made = _render(_template(), answers, output)
    say(f"made {made}")
    say(f"next: cd {made} && uv run pytest && uv run pacs plugins")


def _template() -> Path:
    """Return the template: within the package, or of the checkout."""
    shipped = Path(str(files("pacs_core"))) / "_template"
    return shipped if shipped.is_dir() else shipped.parents[1] / "cookiecutter"


def _render(template: Path, answers: dict[str, str], output: Path) -> Path:
    try:
        from cookiecutter.exceptions import CookiecutterException
        from cookiecutter.main import cookiecutter
    except ImportError as error:
        raise CommandError(
            "the template needs cookiecutter: pip install 'pacs-core[template]'"
        ) from error
    configure_logging("critical")  # what the template complains of is said once
    usual = tempfile.tempdir
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder  # the template's hooks are copied there, and left behind
        settings = Path(folder) / "settings.yaml"
        settings.write_text(f"replay_dir: {folder}\n", encoding="utf-8")
        try:
            made = cookiecutter(
                str(template),
                no_input=True,
                extra_context=answers,
                output_dir=str(output),
                config_file=str(settings),
            )
        except CookiecutterException as error:
            raise CommandError(f"nothing was made: {error}") from error
        finally:
            tempfile.tempdir = usual
    return Path(made)


def _git_user() -> str:
    import subprocess

    command = ["git", "config", "user.name"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError:
        return "unknown"
    return found.stdout.strip() or "unknown"
