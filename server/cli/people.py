"""`tablet …` and `user …`: which tablets and people have access."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from server.cli.installation import (
    OPERATOR,
    ROLES,
    commit_change,
    data_option,
    donor_id_of,
    errors_in_one_line,
    format_option,
    is_uuid,
    load_text,
    main,
    open_hub,
    post_id_of,
    settings_of,
    wrong_use,
)
from server.cli.reasons import reason_option


def _one_line(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    """Refuse a name with line breaks or unprintable characters."""
    if not name.strip() or not name.isprintable() or len(name) > 100:
        raise click.BadParameter("give 1 to 100 visible characters")
    return name.strip()


@main.group()
def tablet() -> None:
    """Enrol, list and revoke tablets."""


@tablet.command("enrol")
@data_option
@reason_option()
@click.option(
    "--post",
    "posts",
    required=True,
    multiple=True,
    help="The tablet's post (name or id). Several times: a tablet of staff with up to ten posts.",
)
@click.option(
    "--staff", is_flag=True, help="A tablet of staff, whose posts can be changed, though it has one post yet."
)
@click.option(
    "--name", required=True, callback=_one_line, help="What the tablet is called, such as 'Tablet Melati 1'."
)
@click.option("--write-only", is_flag=True, help="For a device that only sends, such as a scale.")
def tablet_enrol(
    data: Path | None, posts: tuple[str, ...], name: str, *, staff: bool, write_only: bool
) -> None:
    """Print a one-time code with which a device becomes a tablet of a post, or a tablet of staff with several."""
    from server import accounts

    def work(hub: Any, session: Any, now: datetime) -> str:
        home, *others = [post_id_of(session, hub, post) for post in posts]
        return accounts.make_enrolment_code(
            *(session, hub, home, name),
            actor=OPERATOR,
            now=now,
            write_only=write_only,
            posts=others if others or staff else None,
        )

    click.echo(commit_change(data, work))  # after the commit: an uncommitted code would not work


@tablet.command("pin-code")
@data_option
@reason_option()
@click.argument("tablet_id", type=click.UUID)
def tablet_pin_code(data: Path | None, tablet_id: UUID) -> None:
    """Print a one-time code with which the cadre of a tablet chooses a new PIN; valid for an hour."""
    from server.accounts import recovery

    click.echo(
        commit_change(
            data,
            lambda hub, s, now: recovery.make_pin_code(s, hub, str(tablet_id), actor=OPERATOR, now=now),
        )
    )


@tablet.command("list")
@data_option
@format_option
def tablet_list(data: Path | None, form: str) -> None:
    """List tablets: changes held, told of and missing, set aside; last contact, clock, state; what each goes on from."""
    from server.review import text_lists

    click.echo(load_text(data, lambda hub, _: text_lists.list_tablets(hub, form)).rstrip("\n"))


@tablet.command("whose-data")
@data_option
@reason_option(required=True)
@click.argument("tablet_id", type=click.UUID)
@click.option("--format", "form", type=click.Choice(["csv", "json"]), default="csv", show_default=True)
def tablet_whose_data(data: Path | None, tablet_id: UUID, form: str) -> None:
    """List whose data was on a lost tablet, with names; that is logged."""
    import json

    from server import audit
    from server.review import Scope, lost_tablet

    def look(hub: Any, now: datetime) -> str:
        scope = Scope.whole_district(hub, shows_names=True)
        with hub.database.reading() as session:
            found = lost_tablet.exposure(session, hub, scope, str(tablet_id))
        details = {"tablet": found.tablet.id, "children": len(found.children), "names": True}
        stream = audit.post_stream(found.tablet.post_id)
        with hub.database.transaction() as session:
            audit.append(
                *(session, hub.district, stream, "tablet.exposure-exported"),
                actor=OPERATOR,
                now=now,
                details=details,
            )
        if form == "json":
            return json.dumps(found.wire(), ensure_ascii=False, indent=1)
        return "".join(lost_tablet.exposure_csv(found))

    click.echo(load_text(data, look).rstrip("\r\n"))


@tablet.command("posts")
@data_option
@reason_option()
@click.argument("tablet_id", type=click.UUID)
@click.option(
    "--give",
    multiple=True,
    help="A post (name or id) that a tablet of staff gets; several times for several.",
)
@click.option(
    "--take", multiple=True, help="A post that it loses: it wipes that post's children at its next sync."
)
def tablet_posts(data: Path | None, tablet_id: UUID, give: tuple[str, ...], take: tuple[str, ...]) -> None:
    """Give posts to a tablet of staff and take posts from it, and list those that it has then."""
    from server import accounts

    def work(hub: Any, session: Any, now: datetime) -> str:
        given, taken = ({post_id_of(session, hub, post) for post in names} for names in (give, take))
        has = accounts.post_ids_of(session, hub.district, str(tablet_id))
        if given or taken:
            wanted = (has | given) - taken
            accounts.change_posts(session, hub, str(tablet_id), wanted, actor=OPERATOR, now=now)
        posts = accounts.posts_of(session, hub.district, str(tablet_id))
        return "\n".join(f"{post.id}  {post.name}" for post in posts)

    click.echo(
        commit_change(data, work)
        if give or take
        else load_text(data, lambda hub, now: _listed(hub, now, work))
    )


def _listed(hub: Any, now: datetime, work: Any) -> str:
    with hub.database.reading() as session:
        return str(work(hub, session, now))


@tablet.command("revoke")
@data_option
@reason_option()
@click.argument("tablet_id", type=click.UUID)
def tablet_revoke(data: Path | None, tablet_id: UUID) -> None:
    """Revoke a tablet: what it still sends is kept for a person to judge."""
    from server import accounts

    commit_change(
        data, lambda hub, s, now: accounts.revoke_tablet(s, hub, str(tablet_id), actor=OPERATOR, now=now)
    )


@main.group()
def user() -> None:
    """Add, invite, list, reset and disable people who sign in."""


@user.command("add")
@data_option
@reason_option()
@click.argument("username")
@click.option("--name", "display_name", required=True, callback=_one_line, help="The person's name as shown.")
@click.option("--role", type=click.Choice(list(ROLES)), required=True)
@click.option("--post", help="May see this post only (name or id).")
@click.option("--health-centre", help="May see this health centre only (id).")
@click.option("--village", help="May see this desa or kelurahan only (code).")
@click.option("--subdistrict", help="May see this kecamatan only (code).")
@click.option("--donor", help="With the role donor: the donor whose aid they see (name or id).")
@click.option("--password", help="Asked for if not given.")
@click.option("--invite", is_flag=True, help="Set no password: print a one-time link with which they set it.")
def user_add(
    data: Path | None,
    username: str,
    display_name: str,
    role: str,
    password: str | None,
    invite: bool,
    **area: str | None,
) -> None:
    """Add a person; without an area they see the whole district (a donor: nothing)."""
    from server import accounts

    given = {kind: wanted for kind, wanted in area.items() if wanted}
    if len(given) > 1:
        options = " or ".join(f"--{kind.replace('_', '-')}" for kind in area)
        wrong_use(f"give {options}, not both")
    if invite and password:
        wrong_use("give --password or --invite, not both")
    if not invite and password is None:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)

    chosen = None
    if password is not None:  # hashed before the transaction
        chosen = accounts.new_password(
            password, accounts.people.normal_username(username), display_name.strip()
        )

    def work(hub: Any, session: Any, now: datetime) -> str | None:
        kind, scope = _area(session, hub, role, given)
        account_id = accounts.add_account(
            session, hub, username, display_name, role, kind, scope, chosen, actor=OPERATOR, now=now
        )
        if not invite:
            return None
        added = accounts.people.managed_account(session, hub, None, account_id)
        return accounts.people.make_invitation(session, hub, added, actor=OPERATOR, now=now)

    _print_link(data, commit_change(data, work))


def _area(session: Any, hub: Any, role: str, given: dict[str, str]) -> tuple[str, str]:
    """Return kind and id of the scope in the options."""
    for kind, wanted in given.items():
        if kind == "post":
            return kind, post_id_of(session, hub, wanted)
        if kind == "health_centre":
            return kind, _health_centre_id(session, hub, wanted)
        if kind == "donor":
            return kind, donor_id_of(session, hub, wanted)
        return kind, wanted
    return ("none", "") if role == "donor" else ("district", hub.district)


def _print_link(data: Path | None, token: str | None) -> None:
    """Print the link of an invitation, with the server's public address if it is configured."""
    from server.accounts.people import INVITATION_DAYS

    if token is None:
        return
    click.echo(f"{settings_of(data).public_url}/undangan#{token}")
    click.echo(
        f"Tautan sekali pakai, {INVITATION_DAYS} hari: buka di alamat server, misalnya https://…/undangan#…"
        f" / One-time link, {INVITATION_DAYS} days: open it at the server's address.",
        err=True,
    )


def _health_centre_id(session: Any, hub: Any, wanted: str) -> str:
    from server.database.models import HealthCentre

    if not is_uuid(wanted) or session.get(HealthCentre, (hub.district, wanted.lower())) is None:
        wrong_use(f"there is no health centre {wanted!r}")
    return wanted.lower()


@user.command("list")
@data_option
def user_list(data: Path | None) -> None:
    """List people: user name, role, what they may see, state."""
    from server.accounts.people import people

    hub = open_hub(data)
    with errors_in_one_line(), hub.database.reading() as session:
        rows = people(session, hub, None, datetime.now(UTC))
    click.echo("username\trole\tscope\tstate")
    for row in rows:
        click.echo(f"{row.username}\t{row.role}\t{row.scope_kind} {row.scope}".rstrip() + f"\t{row.state}")


@user.command("reset")
@data_option
@reason_option()
@click.argument("username")
def user_reset(data: Path | None, username: str) -> None:
    """Print a one-time link with which somebody sets a new password and a new second factor.

    Until it is opened nothing changes; then the old password, the second factor and every session end.
    """
    from server.accounts.people import account_named, make_invitation

    def work(hub: Any, session: Any, now: datetime) -> str:
        found = account_named(session, hub, username)
        return make_invitation(session, hub, found, actor=OPERATOR, now=now)

    _print_link(data, commit_change(data, work))


@user.command("disable")
@data_option
@reason_option()
@click.argument("username")
def user_disable(data: Path | None, username: str) -> None:
    """Take a person's right to sign in and end their sessions."""
    from server import accounts

    commit_change(
        data, lambda hub, s, now: accounts.disable_account(s, hub, username, actor=OPERATOR, now=now)
    )


@user.command("enable")
@data_option
@reason_option()
@click.argument("username")
def user_enable(data: Path | None, username: str) -> None:
    """Give the right to sign in back."""
    from server.accounts.people import account_named, enable

    def work(hub: Any, session: Any, now: datetime) -> None:
        enable(session, hub, account_named(session, hub, username), actor=OPERATOR, now=now)

    commit_change(data, work)
