"""Follow-ups: forms on the child's page, the referral letter, and the same as JSON.

Rules kept here:
- `server.review.follow_ups` writes. A form is turned into its arguments; its reasons go back beside the form's fields, with
  what was typed.
- A form carries what was on its screen: the task's id, the context of what is answered, the flags that are closed.
- Every form works without JavaScript; sending it twice has the effect of once.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final

import orjson
from flask import Blueprint, Response, flash, g, jsonify, redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from server.database.ids import new_id
from server.errors import Problem
from server.review import Scope, follow_ups, letters
from server.review.follow_ups import Decided, DecidedChild, Work
from server.review.guideline import SHIPPED, Guideline, guideline
from server.review.scope import RaisedFlag, flags_of
from server.sync import server_edits
from server.translations import N_
from server.web import formatting
from server.web.api.quarantine import in_both_languages
from server.web.api.staff import bp as api, wrong_field
from server.web.auth import permitted
from server.web.current import acting, hub, local_today, person, scope, utc_now
from server.web.request_schemas import children as schemas
from server.web.request_schemas.schema import Asked, takes
from server.web.response_schemas import children as answer_schemas
from server.web.response_schemas.schema import answers

bp = Blueprint("follow_ups", __name__)

FORMS: Final[Mapping[str, str]] = {
    "take": N_("Take charge"),
    "remeasure": N_("Write down a second measurement"),
    "plan": N_("Plan something"),
    "pmt": N_("Begin a PMT course"),
    "answer": N_("Tell what came of it"),
    "close": N_("Close the case"),
}
"""The forms on a child's page, by the last part of their address."""

Work_ = Callable[..., Decided]


def the_guideline() -> Guideline:
    """Return the guideline that this installation follows."""
    return guideline(hub().settings.guideline_file or SHIPPED)


# -- the section on a child's page ----------------------------------------------------------------


class FollowUpSection:
    """The follow-up section of a child's page, `care` in templates."""

    def __init__(
        self, session: Session, subject: DecidedChild, flags: tuple[RaisedFlag, ...], today: date
    ) -> None:
        who, line = person(), the_guideline()
        self.child_id, self.today, self.may_decide = subject.child_id, today, who.may("decide")
        self.work: tuple[Work, ...] = follow_ups.work_of(session, hub(), Scope.of(who), subject.group)
        self.open = [work for work in self.work if work.open]
        self.done = [work for work in self.work if not work.open]
        self.charges = [work for work in self.open if work.action == "take"]
        self.tasks = [work for work in self.open if work.action not in ("take", "pmt_week")]
        # of a course only the next week; later ones are shown in their turn
        weeks = [work for work in self.open if work.action == "pmt_week"]
        self.next_weeks = list({work.course: work for work in reversed(weeks)}.values())
        self.later_weeks = len(weeks) - len(self.next_weeks)
        self.staff = follow_ups.staff_of(session, hub(), subject.post_id) if self.may_decide else []
        self.me = acting()
        self.urgency = min((flag.urgency for flag in flags), default=4)
        self.rule = flags[0].rule if flags else None
        self.covers = follow_ups.flags_seen(session, hub(), subject.person_id)
        self.due = {action: line.due_on(action, self.urgency, today).isoformat() for action in line.due_days}
        self.course = line.course_for([flag.rule for flag in flags])
        self.version = line.version

    def new_task(self) -> str:
        """Return the id for what a form makes: the same form sent twice makes it once."""
        return new_id()

    @property
    def contexts(self) -> str:
        """Return the contexts of the `take` tasks on the screen, as JSON by task."""
        return orjson.dumps({work.task: orjson.loads(work.context) for work in self.charges}).decode()


def section(session: Session, child_id: str, today: date) -> FollowUpSection:
    """Load the section for a child in the scope of who asks."""
    subject = follow_ups.find(session, hub(), scope(), child_id)
    flags = tuple(flags_of(session, hub(), [subject.person_id]).get(subject.person_id, ()))
    return FollowUpSection(session, subject, flags, today)


@bp.app_context_processor
def _in_templates() -> dict[str, Any]:
    """Add the section of a child's page, and the words of actions and outcomes, to templates."""
    return {"care_section": _section_for_template, "care_words": _word}


def _section_for_template(child_id: str) -> FollowUpSection:
    with hub().database.reading() as session:
        return section(session, child_id, local_today())


def _word(codes: str, code: str) -> str:
    """Return a code's words: of "actions", "outcomes" or "funds"; an unknown one (of a newer server) as it is."""
    tables = {"actions": follow_ups.ACTIONS, "outcomes": follow_ups.OUTCOMES, "funds": follow_ups.FUNDS}
    found = tables[codes].get(code)
    return formatting.label(found) if found else code


# -- the forms ------------------------------------------------------------------------------------


@bp.route("/anak/<child_id>/tindak/<form>", methods=["GET", "POST"])
@permitted("decide")
@takes(schemas.CARE_FORM, post=schemas.DECIDE_CARE)
def decide(asked: Asked, child_id: str, form: str) -> AnyResponse | tuple[str, int] | str:
    """Show one form by itself, or do what it asks; after a refusal with errors beside the fields and what was typed."""
    if form not in FORMS:
        raise Problem("page-unknown")
    if request.method == "GET":
        return _form(
            child_id, form, {name: text for name, text in asked.query.items() if text is not None}, None
        )
    wanted, wrong = _wanted(asked.form, form)
    if not wrong:
        try:
            decided = _do(form, child_id, wanted)
        except Problem as refused:
            if refused.code != "change-invalid":
                raise
            wrong = refused.details["reasons"]
        else:
            flash(_said(form, decided))
            return redirect(url_for("pages.child", child_id=child_id, _anchor="tindak"))
    g.problem = "change-invalid"
    return _form(child_id, form, _single(asked.form), wrong), 422


def _form(child_id: str, form: str, typed: Mapping[str, str], wrong: Any) -> str:
    today = local_today()
    with hub().database.reading() as session:
        shown = section(session, child_id, today)
        name = follow_ups.child_name(session, hub(), scope(), child_id)
    answered = next((work for work in shown.work if work.task == typed.get("task")), None)
    return render_template(
        "follow_up_form.html",
        care=shown,
        form=form,
        name=name,
        typed=typed,
        wrong=wrong,
        answered=answered,
        fitting=lambda action: follow_ups.FITTING.get(action, tuple(follow_ups.OUTCOMES)),
    )


def _do(form: str, child_id: str, wanted: dict[str, Any]) -> Decided:
    now, who, mine = utc_now(), acting(), scope()
    works: Mapping[str, Work_] = {
        "take": follow_ups.take,
        "plan": follow_ups.plan,
        "pmt": follow_ups.course,
        "close": follow_ups.close,
        "remeasure": follow_ups.remeasure,
    }
    if form == "answer":
        task = wanted.pop("task")
        return server_edits.decide(
            hub(), lambda s: follow_ups.answer(s, hub(), mine, child_id, task, wanted, author=who, now=now)
        )
    return server_edits.decide(
        hub(), lambda s: works[form](s, hub(), mine, child_id, wanted, author=who, now=now)
    )


def _wanted(sent: Mapping[str, Any], form: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Read a form: the arguments of the use case, and what is already wrong."""
    # a form's lines end in CR LF (HTML, form submission); what is kept has line feeds
    given = {name: text.strip().replace("\r\n", "\n") for name, text in _single(sent).items() if text.strip()}
    if form in ("take", "plan"):
        return _only(given, "task", "action", "due_on", "assigned_to", "reason", "note"), []
    if form == "pmt":
        wanted: dict[str, Any] = _only(given, "task", "starts_on", "reason", "funds", "assigned_to", "note")
        return wanted | _whole(given, "weeks"), []
    if form == "answer":
        wanted = _only(given, "task", "outcome", "done_on", "note") | _whole(given, "days_eaten")
        if "task" not in wanted:
            raise Problem("request-malformed", reason="task")
        return wanted | {"context": _json(given.get("context"))}, []
    if form == "close":
        wanted = _only(given, "task", "outcome", "done_on", "note")
        return wanted | {
            "covers": sent.get("covers", []),
            "contexts": _json(given.get("contexts")),
        }, []
    return _measured(given)


def _single(sent: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields that a form sends once."""
    return {name: text for name, text in sent.items() if name != "covers"}


def _only(given: Mapping[str, str], *names: str) -> dict[str, Any]:
    return {name: given[name] for name in names if name in given}


def _whole(given: Mapping[str, str], name: str) -> dict[str, Any]:
    """Read a whole number; anything else is passed on, so that the schemas say what is wrong."""
    text = given.get(name)
    if text is None:
        return {}
    return {name: int(text) if re.fullmatch(r"[0-9]{1,4}", text) else text}


def _json(text: str | None) -> Any:
    try:
        return orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        raise Problem("request-malformed", reason="context") from None


_DECIMAL: Final = re.compile(r"[0-9]{1,3}(?:[.,][0-9]{1,3})?")


def _measured(given: Mapping[str, str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Read a second measurement: kg and cm with a decimal comma or point become whole grams and millimetres."""
    wrong: list[dict[str, Any]] = []

    def read(name: str, field: str, factor: int) -> int | None:
        text = given.get(name)
        if text is None:
            return None
        whole = round(float(text.replace(",", ".")) * factor, 3) if _DECIMAL.fullmatch(text) else None
        if whole is None or whole != int(whole):
            wrong.append(formatting.not_a_figure(field, text, "kg" if factor == 1000 else "cm"))
            return None
        return int(whole)

    weight_g, length_mm = read("weight", "weight_g", 1000), read("length", "length_mm", 10)
    muac_mm, head_mm = read("muac", "muac_mm", 10), read("head", "head_mm", 10)
    oedema = given.get("oedema")
    registers: dict[str, Any] = {}
    if weight_g is not None or oedema is not None:
        registers["weight"] = {"weight_g": weight_g, "oedema": oedema}
    if length_mm is not None:
        registers["length"] = {"length_mm": length_mm, "position": given.get("position")}
    if muac_mm is not None:
        registers["muac"] = {"muac_mm": muac_mm}
    if head_mm is not None:
        registers["head"] = {"head_mm": head_mm}
    if not registers and not wrong:
        wrong.append(formatting.nothing_measured())
    asked = {**_only(given, "measured_on", "note"), "set": registers}
    return (asked | {"context": _json(given["context"])} if "context" in given else asked), wrong


def _said(form: str, decided: Decided) -> str:
    """Say in one sentence what was done."""
    sentences = {
        "take": N_("The child is in charge now."),
        "plan": N_("The task is planned. The posyandu's tablets get it with their next sync."),
        "pmt": N_("The PMT course and its weekly checks are planned."),
        "answer": N_("The result is written down."),
        "close": N_("The case is closed. A new reason opens it again by itself."),
    }
    found = {
        "confirmed": N_("The second measurement confirms it."),
        "cleared": N_("The second measurement does not confirm it."),
        "done": N_("The second measurement is written down."),
    }
    return formatting.translate(found[decided.found] if decided.found else sentences[form])


# -- the referral letter --------------------------------------------------------------------------


@bp.get("/anak/<child_id>/tindak/<task>/surat.pdf")
@permitted("decide")
def letter(child_id: str, task: str) -> Response:
    """Return the referral letter of a task as PDF, with the whole NIK. Logged."""
    now, who = utc_now(), person()
    with hub().database.reading() as session:
        made = letters.referral(
            session, hub(), Scope.of(who), child_id, task, language=formatting.language(), writer=who, now=now
        )
    with hub().database.transaction() as session:
        letters.log_written(session, hub(), who, made, now)
    response = Response(made.pdf, mimetype="application/pdf")
    response.headers["Content-Disposition"] = f'inline; filename="rujukan-{task[-8:]}.pdf"'
    return response


# -- as JSON --------------------------------------------------------------------------------------


@api.get("/children/<child_id>/follow-ups")
@permitted("see_children")
@answers(answer_schemas.FOLLOW_UPS)
def list_follow_ups(child_id: str) -> Response:
    """Return a child's follow-ups and results, the flags to pass back when closing, and the words of codes. Logged."""
    with hub().database.reading() as session:
        subject = follow_ups.find(session, hub(), scope(), child_id)
        shown = follow_ups.work_of(session, hub(), scope(), subject.group)
        covers = follow_ups.flags_seen(session, hub(), subject.person_id)
    with hub().database.transaction() as session:
        follow_ups.log_viewed(session, hub(), acting(), subject, utc_now())
    return jsonify(
        follow_ups=[work.wire() for work in shown],
        covers=covers,
        actions=in_both_languages(follow_ups.ACTIONS),
        outcomes=in_both_languages(follow_ups.OUTCOMES),
        guideline=the_guideline().version,
    )


TAKES: Final[Mapping[str, tuple[str, ...]]] = {
    "take": ("task", "assigned_to", "due_on", "reason", "note"),
    "plan": ("task", "action", "due_on", "assigned_to", "reason", "note"),
    "pmt": ("task", "starts_on", "weeks", "reason", "funds", "assigned_to", "note"),
    "close": ("task", "outcome", "done_on", "covers", "contexts", "note"),
    "remeasure": ("measured_on", "set", "context", "note"),
}
"""Which members each decision takes; `server.review.follow_ups` says what they mean."""


@api.post("/children/<child_id>/<any(take, plan, pmt, close, remeasure):decision>")
@permitted("decide")
@answers(answer_schemas.DECIDED)
@takes(schemas.DECIDE_JSON)
def decide_json(asked: Asked, child_id: str, decision: str) -> Response:
    """Decide for a child: the members of TAKES."""
    wrong = [wrong_field(name, "unknown-field", None) for name in asked.json if name not in TAKES[decision]]
    if wrong:
        raise Problem("change-invalid", reasons=wrong)
    return jsonify(_do(decision, child_id, dict(asked.json)).wire())


@api.post("/children/<child_id>/follow-ups/<task>/result")
@permitted("decide")
@answers(answer_schemas.DECIDED)
@takes(schemas.RESULT_JSON)
def answer_json(asked: Asked, child_id: str, task: str) -> Response:
    """Record the result of a task: `outcome`, `done_on`, `days_eaten`, `note`, and `context` as it was shown."""
    return jsonify(_do("answer", child_id, {**asked.json, "task": task}).wire())
