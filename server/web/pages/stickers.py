"""The sheet of stickers for the Buku KIA of a posyandu's children: a QR code each, by which a tablet finds the child.

Which stickers are printed, and whether with names, is chosen on the page, by tick boxes that the print does not show; it
works without JavaScript. The page is logged like the list for a posyandu day.
"""

from dataclasses import dataclass

import segno
from flask import Blueprint, render_template

from server.children.sticker import PREFIX, spaced, sticker_code
from server.review import posts
from server.web.auth import permitted
from server.web.current import hub, local_today, person, scope, utc_now

bp = Blueprint("stickers", __name__)


@dataclass(frozen=True, slots=True)
class Sticker:
    """A child's sticker: `qr` is SVG, `text` the code for people."""

    child: posts.Expected
    qr: str
    text: str

    @classmethod
    def of(cls, child: posts.Expected) -> "Sticker":
        """Draw the sticker of a child."""
        code = sticker_code(child.child_id)
        made = segno.make(f"{PREFIX}{code}", error="q", micro=False)
        return cls(
            child, made.svg_inline(omitsize=True, border=4, svgclass="qr", lineclass=None), spaced(code)
        )


@bp.get("/pos/<post_id>/stiker")
@permitted("see_names")
def sheet(post_id: str) -> str:
    """Show the stickers of all children who are expected at a post, by name. Logged."""
    with hub().database.reading() as session:
        shown = posts.roster(session, hub(), scope(), post_id, local_today())
    with hub().database.transaction() as session:
        posts.log_stickers(session, hub(), person(), shown, utc_now())
    children = sorted((*shown.flagged, *shown.others), key=posts.by_name)
    return render_template(
        "post_stickers.html", post=shown.post, stickers=[Sticker.of(one) for one in children]
    )
