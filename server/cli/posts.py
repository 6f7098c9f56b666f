"""`post …`: the posyandu of the district."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from server.cli.installation import (
    OPERATOR,
    area_option,
    commit_change,
    data_option,
    format_option,
    load_text,
    main,
    post_id_of,
)


@main.group()
def post() -> None:
    """Add, list, rename and close posyandu."""


@post.command("add")
@data_option
@click.argument("name")
@click.option("--village", required=True, help="Its desa or kelurahan: name, or code such as 64.02.06.1001.")
@click.option(
    "--health-centre",
    default="",
    help="Its health centre (name or id); left out: that of the kecamatan, made if there is none.",
)
def post_add(data: Path | None, name: str, village: str, health_centre: str) -> None:
    """Add a posyandu and print its id."""
    from server.review import manage_posts

    asked = {"name": name, "village": village, "health_centre": health_centre}

    def work(hub: Any, session: Any, now: datetime) -> str:
        return manage_posts.add(session, hub, _whole(hub), asked, actor=OPERATOR, now=now)

    click.echo(commit_change(data, work))


@post.command("list")
@data_option
@area_option
@format_option
def post_list(data: Path | None, area: str | None, form: str) -> None:
    """List posyandu: village, health centre, children under five, tablets, last sync, when it was closed."""
    from server.review import text_lists

    def look(hub: Any, now: datetime) -> str:
        return text_lists.list_posts(hub, form, scope=_scope_of(hub, area), now=now)

    click.echo(load_text(data, look).rstrip("\n"))


@post.command("rename")
@data_option
@click.argument("post", metavar="POST")
@click.argument("name")
def post_rename(data: Path | None, post: str, name: str) -> None:
    """Give a posyandu (name or id) another NAME. Tablets show it when they enrol again."""
    from server.review import manage_posts

    def work(hub: Any, session: Any, now: datetime) -> None:
        post_id = post_id_of(session, hub, post)
        manage_posts.rename(session, hub, _whole(hub), post_id, name, actor=OPERATOR, now=now)

    commit_change(data, work)


@post.command("close")
@data_option
@click.argument("post", metavar="POST")
@click.option("--into", help="The posyandu (name or id) to which all its children move first.")
def post_close(data: Path | None, post: str, into: str | None) -> None:
    """Close a posyandu (name or id): it takes no new tablets and no children. 'post reopen' takes it back."""
    from server.review import manage_posts

    def work(hub: Any, session: Any, now: datetime) -> Any:
        going = post_id_of(session, hub, into) if into else None
        closed = post_id_of(session, hub, post)
        return manage_posts.close(session, hub, _whole(hub), closed, into=going, actor=OPERATOR, now=now)

    done = commit_change(data, work)
    said = f"{done.post.name}: ditutup, anak yang dipindahkan: {done.children} / closed, children moved: {done.children}"
    click.echo(said, err=True)
    if done.tablets:
        click.echo(
            f"Tablet yang masih terdaftar di sana: {done.tablets}; cabut setelah semua kirimannya tiba (tablet list, tablet"
            f" revoke). / Tablets still enrolled there: {done.tablets}; revoke them when all they hold has arrived.",
            err=True,
        )


@post.command("reopen")
@data_option
@click.argument("post", metavar="POST")
def post_reopen(data: Path | None, post: str) -> None:
    """Open a closed posyandu (name or id) again; children who moved stay where they are."""
    from server.review import manage_posts

    def work(hub: Any, session: Any, now: datetime) -> None:
        post_id = post_id_of(session, hub, post)
        manage_posts.reopen(session, hub, _whole(hub), post_id, actor=OPERATOR, now=now)

    commit_change(data, work)


def _whole(hub: Any) -> Any:
    from server.review import Scope

    return Scope.whole_district(hub, shows_names=False)


def _scope_of(hub: Any, area: str | None) -> Any:
    """Return the scope of a region's code, or of a posyandu."""
    from server.review import Scope

    if area is None:
        return _whole(hub)
    kinds = {2: "district", 3: "subdistrict", 4: "village"}
    kind = kinds.get(len(area.split("."))) if area.replace(".", "").isdigit() else None
    if kind:
        return Scope(kind, area, shows_names=False)
    with hub.database.reading() as session:
        return Scope("post", post_id_of(session, hub, area), shows_names=False)
