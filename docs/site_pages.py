"""How the documentation becomes a site; `mkdocs.yml` names this file as its hooks.

The pages are written to be read in the repository. Some of what they link to is outside ``docs``:
the READMEs of the distributions and the project's own pages become pages of the site; a source
file becomes a link into the repository where ``repo_url`` says which, else its path as code.
"""

import os
import re
import tomllib
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s#:]+)(#[^)\s]*)?\)")
PROJECT = ("CHANGELOG", "CONTRIBUTING", "CODE_OF_CONDUCT", "SECURITY")
FENCE = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.MULTILINE | re.DOTALL)


def _outside_pages() -> dict[str, str]:
    """Return the page of the site for each Markdown file outside of ``docs``."""
    pages = {"README.md": "index.md", "docs/README.md": "index.md"}
    pages |= {f"{name}.md": f"project/{name}.md" for name in PROJECT}
    for path in sorted([*ROOT.glob("plugins/*/README.md"), *ROOT.glob("contrib/*/README.md")]):
        pages[path.relative_to(ROOT).as_posix()] = f"distributions/{path.parent.name}.md"
    pages["cookiecutter/README.md"] = "distributions/cookiecutter.md"
    return pages


OUTSIDE = _outside_pages()
SOURCES = {page: source for source, page in reversed(OUTSIDE.items())}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Say of which version the site is; write out the sections that are folders."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    config.site_name += f" {project['version']}"
    for section in config.nav or ():
        if isinstance(section, dict):
            for title, content in section.items():
                if isinstance(content, str) and content.endswith("/"):
                    section[title] = _pages_below(content)
    return config


def _pages_below(folder: str) -> list[str]:
    here = [
        path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs" / folder).glob("*.md")
    ]
    return sorted([*here, *(page for page in SOURCES if page.startswith(folder))])


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages whose files are outside of ``docs``."""
    for page, source in SOURCES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links to what is outside of ``docs`` into such as the site has."""
    here = page.file.src_uri
    source = SOURCES.get(here, f"docs/{here}")

    def turn(match: re.Match[str]) -> str:
        bang, text, target, anchor = match[1], match[2], unquote(match[3]), match[4] or ""
        path = os.path.normpath(PurePosixPath(source).parent / target)
        inside = OUTSIDE.get(path, path.removeprefix("docs/") if path.startswith("docs/") else "")
        if inside and files.get_file_from_path(inside):
            return f"{bang}[{text}]({os.path.relpath(inside, PurePosixPath(here).parent)}{anchor})"
        if not (ROOT / path).exists():
            return match[0]  # and mkdocs says that it leads nowhere
        if config.repo_url:
            return f"[{text}]({config.repo_url.rstrip('/')}/blob/main/{path}{anchor})"
        return f"`{path}`" if path.endswith(text.strip("`")) else f"{text} (`{path}`)"

    parts, end = [], 0
    for fence in FENCE.finditer(markdown):
        parts += [LINK.sub(turn, markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, LINK.sub(turn, markdown[end:])])
