"""The page that asks for the factor again before something is read (`server.web.proof`)."""

from flask import g, redirect, render_template, request

from server.web.auth import safe_path, signed_in
from server.web.pages.people import Answer, bp
from server.web.proof import give_proof, question
from server.web.request_schemas import accounts as schemas
from server.web.request_schemas.schema import Asked, takes


@bp.route("/akun/bukti", methods=["GET", "POST"])
@signed_in
@takes(schemas.PROOF)
def prove(asked: Asked) -> Answer:
    """Ask for the factor, then go on to what was asked for."""
    problem = give_proof(asked.form) if request.method == "POST" else None
    if request.method == "POST" and problem is None:
        return redirect(safe_path(asked.query["next"]))
    if problem is not None:
        g.problem = problem.code
    page = render_template("account_proof.html", **question(problem), kept=())
    return (page, problem.kind.status) if problem is not None else page
