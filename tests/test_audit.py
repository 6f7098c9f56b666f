"""The audit of dependencies fails when it finds something and when it cannot look; and no secret is in the repository."""

import json
import re
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.audit import PINS, ROOT, judge, pinned, waiver
from tests.test_house import ours

TODAY = date(2026, 11, 26)
NAMES = {"flask", "typing-extensions"}


def told(*packages: tuple[str, list[str]]) -> str:
    """Give what pip-audit prints."""
    found = [
        {"name": name, "version": "1", "vulns": [{"id": weak} for weak in weaknesses]}
        for name, weaknesses in packages
    ]
    return json.dumps({"dependencies": found, "fixes": []})


WHOLE = told(("flask", []), ("typing_extensions", []))
SKIPPED = json.dumps({"dependencies": [{"name": "flask", "skip_reason": "not found"}]})


def test_all_audited_and_clean_passes() -> None:
    assert judge(0, WHOLE, NAMES, None, TODAY)[0] == 0


@pytest.mark.parametrize("until", [None, TODAY])
def test_weakness_fails_with_and_without_a_waiver(until: date | None) -> None:
    status, why = judge(1, told(("flask", ["CVE-0"]), ("typing_extensions", [])), NAMES, until, TODAY)
    assert (status, "CVE-0" in why) == (1, True)


@pytest.mark.parametrize("answer", ["", "{}", "null", SKIPPED, told(("flask", [])), told()])
@pytest.mark.parametrize("returned", [0, 1])
def test_what_could_not_be_audited_fails_unless_waived(answer: str, returned: int) -> None:
    assert judge(returned, answer, NAMES, None, TODAY)[0] == 1
    assert judge(returned, answer, NAMES, TODAY - timedelta(days=1), TODAY)[0] == 1
    status, why = judge(returned, answer, NAMES, TODAY, TODAY)
    assert (status, "NOT AUDITED" in why) == (0, True)


def test_scanner_that_ended_badly_passes_nothing() -> None:
    assert judge(1, WHOLE, NAMES, None, TODAY)[0] == 1


def test_waiver_needs_a_reason_and_ends(tmp_path: Path) -> None:
    path = tmp_path / "unaudited.toml"
    assert waiver(path) is None
    path.write_text('since = 2026-01-01\nuntil = 2026-02-01\nreason = "no line"\n')
    assert waiver(path) == date(2026, 2, 1)
    for wrong in ('until = 2026-02-01\nreason = " "', 'until = 2030-01-01\nreason = "long"'):
        path.write_text(f"since = 2026-01-01\n{wrong}\n")
        with pytest.raises(ValueError, match="reason"):
            waiver(path)


def test_every_pin_is_asked_about() -> None:
    names = pinned(PINS.read_text(encoding="utf-8"))
    assert {"flask", "sqlalchemy", "fhir-core", "typing-extensions"} <= names
    assert len(names) > 60


# -- secrets --------------------------------------------------------------------------------------

# Each in two halves, so that this file is not what it looks for.
SECRETS = {
    "a private key": "-----BEGIN (?:[A-Z]+ )*PRIVATE" + " KEY",
    "an access key of a cloud": "(?:AKIA|ASIA)" + "[A-Z0-9]{16}",
    "a token of a code host": "gh[pousr]_" + "[A-Za-z0-9]{30}|glpat-" + "[A-Za-z0-9_-]{20}",
    "a token of a chat or payment service": "xox[abp]-" + "[0-9A-Za-z-]{20}|[sr]k_live_" + "[0-9A-Za-z]{20}",
    "a private JWK": r'"d"\s*:\s*"' + '[A-Za-z0-9_-]{43}"',
    "our key file": r'"masters"\s*:\s*\{\s*"\d+"\s*:\s*"' + "[A-Za-z0-9_+/=-]{40}",
    "a password in an address": r"[a-z]+://[^\s/:@{}<>$%\"']+:(?!password|rahasia|wrong|secret|kata-?sandi|x@)"
    + r"[^\s/:@{}<>$%\"'*]{6,}@",
    "a JSON web token": "eyJ[A-Za-z0-9_-]{15,}" + r"\.eyJ[A-Za-z0-9_-]{15,}\.",
}
NOT_TEXT = (".png", ".xlsx", ".ico", ".gz", ".zip", ".npz", ".pdf", ".woff2")


def secrets_in(text: str) -> list[str]:
    return [name for name, pattern in SECRETS.items() if re.search(pattern, text)]


def test_no_secret_is_in_the_repository() -> None:
    found = {}
    for path in ours():
        if path.suffix not in NOT_TEXT and (told := secrets_in(path.read_text("utf-8", errors="replace"))):
            found[str(path.relative_to(ROOT))] = told
    assert found == {}


def test_no_secret_was_ever_in_the_repository() -> None:
    """What was added once and taken out again is still there for whoever clones; in an archive there is no history."""
    command = ["git", "log", "--all", "-p", "--unified=0", "--no-color", "--no-textconv", "--format="]
    history = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    added = [line for line in history.stdout.decode("utf-8", "replace").splitlines() if line.startswith("+")]
    assert secrets_in("\n".join(added)) == []


def planted() -> list[str]:
    """Give one secret of each kind, made here: the tests may hold none."""
    made = subprocess.run(
        [
            sys.executable,
            "-c",
            "from cryptography.hazmat.primitives.asymmetric.ec import *; from cryptography.hazmat.primitives."
            "serialization import *; print(generate_private_key(SECP256R1()).private_bytes("
            "Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return [
        made.stdout,
        "AKIA" + "A1" * 8,
        "ghp_" + "a1" * 18,
        "xoxb-" + "12345678901234567890",
        '{"kty":"EC","d":"' + "A" * 43 + '"}',
        '{"masters": {"1": "' + "A" * 43 + '="}}',
        "postgresql://posyandu:" + "Tr0ub4dor@db.example/posyandu",
        ".".join(["eyJ" + "a" * 20, "eyJ" + "b" * 20, "c"]),
    ]


def test_secret_that_is_there_would_be_found() -> None:
    assert [secrets_in(text) for text in planted()] == [[name] for name in SECRETS]
