"""The sentences of every refusal: code -> an Indonesian and an English sentence.

A sentence names the field, what was written, the rule, and the remedy, for a cadre with a tablet.

What was written is repeated only if it cannot be personal, for reasons are stored and logged unencrypted. So a value is
shown only for a field that is not `personal`, and only if it is a number of at most nine digits, a date or time, a UUID,
true, false, or at most two letters: somebody may have typed a NIK into the field of a weight.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

MAX_REASONS: Final = 20
"""Most reasons given for one change, so that a receipt stays small."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a value cannot be accepted.

    `path` is the path of the field within the change (or batch), with dots; "" is the whole. `code` is a word that
    programs may rely on. `value` is what was written, null unless it is short and surely not personal. `id` and `en` are
    sentences.
    """

    path: str
    code: str
    value: str | int | float | bool | None
    id: str
    en: str

    def wire(self) -> dict[str, Any]:
        """Write it as it is sent in a receipt."""
        return asdict(self)


class Words(NamedTuple):
    """A rule and its remedy, in both languages. `{0}` and `{1}` are the rule's limits, `{unit}` the field's unit.

    Without a remedy, or for a field that no person fills in, the sentence says that it is a fault of the app.
    """

    rule_id: str
    rule_en: str
    remedy_id: str = ""
    remedy_en: str = ""


class Label(NamedTuple):
    """What a field is called on the screen, whether a person fills it in, and whether it is personal."""

    id: str
    en: str
    typed: bool = True
    personal: bool = False


APP_FAULT: Final = Words(
    "", "",
    "Ini kesalahan aplikasi, bukan kesalahan Anda: perbarui aplikasi; bila muncul lagi, hubungi puskesmas.",
    "This is a fault of the app, not yours: update the app, and call the health centre if it comes again.",
)  # fmt: skip

WORDS: Final[Mapping[str, Words]] = {
    # of any field
    "missing": Words("belum diisi", "is missing", "Isi bagian ini.", "Fill it in."),
    "not-null": Words("tidak boleh kosong", "must not be empty", "Isi bagian ini.", "Fill it in."),
    "unknown-field": Words("tidak dikenal", "is not known"),
    "not-object": Words("harus berupa objek JSON", "must be a JSON object"),
    "not-list": Words("harus berupa daftar", "must be a list"),
    "not-pair": Words("harus berupa daftar dua isi", "must be a list of two"),
    "list-length": Words("harus berisi {0} sampai {1} butir", "must have {0} to {1} members"),
    "not-whole-number": Words(
        "harus berupa bilangan bulat", "must be a whole number",
        "Tulis angka saja, tanpa koma atau titik.", "Write digits only, without a decimal point.",
    ),
    "not-yes-no": Words(
        "harus berupa ya atau tidak", "must be yes or no", "Pilih ya atau tidak.", "Choose yes or no."
    ),
    "not-text": Words("harus berupa teks", "must be text", "Tulis dengan huruf.", "Write it in letters."),
    "out-of-range": Words(
        "harus antara {0} dan {1}{unit}", "must be between {0} and {1}{unit}",
        "Periksa dan tulis lagi angkanya.", "Check the number and write it again.",
    ),
    "text-length": Words(
        "harus {0} sampai {1} huruf", "must have {0} to {1} characters",
        "Isi bagian ini, atau persingkat.", "Fill it in, or shorten it.",
    ),
    "edge-space": Words(
        "diawali atau diakhiri spasi", "begins or ends with a blank",
        "Hapus spasi di awal dan di akhir.", "Delete the blanks at the beginning and the end.",
    ),
    "invisible-character": Words(
        "berisi tanda yang tidak terlihat", "contains an invisible character",
        "Hapus lalu ketik ulang; jangan menyalin dari tempat lain.",
        "Delete it and type it anew; do not paste it.",
    ),
    "not-choice": Words(
        "harus salah satu dari: {0}", "must be one of: {0}",
        "Pilih satu dari daftar.", "Choose one of the list.",
    ),
    "not-date": Words(
        "bukan tanggal yang benar", "is not a date that exists",
        "Pilih tanggal dari kalender.", "Choose a date from the calendar.",
    ),
    "date-too-early": Words(
        "lebih awal dari {0}", "is before {0}",
        "Periksa tahunnya.", "Check the year.",
    ),
    "date-in-future": Words(
        "sesudah hari ini ({0})", "is after today ({0})",
        "Periksa tanggalnya, dan tanggal pada tablet.", "Check the date, and the tablet's own date.",
    ),
    # of a child
    "not-phone": Words(
        "harus 8 sampai 16 angka, boleh diawali +", "must have 8 to 16 digits, with or without + before them",
        "Tulis nomor tanpa spasi dan tanpa tanda hubung.", "Write the number without blanks or hyphens.",
    ),
    "not-rt": Words(
        "harus 1 sampai 3 angka", "must have 1 to 3 digits", "Tulis angkanya saja.", "Write digits only."
    ),
    "not-village": Words(
        "harus berbentuk 64.02.06.1001", "must look like 64.02.06.1001",
        "Pilih desa dari daftar.", "Choose the village from the list.",
    ),
    "nik-digits": Words(
        "harus tepat 16 angka", "must have exactly 16 digits",
        "Salin NIK dari Kartu Keluarga, atau kosongkan bila belum ada.",
        "Copy the NIK from the family card, or leave it empty if there is none yet.",
    ),
    "nik-same-digits": Words(
        "tidak boleh berisi satu angka yang diulang", "must not be one digit repeated",
        "Salin NIK dari Kartu Keluarga, atau kosongkan bila belum ada.",
        "Copy the NIK from the family card, or leave it empty if there is none yet.",
    ),
    "nik-day": Words(
        "angka ke-7 dan ke-8 harus 01–31, atau 41–71 untuk perempuan",
        "digits 7 and 8 must be 01–31, or 41–71 for a girl",
        "Cocokkan lagi dengan Kartu Keluarga.", "Compare it with the family card.",
    ),
    "nik-month": Words(
        "angka ke-9 dan ke-10 harus bulan 01–12", "digits 9 and 10 must be a month, 01–12",
        "Cocokkan lagi dengan Kartu Keluarga.", "Compare it with the family card.",
    ),
    "nik-serial": Words(
        "empat angka terakhir tidak boleh 0000", "the last four digits must not be 0000",
        "Cocokkan lagi dengan Kartu Keluarga.", "Compare it with the family card.",
    ),
    "same-as-itself": Words(
        "menunjuk anak ini sendiri", "names this child itself",
        "Pilih anak yang lain.", "Choose the other child.",
    ),
    # of a measurement
    "nothing-measured": Words(
        "harus berisi berat atau edema", "must hold a weight or an oedema",
        "Isi berat badan, atau edema bila anak bengkak.",
        "Fill in the weight, or the oedema if the child is swollen.",
    ),
    # of an aid
    "ends-before-start": Words(
        "berakhir sebelum dimulai", "ends before it begins",
        "Periksa kedua tanggalnya.", "Check both dates.",
    ),
    "before-birth": Words(
        "lebih awal dari tanggal lahir ({0})", "is before the date of birth ({0})",
        "Periksa tanggal ukur dan tanggal lahir.", "Check the date of measuring and the date of birth.",
    ),
    # of what only the server can know
    "post-unknown": Words(
        "bukan posyandu yang dikenal server", "is not a post that the server knows",
        "Pilih posyandu dari daftar.", "Choose the post from the list.",
    ),
    "child-erased": Words(
        "adalah anak yang datanya sudah dihapus atas permintaan orang tua",
        "is a child whose data was erased at a parent's request",
        "Tidak ada yang disimpan. Bila anak datang lagi dan orang tua setuju, daftarkan sebagai anak baru.",
        "Nothing of it is kept. If the child comes again and the parents agree, register a new child.",
    ),
    "child-restricted": Words(
        "adalah anak yang datanya sedang tidak boleh diolah, atas permintaan orang tua",
        "is a child whose data may not be processed for now, at a parent's request",
        "Jangan mengukur atau mencatat dulu: hubungi puskesmas.",
        "Do not measure or write for now: call the health centre.",
    ),
    "tablet-revoked": Words(
        "dikirim oleh tablet yang izinnya sudah dicabut", "was sent by a tablet that has been revoked",
        "Data Anda aman dan menunggu diperiksa petugas: hubungi puskesmas.",
        "Your data is safe and waits for staff to judge it: call the health centre.",
    ),
    # of what the office decides
    "not-on-screen": Words(
        "menyebut perubahan yang tidak ada di server", "names a change that the server does not hold",
        "Buka lagi data ini, lalu putuskan dari yang tampil.", "Open the record again and decide from what it shows.",
    ),
    "not-in-conflict": Words(
        "tidak sedang berselisih", "is not in conflict",
        "Mungkin sudah diselesaikan: buka lagi data ini.", "It may be settled already: open the record again.",
    ),
    "not-one-of-them": Words(
        "bukan salah satu nilai yang berselisih", "is none of the values in conflict",
        "Pilih satu dari yang tampil, atau isi nilai baru.", "Choose one of those shown, or give a new value.",
    ),
    "in-conflict": Words(
        "sedang berselisih", "is in conflict",
        "Selesaikan dulu perselisihan itu.", "Settle that conflict first.",
    ),
    "same-post": Words(
        "sudah posyandu anak ini", "is the child's post already",
        "Pilih posyandu yang lain.", "Choose another post.",
    ),
    "moved-meanwhile": Words(
        "bukan lagi posyandu anak ini", "is no longer the child's post",
        "Buka lagi data anak ini, lalu putuskan.", "Open the child's page again, then decide.",
    ),
    "not-registered": Words(
        "belum didaftarkan", "is not registered yet",
        "Tunggu sampai tablet yang mendaftarkannya mengirim.", "Wait until the tablet that registers it has sent.",
    ),
    # of what the app itself writes
    "nothing-set": Words("tidak mengubah apa pun", "changes nothing"),
    "schema-too-new": Words(
        "ditulis oleh aplikasi yang lebih baru daripada server (server mengenal sampai {0})",
        "was written by an app newer than the server (the server knows up to {0})",
        "Data Anda aman dan dibaca setelah server diperbarui: beri tahu puskesmas.",
        "Your data is safe and will be read when the server is updated: tell the health centre.",
    ),
    "protocol-unsupported": Words(
        "tidak dilayani; server ini memakai {0}", "is not served; this server speaks {0}",
    ),
    "id-mismatch": Words(
        "tidak cocok dengan anak, tanggal, sumber atau tugasnya", "does not fit its child, date, source or task"
    ),
    "not-rule": Words(
        "harus 1 sampai 40 huruf kecil atau _", "must be 1 to 40 small letters or _"
    ),
    "not-flag": Words(
        "harus berbentuk stunted/2026-01-05/cadre", "must look like stunted/2026-01-05/cadre"
    ),
    "not-uuid": Words("bukan UUID berhuruf kecil", "is not a UUID in lower case"),
    "not-actor": Words("bukan nama tablet atau hub", "is not the name of a tablet or of the hub"),
    "not-tag": Words("bukan 16 tanda base64url", "is not 16 characters of base64url"),
    "not-nonce": Words("bukan 22 tanda base64url", "is not 22 characters of base64url"),
    "not-author": Words(
        "harus 1 sampai 64 huruf, angka, atau _ . : @ -", "must be 1 to 64 letters, digits, or _ . : @ -"
    ),
    "not-time": Words(
        "bukan waktu UTC seperti 2026-01-05T02:15:00Z",
        "is not a UTC time like 2026-01-05T02:15:00Z",
    ),
    "not-hash": Words("bukan 43 tanda base64url", "is not 43 characters of base64url"),
    "not-signature": Words(
        "bukan 86 tanda base64url (64 bita)", "is not 86 characters of base64url (64 bytes)"
    ),
    "not-key-id": Words("bukan 11 tanda base64url", "is not 11 characters of base64url"),
    "not-letter": Words("bukan 22 tanda base64url", "is not 22 characters of base64url"),
    "not-reply-key": Words(
        "bukan 22 tanda base64url (16 bita)", "is not 22 characters of base64url (16 bytes)"
    ),
    "not-encapsulated-key": Words(
        "bukan 87 tanda base64url (65 bita)", "is not 87 characters of base64url (65 bytes)"
    ),
    "not-ciphertext": Words(
        "bukan base64url dari sandi yang utuh", "is not the base64url of a whole ciphertext"
    ),
    "not-district": Words("harus berbentuk 64.02", "must look like 64.02"),
    "not-enrolment-code": Words(
        "harus berbentuk ABCD-EFGH-JK", "must look like ABCD-EFGH-JK",
        "Salin kode dari puskesmas sekali lagi, dengan huruf besar.",
        "Copy the code from the health centre once more, in capital letters.",
    ),
    "private-key-sent": Words(
        "berisi kunci rahasia yang tidak boleh keluar dari tablet",
        "holds the private key, which must never leave the tablet",
    ),
    "answer-incoherent": Words("tidak cocok dengan bagian lain", "does not fit the other parts"),
    "more-reasons": Words("masih ada {0} kesalahan lain", "has {0} more errors"),
}  # fmt: skip

WHOLE: Final = Label("Data ini", "This entry", typed=False)

LABELS: Final[Mapping[str, Label]] = {
    "name": Label("Nama", "Name", personal=True),
    "sex": Label("Jenis kelamin", "Sex"),
    "born_on": Label("Tanggal lahir", "Date of birth"),
    "birth_order": Label("Anak ke-", "Birth order"),
    "nik.nik": Label("NIK", "NIK", personal=True),
    "mother": Label("Nama ibu", "Mother's name", personal=True),
    "father": Label("Nama ayah", "Father's name", personal=True),
    "phone": Label("Nomor telepon", "Phone number", personal=True),
    "address": Label("Alamat", "Address", personal=True),
    "rt": Label("RT", "RT", personal=True),
    "rw": Label("RW", "RW", personal=True),
    "village": Label("Desa", "Village"),
    "post.post": Label("Posyandu", "Health post", typed=False),
    "weight_g": Label("Berat badan", "Weight"),
    "birth.weight_g": Label("Berat lahir", "Birth weight"),
    "length_mm": Label("Panjang atau tinggi badan", "Length or height"),
    "birth.length_mm": Label("Panjang lahir", "Birth length"),
    "gestation_weeks": Label("Umur kehamilan saat lahir", "Gestation at birth"),
    "kia": Label("Buku KIA", "KIA book"),
    "kms": Label("KMS", "KMS"),
    "krs": Label("Keluarga risiko stunting", "Family at risk of stunting"),
    "family.source": Label("Sumber data keluarga", "Source of the family's data", personal=True),
    "valid_until": Label("Berlaku sampai", "Valid until"),
    "given": Label("Persetujuan", "Consent"),
    "by": Label("Pemberi persetujuan", "Who gave consent", personal=True),
    "relation": Label("Hubungan dengan anak", "Relation to the child", personal=True),
    "on": Label("Tanggal persetujuan", "Date of consent"),
    "method": Label("Cara persetujuan", "How consent was given", personal=True),
    "same_as.child": Label("Anak yang sama", "The same child"),
    "reason": Label("Alasan", "Reason", personal=True),
    "weight": Label("Penimbangan", "Weighing"),
    "oedema": Label("Edema", "Oedema"),
    "position": Label("Posisi ukur", "Position"),
    "muac_mm": Label("Lingkar lengan atas", "Mid-upper-arm circumference"),
    "head_mm": Label("Lingkar kepala", "Head circumference"),
    "vitamin_a": Label("Vitamin A", "Vitamin A"),
    "exclusive_breastfeeding": Label("ASI eksklusif", "Exclusive breastfeeding"),
    "mbg": Label("MBG", "MBG"),
    "mother_class": Label("Kelas ibu", "Mothers' class"),
    "kpsp": Label("KPSP", "KPSP"),
    "deworming": Label("Obat cacing", "Deworming"),
    "immunised": Label("Imunisasi", "Immunisation"),
    "text": Label("Catatan", "Note", personal=True),
    "measured_on": Label("Tanggal ukur", "Date of measuring"),
    "action": Label("Tindakan", "What is to be done"),
    "task.reason": Label("Alasan tugas", "What the task is for"),
    "due_on": Label("Batas waktu", "Due date"),
    "assigned_to": Label("Penanggung jawab", "Who is to do it", personal=True),
    "course": Label("Paket PMT", "PMT course", typed=False),
    "week": Label("Minggu ke-", "Week"),
    "funds": Label("Sumber dana", "Source of funds"),
    "done_on": Label("Tanggal dikerjakan", "Date done"),
    "outcome": Label("Hasil", "Outcome"),
    "days_eaten": Label("Hari PMT dimakan", "Days on which the food was eaten"),
    "menu": Label("Jenis bantuan", "What is given"),
    "reaches": Label("Untuk siapa", "For whom"),
    "starts_on": Label("Mulai", "From"),
    "ends_on": Label("Sampai", "Until"),
    "aid": Label("Bantuan", "Aid"),
    "aid.donor": Label("Donatur", "Donor", typed=False),
    "donor": Label("Donatur", "Donor", personal=True),
    "commitment": Label("Komitmen", "Commitment", typed=False),
    "given_on": Label("Tanggal diberikan", "Date given"),
    "quantity": Label("Jumlah", "Quantity"),
    "unit": Label("Satuan", "Unit"),
    "value_rp": Label("Nilai", "Value"),
    "what": Label("Bukti", "Evidence"),
    "where": Label("Tempat bukti", "Where the evidence is", personal=True),
    "verified_on": Label("Tanggal diperiksa", "Date verified"),
    "delivery": Label("Bantuan", "Aid", typed=False),
    "covers": Label("Tanda yang tampil", "The flags that were shown", typed=False),
    "task": Label("Tugas", "Task", typed=False),
    "author": Label("Nama kader", "Author", typed=False, personal=True),
    "code": Label("Kode pendaftaran", "Enrolment code", personal=True),
    "device": Label("Nama tablet", "Name of the tablet", personal=True),
    "public_key.d": Label("Kunci tablet", "The tablet's key", typed=False, personal=True),
    "public_key.x": Label("Kunci tablet", "The tablet's key", typed=False, personal=True),
    "public_key.y": Label("Kunci tablet", "The tablet's key", typed=False, personal=True),
    "signature": Label("Tanda tangan", "Signature", typed=False, personal=True),
    "child": Label("Anak", "The child"),
    "dots": Label("Nilai yang dipilih", "The chosen value"),
    "removal": Label("Keputusan tentang penghapusan", "The decision on the removal"),
    "view": Label("Nama tampilan", "Name of the view"),
    "from": Label("Posyandu asal", "The post it is at"),
    "to": Label("Posyandu tujuan", "The post to move to"),
    "protocol": Label("Versi protokol", "Protocol version", typed=False),
    "schema": Label("Versi data", "Data version", typed=False),
}

UNITS: Final = {
    "g": ("gram", "grams", 1000, "kilogram", "kilograms"),
    "mm": ("milimeter", "millimetres", 10, "sentimeter", "centimetres"),
    "weeks": ("minggu", "weeks", 1, "", ""),
}
"""By the ending of a field's name: its unit, the factor to the unit usually confused with it, and that unit."""

UNIT_REMEDIES: Final = {
    "g": (
        "Tulis dalam gram bulat: 9,5 kg ditulis 9500.",
        "Write it in whole grams: 9.5 kg is written 9500.",
    ),
    "mm": (
        "Tulis dalam milimeter bulat: 85 cm ditulis 850.",
        "Write it in whole millimetres: 85 cm is written 850.",
    ),
}

_NOT_PERSONAL: Final = re.compile(
    r"(?!.*[0-9]{9})[0-9.,+-]{1,10}\Z|\w{1,2}\Z"  # a number or a date; a letter such as L or P
    r"|[0-9-]{10}T[0-9:]{8}(?:\.[0-9]{1,6})?Z\Z"
    r"|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\Z"
).match
_NAME: Final = re.compile(r"(?!.*[0-9]{9})[a-z][a-z0-9_]{0,31}\Z|[0-9]{1,3}\Z").match
_UUID: Final = re.compile(r"(?:hub:)?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\Z").match


def reason(path: str, code: str, value: object, *limits: str) -> Reason:
    """Make the sentences of a refusal.

    Parameters
    ----------
    path : of the field, with dots; parts that are not names of ours are replaced by "?"
    code : a key of WORDS
    value : what was written there; shown only if it cannot be personal
    limits : of the rule, for {0} and {1}
    """
    path = ".".join(map(_safe_name, path.split("."))) if path else ""
    label = _label(path)
    shown = None if label.personal or code == "unknown-field" else _unless_personal(value)
    words = WORDS[code]
    unit = path.rpartition("_")[2]
    names = UNITS.get(unit, ("", "", 1, "", ""))
    remedies = _remedies(words, label, code, unit)
    slips = _slip(names, value, limits) if code == "out-of-range" and names[3] else ("", "")
    rules = (
        words.rule_id.format(*limits, unit=f" {names[0]}" if names[0] else ""),
        words.rule_en.format(*limits, unit=f" {names[1]}" if names[1] else ""),
    )
    given = ("", "") if shown is None else (f" (tertulis {_text(shown)})", f" (given as {_text(shown)})")
    indonesian, english = (
        f"{name}{written} {rule}. {slip}{remedy}"
        for name, written, rule, slip, remedy in zip(label[:2], given, rules, slips, remedies, strict=True)
    )
    return Reason(path, code, shown, indonesian, english)


def reasons_of(messages: Mapping[Any, Any], value: object) -> list[Reason]:
    """Make the reasons of a schema's errors.

    Parameters
    ----------
    messages : as `Schema.validate` returns them; each a code and its limits
    value : what was validated

    Returns
    -------
    list of Reason, sorted by path and code; at most MAX_REASONS, the last saying how many more there are
    """
    found = sorted({(path, message) for path, message in _flat(messages, ())})
    shown = found if len(found) <= MAX_REASONS else found[: MAX_REASONS - 1]
    reasons = [_worded(path, message, value) for path, message in shown]
    if len(shown) < len(found):
        reasons.append(reason("", "more-reasons", None, str(len(found) - len(shown))))
    return reasons


def _flat(messages: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(messages, dict):
        for name, inner in messages.items():
            yield from _flat(inner, path if name == "_schema" else (*path, str(name)))
    elif isinstance(messages, list):
        for inner in messages:
            yield from _flat(inner, path)
    else:
        yield path, messages


def _worded(path: tuple[str, ...], message: str, value: Any) -> Reason:
    for name in path:
        value = _inside(value, name)
    code, _, limits = message.partition(" ")
    return reason(".".join(path), code, value, *([limits] if code == "not-choice" else limits.split()))


def _inside(value: Any, name: str) -> Any:
    if isinstance(value, list):
        return value[int(name)]
    return value.get(name) if isinstance(value, dict) else None


def _label(path: str) -> Label:
    """Return a field's label: by its parent's and its own name, by its own name, else by its path."""
    parts = path.split(".")
    known = LABELS.get(".".join(parts[-2:])) or LABELS.get(parts[-1])
    if known or not path:
        return known or WHOLE
    return Label(f"Bagian “{path}”", f"The part “{path}”", typed=False)


NOT_THE_APPS_FAULT: Final = frozenset(
    {
        *("schema-too-new", "post-unknown", "tablet-revoked", "child-erased", "child-restricted"),
        *("not-on-screen", "not-in-conflict", "in-conflict"),
    }
)
"""Refusals that are not the app's fault though no person filled the field in: their own remedy is given."""


def _remedies(words: Words, label: Label, code: str, unit: str) -> tuple[str, str]:
    if code in ("out-of-range", "not-whole-number") and unit in UNIT_REMEDIES:
        return UNIT_REMEDIES[unit]
    wrong_kind = code in ("not-object", "not-list", "not-text", "not-yes-no")
    if words.remedy_id and (code in NOT_THE_APPS_FAULT or label.typed) and not wrong_kind:
        return words.remedy_id, words.remedy_en
    return APP_FAULT.remedy_id, APP_FAULT.remedy_en


def _slip(names: tuple[str, str, int, str, str], value: Any, limits: tuple[str, ...]) -> tuple[str, str]:
    """Return a sentence about the unit that was probably meant, if the number is in range in that unit."""
    unit_id, unit_en, factor, other_id, other_en = names
    low, high = map(int, limits)
    if low <= value * factor <= high:
        meant = value * factor
        return (
            f"Angka ini seperti {other_id}: {value} {other_id} adalah {meant} {unit_id}. ",
            f"It looks like {other_en}: {value} {other_en} are {meant} {unit_en}. ",
        )
    if value % factor == 0 and low <= value // factor <= high:
        meant = value // factor
        return (
            f"Angka ini {factor} kali terlalu besar: mungkin maksudnya {meant} {unit_id}. ",
            f"It is {factor} times too large: perhaps {meant} {unit_en} were meant. ",
        )
    return "", ""


def _safe_name(name: str) -> str:
    return name if _NAME(name) or _UUID(name) else "?"


def _unless_personal(value: object) -> str | int | float | bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value if abs(value) < 1_000_000_000 else None  # false for NaN too
    return value if isinstance(value, str) and _NOT_PERSONAL(value) else None


def _text(value: str | int | float | bool) -> str:
    return value if isinstance(value, str) else json.dumps(value)
