"""The codes of aid with their texts in Indonesian and English. `schemas` defines the codes of a delivery."""

from collections.abc import Mapping
from typing import Final

Words = Mapping[str, tuple[str, str]]

MENUS: Final[Words] = {
    "food": ("Makanan tambahan", "Food"),
    "insurance": ("Iuran BPJS", "Health insurance"),
    "counselling": ("Penyuluhan", "Counselling"),
    "latrine": ("Jamban", "Latrine"),
    "water": ("Air bersih", "Clean water"),
    "housing": ("Rumah layak huni", "Decent housing"),
    "other": ("Lainnya", "Other"),
}
FUNDS: Final[Words] = {
    "genting": ("Genting (orang tua asuh)", "Genting (foster parents)"),
    "csr": ("CSR/TJSL perusahaan", "CSR of a company"),
    "dak": ("DAK nonfisik (PMT negara)", "DAK (state PMT)"),
    "apbd": ("APBD (PMT negara)", "Regional budget (state PMT)"),
    "village": ("Dana desa", "Village fund"),
    "partner": ("Mitra lain", "Another partner"),
}
STATE: Final = frozenset({"dak", "apbd", "village"})
"""Funds of the state: food paid from them is PMT."""
DONOR_KINDS: Final[Words] = {
    "government": ("Pemerintah", "Government"),
    "business": ("Dunia usaha", "Business"),
    "community": ("Masyarakat", "Community"),
    "academia": ("Akademisi", "Academia"),
    "media": ("Media", "Media"),
}
AUTHORITIES: Final[Words] = {
    "centre": ("Pusat", "Centre"),
    "province": ("Provinsi", "Province"),
    "regency": ("Kabupaten", "Regency"),
}
CATEGORIES: Final[Words] = {
    "specific": ("Spesifik stunting", "Stunting-specific"),
    "sensitive": ("Sensitif stunting", "Stunting-sensitive"),
    "disaster": ("Bencana", "Disaster"),
    "other": ("Lain", "Other"),
}
FOR_STUNTING: Final = ("specific", "sensitive")
STATUSES: Final[Words] = {
    "taken": ("Tercatat", "Recorded"),
    "open": ("Perlu dilihat", "To be looked at"),
    "refused": ("Ditolak", "Refused"),
    "dropped": ("Dikeluarkan", "Left out"),
}
REACHES: Final[Words] = {"child": ("Anak", "The child"), "family": ("Keluarga", "The family")}
UNITS: Final[Words] = {
    "portion": ("porsi", "portions"),
    "packet": ("paket", "packets"),
    "session": ("kali pertemuan", "sessions"),
    "piece": ("unit", "pieces"),
    "month": ("bulan", "months"),
}
EVIDENCE: Final[Words] = {
    "photo": ("Foto", "Photo"),
    "signature": ("Tanda tangan", "Signature"),
    "receipt": ("Kuitansi", "Receipt"),
    "list": ("Daftar hadir", "List of who came"),
    "seen": ("Dilihat sendiri", "Seen"),
}
VERDICTS: Final[Words] = {
    "received": ("Diterima", "Received"),
    "partly": ("Diterima sebagian", "Partly received"),
    "not_received": ("Tidak diterima", "Not received"),
}
NEEDS: Final[Words] = {
    "stunted": ("Pendek", "Stunted"),
    "wasted": ("Gizi kurang", "Wasted"),
    "two_t": ("2T", "2T"),
    "krs": ("Keluarga risiko stunting", "Family at risk"),
}
"""Why somebody needs aid, the gravest first; a child counts once, under its first reason."""
CLOSINGS: Final[Words] = {
    "fulfilled": ("Terpenuhi", "Fulfilled"),
    "withdrawn": ("Dibatalkan donatur", "Withdrawn by the donor"),
    "ended": ("Waktunya habis", "Its time is over"),
    "mistaken": ("Salah catat", "Written down by mistake"),
}
"""Why a commitment is closed; nothing more can be assigned from it."""
ASKED: Final[Words] = {
    "name": ("Nama", "Name"),
    "kind": ("Jenis donatur", "Kind of donor"),
    "authority": ("Pembina", "Who supervises it"),
    "donor": ("Donatur", "Donor"),
    "commitment": ("Komitmen", "Commitment"),
    "menu": ("Jenis bantuan", "What is given"),
    "funds": ("Sumber dana", "Who pays"),
    "region": ("Tempat", "Where it may go"),
    "places": ("Jumlah anak atau keluarga", "How many children or families"),
    "value_rp": ("Nilai (Rp)", "Value (Rp)"),
    "starts_on": ("Mulai", "From"),
    "ends_on": ("Sampai", "Until"),
    "months": ("Jumlah bulan", "How many months"),
    "reason": ("Alasan", "Reason"),
    "title": ("Kegiatan", "What was done"),
    "village": ("Desa/kelurahan", "Village"),
    "reached": ("Jumlah penerima", "How many reached"),
    "category": ("Golongan", "Category"),
}
"""Fields of requests to the register, as error messages name them."""
FIELDS: Final[Words] = {
    "title": ("Kegiatan", "Activity"),
    "sector": ("Bidang", "Sector"),
    "company": ("Perusahaan", "Company"),
    "village": ("Desa/kelurahan", "Village"),
    "subdistrict": ("Kecamatan", "Subdistrict"),
    "starts": ("Tanggal mulai", "From"),
    "ends": ("Tanggal selesai", "Until"),
    "value": ("Nilai (Rp)", "Value (Rp)"),
    "reached": ("Jumlah penerima", "How many reached"),
    "beneficiary": ("Nama penerima", "Name of who received"),
    "nik": ("NIK penerima", "NIK of who received"),
    "evidence": ("Bukti", "Evidence"),
}
"""What a column of a CSR sheet may mean."""
REASONS: Final[Words] = {
    "no-title": ("Kegiatan kosong: isi nama kegiatannya.", "No activity: write what it was."),
    "no-date": ("Tanggal mulai kosong: isi tanggal atau bulannya.", "No day: write the day or month it began."),
    "not-date": ("Tanggal tidak terbaca: tulis seperti 5/3/2026 atau Maret 2026.",
                 "The day cannot be read: write it like 5/3/2026 or March 2026."),
    "not-rupiah": ("Nilai tidak terbaca: tulis rupiah bulat, seperti 2.700.000.",
                   "The value cannot be read: write whole rupiah, like 2,700,000."),
    "not-count": ("Jumlah penerima bukan bilangan bulat.", "How many were reached is no whole number."),
    "ends-before-start": ("Selesai sebelum mulai: periksa kedua tanggalnya.", "It ends before it begins: check both days."),
    "village-missing": ("Desa kosong: pilih desanya.", "No village: choose it."),
    "village-unknown": ("Desa tidak dikenal di kabupaten ini: pilih desanya.",
                        "No such village in this regency: choose it."),
    "village-unclear": ("Ada beberapa desa dengan nama ini: pilih desanya.", "Several villages are called so: choose one."),
    "beneficiary-unknown": ("Anak dengan NIK itu belum terdaftar di sini; dihitung untuk desanya.",
                            "No child with that NIK is registered here; it counts for the village."),
    "beneficiary-unmatched": ("Penerima ditulis dengan nama saja; dihitung untuk desanya sampai dicocokkan.",
                              "Who received it is given by name only; it counts for the village until matched."),
    "company-unknown": ("Perusahaan belum ada di daftar donatur: tambahkan dulu.",
                        "The company is not in the register of donors: add it first."),
}  # fmt: skip
