"""Which routes want the factor again, and which do not."""

from typing import Final

PROVEN: Final = frozenset(
    {
        # names leave as a file
        "GET /antrean.csv",
        "POST /pertukaran/ekspor",
        "POST /api/v1/exports",
        "GET /pertukaran/berkas/<uuid:run_id>/baris.csv",
        "GET /anak/<child_id>/hak/salinan.<any(pdf, json):paper>",
        "GET /api/v1/children/<child_id>/copy",
        "GET /tablet/<tablet_id>/hilang.csv",
        "GET /api/v1/tablets/<tablet_id>/exposure",
        # erasing
        "POST /hak/<uuid:request_id>",
        "POST /hak/<uuid:request_id>/setuju",
        "POST /api/v1/rights/<uuid:request_id>/answer",
        "POST /api/v1/rights/<uuid:request_id>/agree",
        # roles, and access given or given back
        "POST /orang/undang",
        "POST /orang/<account_id>/atur-ulang",
        "POST /orang/<account_id>/aktifkan",
        "POST /api/v1/people",
        "POST /api/v1/people/<uuid:account_id>/reset",
        "POST /api/v1/people/<uuid:account_id>/enable",
        "POST /tablet/daftar",
        "POST /api/v1/tablets/codes",
        "POST /tablet/<tablet_id>/pos",
        "POST /api/v1/tablets/<tablet_id>/posts",
        "POST /tablet/<tablet_id>/pin",
        "POST /api/v1/tablets/<tablet_id>/pin-code",
        # the own factors
        "POST /akun/faktor-kedua",
        "POST /akun/kode-pemulihan",
        "POST /akun/kunci-sandi",
        "POST /akun/kunci-sandi/<passkey_id>/hapus",
        "POST /akun/kata-sandi",
        "POST /api/v1/account/password",
    }
)

OPEN: Final = frozenset(
    {
        # without a session, or the way to one
        "GET /static/<path:filename>", "GET /healthz", "GET /readyz", "GET /metrics", "GET /api/openapi.json",
        "POST /masuk", "POST /keluar", "POST /undangan", "POST /masuk/kode", "POST /masuk/kunci-sandi",
        "GET /tablet-app/", "GET /tablet-app/daftar", "GET /tablet-app/<path:name>", "GET /bahasa/<code>",
        "POST /api/v1/sync", "POST /api/v1/enrol", "POST /api/v1/enrol/again", "POST /api/v1/tablets/key",
        "POST /api/v1/carried", "GET /api/v1/carried", "GET /api/v1/tablets/<uuid:tablet_id>/standing",
        "GET /api/v1/protocol", "GET /api/v1/protocol/schemas", "GET /api/v1/protocol/catalogue",
        # the question itself, and what takes access away
        "POST /akun/bukti", "POST /api/v1/account/proof",
        "POST /akun/kunci-sandi/<passkey_id>/nama",
        "POST /akun/sesi/<sign_in_id>/akhiri", "POST /akun/sesi/akhiri-lainnya",
        "POST /api/v1/account/sessions/<uuid:sign_in_id>/end", "POST /api/v1/account/sessions/end-others",
        "POST /orang/<account_id>/nonaktifkan", "POST /api/v1/people/<uuid:account_id>/disable",
        "POST /tablet/kode/<handle>/batal", "POST /tablet/<tablet_id>/cabut", "POST /api/v1/tablets/<tablet_id>/revoke",
        # pages, and JSON of what they show: looks are logged, and many of them raise an alarm
        "GET /", "GET /beranda", "GET /akun", "GET /akun/kunci-sandi", "GET /orang", "GET /api/v1/session",
        "GET /api/v1/account/sessions",
        "GET /api/v1/people", "GET /antrean", "GET /api/v1/flags", "POST /cari", "POST /api/v1/search",
        "POST /tampilan", "POST /tampilan/lupakan",
        "GET /anak/<child_id>", "POST /anak/<child_id>/nik", "POST /api/v1/children/<child_id>/nik",
        "GET /api/v1/children/<child_id>", "GET /api/v1/children/<child_id>/timeline",
        "GET /api/v1/children/<child_id>/follow-ups", "GET /anak/<child_id>/tindak/<task>/surat.pdf",
        "GET /pos", "GET /pos/<post_id>", "GET /pos/<post_id>/daftar", "GET /pos/<post_id>/stiker",
        "GET /pos/<post_id>/kelola", "GET /api/v1/posts", "GET /api/v1/posts/<post_id>/quality",
        "GET /api/v1/completeness", "GET /tablet", "GET /api/v1/tablets", "GET /tablet/<tablet_id>/hilang",
        # decisions about one child or one row, each taken back by another
        "POST /anak/<child_id>/tindak/<form>", "POST /anak/<uuid:child_id>/pindah",
        "POST /api/v1/children/<child_id>/<any(take, plan, pmt, close, remeasure):decision>",
        "POST /api/v1/children/<child_id>/follow-ups/<task>/result", "POST /api/v1/children/<child_id>/move",
        "GET /api/v1/quarantine", "GET /api/v1/quarantine/<actor>/<int:counter>",
        "POST /api/v1/quarantine/<actor>/<int:counter>/dismiss",
        "POST /api/v1/quarantine/<actor>/<int:counter>/release",
        "POST /api/v1/quarantine/<actor>/<int:counter>/reopen", "POST /api/v1/quarantine/<actor>/<int:counter>/undo",
        "GET /api/v1/conflicts", "GET /api/v1/conflicts/<kind>/<record_id>",
        "POST /api/v1/conflicts/<kind>/<record_id>/settle",
        "GET /api/v1/duplicates", "GET /api/v1/duplicates/<uuid:one>/<uuid:other>",
        "POST /api/v1/duplicates/<uuid:one>/<uuid:other>/link",
        "POST /api/v1/duplicates/<uuid:one>/<uuid:other>/unlink",
        "POST /api/v1/duplicates/<uuid:one>/<uuid:other>/different",
        "POST /api/v1/duplicates/<uuid:one>/<uuid:other>/reopen",
        "GET /selisih", "GET /selisih/<kind>/<uuid:record_id>", "POST /selisih/<kind>/<uuid:record_id>",
        "GET /kembar", "GET /kembar/<uuid:one>/<uuid:other>", "POST /kembar/<uuid:one>/<uuid:other>",
        "GET /karantina", "GET /karantina/<uuid:actor>/<int:counter>", "POST /karantina/<uuid:actor>/<int:counter>",
        "GET /anak/<uuid:child_id>/pindah",
        # supervision: the log and lists of uploads, without names
        "GET /audit", "GET /audit.csv", "GET /audit/kiriman", "GET /audit/kiriman.csv",
        "GET /audit/kiriman/<uuid:tablet_id>/<uuid:batch_id>", "GET /audit/pola", "GET /audit/kelengkapan",
        "GET /audit/kelengkapan.csv", "GET /audit/riwayat/<uuid:child_id>/<uuid:record_id>", "GET /audit/catatan",
        "POST /audit/catatan/periksa", "GET /audit/titik-periksa.json", "GET /audit/catatan.jsonl",
        # files that come in
        "GET /pertukaran", "POST /pertukaran/unggah", "GET /pertukaran/berkas/<uuid:run_id>",
        "POST /pertukaran/berkas/<uuid:run_id>", "GET /pertukaran/baris",
        "POST /pertukaran/baris/<uuid:case_id>", "GET /api/v1/imports", "POST /api/v1/imports",
        "GET /api/v1/imports/<uuid:run_id>", "POST /api/v1/imports/<uuid:run_id>/<any(apply, look, discard):action>",
        "GET /api/v1/import-cases", "POST /api/v1/import-cases/<uuid:case_id>/decide",
        # posts: their names and whether they are open
        "GET /pos/kelola", "POST /pos/kelola", "POST /pos/<post_id>/nama", "POST /pos/<post_id>/tutup",
        "POST /pos/<post_id>/buka",
        # parents' requests until they are answered
        "GET /hak", "GET /anak/<child_id>/hak", "POST /anak/<child_id>/hak", "POST /anak/<child_id>/hak/persetujuan",
        "GET /api/v1/rights",
        "GET /api/v1/children/<child_id>/rights", "POST /api/v1/children/<child_id>/rights",
        "POST /api/v1/children/<child_id>/consent",
        # figures
        "GET /angka", "GET /angka/<area_kind>/<area>", "GET /angka/<area_kind>/<area>/csv",
        "GET /angka/<area_kind>/<area>/monev", "POST /angka/hitung", "GET /api/v1/figures",
    }
)  # fmt: skip
"""Those that an open session may use, in groups with the reason. Aid, under /bantuan and /api/v1/aid, changes no access."""
