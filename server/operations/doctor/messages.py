"""What doctor says of each check, in Indonesian and English, and the remedy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class CheckText:
    """Texts of a check, as (Indonesian, English): when all is well, and the remedy. `{count}`: how much was checked."""

    ok: tuple[str, str]
    problem: tuple[str, str]


RESTORE: Final = (
    "pulihkan cadangan terakhir yang baik (posyandu-sync restore), tablet mengirim ulang sisanya",
    "restore the last good backup (posyandu-sync restore), tablets send again what it lacks",
)
WORDS: Final[Mapping[str, CheckText]] = {
    "place": CheckText(
        ("tempat data dapat ditulis, ruang cukup", "the place can be written, room enough"),
        (
            "beri hak tulis kepada pengguna server saja (chmod 600 pada basis data), atau kosongkan ruang disk",
            "give the server's user, and nobody else, the right (chmod 600 of the database), or make room on the disk",
        ),
    ),
    "keys": CheckText(
        ("berkas kunci ada, hanya terbaca pemiliknya", "the key file is there, for its owner alone"),
        (
            "pasang berkas kunci dari salinan Anda, lalu chmod 600",
            "put the key file back from your copy, then chmod 600",
        ),
    ),
    "database": CheckText(
        ("basis data terbuka dan utuh", "the database opens and is sound"),
        (
            "periksa DATABASE_URL dan layanannya (PostgreSQL 15 ke atas); bila rusak, pindahkan, lalu pulihkan cadangan",
            "check DATABASE_URL and its service (PostgreSQL 15 or later); if damaged, move it away and restore a backup",
        ),
    ),
    "schema": CheckText(
        ("skema terbaru", "the schema is the newest"),
        (
            "jalankan 'posyandu-sync serve' dari rilis ini, atau pasang rilis yang lebih baru",
            "run 'posyandu-sync serve' of this release, or install the newer one",
        ),
    ),
    "district": CheckText(
        ("wilayah terpasang", "the district is installed"),
        ("atur POSYANDU_DISTRICT, atau jalankan 'serve'", "set POSYANDU_DISTRICT, or run 'serve'"),
    ),
    "clock": CheckText(
        ("jam server tidak mundur", "the server's clock has not gone back"),
        (
            "betulkan jam server dan nyalakan penyelarasan (timedatectl set-ntp true)",
            "set the server's clock right and let it be synchronised (timedatectl set-ntp true)",
        ),
    ),
    "second-factor": CheckText(
        ("langkah kedua diminta dari semua kecuali kader", "a second factor is asked of all but cadres"),
        (
            "hapus POSYANDU_SECOND_FACTOR=0 dari lingkungan server, lalu jalankan ulang",
            "take POSYANDU_SECOND_FACTOR=0 out of the server's environment, and restart it",
        ),
    ),
    "backups": CheckText(
        ("cadangan terakhir masih baru", "a backup was made lately"),
        (
            "atur POSYANDU_BACKUP_DIR, atau jalankan 'posyandu-sync backup' tiap malam (cron), dan simpan di luar mesin ini",
            "set POSYANDU_BACKUP_DIR, or run 'posyandu-sync backup' each night (cron), and keep copies off this machine",
        ),
    ),
    "proof": CheckText(
        ("cadangan terbukti dapat dipulihkan", "a backup was proven by restoring it"),
        (
            "jalankan 'posyandu-sync restore --trial' pada cadangan terbaru",
            "run 'posyandu-sync restore --trial' on the newest backup",
        ),
    ),
    "sealed": CheckText(
        ("kunci membuka data {count} anak", "the keys open the data of {count} children"),
        (
            "pasang berkas kunci yang cocok; bila hanya beberapa anak, " + RESTORE[0],
            "put the right key file back; if it is only some children, " + RESTORE[1],
        ),
    ),
    "log": CheckText(
        ("catatan audit utuh: {count} entri", "the log is whole: {count} entries"),
        (
            "jangan ubah apa pun: simpan cadangan sekarang sebagai bukti dan laporkan ke dinas",
            "change nothing: keep a backup of this as evidence, and report it to the supervisor",
        ),
    ),
    "checkpoint": CheckText(
        ("titik periksa catatan audit baru ditandatangani", "a checkpoint of the log was signed lately"),
        (
            "jalankan 'posyandu-sync serve' dan biarkan hidup, atau 'posyandu-sync audit checkpoint'",
            "run 'posyandu-sync serve' and leave it running, or 'posyandu-sync audit checkpoint'",
        ),
    ),
    "ledger": CheckText(
        ("{count} perubahan, tanpa celah, rantai cocok", "{count} changes, no hole, every chain fits"),
        RESTORE,
    ),
    "batches": CheckText(
        ("{count} kiriman, jumlah hasil cocok", "{count} batches, the outcomes add up"),
        RESTORE,
    ),
    "states": CheckText(
        ("keadaan {count} anak sama dengan buku besar", "{count} children are as the ledger has them"),
        RESTORE,
    ),
    "streams": CheckText(
        ("nomor urut {count} posyandu unik", "the positions of {count} posts are unique"),
        RESTORE,
    ),
    "assessments": CheckText(
        ("penilaian {count} anak mutakhir", "the assessments of {count} children are up to date"),
        RESTORE,
    ),
    "scheduler": CheckText(
        ("penjadwal berjalan", "the scheduler runs"),
        (
            "jalankan 'posyandu-sync serve' dan biarkan hidup",
            "run 'posyandu-sync serve' and leave it running",
        ),
    ),
    "tablets": CheckText(
        ("{count} tablet, tidak ada yang terputus", "{count} tablets, none left behind"),
        (
            "buka aplikasi di tablet itu saat ada sinyal, atau daftarkan lagi: posyandu-sync tablet enrol",
            "open the app on that tablet with a signal, or enrol it anew: posyandu-sync tablet enrol",
        ),
    ),
}
