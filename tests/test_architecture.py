"""The rules of import hold, and the checks that guard them fail when a rule is broken.

setup.cfg states the layers and the forbidden frameworks for import-linter; what that cannot say (standard
library only, a single importer) is read from the syntax trees here. Every check is also run on a copy with a
planted breach.
"""

import ast
import configparser
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests._sources import imported

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("sync_protocol", "schemas", "server")

# Room -> the third-party packages it may import; a room may always import itself and the standard library.
ALLOWED = {
    "sync_protocol": {"orjson", "uuid_utils"},  # docs/adr/0026
    "server/growth": {"numpy"},
    "server/schedule": set[str](),
    "schemas": {"babel", "marshmallow", "sync_protocol"},  # docs/adr/0028
    "server/places/regions": set[str](),
}

# Package -> the one room that may import it.
SINGLE_IMPORTER = {"cryptography": "server/crypto/vault", "apscheduler": "server/operations/scheduler"}

BREACHES = {
    "a frozen record that knows marshmallow": ("sync_protocol/_merge.py", "import marshmallow"),
    "the merge that knows the server": ("sync_protocol/_merge.py", "import server.places.regions"),
    "z-scores that know flask": ("server/growth/planted.py", "import flask"),
    "a schema that knows the server": ("schemas/planted.py", "import server.places.regions"),
    "children that know how they are synced": ("server/children/planted.py", "import server.sync.upload"),
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Give a copy of the rooms' Python files and of setup.cfg, to be broken at will."""
    for room in ROOMS:
        for source in (ROOT / room).rglob("*.py"):
            copy = tmp_path / source.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    return tmp_path


def plant(tree: Path, file: str, line: str) -> None:
    """Add a line at the end of a file, which is made if need be."""
    (tree / file).parent.mkdir(parents=True, exist_ok=True)
    with (tree / file).open("a", encoding="utf-8") as source:
        source.write(f"\n{line}\n")


def lint_imports(tree: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter as `make lint` does, on the rooms of `tree` and no others."""
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-W", "ignore", "-c", program, "--no-cache"]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)


def strangers(tree: Path) -> list[str]:
    """List the imports that ALLOWED does not allow."""
    return [
        f"{file.relative_to(tree)} imports {name}"
        for room, allowed in ALLOWED.items()
        for file in sorted((tree / room).rglob("*.py"))
        for name in sorted(imported(file.read_text("utf-8")))
        if name.split(".")[0] not in allowed | sys.stdlib_module_names
        and not (name + ".").startswith(room.replace("/", ".") + ".")
    ]


def trespassers(tree: Path) -> list[str]:
    """List the imports of a package that belongs to one other room."""
    files = (file for room in ROOMS for file in sorted((tree / room).rglob("*.py")))
    return [
        f"{file.relative_to(tree)} imports {name}"
        for file in files
        for name in sorted(imported(file.read_text("utf-8")))
        if (home := SINGLE_IMPORTER.get(name.split(".")[0]))
        and not f"{file.relative_to(tree).with_suffix('').as_posix()}/".startswith(f"{home}/")
    ]


def readers_of_the_environment(tree: Path) -> list[str]:
    """List the files of the rooms, server/config.py aside, that touch os.environ or os.getenv."""
    reading = re.compile(r"\bos\.(environ|getenv)\b|\bfrom os import .*\b(environ|getenv)\b")
    files = (file for room in ROOMS for file in sorted((tree / room).rglob("*.py")))
    return [
        file.relative_to(tree).as_posix()
        for file in files
        if reading.search(file.read_text(encoding="utf-8")) and file != tree / "server/config.py"
    ]


NAIVE_DAYS = {
    "server/config.py": "`Settings.today` gives the district's day of a moment",
    "server/interchange/cells.py": "the cells of a sheet have no time zone",
}
"""Files that may take a calendar day of a moment without the district's zone, and why."""


def naive_days(tree: Path) -> list[str]:
    """List the calls that give a calendar day or a local time by another zone than the district's."""
    files = (file for room in ROOMS for file in sorted((tree / room).rglob("*.py")))
    return [
        f"{name}:{call}"
        for file in files
        if (name := file.relative_to(tree).as_posix()) not in NAIVE_DAYS
        for call in naive_calls(file.read_text(encoding="utf-8"))
    ]


@cache
def naive_calls(text: str) -> list[str]:
    """List a module's naive calls with their lines. Kept by text: most tests change one module."""
    return [
        f"{node.lineno} {ast.unparse(node)}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and is_naive(node)
    ]


def is_naive(call: ast.Call) -> bool:
    """Tell calls like `moment.date()`, `moment.astimezone()`, `date.today()` and `datetime.now()` from those with a zone."""
    given = len(call.args) + len(call.keywords)
    assert isinstance(call.func, ast.Attribute)
    name, of = call.func.attr, ast.unparse(call.func.value)
    of_a_class = of.split(".")[-1] in ("date", "datetime")
    if name in ("utcnow", "utcfromtimestamp"):
        return True
    if name in ("today", "now"):
        return of_a_class and given == 0
    return (name in ("date", "astimezone") and given == 0) or (name == "fromtimestamp" and given < 2)


SLOW_HASHES = ("hash_password", "password_fits")
"""Functions of `server.crypto.vault` that only `server/accounts/passwords.py` may use: it refuses them while writing."""


def users_of_slow_hashes(tree: Path) -> list[str]:
    """List the files that hash passwords past `server/accounts/passwords.py`."""
    files = (file for room in ROOMS for file in sorted((tree / room).rglob("*.py")))
    slow = re.compile(rf"\bvault\b.*\b({'|'.join(SLOW_HASHES)})\b|\bargon2\b")
    homes = (tree / "server/accounts/passwords.py", tree / "server/crypto/vault.py")
    return [
        file.relative_to(tree).as_posix()
        for file in files
        if file not in homes and slow.search(file.read_text(encoding="utf-8"))
    ]


def test_imports_follow_the_contracts() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("file", "line"), BREACHES.values(), ids=BREACHES.keys())
def test_lint_imports_fails_when_a_breach_is_planted(tree: Path, file: str, line: str) -> None:
    plant(tree, file, line)
    done = lint_imports(tree)
    assert done.returncode == 1, done.stdout + done.stderr
    assert " BROKEN" in done.stdout


def test_lint_imports_passes_when_nothing_is_planted(tree: Path) -> None:
    assert lint_imports(tree).returncode == 0


def test_every_room_of_the_server_is_in_the_contract() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    listed = set(re.findall(r"server\.\w+", config["importlinter:contract:packages"]["layers"]))
    rooms = {path.stem for path in (ROOT / "server").iterdir() if is_room(path)}
    assert {f"server.{room}" for room in rooms} <= listed, "add the new room to the layers in setup.cfg"


def is_room(path: Path) -> bool:
    """Tell a module or a folder of Python from data and from the package's own docstring."""
    return (path.suffix == ".py" and path.stem != "__init__") or any(path.glob("*.py"))


def test_pure_rooms_import_only_what_they_are_allowed() -> None:
    assert strangers(ROOT) == []


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("sync_protocol/planted.py", "import numpy"),
        ("sync_protocol/planted.py", "from schemas import anything"),
        ("server/growth/planted.py", "def lazily():\n    from server.database.models import Child"),
        ("schemas/planted.py", "import orjson"),
        ("server/places/regions/planted.py", "import sqlalchemy.orm"),
    ],
)
def test_strangers_are_found_when_planted(tree: Path, file: str, line: str) -> None:
    plant(tree, file, line)
    assert f"{file} imports" in " ".join(strangers(tree))


def test_one_room_alone_imports_cryptography_and_one_the_scheduler() -> None:
    assert trespassers(ROOT) == []


@pytest.mark.parametrize("package", ["cryptography.hazmat.primitives", "apscheduler"])
def test_trespassers_are_found_when_planted(tree: Path, package: str) -> None:
    plant(tree, "server/interchange/planted.py", f"import {package}")
    assert f"server/interchange/planted.py imports {package}" in trespassers(tree)


def test_only_the_settings_read_the_environment() -> None:
    assert readers_of_the_environment(ROOT) == []


def test_readers_of_the_environment_are_found_when_planted(tree: Path) -> None:
    plant(tree, "server/interchange/planted.py", "import os\nHOST = os.environ['HOST']")
    assert "server/interchange/planted.py" in readers_of_the_environment(tree)


def test_passwords_are_hashed_in_one_place() -> None:
    assert users_of_slow_hashes(ROOT) == []


@pytest.mark.parametrize(
    "line",
    [
        "from server.crypto.vault import hash_password, sha256",
        "vault.password_fits(stored, password)",
        "from argon2 import PasswordHasher",
    ],
)
def test_user_of_slow_hashes_is_found_when_planted(tree: Path, line: str) -> None:
    plant(tree, "server/accounts/planted.py", line)
    assert users_of_slow_hashes(tree) == ["server/accounts/planted.py"]


def test_every_calendar_day_is_one_of_the_district() -> None:
    assert naive_days(ROOT) == []


@pytest.mark.parametrize(
    "call",
    [
        *("row.received_at.date()", "now.astimezone()", "date.today()", "datetime.now()"),
        *("datetime.datetime.today()", "datetime.utcnow()", "datetime.fromtimestamp(0)"),
    ],
)
def test_naive_day_is_found_when_planted(tree: Path, call: str) -> None:
    plant(tree, "server/interchange/planted.py", call)
    assert f"server/interchange/planted.py:2 {call}" in naive_days(tree)


@pytest.mark.parametrize(
    "call", ["hub.settings.today(now)", "datetime.now(UTC)", "now.astimezone(zone)", "fromtimestamp(0, UTC)"]
)
def test_day_with_a_zone_is_none_of_them(tree: Path, call: str) -> None:
    plant(tree, "server/interchange/planted.py", call)
    assert naive_days(tree) == []


def test_importing_the_growth_engine_loads_no_framework() -> None:
    program = "import sys, server.growth; print(*{'flask', 'sqlalchemy', 'marshmallow'} & sys.modules.keys())"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def relative(path: Path) -> str:
    """Name a file from the project's root."""
    return path.relative_to(ROOT).as_posix()


# -- the house ----------------------------------------------------------------------------------------

MOST_LOOSE_MODULES = 8
MOST_LINES = 600


def loose_modules(tree: Path) -> list[str]:
    """List the modules that lie in server/ itself."""
    return sorted(path.name for path in (tree / "server").glob("*.py") if path.name != "__init__.py")


def long_files(tree: Path) -> list[str]:
    """List the files of code, Python and JavaScript, that are longer than MOST_LINES."""
    files = (file for room in ROOMS for kind in ("*.py", "*.js") for file in (tree / room).rglob(kind))
    return [
        f"{file.relative_to(tree)} ({lines} lines)"
        for file in sorted(files)
        if (lines := len(file.read_text(encoding="utf-8").splitlines())) > MOST_LINES
    ]


def crowded_names(tree: Path) -> dict[str, list[str]]:
    """Give the names of public classes that three files or more define, with these files."""
    found: dict[str, list[str]] = {}
    for file in sorted(file for room in ROOMS for file in (tree / room).rglob("*.py")):
        for name in public_classes(file.read_text(encoding="utf-8")):
            found.setdefault(name, []).append(file.relative_to(tree).as_posix())
    return {name: files for name, files in found.items() if len(files) > 2}


@cache
def public_classes(text: str) -> list[str]:
    """List the public classes that a module defines."""
    walked = ast.walk(ast.parse(text))
    return [node.name for node in walked if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]


def test_few_modules_lie_loose_in_the_server() -> None:
    assert len(loose_modules(ROOT)) <= MOST_LOOSE_MODULES, loose_modules(ROOT)


def test_no_file_of_code_is_too_long() -> None:
    assert long_files(ROOT) == []


def test_no_class_name_is_used_three_times() -> None:
    assert crowded_names(ROOT) == {}


def test_breaches_of_the_house_are_found_when_planted(tree: Path) -> None:
    for number in range(MOST_LOOSE_MODULES):
        plant(tree, f"server/planted{number}.py", "class Planted: ...")
    plant(tree, "server/web/static/planted.js", "//\n" * MOST_LINES)
    assert len(loose_modules(tree)) > MOST_LOOSE_MODULES
    assert any("planted.js" in file for file in long_files(tree))
    assert len(crowded_names(tree)["Planted"]) == MOST_LOOSE_MODULES


@pytest.mark.parametrize("package", sorted((ROOT / "server").rglob("__init__.py")), ids=relative)
def test_package_says_what_it_hides(package: Path) -> None:
    assert ast.get_docstring(ast.parse(package.read_text(encoding="utf-8")))
