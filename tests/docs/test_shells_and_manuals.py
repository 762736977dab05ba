"""Completion in real shells, manual pages by groff, and ``pacs help``."""

import shutil
import subprocess

import pytest

from pacs_core.api.commands import main

COMPLETE = """
source {script}
COMP_WORDS=({words})
COMP_CWORD={last}
COMP_LINE="${{COMP_WORDS[*]}}"
COMP_POINT=${{#COMP_LINE}}
COMPREPLY=()
{function}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """Scripts for shells, by their names."""
    folder = tmp_path_factory.mktemp("scripts")
    for shell in ("bash", "zsh", "fish"):
        with pytest.MonkeyPatch.context() as patch, (folder / shell).open("w") as file:
            patch.setattr("sys.stdout", file)
            assert main(["completion", shell]) == 0
    return folder


@pytest.mark.parametrize(
    ("typed", "expected", "unexpected"),
    [
        (["pacs", "mod"], {"modify"}, {"store"}),
        (["pacs", "sig"], {"sign"}, {"store"}),
        (["pacs", "jobs", ""], {"list", "retry"}, {"modify"}),
        (["pacs", "modify", "--in"], {"--in-place"}, {"--output"}),
    ],
)
def test_bash_completes(scripts, typed, expected, unexpected):
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    script = scripts / "bash"
    names = [
        line.split()[-2 if line.split()[-1] == "pacs" else -1]
        for line in script.read_text().splitlines()
        if line.startswith("complete ")
    ]
    words = " ".join(f"'{word}'" for word in typed)
    text = COMPLETE.format(
        script=script, words=words, last=len(typed) - 1, function=names[0].strip("'\"")
    )
    done = subprocess.run([bash, "-c", text], capture_output=True, text=True, check=False)
    found = set(done.stdout.split())
    assert (expected <= found, unexpected & found, done.stderr) == (True, set(), "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_read_their_scripts(scripts, shell):
    program = shutil.which(shell)
    if program is None:
        assert "modify" in (scripts / shell).read_text()
        pytest.skip(f"there is no {shell}")
    subprocess.run([program, "-n", scripts / shell], check=True)


def test_manual_pages_are_written_without_a_warning(tmp_path, capsys):
    assert main(["man", "--output", str(tmp_path)]) == 0
    pages = sorted(tmp_path.iterdir())
    assert {"pacs.1", "pacs-store.1", "pacs-jobs-list.1", "pacs-sign.1"} <= {p.name for p in pages}
    assert capsys.readouterr().out == f"{len(pages)} pages written\n"
    text = (tmp_path / "pacs-modify.1").read_text()
    assert "Change the files themselves." in text
    assert "\\-\\-in\\-place" in text
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("there is no groff")
    done = subprocess.run(
        [groff, "-man", "-ww", "-z", *pages], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    shown = subprocess.run(
        [groff, "-man", "-Tascii", "-P-c", tmp_path / "pacs-store.1"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "Send files to a peer (C-STORE" in shown
    assert "How many to use at once." in shown


def test_help_explains_commands_and_topics(capsys):
    def run(*arguments):
        code = main(["help", *arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    assert "exit-codes" in run()[1]
    assert "130  Interrupted." in run("exit-codes")[1]
    assert "--output, -o" in run("options")[1]
    for words in (["store"], ["jobs", "list"], ["sign"]):
        assert run(*words)[0] == 0
    code, _, err = run("nonsense")
    assert (code, "neither a command nor a topic" in err) == (2, True)
    assert run("store", "--", "x")[0] == 2
    code = main(["man", "dump"])
    assert (code, ".SH OPTIONS" in capsys.readouterr().out) == (0, True)
    assert main(["man", "nonsense"]) == 2
