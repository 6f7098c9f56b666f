"""`aid …`: donors, commitments, deliveries, and who in need has nothing."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from server.cli.installation import (
    OPERATOR,
    commit_change,
    data_option,
    donor_id_of,
    first_day_of,
    format_option,
    load_text,
    main,
    read_json,
    settings_of,
    wrong_use,
)
from server.cli.reasons import reason_option


@main.group()
def aid() -> None:
    """Donors and what they promised, and who in need has nothing."""


@aid.command("gap")
@data_option
@format_option
@click.option("--area", default="", help="Code of a desa or kecamatan; else the whole district.")
@click.option("--month", help="Aid of this month, such as 2026-03; the present one if none is given.")
def aid_gap(data: Path | None, form: str, area: str, month: str | None) -> None:
    """Say by village who in need has no aid, and what could close the gap. What is shown is logged."""
    from server.aid import need, register, serializers
    from server.aid.area import names_of
    from server.aid.typed_text import TextReader

    def look(hub: Any, now: datetime) -> str:
        today = hub.settings.today(now)
        first = first_day_of(month) if month else today.replace(day=1)
        last = min(need.months_on(first, 1), max(first, today))
        with hub.database.reading() as session:
            part = register.whole_district(session, hub).part(hub, area)
            shown = need.standing(session, hub, part, first, last, today)
            names = names_of(session, hub)
        with hub.database.transaction() as session:
            need.log_viewed(session, hub, shown, OPERATOR, now)
        if form == "json":
            text = TextReader.of(hub, part, OPERATOR)
            gap = serializers.gap(shown, names, text, sees_children=True)
            return serializers.json_of({"first": first, "last": last, **gap})
        return serializers.text_of(
            serializers.GAP, serializers.villages_of(shown, names, sees_children=True), form
        )

    click.echo(load_text(data, look).rstrip("\n"))


@aid.command("proposals")
@data_option
@format_option
@click.option("--area", default="", help="Code of a desa or kecamatan; else the whole district.")
def aid_proposals(data: Path | None, form: str, area: str) -> None:
    """List what could close the gap today: so many in need in a village, and the commitment for them. It is logged."""
    from server.aid import need, register, serializers

    def look(hub: Any, now: datetime) -> str:
        today = hub.settings.today(now)
        with hub.database.reading() as session:
            part = register.whole_district(session, hub).part(hub, area)
            shown = need.standing(session, hub, part, today, today, today)
        with hub.database.transaction() as session:
            need.log_viewed(session, hub, shown, OPERATOR, now)
        return serializers.listed(serializers.PROPOSALS, serializers.proposals(shown.proposals), form)

    click.echo(load_text(data, look).rstrip("\n"))


@aid.command("assign")
@data_option
@click.argument("commitment", type=click.UUID)
@click.option("--village", required=True, help="Code of the village.")
@click.option("--need", "needed", required=True, help="What is needed there: stunted, wasted, two_t or krs.")
@click.option(
    "--seen", required=True, help="As 'aid proposals' told it; when the gap has moved on, look again."
)
def aid_assign(data: Path | None, commitment: UUID, village: str, needed: str, seen: str) -> None:
    """Accept a proposal: promise a commitment to the children or families that it counted."""
    from server.aid import need, register

    def work(hub: Any, session: Any, now: datetime) -> int:
        area, wanted = register.whole_district(session, hub), (str(commitment), village, needed, seen)
        return need.assign(session, hub, area, *wanted, author=OPERATOR, now=now)

    click.echo(f"{commit_change(data, work)} assigned")


@aid.command("donors")
@data_option
@format_option
def aid_donors(data: Path | None, form: str) -> None:
    """List the donors."""
    from server.aid import register, serializers

    def look(hub: Any, _now: datetime) -> str:
        with hub.database.reading() as session:
            rows = [serializers.donor(donor) for donor in register.donors(session, hub)]
        return serializers.listed(serializers.DONORS, rows, form)

    click.echo(load_text(data, look).rstrip("\n"))


def _text_options(*options: tuple[str, str]) -> Callable[..., Any]:
    """Add text options to a command; their values are checked by `server.aid`."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for name, words in reversed(options):
            command = click.option(f"--{name}", help=words)(command)
        return command

    return add


def _only_given(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in asked.items() if value is not None}


_donor_options = _text_options(
    ("kind", "government, business, community, academia or media."),
    ("authority", "Who supervises a company: centre, province or regency; '' for nobody."),
    ("person", "Whom to talk to; this and the next three are kept sealed."),
    ("phone", "Their telephone."),
    ("address", "Their address."),
    ("legal-id", "The donor's legal identity, such as its NIB."),
)


@aid.command("add-donor")
@data_option
@click.argument("name")
@_donor_options
@click.option("--named", is_flag=True, help="It agrees to be named.")
def aid_add_donor(data: Path | None, **asked: Any) -> None:
    """Put a donor into the register; print its id."""
    from server.aid import register

    click.echo(
        commit_change(
            data,
            lambda hub, session, now: register.add_donor(session, hub, asked, author=OPERATOR, now=now),
        )
    )


@aid.command("change-donor")
@data_option
@click.argument("donor")
@click.option("--name", help="Its new name.")
@_donor_options
@click.option("--named/--not-named", default=None, help="Whether it agrees to be named.")
def aid_change_donor(data: Path | None, donor: str, **asked: Any) -> None:
    """Change what is known of DONOR (name or id): what is given alone."""
    from server.aid import register

    def work(hub: Any, session: Any, now: datetime) -> None:
        area, donor_id = register.whole_district(session, hub), donor_id_of(session, hub, donor)
        given = _only_given(asked)
        register.change_donor(session, hub, area, donor_id, given, author=OPERATOR, now=now)

    commit_change(data, work)


@aid.command("commitments")
@data_option
@format_option
def aid_commitments(data: Path | None, form: str) -> None:
    """List what donors promised and how much of it is assigned and delivered."""
    from server.aid import register, serializers

    def look(hub: Any, _now: datetime) -> str:
        with hub.database.reading() as session:
            rows = [serializers.commitment(promise) for promise in register.promises(session, hub)]
        return serializers.listed(serializers.COMMITMENTS, rows, form)

    click.echo(load_text(data, look).rstrip("\n"))


_MENU = ("menu", "food, insurance, counselling, latrine, water, housing or other.")


_FUNDS = ("funds", "Who pays: genting, csr, partner; dak, apbd, village are the state's.")


_commitment_options = _text_options(
    _MENU,
    _FUNDS,
    ("region", "Code of the village, subdistrict or regency where it may go."),
    ("places", "For how many children or families."),
    ("value-rp", "What it is worth for each, in whole rupiah."),
    ("starts-on", "From this day, such as 2026-03-01."),
    ("months", "For how many months."),
)


@aid.command("add-commitment")
@data_option
@click.argument("donor")
@_commitment_options
def aid_add_commitment(data: Path | None, donor: str, **asked: Any) -> None:
    """Write down what DONOR (name or id) promises; print the commitment's id."""
    from server.aid import register

    def work(hub: Any, session: Any, now: datetime) -> str:
        area = register.whole_district(session, hub)
        given = asked | {"donor": donor_id_of(session, hub, donor)}
        return register.add_commitment(session, hub, area, given, author=OPERATOR, now=now)

    click.echo(commit_change(data, work))


@aid.command("change-commitment")
@data_option
@click.argument("commitment", type=click.UUID)
@click.option("--donor", help="Another donor (name or id).")
@_commitment_options
def aid_change_commitment(data: Path | None, commitment: UUID, **asked: Any) -> None:
    """Change a commitment: what is given alone. What was assigned of it stands."""
    from server.aid import register

    def work(hub: Any, session: Any, now: datetime) -> None:
        area, given = register.whole_district(session, hub), _only_given(asked)
        if "donor" in given:
            given["donor"] = donor_id_of(session, hub, given["donor"])
        register.change_commitment(session, hub, area, str(commitment), given, author=OPERATOR, now=now)

    commit_change(data, work)


@aid.command("close")
@data_option
@click.argument("commitment", type=click.UUID)
@click.option("--reason", type=click.Choice(["fulfilled", "withdrawn", "ended", "mistaken"]), required=True)
def aid_close(data: Path | None, commitment: UUID, reason: str) -> None:
    """Close a commitment: nothing more is assigned of it; what was assigned stands."""
    from server.aid import register

    def work(hub: Any, session: Any, now: datetime) -> None:
        area = register.whole_district(session, hub)
        register.close(session, hub, area, str(commitment), reason, author=OPERATOR, now=now)

    commit_change(data, work)


@aid.command("progress")
@data_option
@click.argument("donor")
def aid_progress(data: Path | None, donor: str) -> None:
    """Print as JSON what DONOR (name or id) is told of what it funds: groups of five or more, never a child."""
    from server.aid import donor_view, serializers
    from server.aid.typed_text import TextReader

    def look(hub: Any, now: datetime) -> str:
        with hub.database.reading() as session:
            donor_id = donor_id_of(session, hub, donor)
            report = donor_view.of_donor(session, hub, donor_id, hub.settings.today(now))
        return serializers.json_of(serializers.own(report, TextReader(hub, OPERATOR, names=False)))

    click.echo(load_text(data, look))


@aid.command("activities")
@data_option
@format_option
@click.option("--area", default="", help="Code of a desa or kecamatan; else the whole district.")
@click.option(
    "--sheet", type=click.UUID, help="The rows of this sheet, instead of what was written down by hand."
)
def aid_activities(data: Path | None, form: str, area: str, sheet: UUID | None) -> None:
    """List what was done for villages. Who received something is not told."""
    from server.aid import register, serializers, sheets
    from server.aid.typed_text import TextReader

    def look(hub: Any, now: datetime) -> str:
        with hub.database.reading() as session:
            part = register.whole_district(session, hub).part(hub, area)
            if sheet is None:
                found = register.activities(session, hub, part)
            else:
                found = sheets.rows_of(
                    session, hub, part, sheets.find(session, hub, part, str(sheet), OPERATOR).id
                )
            text = TextReader.of(hub, part, OPERATOR)
            rows = [serializers.activity(row, text) for row in found]
        if sheet is not None:
            with hub.database.transaction() as session:
                sheets.log_viewed(session, hub, str(sheet), OPERATOR, now)
        return serializers.listed(serializers.ACTIVITIES, rows, form)

    click.echo(load_text(data, look).rstrip("\n"))


@aid.command("add-activity")
@data_option
@click.argument("title")
@click.option("--donor", help="Who gives it (name or id); nobody in particular if not given.")
@_text_options(
    _MENU,
    _FUNDS,
    ("village", "Code of the village."),
    ("starts-on", "From this day, such as 2026-03-01."),
    ("ends-on", "Until this day; the same day if not given."),
    ("value-rp", "What it is worth, in whole rupiah."),
    ("reached", "How many people it reached."),
    ("evidence", "What shows that it was done."),
)
def aid_add_activity(data: Path | None, donor: str | None, **asked: Any) -> None:
    """Write down what was done for a village, such as a well; print the activity's id."""
    from server.aid import register

    def work(hub: Any, session: Any, now: datetime) -> str:
        area = register.whole_district(session, hub)
        given = asked | ({"donor": donor_id_of(session, hub, donor)} if donor else {})
        return register.add_activity(session, hub, area, given, author=OPERATOR, now=now)

    click.echo(commit_change(data, work))


@aid.command("decide")
@data_option
@click.argument("activity", type=click.UUID)
@_text_options(
    ("category", "specific, sensitive, disaster or other."), _MENU, ("village", "Code of the village.")
)
@click.option(
    "--action",
    type=click.Choice(["apart", "drop", "restore", "verify"]),
    help="It doubles nothing; it does not count; it counts again; somebody has seen that it was done.",
)
def aid_decide(data: Path | None, activity: UUID, action: str | None, **asked: Any) -> None:
    """Overrule what was made of an activity or a row of a sheet, or verify it."""
    from server.aid import register

    given = _only_given(asked) | ({action: True} if action else {})
    if not given:
        wrong_use("nothing to decide: give --category, --menu, --village or --action")

    def work(hub: Any, session: Any, now: datetime) -> None:
        area = register.whole_district(session, hub)
        register.decide(session, hub, area, str(activity), given, author=OPERATOR, now=now)

    commit_change(data, work)


@aid.command("give")
@data_option
@click.argument("activity", type=click.UUID)
@click.argument("child_id", metavar="CHILD", type=click.UUID)
def aid_give(data: Path | None, activity: UUID, child_id: UUID) -> None:
    """Make a row of a sheet that gives a name alone the delivery of CHILD, or name the one that it tells again."""
    from server.aid import register, sheets

    def work(hub: Any, session: Any, now: datetime) -> str | None:
        area, ids = register.whole_district(session, hub), (str(activity), str(child_id))
        return sheets.give(session, hub, area, *ids, author=OPERATOR, now=now).same_by

    click.echo(commit_change(data, work))


@aid.command("sheets")
@data_option
@format_option
def aid_sheets(data: Path | None, form: str) -> None:
    """List the sheets of companies, the newest first; 'import csr' brings one, 'aid activities --sheet' tells its rows."""
    from server.aid import register, serializers, sheets
    from server.aid.typed_text import TextReader

    def look(hub: Any, _now: datetime) -> str:
        with hub.database.reading() as session:
            area = register.whole_district(session, hub)
            text = TextReader.of(hub, area, OPERATOR)
            rows = [serializers.sheet(one, text) for one in sheets.sheets(session, hub, area, OPERATOR)]
        return serializers.listed(serializers.SHEETS, rows, form)

    click.echo(load_text(data, look).rstrip("\n"))


@aid.command("child")
@data_option
@reason_option()
@format_option
@click.argument("child_id", metavar="CHILD", type=click.UUID)
def aid_child(data: Path | None, form: str, child_id: UUID) -> None:
    """List what CHILD got and is to get. That it was shown is logged."""
    from server.aid import deliveries, serializers
    from server.review import Scope

    def look(hub: Any, now: datetime) -> str:
        scope = Scope.whole_district(hub, shows_names=False)
        with hub.database.reading() as session:
            found = deliveries.of_child(session, hub, scope, str(child_id))
        with hub.database.transaction() as session:
            deliveries.log_viewed(session, hub, str(child_id), OPERATOR, now, scope)
        if form == "json":
            return serializers.json_of([serializers.given(one) for one in found])
        return serializers.text_of(serializers.OF_CHILD, [serializers.of_child(one) for one in found], form)

    click.echo(load_text(data, look).rstrip("\n"))


@aid.command("record")
@data_option
@click.argument("child_id", metavar="CHILD", type=click.UUID)
@click.argument("asked", metavar="FILE", type=click.Path(allow_dash=True, path_type=Path))
@click.option(
    "--delivery", type=click.UUID, help="The promised aid that came, as 'aid child' lists it; else a new one."
)
def aid_record(data: Path | None, child_id: UUID, asked: Path, delivery: UUID | None) -> None:
    """Write down an aid of CHILD, or that one came: a JSON object with any of aid, delivered, evidence, verified, note.

    Such as {"delivered": {"given_on": "2026-03-05"}, "verified": {"verified_on": "2026-03-06", "outcome": "received"}}
    in FILE, or "-" for standard input.
    """
    _record(data, child_id, read_json(asked), delivery)


@aid.command("verify")
@data_option
@click.argument("child_id", metavar="CHILD", type=click.UUID)
@click.argument("delivery", type=click.UUID)
@click.option("--outcome", required=True, help="received, partly or not_received.")
@click.option("--on", "day", help="The day on which somebody looked, such as 2026-03-05; today if not given.")
def aid_verify(data: Path | None, child_id: UUID, delivery: UUID, outcome: str, day: str | None) -> None:
    """Write down that somebody looked whether an aid of CHILD came, and found so."""
    today = settings_of(data).today(datetime.now(UTC)).isoformat()
    _record(data, child_id, {"verified": {"verified_on": day or today, "outcome": outcome}}, delivery)


def _record(data: Path | None, child_id: UUID, asked: dict[str, Any], delivery: UUID | None) -> None:
    from server.aid import deliveries
    from server.review import Scope

    def work(hub: Any, session: Any, now: datetime) -> None:
        scope, child = Scope.whole_district(hub, shows_names=False), str(child_id)
        given = dict(asked)
        if delivery is not None:
            given |= deliveries.named(session, hub, scope, child, str(delivery))
        deliveries.record(session, hub, scope, child, given, author=OPERATOR, now=now)

    commit_change(data, work)
