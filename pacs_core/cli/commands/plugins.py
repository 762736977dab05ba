"""``pacs plugins``: the list, and the commands below it."""

from cyclopts import App

from pacs_core.app import assemble
from pacs_core.cli.cyclopts_commands import lazy_path
from pacs_core.cli.errors import report
from pacs_core.cli.logs import configure_logging
from pacs_core.cli.options import ConfigOption, JsonOption, LogLevelOption
from pacs_core.cli.output import dump_json, print_table
from pacs_core.config import ConfigError, load_config
from pacs_core.plugins import PluginError, PluginManager, PluginRecord

_HEADER = ("NAME", "VERSION", "DISTRIBUTION", "STATE", "PROVIDES", "HOOKS", "REASON")

app = App(name="plugins", help="List, examine or begin plugins.", version_flags=[])
app.command(
    lazy_path("pacs_core.cli.commands.doctor:doctor"),
    name="doctor",
    help="Say what is wrong with plugins, and what to do.",
)
app.command(
    lazy_path("pacs_core.cli.commands.new_plugin:new"),
    name="new",
    help="Begin a plugin from the template.",
)


@app.default
def plugins(
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    log_level: LogLevelOption = None,
) -> int:
    """List plugins: where they come from, what they provide, and why not if they do not.

    Parameters
    ----------
    as_json
        Print a JSON array with an object for each plugin.
    """
    # What is logged of a plugin that is quarantined stands in the list.
    configure_logging(log_level or "error")
    checked = load_config(config)
    manager = PluginManager(checked.plugins)
    code = 0
    try:
        assemble(checked, manager)
    except (ConfigError, PluginError) as error:
        code = report(error)
    (_print_json if as_json else _print_table)(manager.records)
    return code


def _print_json(records: list[PluginRecord]) -> None:
    print(dump_json([_facts(record) for record in records], indent=2))


def _facts(record: PluginRecord) -> dict[str, object]:
    return {
        "name": record.name,
        "version": record.version,
        "distribution": record.distribution,
        "state": record.state.value,
        "provides": sorted(record.kinds),
        "hooks": list(record.hooks),
        "reason": record.reason,
    }


def _print_table(records: list[PluginRecord]) -> None:
    rows = [
        [", ".join(fact) if isinstance(fact, list) else str(fact) for fact in _facts(each).values()]
        for each in records
    ]
    print_table(_HEADER, rows)
