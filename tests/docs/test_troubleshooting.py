"""The page that explains messages has all that the program may log as warning or worse."""

import ast
import re
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "troubleshooting.md"
LEVELS = {"warning", "error", "exception", "critical"}
LOGGERS = {"logger", "_log", "log"}
REFUSALS = {"StartError", "JournalError"}
VERBS = "choose|convert|give|install|lay|make|move|name|pip|remux|replace|say|see|use"
ASKS = re.compile(rf"[:;,] (?:{VERBS})\b")
"""In what a command says as it fails: it asks for action."""
PLACEHOLDER = re.compile(r"%[-#0]*\d*(?:\.\d+)?[sdrgfaoxX]")


def sources():
    found = ROOT.glob("plugins/*/src"), ROOT.glob("contrib/*/src"), [ROOT / "pacs_core"]
    for folder in chain(*found):
        for path in folder.rglob("*.py"):
            if "testing" not in path.parts:
                yield path


def text_of(node, constants):
    """Return a message with … for what is put into it; empty if it is made elsewhere."""
    if isinstance(node, ast.Name):
        node = constants.get(node.id, node)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return PLACEHOLDER.sub("…", node.value).replace("%%", "%")
    if isinstance(node, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
        return "".join(parts)
    return ""


def messages():
    """Iterate over what is logged as warning or worse, and why nodes and commands do not go on."""
    for path in sources():
        tree = ast.parse(path.read_text("utf-8"))
        assigned = (each for each in tree.body if isinstance(each, (ast.Assign, ast.AnnAssign)))
        constants = {}
        for each in assigned:
            targets = each.targets if isinstance(each, ast.Assign) else [each.target]
            constants |= {name.id: each.value for name in targets if isinstance(name, ast.Name)}
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called = node.func
            logs = (
                isinstance(called, ast.Attribute)
                and called.attr in LEVELS
                and isinstance(called.value, ast.Name)
                and called.value.id in LOGGERS
            )
            name = called.id if isinstance(called, ast.Name) else ""
            if not (logs or name in {*REFUSALS, "CommandError"}):
                continue
            text = text_of(node.args[0], constants)
            asks = ASKS.search(text) if name == "CommandError" else re.search(r"[a-z]{2}", text)
            if asks:
                yield text


def texts():
    """Iterate over all texts in the program: a message may be made far from where it is logged."""
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, (ast.Constant, ast.JoinedStr)) and (text := text_of(node, {})):
                yield text


def explained():
    """Return the messages that the page has, each in a line of a block."""
    blocks = re.findall(r"^```text\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def test_each_message_is_explained_and_none_that_is_there_no_more():
    said, found = set(messages()), explained()
    assert len(said) > 150
    assert sorted(said - set(found)) == [], "explain them in docs/how-to/troubleshooting.md"
    assert sorted(set(found) - said - set(texts())) == [], "nothing says so any more"
    assert len(found) == len(set(found))


def test_the_doctor_points_to_what_there_is():
    """Each page with its anchor, as headings make them."""
    source = (ROOT / "pacs_core" / "app" / "doctor.py").read_text("utf-8")
    pointers = re.findall(r'"(how-to/[\w-]+\.md)(?:#([\w-]+))?"', source)
    assert len(pointers) > 3
    for page, anchor in pointers:
        text = (ROOT / "docs" / page).read_text("utf-8")
        headings = {
            re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-")
            for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        }
        assert not anchor or anchor in headings, (page, anchor)
