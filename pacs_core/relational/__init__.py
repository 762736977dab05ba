"""An index in tables: what its columns hold, and the query model as SQL.

For authors of indexes on a relational database. The tables are `patient`, `study`, `series` and
`instance`, each with an `id` and its `parent`, with columns as the :class:`Catalog` names them;
`several`, which has each value of attributes of many; and `study_variant` and `series_variant`,
with the same columns as theirs for each different header of a study or series of which the
instances differ (`id`, `parent`, `rank`). What a database says otherwise is its :class:`Dialect`.
"""

from pacs_core.relational.catalog import (
    COMPUTED,
    IDENTITY,
    TABLES,
    UIDS,
    VARYING,
    ZONES,
    Attribute,
    Catalog,
    Computed,
    Match,
    Stored,
    build_catalog,
    json_of,
    number,
)
from pacs_core.relational.conditions import Translator, Where
from pacs_core.relational.dialect import Dialect
from pacs_core.relational.fragments import (
    ALWAYS,
    NEVER,
    NOTHING,
    Comparison,
    Sql,
    after,
    all_of,
    any_of,
    like,
)
from pacs_core.relational.locations import change_values, instance_values, stored_instance
from pacs_core.relational.paging import Paging
from pacs_core.relational.rows import RowMaker, Several, insertion
from pacs_core.relational.sound import sounds
from pacs_core.relational.statements import (
    Column,
    Key,
    Matching,
    Reading,
    counted_entities,
    matching_entities,
    matching_instances,
    read_attributes,
    read_instances,
)
from pacs_core.relational.tables import value_of
from pacs_core.relational.unicode import representable, representable_record

__all__ = [
    "ALWAYS",
    "COMPUTED",
    "IDENTITY",
    "NEVER",
    "NOTHING",
    "TABLES",
    "UIDS",
    "VARYING",
    "ZONES",
    "Attribute",
    "Catalog",
    "Column",
    "Comparison",
    "Computed",
    "Dialect",
    "Key",
    "Match",
    "Matching",
    "Paging",
    "Reading",
    "RowMaker",
    "Several",
    "Sql",
    "Stored",
    "Translator",
    "Where",
    "after",
    "all_of",
    "any_of",
    "build_catalog",
    "change_values",
    "counted_entities",
    "insertion",
    "instance_values",
    "json_of",
    "like",
    "matching_entities",
    "matching_instances",
    "number",
    "read_attributes",
    "read_instances",
    "representable",
    "representable_record",
    "sounds",
    "stored_instance",
    "value_of",
]
