"""The demo's aid: two donors and their commitments, food that was delivered and food that was not, a company's sheet. Other
children in need have no aid yet, so that there is something to assign.
"""

from datetime import date, datetime, timedelta
from io import BytesIO
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.aid import register, sheets
from server.aid.need import NEED_OF, months_on
from server.database.ids import new_id
from server.database.models import CsrSheet, Flag
from server.demo.stage import Stage
from server.demo.story import Story
from server.interchange.sheets.writer import write_xlsx
from server.places.regions import regions
from server.sync import server_edits
from server.sync.server_edits import Edit
from sync_protocol import Json

COMPANY: Final = "PT Batu Contoh"
PLACES, VALUE_RP, MONTHS = 40, 2_700_000, 6
EVERY: Final = 3
"""Of the children in need every third has food, and for every third of these it is only promised."""


def add_donor(stage: Stage, story: Story) -> str:
    """Add the company to the register, before the account that may see its page; return its id."""
    asked = {"name": COMPANY, "kind": "business", "authority": "province", "named": True}
    with stage.hub.database.transaction() as session:
        return register.add_donor(session, stage.hub, asked, author="operator", now=story.opens_at)


def give(stage: Stage, story: Story, donor: str, now: datetime) -> None:
    """Make commitments, deliveries and reports."""
    hub, today = stage.hub, story.today
    begun = today - timedelta(days=60)
    with hub.database.transaction() as session:
        asked = {
            **{"donor": donor, "menu": "food", "funds": "genting", "region": hub.district},
            **{"places": PLACES, "value_rp": VALUE_RP, "starts_on": begun.isoformat(), "months": MONTHS},
        }
        area = register.whole_district(session, hub)
        commitment = register.add_commitment(session, hub, area, asked, author="operator", now=now)
        foster = {"name": "Ibu-Ibu Pengajian Contoh", "kind": "community"}
        other = register.add_donor(session, hub, foster, author="operator", now=now)
        asked = {"donor": other, "menu": "latrine", "funds": "genting", "region": story.posts[0].village}
        asked |= {"places": 3, "value_rp": 4_000_000, "starts_on": today.isoformat(), "months": 12}
        register.add_commitment(session, hub, area, asked, author="operator", now=now)
        edits = _food(_in_need(session, stage), donor, commitment, begun)
        server_edits.write(session, hub, edits, "aid.assigned", author="operator", now=now)
        _sheet(session, stage, story, donor, now)


def _in_need(session: Session, stage: Stage) -> list[str]:
    """List the children in need, in the order of the story."""
    rows = session.scalars(
        select(Flag.child_id).where(Flag.district == stage.hub.district, Flag.rule.in_(list(NEED_OF)))
    )
    flagged = set(rows)
    return [child_id for _, child_id in sorted(stage.children.items()) if child_id in flagged]


def _food(needing: list[str], donor: str, commitment: str, begun: date) -> list[Edit]:
    edits = []
    for number, child_id in enumerate(needing[::EVERY][:PLACES]):
        aid = {
            **{"menu": "food", "funds": "genting", "reaches": "child", "donor": donor},
            **{"commitment": commitment, "starts_on": begun.isoformat()},
            "ends_on": months_on(begun, MONTHS).isoformat(),
        }
        came = {"given_on": begun.isoformat(), "quantity": 180, "unit": "portion", "value_rp": VALUE_RP}
        set_: dict[str, Json] = {"aid": aid}
        if number % EVERY != EVERY - 1:
            set_["delivered"] = came
        edits.append(Edit.of_delivery(child_id, new_id(), set_))
    return edits


def _sheet(session: Session, stage: Stage, story: Story, donor: str, now: datetime) -> None:
    """Import the company's sheet: half is relief, one row repeats a known delivery."""
    names = {region.code: region.name for region in regions()}
    here, there = (names[story.posts[number].village] for number in (0, 1))
    rows = (
        ("Bantuan sembako korban banjir", "Bencana", here, 34, "Rp 65.000.000", "210"),
        ("Posko tanggap darurat kebakaran", "Bencana", there, 21, "Rp 40.000.000", "75"),
        ("Air bersih untuk pengungsi banjir", "Bencana", here, 30, "12,5 juta", "160"),
        ("PMT balita program Genting", "Kesehatan", here, 60, "Rp 2.700.000", "1"),
        ("Pembangunan jamban keluarga", "Kesehatan", "", 15, "Rp 24.000.000", "6"),
        ("Pelatihan UMKM pemuda", "Ekonomi", there, 12, "Rp 20 juta", "25"),
    )
    target = BytesIO()
    headings = ("Nama Kegiatan", "Bidang", "Desa", "Tanggal", "Nilai (Rp)", "Jumlah Penerima")
    dated = [
        (title, sector, village, f"{story.today - timedelta(days=back):%d/%m/%Y}", value, count)
        for title, sector, village, back, value, count in rows
    ]
    write_xlsx(target, headings, dated)
    sheet_id = sheets.bring(
        *(session, stage.hub, target.getvalue()),
        name="CSR PT Batu Contoh.xlsx",
        reported_to="province",
        donor_id=donor,
        author="operator",
        now=now,
    )
    sheet = session.get_one(CsrSheet, (stage.hub.district, sheet_id))
    sheets.take(
        session, stage.hub, sheet, sheets.look(session, stage.hub, sheet).mapping, author="operator", now=now
    )
