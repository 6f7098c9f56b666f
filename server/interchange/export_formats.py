"""Every export format by name, for pages and API: the size is checked, the export logged, the file written."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import IO, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server.context import AppContext
from server.database.models import HealthPost, Measurement
from server.errors import Problem
from server.interchange import dhis2, fhir, measurements_csv
from server.interchange.export_rows import ExportQuery, log_export
from server.interchange.sigizi import writer as sigizi_writer

FORMS: Final = (*(f"sigizi-{sheet}" for sheet in sigizi_writer.SHEETS), "fhir", "csv", "codebook", "dhis2")
MOST_VISITS: Final = 20_000
"""Most measurements in an export from a page; larger exports are made with the command."""
_XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """A format: one of FORMS; `file` (xlsx or csv) applies to Sigizi sheets."""

    form: str
    file: str = "xlsx"

    @property
    def media_type(self) -> str:
        """The media type of the file."""
        return {
            "xlsx": _XLSX,
            "csv": "text/csv",
            "json": "application/json",
            "fhir": "application/fhir+json",
        }[self._kind]

    @property
    def _kind(self) -> str:
        if self.form.startswith("sigizi-"):
            return self.file
        return {"fhir": "fhir", "dhis2": "json"}.get(self.form, "csv")

    def file_name(self, first: date, *, incomplete: bool = False) -> str:
        """Give a name for the file, without an area or a person in it; it says so if a child had to be left out."""
        ending = {"fhir": "json"}.get(self._kind, self._kind)
        return f"posyandu-{self.form}-{first:%Y-%m}{'-incomplete' if incomplete else ''}.{ending}"


def write_export(
    hub: AppContext, target: IO[bytes], asked: ExportFormat, wanted: ExportQuery, *, actor: str, now: datetime
) -> int:
    """Log an export, then write it; return the number of rows.

    Raises
    ------
    Problem
        `export-too-large`.
    """
    if asked.form == "codebook":
        return measurements_csv.write_codebook(target)
    if asked.form == "dhis2":  # counts of a whole month, without any child
        first, last = dhis2.month_of(f"{wanted.first:%Y-%m}")
        wanted = replace(wanted, first=first, last=last, scope=replace(wanted.scope, shows_names=False))
        with hub.database.transaction() as session:
            log_export(session, hub, wanted, asked.form, actor=actor, now=now)
        return dhis2.write_values(target, hub, wanted, by="post", actor=actor, now=now)
    with hub.database.reading() as session:
        count = _count(session, hub, wanted)
    if count > MOST_VISITS:
        raise Problem("export-too-large", count=count, limit=MOST_VISITS)
    with hub.database.transaction() as session:
        log_export(session, hub, wanted, asked.form, actor=actor, now=now)
    with hub.database.reading() as session:
        return _write(session, hub, target, asked, wanted, now)


def _write(
    session: Session,
    hub: AppContext,
    target: IO[bytes],
    asked: ExportFormat,
    wanted: ExportQuery,
    now: datetime,
) -> int:
    if asked.form == "fhir":
        return fhir.write_bundle(target, session, hub, wanted, now=now)
    if asked.form == "csv":
        return measurements_csv.write_data(target, session, hub, wanted)
    sheet = asked.form.removeprefix("sigizi-")
    return sigizi_writer.write(target, session, hub, wanted, sheet=sheet, form=asked.file)


def _count(session: Session, hub: AppContext, wanted: ExportQuery) -> int:
    own = select(HealthPost.id).where(wanted.posts(hub))
    found = session.scalar(
        select(func.count())
        .select_from(Measurement)
        .where(
            Measurement.district == hub.district,
            Measurement.post_id.in_(own),
            Measurement.measured_on.between(wanted.first, wanted.last),
        )
    )
    return int(found or 0)
