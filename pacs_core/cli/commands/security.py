"""``pacs doctor security``."""

from typing import Literal

from pacs_core.app.security import find_weaknesses
from pacs_core.cli.errors import FAILURE
from pacs_core.cli.logs import configure_logging
from pacs_core.cli.options import ConfigOption, JsonOption, LogLevelOption
from pacs_core.cli.output import count, dump_json, say
from pacs_core.contracts import Severity


def security(
    *,
    fail_on: Literal["high", "medium", "low"] = "medium",
    as_json: JsonOption = False,
    config: ConfigOption = None,
    log_level: LogLevelOption = None,
) -> int:
    """Name what is weak in the configuration, the worst first, and what to change.

    Nothing is started. The exit code is 1 if anything is as bad as --fail-on, or worse.

    Parameters
    ----------
    fail_on
        Severity from which the exit code is 1: high, medium or low.
    as_json
        Print a JSON object instead of text.
    """
    configure_logging(log_level or "error")
    findings = find_weaknesses(config)
    order = list(Severity)
    limit = order.index(Severity(fail_on))
    bad = sum(order.index(each.severity) <= limit for each in findings)
    if as_json:
        facts = [
            {"severity": each.severity.value, "what": each.what, "action": each.action}
            for each in findings
        ]
        print(dump_json({"failed": bool(bad), "findings": facts}, indent=2))
    else:
        for each in findings:
            say(f"{each.severity.value.upper():8}{each.what}")
            say(f"{'':8}what to do: {each.action}")
        say(count(len(findings), "weakness", "weaknesses") if findings else "nothing is weak")
    return FAILURE if bad else 0
