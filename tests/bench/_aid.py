"""What a regency has of aid and of one month's syncs, filled directly beside `bench_figures`' five years of children.

Some 5,000 deliveries, 60 donors with three commitments each, 3,000 rows of companies' sheets; flags and queue rows for who
is below a line, and families at risk. Then the sync of the month from each post's tablet: a batch with its receipt, and the
ledger's row of each measurement. Fewer children have fewer of all.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

import numpy as np
import orjson
from sqlalchemy import func, select

from server.aid import register, sheets
from server.aid.rules import rules
from server.children import ledger
from server.children.flags import RULES
from server.context import AppContext
from server.database.ids import new_id
from server.database.models import (
    AidActivity,
    Assessment,
    Batch,
    ChangeRow,
    Child,
    Commitment,
    CsrSheet,
    Delivery,
    Flag,
    HealthPost,
    Measurement,
    Region,
    Tablet,
    table,
)
from server.database.writes import Writes
from sync_protocol import FIRST_PREVIOUS, Change, Outcome, chain, delivery_id
from tests.bench import bench_pages

DONORS, COMMITMENTS, DELIVERIES, ROWS, ROWS_OF_SHEET = 60, 3, 5_000, 3_000, 50
AT_RISK: Final = 0.2
"""Share of children under five whose family is at risk of stunting."""
TITLES: Final = (
    *("Pemberian makanan tambahan balita", "Pembangunan jamban sehat", "Sumur bor warga"),
    *("Bantuan korban banjir", "Perbaikan jalan desa", "Penyuluhan gizi ibu balita"),
)


def fill(hub: AppContext, children: int, of: int, now: datetime) -> str:
    """Fill in the aid of so many children, out of `of` for which the numbers above are; give the id of a sheet's donor."""
    today, rng, share = hub.settings.today(now), np.random.default_rng(7), children / of
    flagged = _flags(hub, today, now)
    donors, commitments, villages = _register(hub, today, rng, now)
    _deliveries(hub, flagged, commitments, round(DELIVERIES * share), today, rng, now)
    _rows(hub, donors, villages, round(ROWS * share), today, rng, now)
    _month(hub, today.replace(day=3), now)
    return donors[0]


def _flags(hub: AppContext, today: date, now: datetime) -> list[str]:
    """Raise the flags of who is below a line at its newest measurement, and put every fifth family at risk."""
    a = Assessment
    newest = select(a.child_id, func.max(a.measured_on).label("on")).group_by(a.child_id).subquery()
    query = (
        select(a.child_id, a.measured_on, a.haz, a.waz, a.whz, Child.post_id, Child.born_on)
        .join(newest, (newest.c.child_id == a.child_id) & (newest.c.on == a.measured_on))
        .join(Child, (Child.district == a.district) & (Child.id == a.child_id))
        .where(Child.born_on > today - timedelta(1826))
    )
    rows: list[dict[str, Any]] = []
    posts_of: dict[str, str] = {}
    born: dict[str, date | None] = {}
    with hub.database.reading() as session:
        for row in session.execute(query):
            posts_of[row.child_id], born[row.child_id] = row.post_id, row.born_on
            rows += [
                {
                    "district": hub.district,
                    "child_id": row.child_id,
                    "rule": rule,
                    "subject": f"{row.measured_on.isoformat()}/cadre",
                    "urgency": RULES[rule].urgency,
                    "details": orjson.dumps({"z": f"{z:.2f}"}).decode(),
                    "raised_at": now,
                }
                for z, rules_ in (
                    (row.haz, ("severely_stunted", "stunted")),
                    (row.whz, ("severely_wasted", "wasted")),
                )
                if z < -2
                for rule in (rules_[0 if z < -3 else 1],)
            ]
    writes = Writes()
    writes.insert(table(Flag), rows)
    flagged = sorted({row["child_id"] for row in rows})
    some = set(flagged)
    bench_pages._queue(
        *(hub, writes),
        {child: post for child, post in posts_of.items() if child in some},
        born,
        rows,
    )
    for child in sorted(posts_of)[:: round(1 / AT_RISK)]:
        writes.set(
            table(Child), {"district": hub.district, "id": child}, {"krs_until": today + timedelta(200)}
        )
    bench_pages._write(hub, writes, now)
    return flagged


def _register(
    hub: AppContext, today: date, rng: Any, now: datetime
) -> tuple[list[str], list[str], list[str]]:
    """Add donors and what they promised, to villages, subdistricts and the regency; give their ids and the villages."""
    made: dict[str, Any] = {"author": "bench", "now": now}
    menus = ("food", "food", "insurance", "counselling", "latrine", "water")
    with hub.database.transaction() as session:
        villages = sorted(
            session.scalars(
                select(Region.code).where(Region.level == "village", Region.district == hub.district)
            )
        )
        area = register.whole_district(session, hub)
        donors = [
            register.add_donor(session, hub, {"name": f"PT Contoh {n + 1:02d}", "kind": "business"}, **made)
            for n in range(DONORS)
        ]
        commitments = []
        for n in range(DONORS * COMMITMENTS):
            village = villages[int(rng.integers(len(villages)))]
            wide = (village, village.rpartition(".")[0], hub.district)[n % 3]
            asked = {"donor": donors[n % DONORS], "menu": menus[n % 6], "funds": ("csr", "genting")[n % 2]}
            asked |= {"region": wide, "places": str(40 * (1 + n % 3)), "value_rp": "2700000", "months": "6"}
            asked |= {"starts_on": (today - timedelta(int(rng.integers(400)))).isoformat()}
            commitments.append(register.add_commitment(session, hub, area, asked, **made))
    return donors, commitments, villages


def _deliveries(
    hub: AppContext,
    flagged: Sequence[str],
    commitments: Sequence[str],
    count: int,
    today: date,
    rng: Any,
    now: datetime,
) -> None:
    """Give so many deliveries, most of them to children with a flag; one in five was not brought yet."""
    chosen = [flagged[int(k)] for k in rng.integers(0, len(flagged), count)]
    with hub.database.reading() as session:
        promised = {row.id: row for row in session.scalars(select(Commitment))}
        subjects: dict[str, ledger.Subject] = {}
        some = sorted(set(chosen))
        for start in range(0, len(some), 500):
            subjects |= ledger.subjects(session, hub.vault, hub.district, some[start : start + 500])
    rows = []
    for n, child_id in enumerate(chosen):
        promise, starts = (
            promised[commitments[n % len(commitments)]],
            today - timedelta(int(rng.integers(300))),
        )
        aid = {
            "menu": promise.menu,
            "funds": promise.funds,
            "reaches": "child",
            "starts_on": starts.isoformat(),
        }
        aid |= {"ends_on": (starts + timedelta(180)).isoformat(), "donor": promise.donor_id}
        registers: dict[str, Any] = {"aid": aid | {"commitment": promise.id}}
        if n % 5:
            registers["delivered"] = {"given_on": starts.isoformat(), "value_rp": 450_000}
        if n % 5 > 2:
            registers["verified"] = {"verified_on": starts.isoformat(), "outcome": "received"}
        delivery = new_id()
        key = {"child": child_id, "delivery": delivery}
        wire = bench_pages._wire("delivery", delivery_id(child_id, delivery), key, registers, now)
        rows.append(ledger.delivery_row(hub.district, subjects[child_id], bench_pages._state(wire), 1))
    writes = Writes()
    writes.insert(table(Delivery), rows)
    bench_pages._write(hub, writes, now)


def _rows(
    hub: AppContext,
    donors: Sequence[str],
    villages: Sequence[str],
    count: int,
    today: date,
    rng: Any,
    now: datetime,
) -> None:
    """Add the rows of companies' sheets that were taken, over two years; a few wait for a person."""
    writes = Writes()
    made_sheets, made_rows, sheet_id, donor = [], [], "", ""
    for n in range(count):
        if n % ROWS_OF_SHEET == 0:
            sheet_id, donor = new_id(), donors[n // ROWS_OF_SHEET % len(donors)]
            made_sheets.append(
                {
                    **{"district": hub.district, "id": sheet_id, "donor_id": donor, "name": "csr.xlsx"},
                    **{
                        "reported_to": ("centre", "province", "regency")[n // ROWS_OF_SHEET % 3],
                        "digest": sheet_id,
                    },
                    **{
                        "state": "taken",
                        "counts": "{}",
                        "brought_by": "bench",
                        "brought_at": now,
                        "sealed": None,
                    },
                }
            )
        title, activity_id = TITLES[n % len(TITLES)], new_id()
        found, starts = rules().classify(title), today - timedelta(int(rng.integers(730)))
        raw = orjson.dumps({"Kegiatan": title, "Nilai": "45.000.000"})
        made_rows.append(
            {
                **{"district": hub.district, "id": activity_id, "donor_id": donor, "sheet_id": sheet_id},
                **{
                    "row": n % ROWS_OF_SHEET + 2,
                    "status": "open" if n % 40 == 0 else "taken",
                    "reasons": "[]",
                },
                **{"category": found.category, "category_by": found.by, "menu": found.menu, "funds": "csr"},
                **{"title": title, "reported_to": made_sheets[-1]["reported_to"], "child_id": None},
                **{"village_code": villages[int(rng.integers(len(villages)))], "commitment_id": None},
                **{
                    "starts_on": starts,
                    "ends_on": starts + timedelta(30),
                    "reached": 40,
                    "value_rp": 45_000_000,
                },
                **{
                    "evidence": None,
                    "same_as": None,
                    "same_by": None,
                    "verified_by": None,
                    "verified_at": None,
                },
                **{"made_by": "bench", "made_at": now},
                "sealed": hub.vault.seal_for_district(raw, sheets.row_bound(hub, activity_id)),
            }
        )
    writes.insert(table(CsrSheet), made_sheets)
    writes.insert(table(AidActivity), made_rows)
    bench_pages._write(hub, writes, now)


def _month(hub: AppContext, day: date, now: datetime) -> None:
    """Let each post's tablet send what was measured on a day, in one batch."""
    with hub.database.reading() as session:
        posts = list(session.scalars(select(HealthPost.id).order_by(HealthPost.id)))
    tablets = [new_id() for _ in posts]
    bench_pages._add_tablets(hub, posts, tablets, now)
    for start in range(0, len(posts), 40):
        writes = Writes()
        some = dict(zip(posts[start : start + 40], tablets[start : start + 40], strict=True))
        m = Measurement
        with hub.database.reading() as session:
            query = select(m.child_id, m.post_id, m.weight_g, m.length_mm).where(
                m.post_id.in_(list(some)), m.measured_on == day
            )
            measured: dict[str, list[Any]] = {}
            for row in session.execute(query):
                measured.setdefault(row.post_id, []).append(row)
            ids = [row.child_id for rows in measured.values() for row in rows]
            subjects: dict[str, ledger.Subject] = {}
            for at in range(0, len(ids), 500):
                subjects |= ledger.subjects(session, hub.vault, hub.district, ids[at : at + 500])
        for post, rows in measured.items():
            _send(hub, writes, some[post], rows, subjects, day, now)
        bench_pages._write(hub, writes, now)


def _send(
    hub: AppContext,
    writes: Writes,
    tablet: str,
    rows: Sequence[Any],
    subjects: dict[str, ledger.Subject],
    day: date,
    now: datetime,
) -> None:
    batch = new_id()
    wires = [
        bench_pages._measurement_wire(
            row.child_id, day, row.weight_g, row.length_mm, now + timedelta(0, 90 * n)
        )
        for n, row in enumerate(rows)
    ]
    links = chain(tablet, 1, FIRST_PREVIOUS, wires)
    made = [
        ledger.change_row(
            *(
                hub.district,
                link,
                Change.from_wire(link.dot, wire, link.hash),
                subjects[row.child_id],
                hub.vault,
            ),
            outcome=Outcome.APPLIED,
            reasons=(),
            child_id=row.child_id,
            record_id=wire["id"],
            batch_id=batch,
            received_at=now,
        )
        for link, wire, row in zip(links, wires, rows, strict=True)
    ]
    receipt = {"items": [[link.dot.counter, "applied"] for link in links]}
    writes.insert(
        table(Batch),
        [
            {
                **{"district": hub.district, "tablet_id": tablet, "batch_id": batch, "digest": batch},
                **{
                    "receipt": orjson.dumps(receipt),
                    "outcomes": orjson.dumps({"applied": len(links)}).decode(),
                },
                **{
                    "sent_at": now.isoformat(),
                    "received_at": now,
                    "clock_offset_ms": 800,
                    "size_bytes": 9_000,
                },
            }
        ],
    )
    writes.insert(table(ChangeRow), made)
    told = {"last_counter": len(links), "head_counter": len(links), "chain_hash": links[-1].hash}
    writes.set(table(Tablet), {"district": hub.district, "id": tablet}, told)
