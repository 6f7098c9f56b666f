"""`quarantine`, `conflict`, `duplicate`, `child`: what the office decides."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from server.cli.installation import (
    NEEDS_ATTENTION,
    OPERATOR,
    commit_change,
    data_option,
    format_option,
    load_text,
    main,
    post_id_of,
    read_json,
    wrong_use,
)
from server.cli.reasons import reason_option


def _post_or_none(hub: Any, post: str | None) -> str | None:
    if post is None:
        return None
    with hub.database.reading() as session:
        return post_id_of(session, hub, post)


_json_file = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)


@main.group()
def quarantine() -> None:
    """Changes that were set aside: list, show, correct and release, or dismiss them, and take either back. What is shown is
    logged."""


@quarantine.command("list")
@data_option
@reason_option()
@format_option
@click.option(
    "--state", type=click.Choice(["open", "answered", "decided"]), default="open", show_default=True
)
@click.option("--post", help="Only this post (name or id).")
def quarantine_list(data: Path | None, form: str, state: str, post: str | None) -> None:
    """List changes that were set aside, longest waiting first."""
    from server.review import text_lists

    def look(hub: Any, now: datetime) -> str:
        return text_lists.list_cases(hub, form, state=state, post_id=_post_or_none(hub, post), now=now)

    click.echo(load_text(data, look).rstrip("\n"))


@quarantine.command("show")
@data_option
@reason_option()
@click.argument("actor", type=click.UUID)
@click.argument("counter", type=click.IntRange(1))
def quarantine_show(data: Path | None, actor: UUID, counter: int) -> None:
    """Print a change as it came, why it was set aside, and its record as it stands now."""
    from server.review import text_lists

    click.echo(load_text(data, lambda hub, now: text_lists.show_case(hub, str(actor), counter, now)))


@quarantine.command("release")
@data_option
@click.argument("actor", type=click.UUID)
@click.argument("counter", type=click.IntRange(1))
@click.option(
    "--correction", type=_json_file, help='JSON file: {"set": …, "key": …}; without it, as it came.'
)
def quarantine_release(data: Path | None, actor: UUID, counter: int, correction: Path | None) -> None:
    """Make a corrected copy of a change, with what its author had seen, and print what came of it."""
    from server.review import Scope
    from server.review.quarantine import release

    asked = read_json(correction) if correction else {}

    def work(hub: Any, session: Any, now: datetime) -> Any:
        scope = Scope.whole_district(hub, shows_names=True)
        return release(session, hub, scope, str(actor), counter, asked, author=OPERATOR, now=now)

    _print_result(commit_change(data, work))


@quarantine.command("dismiss")
@data_option
@click.argument("actor", type=click.UUID)
@click.argument("counter", type=click.IntRange(1))
@click.option("--reason", required=True, help="A code, such as recorded-again; a wrong one lists them all.")
def quarantine_dismiss(data: Path | None, actor: UUID, counter: int, reason: str) -> None:
    """Put a change away for good. It stays in the ledger."""
    from server.review import Scope
    from server.review.quarantine import dismiss

    def work(hub: Any, session: Any, now: datetime) -> Any:
        scope = Scope.whole_district(hub, shows_names=True)
        asked = {"reason": reason}
        return dismiss(session, hub, scope, str(actor), counter, asked, author=OPERATOR, now=now)

    _print_result(commit_change(data, work))


@quarantine.command("reopen")
@data_option
@click.argument("actor", type=click.UUID)
@click.argument("counter", type=click.IntRange(1))
def quarantine_reopen(data: Path | None, actor: UUID, counter: int) -> None:
    """Take a dismissal back: the change waits again."""
    _take_back(data, "reopen", actor, counter)


@quarantine.command("undo")
@data_option
@click.argument("actor", type=click.UUID)
@click.argument("counter", type=click.IntRange(1))
def quarantine_undo(data: Path | None, actor: UUID, counter: int) -> None:
    """Take a release back: what it wrote is as it was before, and the change waits again."""
    _take_back(data, "undo", actor, counter)


def _take_back(data: Path | None, what: str, actor: UUID, counter: int) -> None:
    from server.review import Scope, quarantine as room

    def work(hub: Any, session: Any, now: datetime) -> Any:
        scope = Scope.whole_district(hub, shows_names=True)
        decide = room.reopen if what == "reopen" else room.undo
        return decide(session, hub, scope, str(actor), counter, author=OPERATOR, now=now)

    _print_result(commit_change(data, work))


@main.group()
def conflict() -> None:
    """Records on which tablets disagree: list, show and settle them. What is shown is logged."""


@conflict.command("list")
@data_option
@reason_option()
@format_option
@click.option("--post", help="Only this post (name or id).")
def conflict_list(data: Path | None, form: str, post: str | None) -> None:
    """List the records in conflict, and those that are incomplete."""
    from server.review import text_lists

    def look(hub: Any, now: datetime) -> str:
        return text_lists.list_conflicts(hub, form, post_id=_post_or_none(hub, post), now=now)

    click.echo(load_text(data, look).rstrip("\n"))


@conflict.command("show")
@data_option
@reason_option()
@click.argument("kind", type=click.Choice(["child", "measurement", "follow_up", "delivery"]))
@click.argument("record", type=click.UUID)
def conflict_show(data: Path | None, kind: str, record: UUID) -> None:
    """Print a record in conflict: every value, who gave it, and the context; keep it for `conflict settle`."""
    from server.review import text_lists

    click.echo(load_text(data, lambda hub, now: text_lists.show_conflict(hub, kind, str(record), now)))


@conflict.command("settle")
@data_option
@click.argument("shown", type=_json_file)
@click.option("--choose", multiple=True, metavar="REGISTER=N", help="Take the N-th value shown, from 1.")
@click.option("--value", multiple=True, metavar="REGISTER=JSON", help="Give a new value.")
@click.option("--removal", type=click.Choice(["keep", "remove"]), help="Decide a contested removal.")
@click.option("--reason", required=True, help="A code, such as measured-again; a wrong one lists them all.")
def conflict_settle(
    data: Path | None,
    shown: Path,
    choose: tuple[str, ...],
    value: tuple[str, ...],
    removal: str | None,
    reason: str,
) -> None:
    """Settle a record in conflict as it was printed by `conflict show` into the file SHOWN."""
    from server.review import Scope
    from server.review.conflicts import settle

    record = read_json(shown)
    chosen = {**_chosen(record, choose), **_given(value)}
    asked = {"context": record.get("context"), "reason": reason, "set": chosen, "removal": removal}

    def work(hub: Any, session: Any, now: datetime) -> Any:
        scope = Scope.whole_district(hub, shows_names=True)
        kind, record_id = str(record.get("kind")), str(record.get("record"))
        return settle(session, hub, scope, kind, record_id, asked, author=OPERATOR, now=now)

    settled = commit_change(data, work)
    _print_result(settled)
    sys.exit(NEEDS_ATTENTION if settled.remaining else 0)


def _chosen(record: dict[str, Any], choose: tuple[str, ...]) -> dict[str, Any]:
    """Return the dots of the values chosen by number."""
    chosen = {}
    for each in choose:
        register, _, number = each.partition("=")
        try:
            several = record["conflicts"][register]
            chosen[register] = {"dots": several[range(1, len(several) + 1).index(int(number))]["dots"]}
        except (KeyError, TypeError, ValueError):
            wrong_use(f"--choose {each}: name a register in conflict and the number of a value shown, from 1")
    return chosen


def _given(value: tuple[str, ...]) -> dict[str, Any]:
    """Parse new values."""
    import json

    given = {}
    for each in value:
        register, _, text = each.partition("=")
        try:
            given[register] = {"value": json.loads(text)}
        except ValueError as error:
            wrong_use(f"--value {register}: what follows '=' is no JSON: {error}")
    return given


def _print_result(done: Any) -> None:
    """Print the result of a decision, as JSON."""
    import json

    click.echo(json.dumps(done.wire(), ensure_ascii=False))


@main.group()
def duplicate() -> None:
    """Children who may be registered twice: list, show, link, unlink, call different, reopen. What is shown is logged."""


@duplicate.command("list")
@data_option
@reason_option()
@format_option
@click.option(
    "--status", type=click.Choice(["open", "linked", "different"]), default="open", show_default=True
)
def duplicate_list(data: Path | None, form: str, status: str) -> None:
    """List pairs of children who may be one, those for whom most speaks first."""
    from server.review import text_lists

    text = load_text(data, lambda hub, now: text_lists.list_duplicates(hub, form, status=status, now=now))
    click.echo(text.rstrip("\n"))


@duplicate.command("show")
@data_option
@reason_option()
@click.argument("child", type=click.UUID)
@click.argument("other", type=click.UUID)
def duplicate_show(data: Path | None, child: UUID, other: UUID) -> None:
    """Print two children side by side: who they are, where, and what speaks for one child."""
    from server.review import text_lists

    click.echo(load_text(data, lambda hub, now: text_lists.show_duplicate(hub, str(child), str(other), now)))


@duplicate.command("link")
@data_option
@click.argument("child", type=click.UUID)
@click.argument("other", type=click.UUID)
def duplicate_link(data: Path | None, child: UUID, other: UUID) -> None:
    """Say that two records are of one child: their measurements are read together, and both ids go on working."""
    _decide_pair(data, "link", child, other)


@duplicate.command("unlink")
@data_option
@click.argument("child", type=click.UUID)
@click.argument("other", type=click.UUID)
def duplicate_unlink(data: Path | None, child: UUID, other: UUID) -> None:
    """Take the link between two records back: each is a child of its own again, as before."""
    _decide_pair(data, "unlink", child, other)


@duplicate.command("different")
@data_option
@click.argument("child", type=click.UUID)
@click.argument("other", type=click.UUID)
def duplicate_different(data: Path | None, child: UUID, other: UUID) -> None:
    """Say that two records are of two children; they are not found as a pair again."""
    _decide_pair(data, "different", child, other)


@duplicate.command("reopen")
@data_option
@click.argument("child", type=click.UUID)
@click.argument("other", type=click.UUID)
def duplicate_reopen(data: Path | None, child: UUID, other: UUID) -> None:
    """Take back that two records are of two children: the pair waits for somebody again."""
    _decide_pair(data, "reopen", child, other)


def _decide_pair(data: Path | None, decision: str, child: UUID, other: UUID) -> None:
    """Decide about a pair in its current state, and print the result."""
    from server.review import Scope, duplicate_pairs

    one, two = str(child), str(other)

    def work(hub: Any, session: Any, now: datetime) -> Any:
        scope = Scope.whole_district(hub, shows_names=False)
        if decision in ("different", "reopen"):
            part = duplicate_pairs.different if decision == "different" else duplicate_pairs.reopen
            return part(session, hub, scope, one, two, author=OPERATOR, now=now)
        sides = duplicate_pairs.pair(session, hub, scope, one, two)
        seen = {side.child_id: side.context for side in (sides.one, sides.other)}
        decide = duplicate_pairs.link if decision == "link" else duplicate_pairs.unlink
        return decide(session, hub, scope, one, two, seen, author=OPERATOR, now=now)

    _print_result(commit_change(data, work))


@main.group()
def child() -> None:
    """Children: which post they belong to, and which of them are one."""


@child.command("move")
@data_option
@click.argument("child_id", metavar="CHILD", type=click.UUID)
@click.option("--to", required=True, help="The post that the child goes to (name or id).")
def child_move(data: Path | None, child_id: UUID, to: str) -> None:
    """Send a child to another post; both posts are told, and edits under way from the old one are routed."""
    from server.database.models import Child
    from server.review import Scope
    from server.review.moves import move

    def work(hub: Any, session: Any, now: datetime) -> Any:
        present = session.get(Child, (hub.district, str(child_id)))
        going = {"from": present.post_id if present else None, "to": post_id_of(session, hub, to)}
        scope = Scope.whole_district(hub, shows_names=True)
        return move(session, hub, scope, str(child_id), going, author=OPERATOR, now=now)

    _print_result(commit_change(data, work))
