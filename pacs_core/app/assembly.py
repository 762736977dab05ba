"""Assembly of configuration and registered plugins, before the first component exists."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen

from pacs_core.app.hooks import NodeHooks
from pacs_core.app.stores import StorePlan, StorePlanner
from pacs_core.config import (
    Config,
    ConfigError,
    Overrides,
    find_config,
    inspect_plugin_configs,
    inspect_tables,
    read_tables,
    tls_tables,
)
from pacs_core.contracts import (
    AuditSinkDescriptor,
    CapabilityDescriptor,
    CodecDescriptor,
    Hooks,
    IndexDescriptor,
    ObjectStoreDescriptor,
    PluginInfo,
    Setup,
    TlsConfigError,
    TlsContexts,
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

# Theory of operation
#
# An assembly is all that can be known before the first component exists: the checked configuration,
# the plugins that were loaded, what they registered, and the choices that follow. It is a value. A
# reload makes another one and compares, `pacs config check` makes one and throws it away, and
# neither touches what runs.
#
# Plugins are loaded before the configuration is known to be right, because their tables are part of
# it. So a wrong table does not end anything: its plugin registers with the defaults, and whatever
# else is wrong is found as well. Only at the end all problems are raised together, so that a site
# corrects its file once. One thing cannot be put off: `[plugins]` says what may be imported at all.

logger = logging.getLogger(__name__)

_PREFERRED = {ObjectStoreDescriptor: "filesystem", IndexDescriptor: "sqlite"}
_LABELS = {ObjectStoreDescriptor: "store", IndexDescriptor: "index"}
_NEEDED = "there are tables [stores.NAME], and none is chosen: name one of {}"


@frozen
class ConfigSource:
    """Where a configuration was read, so that it can be read again.

    Attributes
    ----------
    path : Path or None
        See :func:`pacs_core.config.find_config`.
    overrides : mapping
        As for :func:`pacs_core.config.load_config`.
    tables : mapping
        What the file said.
    """

    path: Path | None = None
    overrides: Overrides = field(factory=dict)
    tables: Mapping[str, Any] = field(factory=dict)


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

    @property
    def hooks(self) -> Hooks:
        """The hooks that plugins publish; those of a plugin that has failed are not called."""
        return NodeHooks(self)

    def choose_index(self) -> tuple[PluginRecord, IndexDescriptor] | None:
        """Return the plugin and descriptor of the index to use; None if there is none.

        Raises
        ------
        ConfigError
            The one that the configuration names is not there, or several are and it names none.
        """
        name = self.config.archive.index
        if name is None:
            return self._only(IndexDescriptor)
        chosen = self.registry.find_named(IndexDescriptor, name)
        if chosen is None:
            there = ", ".join(d.name for _, d in self.registry.entries(IndexDescriptor)) or "none"
            raise ConfigError([f"archive.index: no plugin provides {name!r}; there is {there}"])
        return chosen

    def choose_store(self) -> StorePlan | None:
        """Return the object store to use, with those that it is made of; None if there is none.

        Raises
        ------
        ConfigError
            The one that the configuration names is not there, or several are and it names none;
            or something is wrong with one that it is made of.
        """
        name = self.config.archive.store
        if name is None and self.config.stores:
            raise ConfigError([f"archive.store: {_NEEDED.format(', '.join(self.config.stores))}"])
        if name is None:
            chosen = self._only(ObjectStoreDescriptor)
            if chosen is None:
                return None
            name = chosen[1].name
        return self.stores.plan(name)

    @property
    def stores(self) -> StorePlanner:
        """What plans the object stores."""
        types = {d.name: (record, d) for record, d in self.registry.entries(ObjectStoreDescriptor)}
        return StorePlanner(self.config.stores, types, self.setup_for)

    def _only(self, kind: type[Any]) -> tuple[PluginRecord, Any] | None:
        """Return what is used if the configuration does not say."""
        entries = self.registry.entries(kind)
        preferred = self.registry.find_named(kind, _PREFERRED[kind])
        if preferred is None and len(entries) > 1:
            available = ", ".join(descriptor.name for _, descriptor in entries)
            raise ConfigError([f"archive.{_LABELS[kind]}: choose one of {available}"])
        return preferred or (entries[0] if entries else None)

    def setup_for(self, plugin: PluginRecord | str) -> Setup:
        """Return what the hooks of a plugin, given by record or name, receive."""
        name = plugin if isinstance(plugin, str) else plugin.name
        settings = self.config.settings
        # Its own table only: those of others may hold secrets, and are none of its business.
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
        # What the site says first, then which is said to be faster. The sort is stable.
        entries.sort(key=lambda entry: (entry[0], -entry[1].preference))
        try:
            return codec_table(
                [descriptor for _, descriptor in entries], self.config.transcoding.codec_choices
            )
        except CodecChoiceError as error:
            raise ConfigError([f"transcoding.{what}" for what in error.problems]) from error

    def plugin_problems(self) -> list[str]:
        """Return what plugins find wrong, each problem with the table of its plugin."""
        problems: list[str] = []
        for record, result in self.manager.call("pacs_check", self.setup_for):
            if isinstance(result, str) or not isinstance(result, Sequence):
                result = [f"pacs_check returned {result!r:.100}, not a list of sentences"]
            problems += [f"plugin.{record.name}: {sentence}" for sentence in result]
        return problems

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

    def check_tls(self) -> None:
        """Refuse certificates, keys and CAs that cannot be used.

        Raises
        ------
        ConfigError
            With all of them; none if a plugin provides TLS contexts.
        """
        tables = tls_tables(self.config)
        entries = self.registry.active(CapabilityDescriptor)
        if not tables or any(descriptor.interface is TlsContexts for _, descriptor in entries):
            return
        # Takes a while to import, which a node without TLS need not wait for.
        from pacs_core.tls import make_context

        problems = []
        for path, table in tables.items():
            try:
                make_context(table)
            except TlsConfigError as error:
                problems.append(f"{path}: {error}")
        if problems:
            raise ConfigError(problems)

    def problems(self) -> list[str]:
        """Return what the configuration asks for and no plugin provides, and what plugins find."""
        archive = self.config.archive
        checks: list[Callable[[], object]] = [self.check_audit, self.codecs, self.check_tls]
        checks += [self.choose_index] if archive.index is not None else []
        checks += [self.choose_store] if archive.store is not None or self.config.stores else []
        found = self.stores.problems()
        for check in checks:
            try:
                check()
            except ConfigError as error:
                found += error.problems
        return sorted({*found, *self.plugin_problems()})


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
    tables = read_tables(find_config(path))
    config, problems = inspect_tables(tables, overrides)
    # Importing a plugin runs its code: not before it is known which ones the site wants.
    if any(problem.startswith(("plugins.", "plugins:")) for problem in problems):
        raise ConfigError(problems)  # which plugins may be imported is not known
    try:
        further = [single_file_plugin(each) for each in plugin_files]
        manager = PluginManager(config.plugins, further=further)
        assembly = assemble(config, manager, ConfigSource(path, overrides or {}, tables))
    except (ConfigError, PluginError) as error:
        if not problems:
            raise
        more = error.problems if isinstance(error, ConfigError) else (str(error),)
        raise ConfigError([*problems, *more]) from error
    if problems:
        raise ConfigError(problems)
    return assembly
