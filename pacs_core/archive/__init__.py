"""The archive: ingest, find, open, delete; audit trail and events; maintenance of the index."""

from pacs_core.archive.archive import NodeArchive
from pacs_core.archive.aside import Aside, NotSetAsideError, SetAside
from pacs_core.archive.audit_trail import NodeAuditTrail
from pacs_core.archive.change_feed import ChangeFeed
from pacs_core.archive.comparison import compare
from pacs_core.archive.consumers import ConsumerService
from pacs_core.archive.content_check import ContentCheck
from pacs_core.archive.copying import ArchiveCopy, CopiedObject, CopyOutcome
from pacs_core.archive.damage import object_damage
from pacs_core.archive.deletion_bin import BinNotRunningError, NodeBin
from pacs_core.archive.deletion_guards import DeletionGuards
from pacs_core.archive.events import EventDispatcher
from pacs_core.archive.ingest_filters import IngestFilters
from pacs_core.archive.maintenance import find_gap, verify_index
from pacs_core.archive.metadata import Preparation
from pacs_core.archive.no_archive import NoArchive
from pacs_core.archive.pacing import ReadPace
from pacs_core.archive.rebuild import RebuildReport, rebuild_index
from pacs_core.archive.recall import recalling
from pacs_core.archive.settings import (
    JOURNAL_AFTER,
    ArchiveSettings,
    AuditSettings,
    DuplicatePolicy,
    SpaceSettings,
    VerifyReads,
)
from pacs_core.archive.space import SpaceWatch, release_reserve
from pacs_core.archive.study_watch import STUDY_WATCH, StudyWatch
from pacs_core.contracts import Difference, DifferenceKind, Durability

__all__ = [
    "JOURNAL_AFTER",
    "STUDY_WATCH",
    "ArchiveCopy",
    "ArchiveSettings",
    "Aside",
    "AuditSettings",
    "BinNotRunningError",
    "ChangeFeed",
    "ConsumerService",
    "ContentCheck",
    "CopiedObject",
    "CopyOutcome",
    "DeletionGuards",
    "Difference",
    "DifferenceKind",
    "DuplicatePolicy",
    "Durability",
    "EventDispatcher",
    "IngestFilters",
    "NoArchive",
    "NodeArchive",
    "NodeAuditTrail",
    "NodeBin",
    "NotSetAsideError",
    "Preparation",
    "ReadPace",
    "RebuildReport",
    "SetAside",
    "SpaceSettings",
    "SpaceWatch",
    "StudyWatch",
    "VerifyReads",
    "compare",
    "find_gap",
    "object_damage",
    "rebuild_index",
    "recalling",
    "release_reserve",
    "verify_index",
]
