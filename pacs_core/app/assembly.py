"""Assembly of configuration and registered plugins, before the first component exists."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from attrs import field, frozen

from pacs_core.config import (
    Config,
    ConfigError,
    Overrides,
    inspect_config,
    inspect_plugin_configs,
)
from pacs_core.contracts import (
    AuditSinkDescriptor,
    CodecDescriptor,
    IndexDescriptor,
    ObjectStoreDescriptor,
    PluginInfo,
    Setup,
)
from pacs_core.plugins import (
    PluginError,
    PluginManager,
    PluginRecord,
    PluginState,
    Registry,
    single_file_plugin,
)
from pacs_core.transcoding import CodecChoiceError, CodecTable, codec_table

logger = logging.getLogger(__name__)

_PREFERRED = {ObjectStoreDescriptor: "filesystem", IndexDescriptor: "sqlite"}
_LABELS = {ObjectStoreDescriptor: "store", IndexDescriptor: "index"}


@frozen
class ConfigSource:
    """Where a configuration was read, so that it can be read again.

    Attributes
    ----------
    path : Path or None
        See :func:`pacs_core.config.find_config`.
    overrides : mapping
        As for :func:`pacs_core.config.load_config`.
    """

    path: Path | None = None
    overrides: Overrides = field(factory=dict)


@frozen
class Assembly:
    """A checked configuration, and what the plugins have registered under it.

    Attributes
    ----------
    config : Config
    manager : PluginManager
    plugin_configs : mapping of str to object
        The structured config of each plugin that declares one.
    registry : Registry
    source : ConfigSource or None
        None if the configuration was not read from a file.
    """

    config: Config
    manager: PluginManager
    plugin_configs: Mapping[str, object]
    registry: Registry = field(factory=Registry)
    source: ConfigSource | None = None

    def choose(self, kind: type[Any]) -> tuple[PluginRecord, Any] | None:
        """Return the plugin and descriptor of the store or index to use.

        Parameters
        ----------
        kind : type
            ``ObjectStoreDescriptor`` or ``IndexDescriptor``.

        Raises
        ------
        ConfigError
            The one that the configuration names is not there, or several are and it names none.
        """
        label = _LABELS[kind]
        name = getattr(self.config.archive, label)
        entries = self.registry.entries(kind)
        available = ", ".join(descriptor.name for _, descriptor in entries) or "none"
        if name is not None:
            chosen = self.registry.named(kind, name)
            if chosen is None:
                raise ConfigError(
                    [f"archive.{label}: no plugin provides {name!r}; there is {available}"]
                )
            return chosen
        preferred = self.registry.named(kind, _PREFERRED[kind])
        if preferred is None and len(entries) > 1:
            raise ConfigError([f"archive.{label}: choose one of {available}"])
        return preferred or (entries[0] if entries else None)

    def setup_for(self, plugin: PluginRecord | str) -> Setup:
        """Return what the hooks of a plugin, given by record or name, receive."""
        name = plugin if isinstance(plugin, str) else plugin.name
        settings = self.config.settings
        own = [self.plugin_configs[name]] if name in self.plugin_configs else []
        info = PluginInfo(name, settings.data_directory / name)
        return Setup(settings, {type(each): each for each in own}, info)

    def codecs(self) -> CodecTable:
        """Return which codec decodes and which encodes each transfer syntax.

        Raises
        ------
        ConfigError
            The configuration names codecs that cannot be used.
        """
        order = self.config.plugins.order
        entries = [
            (order.index(record.name) if record.name in order else len(order), descriptor)
            for record, descriptor in self.registry.entries(CodecDescriptor)
            if record.state is PluginState.LOADED
        ]
        entries.sort(key=lambda entry: (entry[0], -entry[1].preference))
        try:
            return codec_table(
                [descriptor for _, descriptor in entries], self.config.transcoding.codec_choices
            )
        except CodecChoiceError as error:
            raise ConfigError([f"transcoding.{what}" for what in error.problems]) from error

    def plugin_problems(self) -> list[str]:
        """Return what plugins find wrong, each problem with the table of its plugin."""
        return [
            f"plugin.{record.name}: {sentence}"
            for record, result in self.manager.call("pacs_check", self.setup_for)
            for sentence in _sentences(result)
        ]

    def check_audit(self) -> None:
        """Refuse a configuration that requires an audit sink that is not there.

        Raises
        ------
        ConfigError
            Names it.
        """
        names = {descriptor.name for _, descriptor in self.registry.entries(AuditSinkDescriptor)}
        missing = [name for name in self.config.audit.required if name not in names]
        if missing:
            raise ConfigError([f"audit.required: no audit sink {name!r}" for name in missing])

    def problems(self) -> list[str]:
        """Return what the configuration asks for and no plugin provides, and what plugins find."""
        archive = self.config.archive
        named = {kind for kind, label in _LABELS.items() if getattr(archive, label) is not None}
        checks: list[Callable[[], object]] = [partial(self.choose, kind) for kind in named]
        found: list[str] = []
        for check in (*checks, self.check_audit, self.codecs):
            try:
                check()
            except ConfigError as error:
                found += error.problems
        return sorted([*found, *self.plugin_problems()])


def _sentences(result: object) -> list[str]:
    if isinstance(result, str) or not isinstance(result, Sequence):
        return [f"pacs_check returned {result!r:.100}, not a list of sentences"]
    return [str(each) for each in result]


def assemble(
    config: Config, manager: PluginManager | None = None, source: ConfigSource | None = None
) -> Assembly:
    """Load plugins, structure their configs, and let them register.

    Parameters
    ----------
    config : Config
    manager : PluginManager, optional
        Instead of the plugins of this environment.
    source : ConfigSource, optional
        Where the configuration was read.

    Raises
    ------
    ConfigError
        With every problem in every plugin's table, and all that no plugin provides.
    PluginError
        A required plugin is not available, and nothing else is wrong.
    """
    manager = manager or PluginManager(config.plugins)
    found = inspect_plugin_configs(manager, config)
    # A plugin whose table is wrong registers nevertheless, to show what else is wrong.
    configs = {**found.defaults, **found.configs}
    assembly = Assembly(config, manager, configs, source=source)
    assembly.registry.collect(manager, assembly.setup_for)
    problems = [*found.problems, *assembly.problems()]
    try:
        manager.check_required()
    except PluginError as error:
        if not problems:
            raise
        problems.append(str(error))
    if problems:
        raise ConfigError(problems)
    return assembly


def assemble_file(
    path: Path | None = None,
    overrides: Overrides | None = None,
    *,
    plugin_files: Iterable[Path] = (),
) -> Assembly:
    """Load a configuration, and assemble it.

    Parameters
    ----------
    path : Path, optional
        Config file; see :func:`pacs_core.config.find_config`.
    overrides : mapping, optional
        As for :func:`pacs_core.config.load_config`.
    plugin_files : iterable of Path
        Files with a plugin each, besides those that are installed.

    Raises
    ------
    ConfigError
        With every problem of the kernel's tables and the plugins', and all that no plugin provides.
    PluginError
        A required plugin is not available, and nothing else is wrong.
    """
    config, problems = inspect_config(path, overrides)
    if any(problem.startswith(("plugins.", "plugins:")) for problem in problems):
        raise ConfigError(problems)  # which plugins may be imported is not known
    try:
        further = [single_file_plugin(each) for each in plugin_files]
        manager = PluginManager(config.plugins, further=further)
        assembly = assemble(config, manager, ConfigSource(path, overrides or {}))
    except (ConfigError, PluginError) as error:
        if not problems:
            raise
        more = error.problems if isinstance(error, ConfigError) else (str(error),)
        raise ConfigError([*problems, *more]) from error
    if problems:
        raise ConfigError(problems)
    return assembly
