"""``pacs plugins doctor``."""

from collections.abc import Iterator

from pacs_core.app.doctor import Diagnosis, PluginReport, Problem, diagnose
from pacs_core.cli.errors import FAILURE
from pacs_core.cli.logs import configure_logging
from pacs_core.cli.options import ConfigOption, JsonOption, LogLevelOption
from pacs_core.cli.output import count, dump_json, say
from pacs_core.config import to_toml


def doctor(
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    log_level: LogLevelOption = None,
) -> int:
    """Say what each plugin provides, what is wrong, and what to do; starts nothing.

    The exit code is 1 if anything needs action.

    Parameters
    ----------
    as_json
        Print a JSON object instead of text.
    """
    # What is logged of a plugin that is quarantined stands in the report.
    configure_logging(log_level or "error")
    diagnosis = diagnose(config)
    if as_json:
        print(dump_json(_facts(diagnosis), indent=2))
    else:
        for line in _lines(diagnosis):
            say(line)
    return FAILURE if diagnosis.needs_action else 0


def _facts(diagnosis: Diagnosis) -> dict[str, object]:
    return {
        "needs_action": diagnosis.needs_action,
        "problems": [_problem(each) for each in diagnosis.problems],
        "plugins": [_plugin(each) for each in diagnosis.plugins],
        "speedups": [
            {"part": each.name, "in_c": each.maker is not None, "detail": each.detail}
            for each in diagnosis.speedups
        ],
        "event_loop": {
            "uvloop": diagnosis.event_loop.uvloop,
            "detail": diagnosis.event_loop.detail,
        },
    }


def _problem(problem: Problem) -> dict[str, str]:
    return {"what": problem.what, "action": problem.action, "page": problem.page}


def _plugin(report: PluginReport) -> dict[str, object]:
    record = report.record
    return {
        "name": record.name,
        "distribution": record.distribution,
        "version": record.version,
        "target": record.target,
        "state": record.state.value,
        "fault": record.fault.value if record.fault else None,
        "provides": report.provides,
        "config": report.config,
        "problems": [_problem(each) for each in report.problems],
        "frames": [
            {"file": each.file, "line": each.line, "function": each.function, "code": each.source}
            for each in report.frames
        ],
        "notes": report.notes,
    }


def _lines(diagnosis: Diagnosis) -> Iterator[str]:
    for report in diagnosis.plugins:
        yield from _plugin_lines(report)
        yield ""
    yield from map(str, diagnosis.speedups)
    yield str(diagnosis.event_loop)
    for problem in diagnosis.problems:
        yield from _problem_lines(problem, "")
    number = len(diagnosis.problems) + sum(len(each.problems) for each in diagnosis.plugins)
    verb = "needs" if number == 1 else "need"
    yield f"{count(number, 'problem')} {verb} action" if number else "nothing needs action"


def _plugin_lines(report: PluginReport) -> Iterator[str]:
    record = report.record
    yield f"{record.name} ({record.source}): {record.state.value}"
    yield from (f"  provides {each}" for each in report.provides)
    if report.config is not None:
        yield f"  [plugin.{record.name}]"
        yield from (f"    {line}" for line in to_toml(report.config).splitlines() if line)
    for problem in report.problems:
        yield from _problem_lines(problem, "  ")
    for frame in report.frames:
        yield f"    at {frame}"
        if frame.source:
            yield f"      {frame.source}"
    yield from (f"  note: {note}" for note in report.notes)


def _problem_lines(problem: Problem, indent: str) -> Iterator[str]:
    yield f"{indent}problem: {problem.what}"
    yield f"{indent}what to do: {problem.action}"
    if problem.page:
        yield f"{indent}more: docs/{problem.page}"
