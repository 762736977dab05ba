"""Remedies for a quarantined plugin."""

from collections.abc import Mapping
from typing import Final

from pacs_core.plugins import API_VERSION, Fault, PluginRecord

_DISABLE: Final = 'or disable it: [plugins] disabled = ["{record.name}"]'
_TELL: Final = f"tell the author of {{record.distribution}}, {_DISABLE}"

_REMEDIES: Final[Mapping[Fault, str]] = {
    Fault.NAME_TAKEN: "uninstall one of the distributions",
    Fault.MISSING_MODULE: f"install what provides the module, {_DISABLE}",
    Fault.IMPORT: _TELL,
    Fault.API_VERSION: (
        "install a version of {record.distribution} for plugin API {api}, or the pacs-core that "
        "it was built for"
    ),
    Fault.UNKNOWN_HOOK: (
        "if it was built for a later pacs-core, install that; else correct the name or the "
        f"arguments of the hook, {_DISABLE}"
    ),
    Fault.CONFIG_CLASS: _TELL,
    Fault.CONFIG_TABLE: "correct the table [plugin.{record.name}] of the config file",
    Fault.HOOK_RAISED: _TELL,
    Fault.WRONG_RESULT: _TELL,
    Fault.CONFLICT: (
        'choose one of the two: [plugins] disabled = ["{record.name}"] keeps the other; to keep '
        "this one, disable the other or name this one first in [plugins] order"
    ),
    Fault.REQUIREMENT: f"install a plugin that provides it, {_DISABLE}",
    Fault.START: f"see its log entries and its table, {_DISABLE}",
}


def remedy_for(record: PluginRecord) -> str:
    """Return what to do about a plugin that is quarantined."""
    template = _REMEDIES[record.fault or Fault.IMPORT]
    return template.format(record=record, api=".".join(map(str, API_VERSION)))
