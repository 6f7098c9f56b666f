"""A forgotten PIN: staff make the code with which a tablet's cadre chooses a new one. It is shown once, in the answer to a
POST.
"""

from datetime import timedelta

from flask import Blueprint, render_template, request

from server.accounts.recovery import CODE_MINUTES
from server.review import lost_tablet, tablets
from server.web.auth import permitted
from server.web.current import acting, hub, scope, utc_now
from server.web.proof import proven
from server.web.request_schemas.schema import takes_empty_form

bp = Blueprint("forgotten_pin", __name__)


@bp.route("/tablet/<tablet_id>/pin", methods=["GET", "POST"])
@permitted("manage_tablets")
@proven
@takes_empty_form
def give_code(tablet_id: str) -> str:
    """Ask whether it is the cadre who asks, then show the code, once."""
    now = utc_now()
    with hub().database.reading() as session:
        tablet = lost_tablet.tablet(session, hub(), scope(), tablet_id)
    code = ""
    if request.method == "POST":
        with hub().database.transaction() as session:
            code = tablets.make_pin_code(session, hub(), scope(), tablet_id, actor=acting(), now=now)
    ends = now + timedelta(minutes=CODE_MINUTES)
    return render_template("tablet_pin.html", tablet=tablet, code=code, expires_at=ends)
