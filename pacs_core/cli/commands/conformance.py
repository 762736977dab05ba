"""``pacs conformance``."""

import json
from pathlib import Path
from typing import Annotated, Literal

from attrs import asdict

from pacs_core.cli.assembling import load_assembly
from pacs_core.cli.logs import configure_logging
from pacs_core.cli.option import Option
from pacs_core.cli.options import ConfigOption, LogLevelOption
from pacs_core.conformance import Statement, sections, state, to_html, to_markdown


def conformance(
    *,
    form: Annotated[Literal["md", "html", "json"], Option("--format")] = "md",
    output: Annotated[Path | None, Option("--output", "-o")] = None,
    config: ConfigOption = None,
    log_level: LogLevelOption = None,
) -> None:
    """Write the DICOM Conformance Statement of this node, as installed and configured.

    Parameters
    ----------
    form
        Markdown, HTML, or the facts alone as JSON.
    output
        File to write, instead of standard output.
    """
    configure_logging(log_level or "warning")
    text = _FORMATS[form](state(load_assembly(config)))
    if output is None:
        print(text, end="")
    else:
        output.write_text(text, encoding="utf-8")


def _json(statement: Statement) -> str:
    return json.dumps(asdict(statement), indent=2, ensure_ascii=False) + "\n"


_FORMATS = {
    "md": lambda statement: to_markdown(sections(statement)),
    "html": lambda statement: to_html(sections(statement)),
    "json": _json,
}
