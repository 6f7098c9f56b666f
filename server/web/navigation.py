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
            *("pages.child", "pages.find_child", "follow_ups.decide"),
            *("decisions.disputes", "decisions.dispute", "decisions.settle"),
            *("decisions.pairs", "decisions.pair", "decisions.decide_pair"),
            *(
                "decisions.cases",
                "decisions.case",
                "decisions.decide_case",
                "decisions.move",
                "decisions.send_away",
            ),
            *("privacy.all_requests", "privacy.of_child", "privacy.ask", "privacy.consent", "privacy.answer"),
        ),
    ),
    NavLink("figures.own", N_("Figures"), "see_figures", also=("figures.area",)),
    NavLink(
        "posts.all_posts",
        N_("Posyandu"),
        "see_children",
        also=(
            *("posts.one_post", "posts.list_for_day"),
            *(
                "manage_posts.manage",
                "manage_posts.add",
                "manage_posts.change",
                "manage_posts.rename",
                "manage_posts.close",
            ),
        ),
    ),
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
        "audit.overview",
        N_("Supervision"),
        "audit",
        also=(
            *("audit.all_batches", "audit.one_batch", "audit.unusual", "audit.complete"),
            *("audit.history", "audit.the_log", "audit.verify_now", "audit.outside_eyes"),
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
        "people.people",
        N_("People"),
        "manage_people",
        also=("people.invite", "people.reset"),
    ),
    NavLink(
        "people.account",
        N_("My account"),
        None,
        also=("people.change_password", "people.recovery_codes"),
    ),
]


def links() -> list[NavLink]:
    """Return the links for the person who asks; none before the second factor."""
    person = g.get("person")
    if person is None:
        return []
    return [entry for entry in ENTRIES if entry.permission is None or person.may(entry.permission)]
