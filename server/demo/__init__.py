"""`demo`: a fresh installation with Kukar's places, made-up posts and children, and two years of posyandu days.

    story (pure: what happens, the same for a seed and a day) -> stage (plays it through the real code) -> Demo (the result)

Import rule: `acts`, `growing`, `mishaps`, `lives` and `story` are pure and import nothing of the server but `growth`; only
`stage` writes. Nobody in a demo can be mistaken for a real person: names contain "Contoh" or "Cth.", NIKs have serials from
9000 on, phone numbers begin with +62000.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from shlex import quote

from server import accounts
from server.config import Settings
from server.context import AppContext
from server.database.migrations import migrate
from server.demo import giving
from server.demo.directory import NotADemo, incarnation_in, mark, room_for_demo
from server.demo.stage import DemoSignIn, Tell, add_people, close, play, set_stage
from server.demo.story import plan_demo

__all__ = ["Demo", "DemoSignIn", "NotADemo", "Tell", "make_demo"]


@dataclass(frozen=True, slots=True)
class Demo:
    """The result: for the summary, and for tests.

    `outcomes` counts the changes by outcome word; `today` is the district's day on which the story ends.
    """

    data_dir: Path
    today: date
    posts: int
    tablets: int
    children: int
    outcomes: Mapping[str, int]
    sign_ins: tuple[DemoSignIn, ...]
    enrolment_code: str
    enrolment_post: str

    def summary(self) -> str:
        """Write what was made and how to sign in, in Indonesian and English."""
        changes, conflicts = sum(self.outcomes.values()), self.outcomes.get("conflict", 0)
        refused = self.outcomes.get("quarantined", 0)
        people = [f"  {s.username:<14} {s.password:<30} {s.about_id} / {s.about_en}" for s in self.sign_ins]
        return "\n".join(
            [
                f"Data contoh di {self.data_dir}: {self.posts} posyandu, {self.tablets} tablet, {self.children} anak, "
                f"{changes} catatan terkirim; {conflicts} berbeda antar-tablet, {refused} ditahan.",
                f"Example data in {self.data_dir}: {self.posts} posts, {self.tablets} tablets, {self.children} children, "
                f"{changes} changes synced; {conflicts} in conflict, {refused} quarantined.",
                "Semua nama, NIK dan nomor telepon dibuat-buat. / All names, NIKs and phone numbers are made up.",
                "",
                "Masuk / Sign in (kata sandi hanya ditampilkan sekali / passwords are shown this once):",
                *people,
                "  Langkah kedua (kode dari HP) tidak diwajibkan di data contoh ini saja; coba di /akun."
                " / A second factor is not demanded in this demo alone; try it at /akun.",
                "",
                f"Kode pendaftaran tablet, sekali pakai, {accounts.CODE_DAYS} hari / tablet enrolment code, "
                f"once, {accounts.CODE_DAYS} days:",
                f"  {self.enrolment_code}  {self.enrolment_post}",
            ]
        )

    def where_to_look(self, url: str) -> str:
        """Write which addresses to open and what to try.

        Parameters
        ----------
        url : of the server that is ready, without a slash at its end
        """
        data = f"--data {quote(str(self.data_dir))}"
        return "\n".join(
            [
                "",
                f"Siap / Ready: {url}",
                f"  {url}/masuk    masuk / sign in (ID, EN)",
                f"  {url}/antrean  anak yang perlu dilihat lagi / children who need a second look",
                f"  {url}/metrics  angka untuk pengelola / figures for operators",
                "",
                "Coba / Try:",
                f"  posyandu-sync flagged {data} --urgency 1     yang paling mendesak / the most urgent",
                f"  posyandu-sync tablet list {data}             tablet, satu di antaranya diam / one is silent",
                f"  posyandu-sync audit verify {data}            buktikan catatan utuh / prove the log unaltered",
                f"  posyandu-sync simulate FILE.csv --server {url} {data} --chaos",
                "      kirim survei lewat banyak tablet yang sering putus / send a survey through tablets that lose contact",
                "",
                "Sistem ini menyaring, tidak mendiagnosis. / The system screens; it does not diagnose.",
                "Ctrl-C menghentikan / stops; `posyandu-sync demo` mulai lagi dari awal / starts afresh.",
            ]
        )


def make_demo(
    settings: Settings,
    *,
    seed: int,
    now: datetime,
    tell: Tell,
    posts: int = 8,
    children_per_post: int = 56,
    months: int = 24,
) -> Demo:
    """Make a fresh installation with a made-up past, replacing an earlier demo.

    Parameters
    ----------
    settings : with everything in `data_dir` (SQLite); the directory is absent, empty, or an earlier demo
    seed, now : the same seed on the same day gives the same people, figures and mishaps; ids, keys, passwords differ
    tell : called with a line of progress
    posts : 2 to 8 of the demo's posts
    children_per_post : on average; no post has fewer than 12
    months : of history, 6 or more

    Raises
    ------
    NotADemo
        The directory holds something else, a server runs on it, or the settings point elsewhere. Nothing was changed.
    """
    story = plan_demo(seed, settings.today(now), posts, children_per_post, months)
    with room_for_demo(settings):
        tell("Menyiapkan basis data … / Preparing the database …")
        migrate(settings.database_url)
        hub = AppContext.open(settings, create_keys=True)
        try:
            stage = set_stage(hub, story)
            mark(settings, incarnation_in(settings.data_dir / "posyandu.db"))
            donor = giving.add_donor(stage, story)
            sign_ins = add_people(stage, story, donor)
            outcomes = play(stage, story, tell)
            giving.give(stage, story, donor, now)
            children, code = close(stage, now)
        finally:
            hub.database.dispose()
    return Demo(
        settings.data_dir,
        story.today,
        posts=len(stage.posts),
        tablets=len(stage.devices),
        children=children,
        outcomes=outcomes,
        sign_ins=sign_ins,
        enrolment_code=code,
        enrolment_post=story.posts[0].name,
    )
