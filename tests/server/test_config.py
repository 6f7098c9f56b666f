"""Settings: what the environment may say, and what is refused with a remedy."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from server.config import Settings


def test_defaults_are_one_directory_on_sqlite(tmp_path: Path) -> None:
    settings = Settings.from_env({"POSYANDU_DATA": str(tmp_path)})
    assert settings.database_url == f"sqlite:///{tmp_path / 'posyandu.db'}"
    assert settings.key_file == tmp_path / "keys.json"
    assert (settings.district, settings.is_sqlite, settings.cookie_secure) == ("64.02", True, True)


def test_environment_is_read() -> None:
    settings = Settings.from_env(
        {
            "DATABASE_URL": "postgresql://u:p@db/posyandu",
            "POSYANDU_KEY_FILE": "/etc/posyandu/keys.json",
            "POSYANDU_DISTRICT": "64.03",
            "POSYANDU_TIME_ZONE": "Asia/Jakarta",
            "POSYANDU_SESSION_MINUTES": "30",
            "POSYANDU_MAX_CHANGES": "100",
            "POSYANDU_LOG_LEVEL": "WARNING",
            "POSYANDU_COOKIE_SECURE": "no",
            "POSYANDU_SECOND_FACTOR": "no",
            "POSYANDU_IDLE_MINUTES": "20",
            "POSYANDU_PROXIES": "2",
            "POSYANDU_OLDEST_APP": "0.1.0",
            "POSYANDU_TABLET_PIN": "8",
            "POSYANDU_BACKUP_DIR": "/backup",
            "POSYANDU_BACKUP_KEEP": "7",
            "POSYANDU_PUBLIC_URL": "https://posyandu.example.go.id",
        }
    )
    assert (settings.database_url, settings.is_sqlite) == ("postgresql://u:p@db/posyandu", False)
    assert settings.key_file == Path("/etc/posyandu/keys.json")
    assert (settings.district, settings.time_zone, settings.log_level) == ("64.03", "Asia/Jakarta", "WARNING")
    assert (settings.session_minutes, settings.max_changes, settings.cookie_secure) == (30, 100, False)
    assert (settings.second_factor, settings.idle_minutes, settings.proxies) == (False, 20, 2)
    assert settings.pin_policy == {"kind": "digits", "least": 8}
    assert (settings.oldest_app, settings.public_url) == ("0.1.0", "https://posyandu.example.go.id")
    assert (settings.backup_dir, settings.backup_keep) == (Path("/backup"), 7)


def test_empty_variables_say_nothing() -> None:
    empty = dict.fromkeys(
        ("DATABASE_URL", "POSYANDU_KEY_FILE", "POSYANDU_DISTRICT", "POSYANDU_MAX_CHANGES"), ""
    )
    assert Settings.from_env(empty) == Settings.from_env({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POSYANDU_DISTRICT", "6402"),
        ("POSYANDU_DISTRICT", "64.02.06"),
        ("POSYANDU_DISTRICT", "64.02\n"),
        ("POSYANDU_TIME_ZONE", "Asia/Kukar"),
        ("POSYANDU_TIME_ZONE", "/etc/passwd"),
        ("POSYANDU_TIME_ZONE", "../x"),
        ("POSYANDU_MAX_BODY_BYTES", "0"),
        ("POSYANDU_MAX_BODY_BYTES", "-1"),
        ("POSYANDU_MAX_CHANGES", "many"),
        ("POSYANDU_TABLET_SILENT_DAYS", "1.5"),
        ("POSYANDU_SESSION_MINUTES", "²"),
        ("POSYANDU_IDLE_MINUTES", "0"),
        ("POSYANDU_PROXIES", "10"),
        ("POSYANDU_SECOND_FACTOR", "maybe"),
        ("POSYANDU_PUBLIC_URL", "posyandu.example.go.id"),
        ("POSYANDU_PUBLIC_URL", "http://posyandu.example.go.id"),
        ("POSYANDU_PUBLIC_URL", "https://posyandu.example.go.id/"),
        ("POSYANDU_PUBLIC_URL", "https://petugas@posyandu.example.go.id"),
        ("POSYANDU_PUBLIC_URL", "javascript:alert(1)"),
        ("POSYANDU_OLDEST_APP", "posyandu-tablet 0.1.0"),
        ("POSYANDU_OLDEST_APP", "0.1.0+1a2b3c4d"),
        ("POSYANDU_OLDEST_APP", "999.0"),
        ("POSYANDU_TABLET_PIN", "5"),
        ("POSYANDU_TABLET_PIN", "13"),
        ("POSYANDU_TABLET_PIN", "phrase"),
    ],
)
def test_unusable_value_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is .*: give a"):
        Settings.from_env({name: value})


@pytest.mark.parametrize("token", ["terlalu-pendek", "x" * 19, "ada spasi " * 4, "ä" * 30])
def test_token_that_is_too_weak_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(ValueError, match="POSYANDU_METRICS_TOKEN is not usable: give") as raised:
        Settings.from_env({"POSYANDU_METRICS_TOKEN": token})
    assert token not in str(raised.value)


@pytest.mark.parametrize(
    ("hour", "zone", "today"),
    [
        (15, "Asia/Makassar", date(2026, 3, 5)),
        (16, "Asia/Makassar", date(2026, 3, 6)),
        (16, "Asia/Jakarta", date(2026, 3, 5)),
        (15, "Asia/Jayapura", date(2026, 3, 6)),
    ],
)
def test_today_is_the_day_at_the_posts(hour: int, zone: str, today: date) -> None:
    settings = Settings.from_env({"POSYANDU_TIME_ZONE": zone})
    assert settings.today(datetime(2026, 3, 5, hour, tzinfo=UTC)) == today


def test_process_of_ours_finds_the_same_settings(tmp_path: Path) -> None:
    given = {"POSYANDU_DATA": str(tmp_path), "POSYANDU_SESSION_MINUTES": "7", "POSYANDU_COOKIE_SECURE": "0"}
    given |= {"POSYANDU_SECOND_FACTOR": "0", "POSYANDU_PROXIES": "1", "POSYANDU_IDLE_MINUTES": "9"}
    given |= {
        "POSYANDU_OLDEST_APP": "0.0.9",
        "POSYANDU_TABLET_PIN": "passphrase",
        "POSYANDU_PUBLIC_URL": "http://localhost:8000",
        "POSYANDU_METRICS_TOKEN": "k7Qw-lima-belas-huruf-acak",
        "POSYANDU_JE_ENDEMIC": "1",
        "POSYANDU_DEWORMING_MONTHS": "never",
    }
    settings = Settings.from_env(given)
    assert Settings.from_env(settings.child_environment()) == settings


@pytest.mark.parametrize(
    ("text", "months"), [("", None), ("2,8", (2, 8)), (" 8, 2,8", (2, 8)), ("12", (12,)), ("never", ())]
)
def test_months_of_deworming(text: str, months: tuple[int, ...] | None) -> None:
    assert Settings.from_env({"POSYANDU_DEWORMING_MONTHS": text}).deworming_months == months


@pytest.mark.parametrize("text", ["13", "0", "Feb", "2,,8", "2;8"])
def test_months_of_deworming_that_do_not_exist(text: str) -> None:
    with pytest.raises(ValueError, match="POSYANDU_DEWORMING_MONTHS"):
        Settings.from_env({"POSYANDU_DEWORMING_MONTHS": text})


def test_schedule_of_the_district(tmp_path: Path) -> None:
    plan = Settings.for_data(tmp_path, je_endemic=True, deworming_months=(8,)).schedule()
    assert [dose.code for dose in plan.doses if not dose.offered] == []
    assert [one.months for one in plan.rounds] == [(2, 8), (8,)]
    with pytest.raises(ValueError, match="cannot be read"):
        Settings.for_data(tmp_path, schedule_file=tmp_path / "none.toml").schedule()


def test_every_setting_is_documented(tmp_path: Path) -> None:
    settings = Settings.for_data(
        tmp_path,
        guideline_file=tmp_path / "g.toml",
        backup_dir=tmp_path / "backup",
        schedule_file=tmp_path / "s.toml",
        deworming_months=(),
    )
    given = settings.child_environment()
    names = {name for name in given if name.startswith("POSYANDU_") or name == "DATABASE_URL"}
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
    assert len(names) >= 19
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []


@pytest.mark.parametrize(
    ("app", "oldest", "refused"),
    [
        ("posyandu-tablet 0.0.9+1a2b3c4d", "0.0.10", True),
        ("posyandu-tablet 0.0.10+1a2b3c4d", "0.0.9", False),
        ("posyandu-tablet 0.0.10+1a2b3c4d", "0.0.10", False),
        ("posyandu-tablet 0.1+1a2b3c4d", "0.1.0", False),
        ("posyandu-tablet 0.0.9.1", "0.0.9", False),
        ("posyandu-tablet", "0.0.9", True),
        ("posyandu-tablet kemarin", "0.0.9", True),
        ("posyandu-tablet 0.0.1", "", False),
        ("posyandu-sync/0.0.1", "0.1.0", False),
        ("posyandu-tabletop 0.0.1", "0.1.0", False),
    ],
)
def test_app_is_too_old_by_its_numbers(app: str, oldest: str, refused: bool, tmp_path: Path) -> None:
    assert Settings.for_data(tmp_path, oldest_app=oldest).too_old(app) is refused


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    with pytest.raises(AttributeError):
        Settings.for_data(tmp_path).district = "64.03"  # type: ignore[misc]  # the very thing that must fail
