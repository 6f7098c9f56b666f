"""What each route takes, in one table: the parameters of its address, the fields of its form or the members of its JSON.

It tells whoever writes a client and whoever tries the routes (`server.web.openapi`). The views read and check what is
sent themselves; `tests/web/test_openapi.py` fails when one reads what is not in the table.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from marshmallow import Schema, fields

from schemas.batch import EnrolAgainSchema, EnrolSchema, EnvelopeSchema, SealedLetterSchema
from schemas.strict import (
    Day,
    Flag,
    Json,
    ListOf,
    Need,
    Object,
    Part,
    Strict,
    Text,
    choice,
    shaped,
    uuid,
    whole,
)
from server import rights
from server.accounts.roles import ROLES, SCOPE_KINDS
from server.aid.register import COMMITMENT, CONTACT, DONOR, MOST_PLACES, MOST_REACHED, MOST_RP
from server.aid.register import MOST_MONTHS as AID_MONTHS
from server.aid.words import AUTHORITIES, CATEGORIES, CLOSINGS, DONOR_KINDS, FUNDS, MENUS
from server.carried import MOST_LETTERS
from server.flags import RULES
from server.interchange.cases import ANSWERS
from server.interchange.outgoing import FORMS
from server.interchange.refusals import QUESTIONS
from server.interchange.runs import DECIDED, OPEN
from server.interchange.taking import OUTCOMES
from server.reports import KINDS as KINDS_OF_AREA
from server.reports.measures import CHARTED
from server.review import AGES, STATUSES, duplicates, quality, quarantine
from server.review.child import KINDS
from server.web.audit_pages import GROUP_WORDS
from server.web.child_pages import CHARTS, FILTERS
from server.web.desk_pages import OUTER, STATES
from server.web.figure_pages import FORMS as MONEV_FORMS
from server.web.figure_pages import MOST_MONTHS, PATHS

Fields = Mapping[str, fields.Field[Any]]


BODY: Final = "body"


@dataclass(frozen=True, slots=True)
class Taken:
    """What one route takes.

    Parameters
    ----------
    address : the parameters behind the "?"
    form : the fields of a form
    more_fields : a form has fields beside these, named after the registers that are shown
    json : the members of a JSON object, or the schema of a message; None where no JSON is taken
    file : a file comes: the name of its field in the form, or BODY where the body is the file
    """

    address: Fields = field(default_factory=dict)
    form: Fields = field(default_factory=dict)
    more_fields: bool = False
    json: Fields | type[Schema] | None = None
    file: str = ""


class LettersSchema(Strict):
    """What a carrier brings at once."""

    letters = ListOf(Part(SealedLetterSchema), 1, MOST_LETTERS)


TEXT, ID, WORDS = Text(), uuid(), Text(Need.ABSENT)
MAYBE_ID, MAYBE_DAY, JSON = uuid(Need.ABSENT), Day(Need.ABSENT), Json(Need.OPTIONAL)
VECTOR, VECTORS = Object(), Object()
DECISIONS: Final = dict.fromkeys(answer for answers in ANSWERS.values() for answer in answers)
FITTING_ANY: Final = dict.fromkeys(one for outcomes in rights.FITTING.values() for one in outcomes)
THE_MONTH = shaped("[0-9]{4}-[0-9]{2}", "not-date", Need.ABSENT)
TICK = choice("1", need=Need.ABSENT)
NEXT: Final[Fields] = {"next": WORDS}
PAGE: Final[Fields] = {"hal": whole(1, 100_000, Need.ABSENT)}
ROWS: Final[Fields] = {
    "limit": whole(1, 200, Need.ABSENT),
    "offset": whole(0, 10_000_000, Need.ABSENT),
}
WHICH: Final = shaped(r"[a-z0-9-]{1,40}", "not-choice", Need.ABSENT)
"""Rows of a file: needs, all, an outcome, or why."""
NOTHING: Final = Taken(json={})
NO_FIELDS: Final = Taken(form={})


def _one_of(choices: Iterable[object]) -> fields.Field[Any]:
    return choice(*(str(one) for one in choices if one != ""), need=Need.ABSENT)


def _filters(post: str, village: str, rule: str, urgency: str, age: str, charged: str) -> Fields:
    """Give the filters of the queue under the names of pages or API."""
    return {
        post: MAYBE_ID,
        village: shaped(r"[0-9]{2}(\.[0-9]{2}){2}\.[0-9]{4}", "not-village", Need.ABSENT),
        rule: _one_of(RULES),
        urgency: whole(1, 5, Need.ABSENT),
        age: _one_of(AGES),
        "status": _one_of(STATUSES),
        charged: WORDS,
    }


QUEUE: Final = _filters("pos", "desa", "aturan", "urgensi", "umur", "petugas")
PERIOD: Final[Fields] = {
    "bulan": _one_of(quality.PERIODS),
    "gabungan": _one_of(("pos", "puskesmas")),
}
MONTH: Final[Fields] = {"bulan": shaped(r"20[0-9]{2}-(0[1-9]|1[0-2])", "not-date", Need.ABSENT)}
UPLOADS: Final[Fields] = {**MONTH, "hari": MAYBE_DAY, "pos": MAYBE_ID, "tablet": MAYBE_ID}
TASK: Final[Fields] = {"task": ID, "due_on": MAYBE_DAY, "assigned_to": WORDS, "reason": WORDS, "note": WORDS}
PERSON: Final[Fields] = {"username": TEXT, "name": TEXT}
MEASURED: Final[Fields] = dict.fromkeys(
    ("weight", "length", "muac", "head", "oedema", "position", "measured_on"), WORDS
)
CARE: Final[Fields] = {
    **dict.fromkeys(
        ("task", "action", "due_on", "assigned_to", "reason", "note", "starts_on", "weeks", "funds"), WORDS
    ),
    **dict.fromkeys(("outcome", "done_on", "days_eaten", "covers", "context", "contexts"), WORDS),
    **MEASURED,
}
"""Of all forms about care; each reads its own."""
DECISION: Final[Fields] = {
    "task": MAYBE_ID,
    **dict.fromkeys(("starts_on", "due_on", "done_on", "measured_on"), MAYBE_DAY),
    **dict.fromkeys(("assigned_to", "reason", "note", "action", "funds", "outcome"), WORDS),
    "weeks": whole(1, 100, Need.ABSENT),
    "covers": ListOf(TEXT, 0, 200, Need.ABSENT),
    "contexts": Object(Need.ABSENT),
    "set": Object(Need.ABSENT),
    "context": Object(Need.ABSENT),
}

TAKEN: Final[Mapping[str, Taken]] = {
    # tablets and carriers
    "POST /api/v1/sync": Taken(json=EnvelopeSchema),
    "POST /api/v1/enrol": Taken(json=EnrolSchema),
    "POST /api/v1/enrol/again": Taken(json=EnrolAgainSchema),
    "POST /api/v1/carried": Taken(json=LettersSchema),
    # coming in
    "GET /masuk": Taken(NEXT),
    "POST /masuk": Taken(NEXT, form={"username": TEXT, "password": TEXT}),
    "POST /keluar": NO_FIELDS,
    "GET /bahasa/<code>": Taken(NEXT),
    "POST /undangan/<token>": Taken(form={"password": TEXT, "again": TEXT}),
    "GET /masuk/kode": Taken(NEXT),
    "POST /masuk/kode": Taken(NEXT, form={"code": TEXT}),
    "GET /akun/faktor-kedua": Taken(NEXT),
    "POST /akun/faktor-kedua": Taken(NEXT, form={"key": TEXT, "code": TEXT, "password": WORDS}),
    # the own account
    "GET /akun": Taken({"diganti": TICK}),
    "POST /akun/kata-sandi": Taken(form={"old": TEXT, "password": TEXT, "again": TEXT}),
    "POST /akun/kode-pemulihan": Taken(form={"password": TEXT}),
    "POST /akun/sesi/<sign_in_id>/akhiri": NO_FIELDS,
    "POST /akun/sesi/akhiri-lainnya": NO_FIELDS,
    "POST /api/v1/account/sessions/<uuid:sign_in_id>/end": NOTHING,
    "POST /api/v1/account/sessions/end-others": NOTHING,
    "POST /api/v1/account/password": Taken(json={"old": TEXT, "new": TEXT}),
    # people
    "GET /orang": Taken({"peran": _one_of(ROLES), "keadaan": _one_of(("invited", "active", "disabled"))}),
    "GET /orang/undang": Taken({"peran": _one_of(ROLES)}),
    "POST /orang/undang": Taken({"peran": _one_of(ROLES)}, form={**PERSON, "scope": TEXT}),
    "POST /orang/<account_id>/atur-ulang": NO_FIELDS,
    "POST /orang/<account_id>/nonaktifkan": NO_FIELDS,
    "POST /orang/<account_id>/aktifkan": NO_FIELDS,
    "POST /api/v1/people": Taken(
        json={**PERSON, "role": choice(*ROLES), "scope_kind": choice(*SCOPE_KINDS), "scope": TEXT}
    ),
    "POST /api/v1/people/<uuid:account_id>/reset": NOTHING,
    "POST /api/v1/people/<uuid:account_id>/disable": NOTHING,
    "POST /api/v1/people/<uuid:account_id>/enable": NOTHING,
    # the queue and children
    "GET /antrean": Taken({**QUEUE, **PAGE}),
    "GET /antrean.csv": Taken(QUEUE),
    "POST /cari": Taken(form={"cari": TEXT, "pos": MAYBE_ID}),
    "POST /api/v1/search": Taken(json={"words": TEXT, "post": uuid(Need.OPTIONAL)}),
    "POST /tampilan": Taken(form={"saringan": WORDS, "nama": TEXT}),
    "POST /tampilan/lupakan": Taken(form={"nama": TEXT}),
    "GET /api/v1/flags": Taken(
        {**_filters("post", "village", "rule", "urgency", "age", "assigned_to"), **ROWS}
    ),
    "GET /anak/<child_id>": Taken(
        {
            "cetak": TICK,
            "semua": TICK,
            "grafik": _one_of(CHARTS),
            "riwayat": _one_of(FILTERS),
            "hal": whole(1, 999_999, Need.ABSENT),
        }
    ),
    "POST /anak/<child_id>/nik": Taken(
        {"semua": TICK, "grafik": _one_of(CHARTS), "riwayat": _one_of(FILTERS), **PAGE}, form={}
    ),
    "GET /api/v1/children/<child_id>": Taken(),
    "GET /api/v1/children/<child_id>/timeline": Taken({"kind": _one_of(KINDS), **ROWS}),
    "POST /api/v1/children/<child_id>/nik": NOTHING,
    # rights of the child's parents
    "POST /anak/<child_id>/hak": Taken(
        form=dict.fromkeys(("kind", "relation", "by", "contact", "words"), WORDS)
    ),
    "POST /anak/<child_id>/hak/persetujuan": Taken(
        form=dict.fromkeys(("by", "relation", "on", "method", "given", "context"), WORDS)
    ),
    "POST /hak/<uuid:request_id>": Taken(form={"outcome": WORDS}),
    "POST /hak/<uuid:request_id>/setuju": NO_FIELDS,
    "POST /api/v1/children/<child_id>/rights": Taken(
        json={
            "kind": choice(*rights.KINDS),
            "relation": choice(*rights.RELATIONS),
            "by": TEXT,
            **dict.fromkeys(("contact", "words"), Text(Need.OPTIONAL)),
        }
    ),
    "POST /api/v1/children/<child_id>/consent": Taken(
        json={
            "given": Flag(),
            "by": TEXT,
            "relation": choice(*rights.RELATIONS),
            "on": Day(),
            "method": Text(Need.OPTIONAL),
            "context": Object(),
        }
    ),
    "POST /api/v1/rights/<uuid:request_id>/answer": Taken(json={"outcome": choice(*FITTING_ANY)}),
    "POST /api/v1/rights/<uuid:request_id>/agree": NOTHING,
    # deciding
    "GET /anak/<child_id>/tindak/<form>": Taken(CARE),
    "POST /anak/<child_id>/tindak/<form>": Taken(form=CARE),
    "POST /api/v1/children/<child_id>/<any(take, plan, pmt, close, remeasure):decision>": Taken(
        json=DECISION
    ),
    "POST /api/v1/children/<child_id>/follow-ups/<task>/result": Taken(
        json={
            "outcome": TEXT,
            "done_on": Day(),
            "days_eaten": whole(0, 31, Need.ABSENT),
            "note": WORDS,
            "context": VECTOR,
        }
    ),
    "POST /api/v1/children/<child_id>/move": Taken(json={"from": ID, "to": ID}),
    "GET /api/v1/quarantine": Taken({"state": _one_of(quarantine.STATES), "post": MAYBE_ID, **ROWS}),
    "POST /api/v1/quarantine/<actor>/<int:counter>/dismiss": Taken(
        json={"reason": choice(*quarantine.DISMISSALS)}
    ),
    "POST /api/v1/quarantine/<actor>/<int:counter>/release": Taken(json={"set": JSON, "key": JSON}),
    "POST /api/v1/quarantine/<actor>/<int:counter>/reopen": NOTHING,
    "POST /api/v1/quarantine/<actor>/<int:counter>/undo": NOTHING,
    "GET /api/v1/conflicts": Taken({"post": MAYBE_ID, **ROWS}),
    "POST /api/v1/conflicts/<kind>/<record_id>/settle": Taken(
        json={"context": VECTOR, "reason": TEXT, "set": Object(), "removal": JSON}
    ),
    "GET /api/v1/duplicates": Taken({"status": _one_of(duplicates.STATES), **ROWS}),
    "POST /api/v1/duplicates/<uuid:one>/<uuid:other>/link": Taken(json={"contexts": VECTORS}),
    "POST /api/v1/duplicates/<uuid:one>/<uuid:other>/unlink": Taken(json={"contexts": VECTORS}),
    "POST /api/v1/duplicates/<uuid:one>/<uuid:other>/different": NOTHING,
    "POST /api/v1/duplicates/<uuid:one>/<uuid:other>/reopen": NOTHING,
    "GET /selisih": Taken({"pos": MAYBE_ID, **PAGE}),
    "GET /selisih/<kind>/<uuid:record_id>": Taken({"selesai": WORDS}),
    "POST /selisih/<kind>/<uuid:record_id>": Taken(
        form={"konteks": TEXT, "alasan": WORDS, "pilih-removed": WORDS}, more_fields=True
    ),
    "GET /kembar": Taken({"status": _one_of(OUTER), **PAGE}),
    "GET /kembar/<uuid:one>/<uuid:other>": Taken({"selesai": WORDS}),
    "POST /kembar/<uuid:one>/<uuid:other>": Taken(
        form={"tindakan": _one_of(("link", "unlink", "different", "reopen")), "konteks": TEXT}
    ),
    "GET /karantina": Taken({"keadaan": _one_of(STATES), "pos": MAYBE_ID, **PAGE}),
    "GET /karantina/<uuid:actor>/<int:counter>": Taken({"selesai": WORDS}),
    "POST /karantina/<uuid:actor>/<int:counter>": Taken(
        form={"tindakan": _one_of(("release", "dismiss", "reopen", "undo")), "alasan": WORDS},
        more_fields=True,
    ),
    "GET /anak/<uuid:child_id>/pindah": Taken({"cari": WORDS, "dari": MAYBE_ID}),
    "POST /anak/<uuid:child_id>/pindah": Taken({"cari": WORDS}, form={"dari": TEXT, "ke": TEXT}),
    # the formats of others
    "POST /pertukaran/unggah": Taken(form={"pos": WORDS, "tambah_pos": _one_of(("ya",))}, file="berkas"),
    "GET /pertukaran/berkas/<uuid:run_id>": Taken({"tampil": WHICH, "lanjut": TICK, **PAGE}),
    "POST /pertukaran/berkas/<uuid:run_id>": Taken(form={"tindakan": choice("terapkan", "lihat", "buang")}),
    "GET /pertukaran/berkas/<uuid:run_id>/baris.csv": Taken({"tampil": WHICH}),
    "GET /pertukaran/baris": Taken(
        {"pertanyaan": _one_of(QUESTIONS), "berkas": MAYBE_ID, "hasil": _one_of(OUTCOMES), **PAGE}
    ),
    "POST /pertukaran/baris/<uuid:case_id>": Taken(
        {"pertanyaan": _one_of(QUESTIONS), "berkas": MAYBE_ID, **PAGE}, form={"jawaban": TEXT}
    ),
    "POST /pertukaran/ekspor": Taken(
        form={
            "bentuk": choice(*FORMS),
            **dict.fromkeys(("dari", "sampai"), Day()),
            "wilayah": WORDS,
            "jenis": _one_of(("xlsx", "csv")),
            **dict.fromkeys(("tanpa_nama", "nik"), _one_of(("ya",))),
        }
    ),
    "POST /api/v1/imports": Taken({"post": MAYBE_ID, "add_posts": TICK, "rows": WHICH, **ROWS}, file=BODY),
    "GET /api/v1/imports/<uuid:run_id>": Taken({"rows": WHICH, **ROWS}),
    "POST /api/v1/imports/<uuid:run_id>/<any(apply, look, discard):action>": Taken(
        {"rows": WHICH, **ROWS}, json={}
    ),
    "GET /api/v1/import-cases": Taken(
        {
            "status": _one_of((OPEN, DECIDED)),
            "import": MAYBE_ID,
            "question": _one_of(QUESTIONS),
            **ROWS,
        }
    ),
    "POST /api/v1/import-cases/<uuid:case_id>/decide": Taken(
        json={"decision": choice(*DECISIONS), "child": uuid(Need.OPTIONAL)}
    ),
    "POST /api/v1/exports": Taken(
        json={
            "form": choice(*FORMS),
            **dict.fromkeys(("first", "last"), Day()),
            "area": Object(Need.ABSENT),
            "anonymous": Flag(Need.ABSENT),
            "file": choice("xlsx", "csv", need=Need.ABSENT),
            "full_nik": Flag(Need.ABSENT),
        }
    ),
    # supervision
    "GET /audit": Taken({**MONTH, "per": _one_of(GROUP_WORDS)}),
    "GET /audit.csv": Taken({**MONTH, "per": _one_of(GROUP_WORDS)}),
    "GET /audit/kiriman": Taken({**UPLOADS, **PAGE}),
    "GET /audit/kiriman.csv": Taken(UPLOADS),
    "GET /audit/pola": Taken(MONTH),
    "GET /audit/kelengkapan": Taken(MONTH),
    "GET /audit/kelengkapan.csv": Taken(MONTH),
    "GET /audit/riwayat/<uuid:child_id>/<uuid:record_id>": Taken({"nilai": TICK}),
    "POST /audit/catatan/periksa": Taken(form={"titik": WORDS}),
    "GET /audit/titik-periksa.json": Taken({"nomor": whole(1, 999_999_999, Need.ABSENT)}),
    # aid
    "GET /bantuan": Taken({"wilayah": WORDS, "dari": MAYBE_DAY, "sampai": MAYBE_DAY}),
    "POST /bantuan/tugaskan": Taken(form=dict.fromkeys(("komitmen", "desa", "kebutuhan", "lihat"), TEXT)),
    "POST /bantuan/donatur": Taken(form=dict.fromkeys(("apa", *DONOR, *CONTACT, *COMMITMENT), WORDS)),
    "POST /bantuan/donatur/<uuid:donor_id>": Taken(form=dict.fromkeys((*DONOR, *CONTACT), WORDS)),
    "POST /bantuan/komitmen/<uuid:commitment_id>": Taken(form=dict.fromkeys(COMMITMENT, WORDS)),
    "POST /bantuan/komitmen/<uuid:commitment_id>/tutup": Taken(form={"alasan": _one_of(CLOSINGS)}),
    "POST /bantuan/kegiatan": Taken(
        form=dict.fromkeys(
            (
                *("donor", "title", "menu", "funds", "village", "starts_on", "ends_on", "value_rp"),
                *("reached", "evidence"),
            ),
            WORDS,
        )
    ),
    "POST /bantuan/kegiatan/<uuid:activity_id>": Taken(
        form={
            **dict.fromkeys(("category", "menu", "village"), WORDS),
            "do": _one_of(("apart", "drop", "restore", "verify")),
        }
    ),
    "POST /bantuan/kegiatan/<uuid:activity_id>/anak": Taken(form={"cari": WORDS, "anak": MAYBE_ID}),
    "POST /bantuan/lembar": Taken(form=dict.fromkeys(("donatur", "kepada"), WORDS), file="berkas"),
    "GET /bantuan/lembar/<uuid:sheet_id>": Taken(
        {"hanya": WORDS, "baris": whole(0, 100_000, Need.ABSENT), **PAGE}
    ),
    "POST /bantuan/lembar/<uuid:sheet_id>": Taken(form={"ambil": TICK}, more_fields=True),
    "POST /anak/<child_id>/bantuan": Taken(
        form=dict.fromkeys(
            (
                *("delivery", "context", "do", "menu", "funds", "reaches", "donor", "starts_on", "ends_on"),
                *("given_on", "quantity", "unit", "value_rp", "what", "where", "outcome"),
            ),
            WORDS,
        )
    ),
    "GET /api/v1/aid/gap": Taken({"area": WORDS, "first": MAYBE_DAY, "last": MAYBE_DAY, **ROWS}),
    "POST /api/v1/aid/assign": Taken(json=dict.fromkeys(("commitment", "village", "need", "seen"), TEXT)),
    "POST /api/v1/aid/donors": Taken(
        json={
            **{"name": TEXT, "kind": choice(*DONOR_KINDS), "authority": _one_of(AUTHORITIES)},
            **{"named": Flag(Need.ABSENT)},
            **dict.fromkeys(CONTACT, WORDS),
        }
    ),
    "POST /api/v1/aid/donors/<uuid:donor_id>": Taken(
        json={
            **{"name": WORDS, "kind": _one_of(DONOR_KINDS), "authority": _one_of(AUTHORITIES)},
            **{"named": Flag(Need.ABSENT)},
            **dict.fromkeys(CONTACT, WORDS),
        }
    ),
    "POST /api/v1/aid/commitments/<uuid:commitment_id>": Taken(
        json={
            **{"donor": MAYBE_ID, "menu": _one_of(MENUS), "funds": _one_of(FUNDS), "region": WORDS},
            **{"places": whole(1, MOST_PLACES, Need.ABSENT), "value_rp": whole(0, MOST_RP, Need.ABSENT)},
            **{"starts_on": MAYBE_DAY, "months": whole(1, AID_MONTHS, Need.ABSENT)},
        }
    ),
    "POST /api/v1/aid/commitments": Taken(
        json={
            **{"donor": ID, "menu": choice(*MENUS), "funds": choice(*FUNDS), "region": TEXT},
            **{"places": whole(1, MOST_PLACES), "value_rp": whole(0, MOST_RP, Need.ABSENT)},
            **{"starts_on": Day(), "months": whole(1, AID_MONTHS)},
        }
    ),
    "POST /api/v1/aid/commitments/<uuid:commitment_id>/close": Taken(json={"reason": choice(*CLOSINGS)}),
    "POST /api/v1/aid/activities": Taken(
        json={
            **{"donor": MAYBE_ID, "title": TEXT, "menu": choice(*MENUS), "funds": choice(*FUNDS)},
            **{"village": TEXT, "starts_on": Day(), "ends_on": MAYBE_DAY, "evidence": WORDS},
            **{"value_rp": whole(0, MOST_RP, Need.ABSENT), "reached": whole(0, MOST_REACHED, Need.ABSENT)},
        }
    ),
    "POST /api/v1/aid/activities/<uuid:activity_id>/decide": Taken(
        json={
            **{"category": _one_of(CATEGORIES), "menu": _one_of(MENUS), "village": WORDS},
            "action": _one_of(("apart", "drop", "restore", "verify")),
        }
    ),
    "POST /api/v1/aid/activities/<uuid:activity_id>/child": Taken(json={"child": ID}),
    "POST /api/v1/aid/sheets": Taken(
        {"reported_to": choice(*AUTHORITIES), "donor": MAYBE_ID, "name": WORDS}, file=BODY
    ),
    "POST /api/v1/aid/sheets/<uuid:sheet_id>/take": Taken(json={"columns": Object(Need.ABSENT)}),
    "POST /api/v1/children/<child_id>/aid": Taken(
        json={
            **{"delivery": ID, "context": VECTOR},
            **dict.fromkeys(("aid", "delivered", "evidence", "verified", "note"), JSON),
        }
    ),
    # figures
    "GET /angka/<area_kind>/<area>": Taken(
        {"bulan": THE_MONTH, "ukuran": _one_of(CHARTED), "menurut": _one_of(PATHS)}
    ),
    "GET /angka/<area_kind>/<area>/csv": Taken(
        {
            "bulan": THE_MONTH,
            "isi": _one_of(("wilayah", "bulan")),
            "menurut": _one_of(PATHS),
            "jumlah": whole(1, MOST_MONTHS, Need.ABSENT),
        }
    ),
    "GET /angka/<area_kind>/<area>/monev": Taken(
        {"dari": THE_MONTH, "sampai": THE_MONTH, "bentuk": _one_of(MONEV_FORMS)}
    ),
    "POST /angka/hitung": Taken(form={"area_kind": _one_of(PATHS), "area": WORDS}),
    "GET /api/v1/figures": Taken(
        {
            "kind": _one_of(KINDS_OF_AREA),
            "area": WORDS,
            "month": THE_MONTH,
            "months": whole(1, 120, Need.ABSENT),
        }
    ),
    # posts and tablets
    "GET /pos": Taken({"puskesmas": MAYBE_ID, "cari": WORDS, **PAGE}),
    "GET /pos/<post_id>": Taken(PERIOD),
    "GET /pos/<post_id>/daftar": Taken({"tanggal": MAYBE_DAY}),
    "GET /api/v1/posts": Taken({"health_centre": MAYBE_ID, "name": WORDS, **ROWS}),
    "GET /api/v1/posts/<post_id>/quality": Taken(
        {"months": _one_of(quality.PERIODS), "pool": _one_of((quality.POST, quality.CENTRE))}
    ),
    "GET /api/v1/completeness": Taken({"day": MAYBE_DAY, "month": WORDS, "post": MAYBE_ID}),
    "GET /tablet": Taken({"tampil": WORDS, "dibatalkan": TICK, "pos": MAYBE_ID, **PAGE}),
    "GET /tablet/daftar": Taken({"pos": MAYBE_ID}),
    "POST /tablet/daftar": Taken({"pos": MAYBE_ID}, form={"post": ID, "name": TEXT}),
    "POST /tablet/kode/<handle>/batal": Taken({"pos": MAYBE_ID}, form={}),
    "POST /api/v1/tablets/codes": Taken(json={"post": ID, "name": TEXT}),
    "GET /tablet/<tablet_id>/cabut": Taken({"hilang": TICK}),
    "POST /tablet/<tablet_id>/cabut": Taken(form={"lost": TICK}),
    "POST /api/v1/tablets/<tablet_id>/revoke": NOTHING,
}
"""By method and pattern. A GET that takes nothing need not be here; every POST must be."""
