"""Every reason to refuse a whole request, in one table: code, HTTP status, what happened and what to do.

A `Problem` may be raised anywhere and is answered by the web layer alone, as `application/problem+json` or as a page. An
invalid item of a batch is not a Problem: it is quarantined with its reasons and the rest of the batch goes on.
"""

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """Status and texts of one code; `{name}` is filled from the details."""

    status: int
    indonesian: str
    english: str


PROBLEMS: Final[dict[str, ProblemKind]] = {
    "body-not-gzip": ProblemKind(
        400,
        "Isi kiriman bukan gzip yang utuh ({reason}). Kirim ulang.",
        "The body is not complete gzip ({reason}). Send it again.",
    ),
    "body-not-json": ProblemKind(
        400,
        "Isi kiriman bukan JSON yang sah: {reason}. Perbaiki aplikasinya, lalu kirim ulang.",
        "The body is not valid JSON: {reason}. Mend the client, then send it again.",
    ),
    "body-too-deep": ProblemKind(
        400,
        "JSON bersarang lebih dari {limit} tingkat. Kirim bentuk yang ada di docs/protocol.md.",
        "The JSON is nested more than {limit} levels deep. Send the form of docs/protocol.md.",
    ),
    "batch-malformed": ProblemKind(
        400,
        "Kiriman tidak dapat dibaca. Lihat 'reasons'; tidak ada yang disimpan, kirim ulang setelah diperbaiki.",
        "The batch cannot be read. See 'reasons'; nothing was stored, send it again once mended.",
    ),
    "enrolment-malformed": ProblemKind(
        400,
        "Permintaan pendaftaran tidak dapat dibaca. Lihat 'reasons'; tidak ada tablet yang didaftarkan.",
        "The request to enrol cannot be read. See 'reasons'; nobody was enrolled.",
    ),
    "request-malformed": ProblemKind(
        400,
        "Permintaan tidak dapat dibaca: {reason}.",
        "The request cannot be read: {reason}.",
    ),
    "change-invalid": ProblemKind(
        422,
        "Perubahan tidak dapat disimpan. Lihat 'reasons', perbaiki, lalu kirim lagi.",
        "The change cannot be saved. See 'reasons', mend it, then send it again.",
    ),
    "csrf-invalid": ProblemKind(
        400,
        "Formulir ini sudah kedaluwarsa. Muat ulang halaman, lalu kirim lagi.",
        "This form has expired. Load the page again, then send it.",
    ),
    "signature-invalid": ProblemKind(
        401,
        "Tanda tangan tidak cocok dengan kunci tablet {tablet}. Daftarkan ulang tablet bila kuncinya hilang.",
        "The signature does not fit the key of tablet {tablet}. Enrol the tablet anew if its key is lost.",
    ),
    "sign-in-required": ProblemKind(401, "Silakan masuk terlebih dahulu.", "Please sign in first."),
    "sign-in-failed": ProblemKind(
        401,
        "Nama pengguna atau kata sandi tidak cocok. Periksa keduanya, atau minta admin mengatur ulang.",
        "User name or password does not fit. Check both, or ask the administrator to reset it.",
    ),
    "second-factor-required": ProblemKind(
        403,
        "Langkah kedua belum selesai. Buka halaman masuk, lalu isi atau pasang kode dari aplikasi.",
        "The second step of signing in is not done. Open the sign-in page, and give or set up the code of your app.",
    ),
    "second-factor-failed": ProblemKind(
        401,
        "Kode tidak cocok atau sudah dipakai. Tunggu kode berikutnya di aplikasi, atau pakai satu kode pemulihan.",
        "The code does not fit or was used. Wait for the next one in the app, or use a recovery code.",
    ),
    "password-wrong": ProblemKind(
        403,
        "Kata sandi Anda yang sekarang tidak cocok. Periksa, lalu coba lagi.",
        "Your present password does not fit. Check it, then try again.",
    ),
    "passwords-differ": ProblemKind(
        422,
        "Kedua kata sandi baru tidak sama. Tulis kata sandi yang sama dua kali.",
        "The two new passwords differ. Write the same one twice.",
    ),
    "person-refused": ProblemKind(
        422,
        "Belum dapat disimpan. Lihat 'reasons', perbaiki, lalu kirim lagi.",
        "This cannot be saved. See 'reasons', mend it, then send it again.",
    ),
    "invitation-invalid": ProblemKind(
        404,
        "Undangan ini salah, sudah dipakai, atau kedaluwarsa. Minta undangan baru dari admin.",
        "This invitation is wrong, used or expired. Ask the administrator for a new one.",
    ),
    "account-disabled": ProblemKind(
        409,
        "Akun ini dinonaktifkan. Aktifkan dahulu, lalu buat undangan.",
        "This account is disabled. Enable it first, then make an invitation.",
    ),
    "own-account": ProblemKind(
        409,
        "Akun sendiri tidak dapat dinonaktifkan atau diatur ulang di sini. Minta admin lain melakukannya.",
        "Your own account cannot be disabled or reset here. Ask another administrator to do it.",
    ),
    "import-case-decided": ProblemKind(
        409,
        "Baris ini sudah diputuskan. Muat ulang daftarnya.",
        "This row was decided already. Load the list again.",
    ),
    "import-run-closed": ProblemKind(
        409,
        "Berkas ini sudah diterapkan atau dibuang. Muat ulang halamannya.",
        "This file was applied or discarded already. Load the page again.",
    ),
    "days-unfit": ProblemKind(
        422,
        "Hari terakhir harus sama atau sesudah hari pertama, paling lama {years} tahun.",
        "The last day is the first or after it, at most {years} years.",
    ),
    "export-too-large": ProblemKind(
        422,
        "Terlalu banyak pengukuran untuk halaman ini ({count}, paling banyak {limit}): pilih rentang yang lebih pendek.",
        "Too many measurements for this page ({count}, at most {limit}): choose fewer days.",
    ),
    "sheet-unreadable": ProblemKind(
        422,
        "Berkas tidak dapat dibaca: {reason}.",
        "The file cannot be read: {reason}.",
    ),
    "not-allowed": ProblemKind(
        403,
        "Peran Anda tidak mencakup halaman ini. Hubungi admin bila seharusnya mencakup.",
        "Your role does not cover this page. Ask the administrator if it should.",
    ),
    "tablet-unknown": ProblemKind(
        403,
        "Tablet {tablet} tidak dikenal di wilayah {district}. Daftarkan dengan kode dari puskesmas.",
        "Tablet {tablet} is not known in district {district}. Enrol it with a code from the health centre.",
    ),
    "tablet-revoked": ProblemKind(
        403,
        "Tablet {tablet} sudah dicabut. Daftarkan dengan kode baru dari puskesmas.",
        "Tablet {tablet} was revoked. Enrol it with a new code from the health centre.",
    ),
    "enrolment-code-invalid": ProblemKind(
        403,
        "Kode pendaftaran salah, sudah dipakai, atau kedaluwarsa. Minta kode baru dari puskesmas.",
        "The enrolment code is wrong, used or expired. Ask the health centre for a new one.",
    ),
    "enrolment-code-over": ProblemKind(
        409,
        "Kode ini sudah dipakai, dibatalkan, atau kedaluwarsa. Muat ulang daftar tablet.",
        "This code was used, cancelled or has expired. Load the list of tablets again.",
    ),
    "retention-holds": ProblemKind(
        409,
        "Data anak ini sudah menjadi rekam medis puskesmas dan wajib disimpan sampai {until}."
        " Tawarkan pembatasan pengolahan.",
        "This record is part of the health centre's medical records and must be kept until {until}."
        " Offer restriction instead.",
    ),
    "request-answered": ProblemKind(
        409,
        "Permintaan ini sudah dijawab ({outcome}). Jawaban itu tetap berlaku; muat ulang halamannya.",
        "This request was answered before ({outcome}). That answer stands; load the page again.",
    ),
    "erasure-not-proposed": ProblemKind(
        409,
        "Belum ada yang mengusulkan penghapusan ini. Jawablah permintaannya lebih dahulu.",
        "Nobody has proposed this erasure yet. Answer the request first.",
    ),
    "second-person-needed": ProblemKind(
        409,
        "Penghapusan harus disetujui orang lain, bukan yang menerima atau mengusulkannya. Mintalah pengawas menyetujuinya.",
        "Another person must agree to an erasure, not who received or proposed it. Ask a supervisor to agree.",
    ),
    "key-in-use": ProblemKind(
        409,
        "Kunci {version} masih dipakai ({rows} baris), atau kunci yang lebih baru belum berumur sehari."
        " Jalankan 'key rotate' dan tunggu sehari.",
        "Key {version} is still in use ({rows} rows), or a newer key is less than a day old."
        " Run 'key rotate' and wait a day.",
    ),
    "record-unknown": ProblemKind(
        404,
        "Data tidak ditemukan dalam wilayah kerja Anda.",
        "No such record within your area of work.",
    ),
    "conflict-unknown": ProblemKind(
        404,
        "Tidak ada data berselisih dengan nomor ini di wilayah kerja Anda; mungkin sudah selesai. Muat ulang daftarnya.",
        "No record in conflict has this id within your area of work; it may be settled already. Load the list again.",
    ),
    "search-too-short": ProblemKind(
        400,
        "Ketik sedikitnya {letters} huruf nama, atau ke-16 angka NIK.",
        "Type at least {letters} letters of a name, or all 16 digits of a NIK.",
    ),
    "search-too-wide": ProblemKind(
        400,
        "Wilayah Anda berisi {people} anak; nama dapat dicari di antara {most}. Pilih posyandu dulu, atau cari dengan NIK.",
        "Your area has {people} children; a name can be searched among {most}. Choose a posyandu first, or search by NIK.",
    ),
    "page-unknown": ProblemKind(404, "Alamat ini tidak ada.", "There is nothing at this address."),
    "method-not-allowed": ProblemKind(
        405, "Alamat ini tidak menerima permintaan itu.", "This address does not take that request."
    ),
    "too-many-enrolments": ProblemKind(
        409,
        "Terlalu banyak perangkat melanjutkan tablet {tablet}. Hubungi puskesmas: perlu kode pendaftaran baru.",
        "Too many devices have gone on from tablet {tablet}. Ask the health centre for a new enrolment code.",
    ),
    "already-linked": ProblemKind(
        409,
        "Kedua data ini sudah satu anak, atau keduanya sudah ditautkan ke anak lain. Muat ulang, lepaskan tautan dahulu.",
        "These two are one child already, or both are linked to others. Load them again and take a link back first.",
    ),
    "not-linked": ProblemKind(
        409,
        "Kedua data ini tidak saling ditautkan. Muat ulang; mungkin keduanya terhubung lewat data ketiga.",
        "Neither of these names the other. Load them again; they may hang together through a third record.",
    ),
    "already-decided": ProblemKind(
        409,
        "Perubahan ini sudah diputuskan ({decision}, {decided_at}). Keputusan itu tetap berlaku; muat ulang daftarnya.",
        "This change was decided before ({decision}, {decided_at}). That decision stands; load the list again.",
    ),
    "nothing-to-undo": ProblemKind(
        409,
        "Tidak ada keputusan untuk dibatalkan; mungkin sudah dibatalkan orang lain. Muat ulang halamannya.",
        "There is no decision to take back; somebody else may have done so. Load the page again.",
    ),
    "undo-refused": ProblemKind(
        409,
        "Rilis ini tidak dapat dibatalkan, karena datanya sudah diubah atau dipakai sesudahnya ({registers}). "
        "Perbaiki lewat halaman anak atau tablet.",
        "This release cannot be taken back: what it made was changed or built upon since ({registers}). "
        "Mend it on the child's page or on a tablet.",
    ),
    "aid-moved-on": ProblemKind(
        409,
        "Kekurangan atau komitmen ini sudah berubah sejak halaman dibuka; tidak ada yang ditugaskan. Lihat usul yang baru.",
        "The gap or the commitment has changed since the page was opened; nothing was assigned. Look at the new proposals.",
    ),
    "batch-id-reused": ProblemKind(
        409,
        "Nomor kiriman {batch} sudah dipakai untuk isi yang lain. Beri nomor baru (UUIDv7), lalu kirim ulang.",
        "Batch id {batch} was used for other content. Give it a new id (UUIDv7), then send it again.",
    ),
    "batch-not-carried": ProblemKind(
        400,
        "Kiriman ini tidak ditandai sebagai titipan. Segel kiriman yang dibuat untuk dititipkan.",
        "This batch is not marked as carried. Seal one that was made to be carried.",
    ),
    "sealed-unreadable": ProblemKind(
        400,
        "Titipan ini terpotong, berubah, atau bukan titipan. Minta berkas atau kode QR-nya sekali lagi dari tablet.",
        "This sealed batch is cut short, altered or none at all. Ask the tablet for its file or QR codes once more.",
    ),
    "sealed-for-another-server": ProblemKind(
        400,
        "Titipan ini disegel untuk server lain. Bawa ke server tempat tablet itu terdaftar.",
        "This was sealed for another server. Bring it to the one where the tablet is enrolled.",
    ),
    "batch-too-large": ProblemKind(
        413,
        "Kiriman melebihi batas {limit}. Bagi menjadi kiriman yang lebih kecil.",
        "The batch exceeds the limit of {limit}. Split it into smaller ones.",
    ),
    "app-too-old": ProblemKind(
        426,
        "Aplikasi ini ({app}) sudah terlalu lama; server melayani mulai versi {oldest}. Buka aplikasi saat ada sinyal supaya"
        " diperbarui, lalu kirim lagi. Data Anda masih di tablet; tidak ada yang hilang.",
        "This app ({app}) is too old; the server serves versions from {oldest} on. Open the app where there is a signal so"
        " that it renews itself, then send again. Your data are still on the tablet; nothing is lost.",
    ),
    "media-type-unknown": ProblemKind(
        415,
        "Kirim sebagai application/json, boleh dengan Content-Encoding: gzip.",
        "Send application/json, with Content-Encoding: gzip if you like.",
    ),
    "too-many-tries": ProblemKind(
        429,
        "Terlalu banyak percobaan. Coba lagi dalam {seconds} detik.",
        "Too many tries. Try again in {seconds} seconds.",
    ),
    "unavailable": ProblemKind(
        503,
        "Server sedang tidak dapat menyimpan data. Data Anda masih di tablet; coba lagi dalam {seconds} detik.",
        "The server cannot store anything just now. Your data are still on the tablet; try again in {seconds} seconds.",
    ),
    "internal": ProblemKind(
        500,
        "Terjadi kesalahan di server; sudah dicatat dengan nomor {request_id}. Data Anda masih di tablet.",
        "Something went wrong on the server; it is on record as {request_id}. Your data are still on the tablet.",
    ),
}


class Problem(Exception):
    """A request refused as a whole: raising it rolls back.

    Parameters
    ----------
    code : a key of PROBLEMS
    **details : values for the texts, and others for programs (never personal data)
    """

    def __init__(self, code: str, **details: Any) -> None:
        super().__init__(code)
        self.code = code
        self.kind = PROBLEMS[code]
        self.details = details

    def body(self) -> dict[str, Any]:
        """Return the members of `application/problem+json` (RFC 9457), with `code` and both languages."""
        return {
            "type": f"urn:posyandu-sync:problem:{self.code}",
            "code": self.code,
            "status": self.kind.status,
            "title": self.kind.indonesian.format(**self.details),
            "title_en": self.kind.english.format(**self.details),
            **{name: value for name, value in self.details.items() if name not in ("code", "status")},
        }
