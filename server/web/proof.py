"""The factor asked again: what an open session alone must not do wants a proof, some minutes old, that its person is there.

Rules kept here:
- `proven` marks what names leave by, what erases, and what gives access; `tests/server/web/test_proof.py` has the table of
  all routes, so that a new one is put into it or left out on purpose.
- The proof is what signing in wants: a code of the app or a recovery code; the password of somebody without a second factor.
  Signing in is such a proof. It renews the session's token.
- A form that comes without a proof is shown again with the question, and keeps what was filled in. A page that is read
  redirects to the question; a program gets `proof-required`.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from flask import g, redirect, render_template, request, url_for
from sqlalchemy.orm import Session

from server import audit
from server.accounts import passkeys, second_factor, sessions
from server.errors import Problem
from server.web.auth import address, came_for, is_api, let_in, this_session
from server.web.current import hub, utc_now

P = ParamSpec("P")
R = TypeVar("R")

CODE_FIELD, WORD_FIELD, KEY_FIELD = FIELDS = ("proof_code", "proof_password", "proof_passkey")
"""Fields of the question, beside those of any form: a code, a passkey; the password of who has no second factor."""


def proven(view: Callable[P, R]) -> Callable[P, R]:
    """Let a request to a view pass only with a fresh proof; below `permitted` or `signed_in`. Showing a form needs none."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> Any:
        asked = _question() if _is_guarded() else None
        return view(*args, **kwargs) if asked is None else asked

    guarded.__dict__["proven"] = True
    return guarded


def _is_guarded() -> bool:
    """Say whether this request does something or takes something away, by a session that is through with signing in."""
    methods = (request.url_rule and request.url_rule.methods) or ()
    acts = request.method == "POST" or "POST" not in methods
    return acts and "signed_in" in g and this_session().stage == sessions.OPEN


def _question() -> Any:
    """Return the question for a proof, where one is needed; None where there is one, or where it came with this form."""
    if this_session().is_proven(utc_now()):
        return None
    if is_api():
        raise Problem("proof-required", minutes=sessions.PROOF_MINUTES)
    if request.method != "POST":
        return redirect(url_for("people.prove", next=came_for()))
    problem = None
    if any(name in request.form for name in FIELDS):
        problem = give_proof(request.form)
        if problem is None:
            return None
        g.problem = problem.code
    status = problem.kind.status if problem else 403
    return render_template("account_proof.html", **question(problem), kept=_kept()), status


def _kept() -> list[tuple[str, str]]:
    """Return what the form was filled in with, to be sent again beside the proof."""
    ours = ("csrf_token", *FIELDS)
    return [(name, value) for name, value in request.form.items(multi=True) if name not in ours]


def question(problem: Problem | None) -> dict[str, Any]:
    """Return what the page of the question shows."""
    return {
        "problem": problem and problem.body(),
        "by_code": this_session().has_second_factor,
        "minutes": sessions.PROOF_MINUTES,
        "passkey": _passkey_options(),
    }


def _passkey_options() -> str | None:
    with hub().database.reading() as session:
        return passkeys.request_options(session, hub(), this_session(), utc_now())


def give_proof(given: Mapping[str, str]) -> Problem | None:
    """Check a proof, and mark the session with it; return why it is refused (counted and logged)."""
    who, now = this_session(), utc_now()
    try:
        if who.has_second_factor and given.get(KEY_FIELD):
            with hub().database.transaction() as session:
                token = passkeys.pass_with_passkey(
                    *(session, hub(), who, given[KEY_FIELD], now), address=address(), action="proof.given"
                )
            if token is None:
                return Problem("passkey-failed")
        elif who.has_second_factor:
            with hub().database.transaction() as session:
                passed = second_factor.pass_second_factor(
                    *(session, hub(), who, given.get(CODE_FIELD, ""), now),
                    address=address(),
                    action="proof.given",
                )
            if passed is None:
                return Problem("second-factor-failed")
            token = passed.token
        else:
            token = sessions.proving(hub(), who, given.get(WORD_FIELD, ""), now, _renewed)
    except Problem as problem:
        return problem
    let_in(token)
    with hub().database.reading() as session:
        g.signed_in = sessions.session_of(session, hub(), token, now)
    return None


def _renewed(session: Session) -> str:
    who, now = this_session(), utc_now()
    actor = f"account:{who.person.account_id}"
    details = {"second_factor": None}
    audit.append(session, hub().district, audit.OFFICE, "proof.given", actor=actor, now=now, details=details)
    return sessions.renew_token(session, hub(), who, now)
