"""The archive: ingest, find, open, delete; audit trail and events; maintenance of the index."""

from typing import TYPE_CHECKING

from pacs_core.on_demand import import_on_demand

if TYPE_CHECKING:
    from pacs_core.archive.archive import NodeArchive as NodeArchive
    from pacs_core.archive.aside import (
        Aside as Aside,
        NotSetAsideError as NotSetAsideError,
        SetAside as SetAside,
    )
    from pacs_core.archive.audit_trail import NodeAuditTrail as NodeAuditTrail
    from pacs_core.archive.change_feed import ChangeFeed as ChangeFeed
    from pacs_core.archive.comparison import compare as compare
    from pacs_core.archive.consumers import ConsumerService as ConsumerService
    from pacs_core.archive.content_check import ContentCheck as ContentCheck
    from pacs_core.archive.copying import (
        ArchiveCopy as ArchiveCopy,
        CopiedObject as CopiedObject,
        CopyOutcome as CopyOutcome,
    )
    from pacs_core.archive.damage import object_damage as object_damage
    from pacs_core.archive.deletion_bin import (
        BinNotRunningError as BinNotRunningError,
        NodeBin as NodeBin,
    )
    from pacs_core.archive.deletion_guards import DeletionGuards as DeletionGuards
    from pacs_core.archive.events import EventDispatcher as EventDispatcher
    from pacs_core.archive.ingest_filters import IngestFilters as IngestFilters
    from pacs_core.archive.maintenance import find_gap as find_gap, verify_index as verify_index
    from pacs_core.archive.metadata import Preparation as Preparation
    from pacs_core.archive.no_archive import NoArchive as NoArchive
    from pacs_core.archive.pacing import ReadPace as ReadPace
    from pacs_core.archive.rebuild import (
        RebuildReport as RebuildReport,
        rebuild_index as rebuild_index,
    )
    from pacs_core.archive.recall import recalling as recalling
    from pacs_core.archive.settings import (
        JOURNAL_AFTER as JOURNAL_AFTER,
        ArchiveSettings as ArchiveSettings,
        AuditSettings as AuditSettings,
        DuplicatePolicy as DuplicatePolicy,
        SpaceSettings as SpaceSettings,
        VerifyReads as VerifyReads,
    )
    from pacs_core.archive.space import SpaceWatch as SpaceWatch, release_reserve as release_reserve
    from pacs_core.archive.study_watch import STUDY_WATCH as STUDY_WATCH, StudyWatch as StudyWatch
    from pacs_core.contracts import (
        Difference as Difference,
        DifferenceKind as DifferenceKind,
        Durability as Durability,
    )

import_on_demand(
    __name__,
    """
.archive NodeArchive
.aside Aside NotSetAsideError SetAside
.audit_trail NodeAuditTrail
.change_feed ChangeFeed
.comparison compare
.consumers ConsumerService
.content_check ContentCheck
.copying ArchiveCopy CopiedObject CopyOutcome
.damage object_damage
.deletion_bin BinNotRunningError NodeBin
.deletion_guards DeletionGuards
.events EventDispatcher
.ingest_filters IngestFilters
.maintenance find_gap verify_index
.metadata Preparation
.no_archive NoArchive
.pacing ReadPace
.rebuild RebuildReport rebuild_index
.recall recalling
.settings JOURNAL_AFTER ArchiveSettings AuditSettings DuplicatePolicy SpaceSettings VerifyReads
.space SpaceWatch release_reserve
.study_watch STUDY_WATCH StudyWatch
pacs_core.contracts Difference DifferenceKind Durability
""",
)
