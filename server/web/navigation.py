"""The navigation links of every page, in one list: a person sees those for which they have the permission."""

from typing import Final, NamedTuple

from flask import g

from server.translations import N_


class NavLink(NamedTuple):
    """A link: where it leads, what it is called, and the permission for it (None: everybody who is signed in).

    `also` are further endpoints on whose pages the link is marked as the present one.
    """

    endpoint: str
    label: str
    permission: str | None
    also: tuple[str, ...] = ()


ENTRIES: Final[list[NavLink]] = [
    NavLink(
        "pages.queue",
        N_("Review queue"),
        "see_children",
        # conflicts, pairs and quarantined changes are linked on the queue itself, to keep the navigation short
        also=(
            *("pages.child", "pages.find_child", "care.decide"),
            *("desk.disputes", "desk.dispute", "desk.settle"),
            *("desk.pairs", "desk.pair", "desk.decide_pair"),
            *("desk.cases", "desk.case", "desk.decide_case", "desk.move", "desk.send_away"),
            *("rights.all_requests", "rights.of_child", "rights.ask", "rights.consent", "rights.answer"),
        ),
    ),
    NavLink("figures.own", N_("Figures"), "see_figures", also=("figures.area",)),
    NavLink("posts.all_posts", N_("Posyandu"), "see_children", also=("posts.one_post", "posts.list_for_day")),
    NavLink(
        "aid.overview",
        N_("Aid"),
        "manage_aid",
        also=(
            "aid.donors",
            "aid.activities",
            "aid.all_sheets",
            "aid.one_sheet",
            "aid.child_aid",
            "aid.whose",
        ),
    ),
    NavLink("aid.own", N_("My aid"), "see_own_aid"),
    NavLink(
        "posts.all_tablets", N_("Tablets"), "see_tablets", also=("posts.enrol", "posts.revoke", "posts.lost")
    ),
    NavLink(
        "oversight.overview",
        N_("Supervision"),
        "audit",
        also=(
            *("oversight.all_batches", "oversight.one_batch", "oversight.unusual", "oversight.complete"),
            *("oversight.history", "oversight.the_log", "oversight.verify_now"),
        ),
    ),
    NavLink(
        "interchange.home",
        N_("Import and export"),
        "decide",
        also=(
            *("interchange.one_run", "interchange.rows", "interchange.decide_row"),
            *("interchange.upload", "interchange.take_away"),
        ),
    ),
    NavLink(
        "people_pages.people",
        N_("People"),
        "manage_people",
        also=("people_pages.invite", "people_pages.reset"),
    ),
    NavLink(
        "people_pages.account",
        N_("My account"),
        None,
        also=("people_pages.change_password", "people_pages.recovery_codes"),
    ),
]


def links() -> list[NavLink]:
    """Return the links for the person who asks; none before the second factor."""
    person = g.get("person")
    if person is None:
        return []
    return [entry for entry in ENTRIES if entry.permission is None or person.may(entry.permission)]
