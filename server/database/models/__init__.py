"""The tables as typed models, one module per subject; import them from here.

Holds no rules of the field: what may be written, and what it means, is decided in the packages above.

- Every table is distributed by district: `district` leads its primary key, unique keys, indexes and foreign keys. So one
  schema runs on an SQLite file and, unchanged, on a PostgreSQL cluster.
- What must be found across districts (a NIK, a username) has its own table, distributed by its own key: `CROSS_DISTRICT`.
- Ids are UUIDs, lower-case text in Python. SQLite tables are STRICT.

`columns` has what all tables share. Importing this package registers every table in `Base.metadata`.
"""

from typing import Final

from server.database.models.accounts import (
    Account,
    Invitation,
    Passkey,
    RateLimit,
    RecoveryCode,
    SavedView,
    Username,
    UserSession,
)
from server.database.models.aid import AidActivity, Commitment, CsrSheet, Delivery, Donor
from server.database.models.audit import (
    AuditCheckpoint,
    AuditEntry,
    AuditLeaf,
    AuditStream,
    Cosignature,
    Witness,
    WitnessedCheckpoint,
    WitnessedLog,
)
from server.database.models.care import Attention, FollowUp
from server.database.models.children import Assessment, Child, DuplicatePair, Flag, Measurement, NikIndex
from server.database.models.columns import Base, CalendarDay, Moment, table
from server.database.models.imports import ImportCase, ImportChunk, ImportRun
from server.database.models.operations import JobRun
from server.database.models.places import HealthCentre, HealthPost, Installation, Region
from server.database.models.privacy import Erasure, RightsRequest
from server.database.models.reports import Figures, FiguresMonth, FiguresPost
from server.database.models.supervision import Notice, PostMonth
from server.database.models.tablets import (
    Batch,
    ChangeRow,
    EnrolmentCode,
    PostExit,
    QuarantineDecision,
    Tablet,
    TabletDay,
    TabletPost,
)

CROSS_DISTRICT: Final = {"nik_index": "blind_index", "username": "name"}
"""Tables that are distributed by a key of their own, and that key."""

__all__ = [
    "CROSS_DISTRICT",
    "Account",
    "AidActivity",
    "Assessment",
    "Attention",
    "AuditCheckpoint",
    "AuditEntry",
    "AuditLeaf",
    "AuditStream",
    "Base",
    "Batch",
    "CalendarDay",
    "ChangeRow",
    "Child",
    "Commitment",
    "Cosignature",
    "CsrSheet",
    "Delivery",
    "Donor",
    "DuplicatePair",
    "EnrolmentCode",
    "Erasure",
    "Figures",
    "FiguresMonth",
    "FiguresPost",
    "Flag",
    "FollowUp",
    "HealthCentre",
    "HealthPost",
    "ImportCase",
    "ImportChunk",
    "ImportRun",
    "Installation",
    "Invitation",
    "JobRun",
    "Measurement",
    "Moment",
    "NikIndex",
    "Notice",
    "Passkey",
    "PostExit",
    "PostMonth",
    "QuarantineDecision",
    "RateLimit",
    "RecoveryCode",
    "Region",
    "RightsRequest",
    "SavedView",
    "Tablet",
    "TabletDay",
    "TabletPost",
    "UserSession",
    "Username",
    "Witness",
    "WitnessedCheckpoint",
    "WitnessedLog",
    "table",
]
