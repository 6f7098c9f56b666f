"""What each route takes, in one table: the parameters of its address, the fields of its form or the members of its JSON.

It tells whoever writes a client and whoever tries the routes (`server.web.api.openapi`). The views read and check what is
sent themselves; `tests/server/web/test_openapi.py` fails when one reads what is not in the table.
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
from server import privacy
from server.accounts.roles import ROLES, SCOPE_KINDS
from server.aid.register import (
    COMMITMENT,
    CONTACT,
    DONOR,
    MOST_MONTHS as AID_MONTHS,
    MOST_PLACES,
    MOST_REACHED,
    MOST_RP,
)
from server.aid.words import AUTHORITIES, CATEGORIES, CLOSINGS, DONOR_KINDS, FUNDS, MENUS
from server.children.flags import RULES
from server.interchange.cases import ANSWERS
from server.interchange.export_formats import FORMS
from server.interchange.import_plan import OUTCOMES
from server.interchange.import_runs import DECIDED, OPEN
from server.interchange.refusals import QUESTIONS
from server.reports import KINDS as KINDS_OF_AREA
from server.reports.measures import CHARTED
from server.review import AGES, STATUSES, duplicate_pairs, post_quality, quarantine
from server.review.child import KINDS
from server.sync.relay import MOST_LETTERS
from server.web.pages.audit import GROUP_WORDS
from server.web.pages.child import CHARTS, FILTERS
from server.web.pages.decisions import OUTER, STATES
from server.web.pages.figures import FORMS as MONEV_FORMS, MOST_MONTHS, PATHS

Fields = Mapping[str, fields.Field[Any]]


BODY: Final = "body"


@dataclass(frozen=True, slots=True)
class RequestSchema:
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
FITTING_ANY: Final = dict.fromkeys(one for outcomes in privacy.FITTING.values() for one in outcomes)
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
NOTHING: Final = RequestSchema(json={})
NO_FIELDS: Final = RequestSchema(form={})


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
    "bulan": _one_of(post_quality.PERIODS),
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

TAKEN: Final[Mapping[str, RequestSchema]] = {
    # tablets and carriers
    "POST /api/v1/sync": RequestSchema(json=EnvelopeSchema),
    "POST /api/v1/enrol": RequestSchema(json=EnrolSchema),
    "POST /api/v1/enrol/again": RequestSchema(json=EnrolAgainSchema),
    "POST /api/v1/carried": RequestSchema(json=LettersSchema),
    # coming in
    "GET /masuk": RequestSchema(NEXT),
    "POST /masuk": RequestSchema(NEXT, form={"username": TEXT, "password": TEXT}),
    "POST /keluar": NO_FIELDS,
    "GET /bahasa/<code>": RequestSchema(NEXT),
    "POST /undangan/<token>": RequestSchema(form={"password": TEXT, "again": TEXT}),
    "GET /masuk/kode": RequestSchema(NEXT),
    "POST /masuk/kode": RequestSchema(NEXT, form={"code": TEXT}),
    "GET /akun/faktor-kedua": RequestSchema(NEXT),
    "POST /akun/faktor-kedua": RequestSchema(NEXT, form={"key": TEXT, "code": TEXT, "password": WORDS}),
    # the own account
    "GET /akun": RequestSchema({"diganti": TICK}),
    "POST /akun/kata-sandi": RequestSchema(form={"old": TEXT, "password": TEXT, "again": TEXT}),
    "POST /akun/kode-pemulihan": RequestSchema(form={"password": TEXT}),
    "POST /akun/sesi/<sign_in_id>/akhiri": NO_FIELDS,
    "POST /akun/sesi/akhiri-lainnya": NO_FIELDS,
    "POST /api/v1/account/sessions/<uuid:sign_in_id>/end": NOTHING,
    "POST /api/v1/account/sessions/end-others": NOTHING,
    "POST /api/v1/account/password": RequestSchema(json={"old": TEXT, "new": TEXT}),
    # people
    "GET /orang": RequestSchema(
        {"peran": _one_of(ROLES), "keadaan": _one_of(("invited", "active", "disabled"))}
    ),
    "GET /orang/undang": RequestSchema({"peran": _one_of(ROLES)}),
    "POST /orang/undang": RequestSchema({"peran": _one_of(ROLES)}, form={**PERSON, "scope": TEXT}),
    "POST /orang/<account_id>/atur-ulang": NO_FIELDS,
    "POST /orang/<account_id>/nonaktifkan": NO_FIELDS,
    "POST /orang/<account_id>/aktifkan": NO_FIELDS,
    "POST /api/v1/people": RequestSchema(
        json={**PERSON, "role": choice(*ROLES), "scope_kind": choice(*SCOPE_KINDS), "scope": TEXT}
    ),
    "POST /api/v1/people/<uuid:account_id>/reset": NOTHING,
    "POST /api/v1/people/<uuid:account_id>/disable": NOTHING,
    "POST /api/v1/people/<uuid:account_id>/enable": NOTHING,
    # the queue and children
    "GET /antrean": RequestSchema({**QUEUE, **PAGE}),
    "GET /antrean.csv": RequestSchema(QUEUE),
    "POST /cari": RequestSchema(form={"cari": TEXT, "pos": MAYBE_ID}),
    "POST /api/v1/search": RequestSchema(json={"words": TEXT, "post": uuid(Need.OPTIONAL)}),
    "POST /tampilan": RequestSchema(form={"saringan": WORDS, "nama": TEXT}),
    "POST /tampilan/lupakan": RequestSchema(form={"nama": TEXT}),
    "GET /api/v1/flags": RequestSchema(
        {**_filters("post", "village", "rule", "urgency", "age", "assigned_to"), **ROWS}
    ),
    "GET /anak/<child_id>": RequestSchema(
        {
            "cetak": TICK,
            "semua": TICK,
            "grafik": _one_of(CHARTS),
            "riwayat": _one_of(FILTERS),
            "hal": whole(1, 999_999, Need.ABSENT),
        }
    ),
    "POST /anak/<child_id>/nik": RequestSchema(
        {"semua": TICK, "grafik": _one_of(CHARTS), "riwayat": _one_of(FILTERS), **PAGE}, form={}
    ),
    "GET /api/v1/children/<child_id>": RequestSchema(),
    "GET /api/v1/children/<child_id>/timeline": RequestSchema({"kind": _one_of(KINDS), **ROWS}),
    "POST /api/v1/children/<child_id>/nik": NOTHING,
    # rights of the child's parents
    "POST /anak/<child_id>/hak": RequestSchema(
        form=dict.fromkeys(("kind", "relation", "by", "contact", "words"), WORDS)
    ),
    "POST /anak/<child_id>/hak/persetujuan": RequestSchema(
        form=dict.fromkeys(("by", "relation", "on", "method", "given", "context"), WORDS)
    ),
    "POST /hak/<uuid:request_id>": RequestSchema(form={"outcome": WORDS}),
    "POST /hak/<uuid:request_id>/setuju": NO_FIELDS,
    "POST /api/v1/children/<child_id>/rights": RequestSchema(
        json={
            "kind": choice(*privacy.KINDS),
            "relation": choice(*privacy.RELATIONS),
            "by": TEXT,
            **dict.fromkeys(("contact", "words"), Text(Need.OPTIONAL)),
        }
    ),
    "POST /api/v1/children/<child_id>/consent": RequestSchema(
        json={
            "given": Flag(),
            "by": TEXT,
            "relation": choice(*privacy.RELATIONS),
            "on": Day(),
            "method": Text(Need.OPTIONAL),
            "context": Object(),
        }
    ),
    "POST /api/v1/rights/<uuid:request_id>/answer": RequestSchema(json={"outcome": choice(*FITTING_ANY)}),
    "POST /api/v1/rights/<uuid:request_id>/agree": NOTHING,
    # deciding
    "GET /anak/<child_id>/tindak/<form>": RequestSchema(CARE),
    "POST /anak/<child_id>/tindak/<form>": RequestSchema(form=CARE),
    "POST /api/v1/children/<child_id>/<any(take, plan, pmt, close, remeasure):decision>": RequestSchema(
        json=DECISION
    ),
    "POST /api/v1/children/<child_id>/follow-ups/<task>/result": RequestSchema(
        json={
            "outcome": TEXT,
            "done_on": Day(),
            "days_eaten": whole(0, 31, Need.ABSENT),
            "note": WORDS,
            "context": VECTOR,
        }
    ),
    "POST /api/v1/children/<child_id>/move": RequestSchema(json={"from": ID, "to": ID}),
    "GET /api/v1/quarantine": RequestSchema({"state": _one_of(quarantine.STATES), "post": MAYBE_ID, **ROWS}),
    "POST /api/v1/quarantine/<actor>/<int:counter>/dismiss": RequestSchema(
        json={"reason": choice(*quarantine.DISMISSALS)}
    ),
    "POST /api/v1/quarantine/<actor>/<int:counter>/release": RequestSchema(json={"set": JSON, "key": JSON}),
    "POST /api/v1/quarantine/<actor>/<int:counter>/reopen": NOTHING,
    "POST /api/v1/quarantine/<actor>/<int:counter>/undo": NOTHING,
    "GET /api/v1/conflicts": RequestSchema({"post": MAYBE_ID, **ROWS}),
    "POST /api/v1/conflicts/<kind>/<record_id>/settle": RequestSchema(
        json={"context": VECTOR, "reason": TEXT, "set": Object(), "removal": JSON}
    ),
    "GET /api/v1/duplicates": RequestSchema({"status": _one_of(duplicate_pairs.STATES), **ROWS}),
    "POST /api/v1/duplicates/<uuid:one>/<uuid:other>/link": RequestSchema(json={"contexts": VECTORS}),
    "POST /api/v1/duplicates/<uuid:one>/<uuid:other>/unlink": RequestSchema(json={"contexts": VECTORS}),
    "POST /api/v1/duplicates/<uuid:one>/<uuid:other>/different": NOTHING,
    "POST /api/v1/duplicates/<uuid:one>/<uuid:other>/reopen": NOTHING,
    "GET /selisih": RequestSchema({"pos": MAYBE_ID, **PAGE}),
    "GET /selisih/<kind>/<uuid:record_id>": RequestSchema({"selesai": WORDS}),
    "POST /selisih/<kind>/<uuid:record_id>": RequestSchema(
        form={"konteks": TEXT, "alasan": WORDS, "pilih-removed": WORDS}, more_fields=True
    ),
    "GET /kembar": RequestSchema({"status": _one_of(OUTER), **PAGE}),
    "GET /kembar/<uuid:one>/<uuid:other>": RequestSchema({"selesai": WORDS}),
    "POST /kembar/<uuid:one>/<uuid:other>": RequestSchema(
        form={"tindakan": _one_of(("link", "unlink", "different", "reopen")), "konteks": TEXT}
    ),
    "GET /karantina": RequestSchema({"keadaan": _one_of(STATES), "pos": MAYBE_ID, **PAGE}),
    "GET /karantina/<uuid:actor>/<int:counter>": RequestSchema({"selesai": WORDS}),
    "POST /karantina/<uuid:actor>/<int:counter>": RequestSchema(
        form={"tindakan": _one_of(("release", "dismiss", "reopen", "undo")), "alasan": WORDS},
        more_fields=True,
    ),
    "GET /anak/<uuid:child_id>/pindah": RequestSchema({"cari": WORDS, "dari": MAYBE_ID}),
    "POST /anak/<uuid:child_id>/pindah": RequestSchema({"cari": WORDS}, form={"dari": TEXT, "ke": TEXT}),
    # the formats of others
    "POST /pertukaran/unggah": RequestSchema(
        form={"pos": WORDS, "tambah_pos": _one_of(("ya",))}, file="berkas"
    ),
    "GET /pertukaran/berkas/<uuid:run_id>": RequestSchema({"tampil": WHICH, "lanjut": TICK, **PAGE}),
    "POST /pertukaran/berkas/<uuid:run_id>": RequestSchema(
        form={"tindakan": choice("terapkan", "lihat", "buang")}
    ),
    "GET /pertukaran/berkas/<uuid:run_id>/baris.csv": RequestSchema({"tampil": WHICH}),
    "GET /pertukaran/baris": RequestSchema(
        {"pertanyaan": _one_of(QUESTIONS), "berkas": MAYBE_ID, "hasil": _one_of(OUTCOMES), **PAGE}
    ),
    "POST /pertukaran/baris/<uuid:case_id>": RequestSchema(
        {"pertanyaan": _one_of(QUESTIONS), "berkas": MAYBE_ID, **PAGE}, form={"jawaban": TEXT}
    ),
    "POST /pertukaran/ekspor": RequestSchema(
        form={
            "bentuk": choice(*FORMS),
            **dict.fromkeys(("dari", "sampai"), Day()),
            "wilayah": WORDS,
            "jenis": _one_of(("xlsx", "csv")),
            **dict.fromkeys(("tanpa_nama", "nik"), _one_of(("ya",))),
        }
    ),
    "POST /api/v1/imports": RequestSchema(
        {"post": MAYBE_ID, "add_posts": TICK, "rows": WHICH, **ROWS}, file=BODY
    ),
    "GET /api/v1/imports/<uuid:run_id>": RequestSchema({"rows": WHICH, **ROWS}),
    "POST /api/v1/imports/<uuid:run_id>/<any(apply, look, discard):action>": RequestSchema(
        {"rows": WHICH, **ROWS}, json={}
    ),
    "GET /api/v1/import-cases": RequestSchema(
        {
            "status": _one_of((OPEN, DECIDED)),
            "import": MAYBE_ID,
            "question": _one_of(QUESTIONS),
            **ROWS,
        }
    ),
    "POST /api/v1/import-cases/<uuid:case_id>/decide": RequestSchema(
        json={"decision": choice(*DECISIONS), "child": uuid(Need.OPTIONAL)}
    ),
    "POST /api/v1/exports": RequestSchema(
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
    "GET /audit": RequestSchema({**MONTH, "per": _one_of(GROUP_WORDS)}),
    "GET /audit.csv": RequestSchema({**MONTH, "per": _one_of(GROUP_WORDS)}),
    "GET /audit/kiriman": RequestSchema({**UPLOADS, **PAGE}),
    "GET /audit/kiriman.csv": RequestSchema(UPLOADS),
    "GET /audit/pola": RequestSchema(MONTH),
    "GET /audit/kelengkapan": RequestSchema(MONTH),
    "GET /audit/kelengkapan.csv": RequestSchema(MONTH),
    "GET /audit/riwayat/<uuid:child_id>/<uuid:record_id>": RequestSchema({"nilai": TICK}),
    "POST /audit/catatan/periksa": RequestSchema(form={"titik": WORDS}),
    "GET /audit/titik-periksa.json": RequestSchema({"nomor": whole(1, 999_999_999, Need.ABSENT)}),
    # aid
    "GET /bantuan": RequestSchema({"wilayah": WORDS, "dari": MAYBE_DAY, "sampai": MAYBE_DAY}),
    "POST /bantuan/tugaskan": RequestSchema(
        form=dict.fromkeys(("komitmen", "desa", "kebutuhan", "lihat"), TEXT)
    ),
    "POST /bantuan/donatur": RequestSchema(form=dict.fromkeys(("apa", *DONOR, *CONTACT, *COMMITMENT), WORDS)),
    "POST /bantuan/donatur/<uuid:donor_id>": RequestSchema(form=dict.fromkeys((*DONOR, *CONTACT), WORDS)),
    "POST /bantuan/komitmen/<uuid:commitment_id>": RequestSchema(form=dict.fromkeys(COMMITMENT, WORDS)),
    "POST /bantuan/komitmen/<uuid:commitment_id>/tutup": RequestSchema(form={"alasan": _one_of(CLOSINGS)}),
    "POST /bantuan/kegiatan": RequestSchema(
        form=dict.fromkeys(
            (
                *("donor", "title", "menu", "funds", "village", "starts_on", "ends_on", "value_rp"),
                *("reached", "evidence"),
            ),
            WORDS,
        )
    ),
    "POST /bantuan/kegiatan/<uuid:activity_id>": RequestSchema(
        form={
            **dict.fromkeys(("category", "menu", "village"), WORDS),
            "do": _one_of(("apart", "drop", "restore", "verify")),
        }
    ),
    "POST /bantuan/kegiatan/<uuid:activity_id>/anak": RequestSchema(form={"cari": WORDS, "anak": MAYBE_ID}),
    "POST /bantuan/lembar": RequestSchema(form=dict.fromkeys(("donatur", "kepada"), WORDS), file="berkas"),
    "GET /bantuan/lembar/<uuid:sheet_id>": RequestSchema(
        {"hanya": WORDS, "baris": whole(0, 100_000, Need.ABSENT), **PAGE}
    ),
    "POST /bantuan/lembar/<uuid:sheet_id>": RequestSchema(form={"ambil": TICK}, more_fields=True),
    "POST /anak/<child_id>/bantuan": RequestSchema(
        form=dict.fromkeys(
            (
                *("delivery", "context", "do", "menu", "funds", "reaches", "donor", "starts_on", "ends_on"),
                *("given_on", "quantity", "unit", "value_rp", "what", "where", "outcome"),
            ),
            WORDS,
        )
    ),
    "GET /api/v1/aid/gap": RequestSchema({"area": WORDS, "first": MAYBE_DAY, "last": MAYBE_DAY, **ROWS}),
    "POST /api/v1/aid/assign": RequestSchema(
        json=dict.fromkeys(("commitment", "village", "need", "seen"), TEXT)
    ),
    "POST /api/v1/aid/donors": RequestSchema(
        json={
            **{"name": TEXT, "kind": choice(*DONOR_KINDS), "authority": _one_of(AUTHORITIES)},
            **{"named": Flag(Need.ABSENT)},
            **dict.fromkeys(CONTACT, WORDS),
        }
    ),
    "POST /api/v1/aid/donors/<uuid:donor_id>": RequestSchema(
        json={
            **{"name": WORDS, "kind": _one_of(DONOR_KINDS), "authority": _one_of(AUTHORITIES)},
            **{"named": Flag(Need.ABSENT)},
            **dict.fromkeys(CONTACT, WORDS),
        }
    ),
    "POST /api/v1/aid/commitments/<uuid:commitment_id>": RequestSchema(
        json={
            **{"donor": MAYBE_ID, "menu": _one_of(MENUS), "funds": _one_of(FUNDS), "region": WORDS},
            **{"places": whole(1, MOST_PLACES, Need.ABSENT), "value_rp": whole(0, MOST_RP, Need.ABSENT)},
            **{"starts_on": MAYBE_DAY, "months": whole(1, AID_MONTHS, Need.ABSENT)},
        }
    ),
    "POST /api/v1/aid/commitments": RequestSchema(
        json={
            **{"donor": ID, "menu": choice(*MENUS), "funds": choice(*FUNDS), "region": TEXT},
            **{"places": whole(1, MOST_PLACES), "value_rp": whole(0, MOST_RP, Need.ABSENT)},
            **{"starts_on": Day(), "months": whole(1, AID_MONTHS)},
        }
    ),
    "POST /api/v1/aid/commitments/<uuid:commitment_id>/close": RequestSchema(
        json={"reason": choice(*CLOSINGS)}
    ),
    "POST /api/v1/aid/activities": RequestSchema(
        json={
            **{"donor": MAYBE_ID, "title": TEXT, "menu": choice(*MENUS), "funds": choice(*FUNDS)},
            **{"village": TEXT, "starts_on": Day(), "ends_on": MAYBE_DAY, "evidence": WORDS},
            **{"value_rp": whole(0, MOST_RP, Need.ABSENT), "reached": whole(0, MOST_REACHED, Need.ABSENT)},
        }
    ),
    "POST /api/v1/aid/activities/<uuid:activity_id>/decide": RequestSchema(
        json={
            **{"category": _one_of(CATEGORIES), "menu": _one_of(MENUS), "village": WORDS},
            "action": _one_of(("apart", "drop", "restore", "verify")),
        }
    ),
    "POST /api/v1/aid/activities/<uuid:activity_id>/child": RequestSchema(json={"child": ID}),
    "POST /api/v1/aid/sheets": RequestSchema(
        {"reported_to": choice(*AUTHORITIES), "donor": MAYBE_ID, "name": WORDS}, file=BODY
    ),
    "POST /api/v1/aid/sheets/<uuid:sheet_id>/take": RequestSchema(json={"columns": Object(Need.ABSENT)}),
    "POST /api/v1/children/<child_id>/aid": RequestSchema(
        json={
            **{"delivery": ID, "context": VECTOR},
            **dict.fromkeys(("aid", "delivered", "evidence", "verified", "note"), JSON),
        }
    ),
    # figures
    "GET /angka/<area_kind>/<area>": RequestSchema(
        {"bulan": THE_MONTH, "ukuran": _one_of(CHARTED), "menurut": _one_of(PATHS)}
    ),
    "GET /angka/<area_kind>/<area>/csv": RequestSchema(
        {
            "bulan": THE_MONTH,
            "isi": _one_of(("wilayah", "bulan")),
            "menurut": _one_of(PATHS),
            "jumlah": whole(1, MOST_MONTHS, Need.ABSENT),
        }
    ),
    "GET /angka/<area_kind>/<area>/monev": RequestSchema(
        {"dari": THE_MONTH, "sampai": THE_MONTH, "bentuk": _one_of(MONEV_FORMS)}
    ),
    "POST /angka/hitung": RequestSchema(form={"area_kind": _one_of(PATHS), "area": WORDS}),
    "GET /api/v1/figures": RequestSchema(
        {
            "kind": _one_of(KINDS_OF_AREA),
            "area": WORDS,
            "month": THE_MONTH,
            "months": whole(1, 120, Need.ABSENT),
        }
    ),
    # posts and tablets
    "GET /pos": RequestSchema({"puskesmas": MAYBE_ID, "cari": WORDS, **PAGE}),
    "GET /pos/<post_id>": RequestSchema(PERIOD),
    "GET /pos/<post_id>/daftar": RequestSchema({"tanggal": MAYBE_DAY}),
    "GET /api/v1/posts": RequestSchema({"health_centre": MAYBE_ID, "name": WORDS, **ROWS}),
    "GET /api/v1/posts/<post_id>/quality": RequestSchema(
        {"months": _one_of(post_quality.PERIODS), "pool": _one_of((post_quality.POST, post_quality.CENTRE))}
    ),
    "GET /api/v1/completeness": RequestSchema({"day": MAYBE_DAY, "month": WORDS, "post": MAYBE_ID}),
    "GET /tablet": RequestSchema({"tampil": WORDS, "dibatalkan": TICK, "pos": MAYBE_ID, **PAGE}),
    "GET /tablet/daftar": RequestSchema({"pos": MAYBE_ID}),
    "POST /tablet/daftar": RequestSchema({"pos": MAYBE_ID}, form={"post": ID, "name": TEXT}),
    "POST /tablet/kode/<handle>/batal": RequestSchema({"pos": MAYBE_ID}, form={}),
    "POST /api/v1/tablets/codes": RequestSchema(json={"post": ID, "name": TEXT}),
    "GET /tablet/<tablet_id>/cabut": RequestSchema({"hilang": TICK}),
    "POST /tablet/<tablet_id>/cabut": RequestSchema(form={"lost": TICK}),
    "POST /api/v1/tablets/<tablet_id>/revoke": NOTHING,
}
"""By method and pattern. A GET that takes nothing need not be here; every POST must be."""
