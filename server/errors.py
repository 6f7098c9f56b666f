"""Every reason to refuse a whole request, in one table: code, HTTP status, what happened and what to do.

A `Problem` may be raised anywhere and is answered by the web layer alone, as `application/problem+json` or as a page. An
invalid item of a batch is not a Problem: it is quarantined with its reasons and the rest of the batch goes on.
"""

from dataclasses import dataclass
from typing import Any, Final

from server.translations import T_, Text


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """Status and text of one code; `{name}` is filled from the details."""

    status: int
    text: Text


PROBLEMS: Final[dict[str, ProblemKind]] = {
    "body-not-gzip": ProblemKind(
        400,
        T_("The body is not complete gzip ({reason}). Send it again."),
    ),
    "body-not-json": ProblemKind(
        400,
        T_("The body is not valid JSON: {reason}. Mend the client, then send it again."),
    ),
    "body-too-deep": ProblemKind(
        400,
        T_("The JSON is nested more than {limit} levels deep. Send the form of docs/protocol.md."),
    ),
    "body-repeats-member": ProblemKind(
        400,
        T_("An object of the JSON has the member {member} twice. Mend the client, then send it again."),
    ),
    "batch-malformed": ProblemKind(
        400,
        T_("The batch cannot be read. See 'reasons'; nothing was stored, send it again once mended."),
    ),
    "enrolment-malformed": ProblemKind(
        400,
        T_("The request to enrol cannot be read. See 'reasons'; nobody was enrolled."),
    ),
    "request-malformed": ProblemKind(
        400,
        T_("The request cannot be read: {reason}."),
    ),
    "change-invalid": ProblemKind(
        422,
        T_("The change cannot be saved. See 'reasons', mend it, then send it again."),
    ),
    "csrf-invalid": ProblemKind(
        400,
        T_("This form has expired. Load the page again, then send it."),
    ),
    "signature-invalid": ProblemKind(
        401,
        T_(
            "The signature does not fit the key of tablet {tablet}. Enrol the tablet anew if its key is lost."
        ),
    ),
    "sign-in-required": ProblemKind(401, T_("Please sign in first.")),
    "sign-in-failed": ProblemKind(
        401,
        T_("User name or password does not fit. Check both, or ask the administrator to reset it."),
    ),
    "second-factor-required": ProblemKind(
        403,
        T_(
            "The second step of signing in is not done. Open the sign-in page, and give or set up the code of your app."
        ),
    ),
    "proof-required": ProblemKind(
        403,
        T_(
            "Show again that it is you: give a code of your app, or your password. That is good for {minutes} minutes."
        ),
    ),
    "passkey-failed": ProblemKind(
        401,
        T_("The passkey was not accepted. Load the page again and try once more, or use a code of your app."),
    ),
    "passkey-name": ProblemKind(422, T_("Give the passkey a name of 1 to {most} characters.")),
    "passkeys-full": ProblemKind(
        409, T_("You have {most} passkeys already. Remove one that you no longer use.")
    ),
    "second-factor-failed": ProblemKind(
        401,
        T_("The code does not fit or was used. Wait for the next one in the app, or use a recovery code."),
    ),
    "password-wrong": ProblemKind(
        403,
        T_("Your present password does not fit. Check it, then try again."),
    ),
    "passwords-differ": ProblemKind(
        422,
        T_("The two new passwords differ. Write the same one twice."),
    ),
    "person-refused": ProblemKind(
        422,
        T_("This cannot be saved. See 'reasons', mend it, then send it again."),
    ),
    "invitation-invalid": ProblemKind(
        404,
        T_("This invitation is wrong, used or expired. Ask the administrator for a new one."),
    ),
    "account-disabled": ProblemKind(
        409,
        T_("This account is disabled. Enable it first, then make an invitation."),
    ),
    "own-account": ProblemKind(
        409,
        T_("Your own account cannot be disabled or reset here. Ask another administrator to do it."),
    ),
    "import-case-decided": ProblemKind(
        409,
        T_("This row was decided already. Load the list again."),
    ),
    "import-run-closed": ProblemKind(
        409,
        T_("This file was applied or discarded already. Load the page again."),
    ),
    "days-unfit": ProblemKind(
        422,
        T_("The last day is the first or after it, at most {years} years."),
    ),
    "export-too-large": ProblemKind(
        422,
        T_("Too many measurements for this page ({count}, at most {limit}): choose fewer days."),
    ),
    "sheet-unreadable": ProblemKind(
        422,
        T_("The file cannot be read: {reason}."),
    ),
    "not-allowed": ProblemKind(
        403,
        T_("Your role does not cover this page. Ask the administrator if it should."),
    ),
    "row-forged": ProblemKind(
        403,
        T_(
            "A record that decides who may do what ({table}) was changed past this program, and is not accepted. Tell "
            "whoever runs the server: 'posyandu-sync doctor' names it."
        ),
    ),
    "tablet-unknown": ProblemKind(
        403,
        T_(
            "Tablet {tablet} is not known in district {district}. Enrol it with a code from the health centre."
        ),
    ),
    "tablet-revoked": ProblemKind(
        403,
        T_("Tablet {tablet} was revoked. Enrol it with a new code from the health centre."),
    ),
    "enrolment-code-invalid": ProblemKind(
        403,
        T_("The enrolment code is wrong, used or expired. Ask the health centre for a new one."),
    ),
    "pin-code-invalid": ProblemKind(
        403,
        T_("The code for a forgotten PIN is wrong, used or expired. Ask the health centre for a new one."),
    ),
    "enrolment-code-over": ProblemKind(
        409,
        T_("This code was used, cancelled or has expired. Load the list of tablets again."),
    ),
    "retention-holds": ProblemKind(
        409,
        T_(
            "This record is part of the health centre's medical records and must be kept until {until}."
            " Offer restriction instead."
        ),
    ),
    "request-answered": ProblemKind(
        409,
        T_("This request was answered before ({outcome}). That answer stands; load the page again."),
    ),
    "erasure-not-proposed": ProblemKind(
        409,
        T_("Nobody has proposed this erasure yet. Answer the request first."),
    ),
    "second-person-needed": ProblemKind(
        409,
        T_(
            "Another person must agree to an erasure, not who received or proposed it. Ask a supervisor to agree."
        ),
    ),
    "key-in-use": ProblemKind(
        409,
        T_(
            "Key {version} is still in use ({rows} rows), or a newer key is less than a day old."
            " Run 'key rotate' and wait a day."
        ),
    ),
    "record-unknown": ProblemKind(
        404,
        T_("No such record within your area of work."),
    ),
    "post-closed": ProblemKind(
        409,
        T_("The posyandu {post} is closed. Open it again first, or choose another one."),
    ),
    "post-has-children": ProblemKind(
        409,
        T_(
            "{post} cannot be closed while children are there: {children}. Choose a posyandu to which they all move, or"
            " move them one by one first."
        ),
    ),
    "post-children-stay": ProblemKind(
        409,
        T_(
            "{post} cannot be closed, and nobody was moved, while children cannot move: {children}. Their registration"
            " has not arrived or their posyandu is disputed. Let the tablets send and settle what is disputed, then"
            " close it."
        ),
    ),
    "post-name-taken": ProblemKind(
        409,
        T_("There is a posyandu {name} in this village already. Choose another name, such as {name} 2."),
    ),
    "village-unknown": ProblemKind(
        422,
        T_("No village here is called {village}. Give its name, or its code, such as 64.02.06.1001."),
    ),
    "village-unclear": ProblemKind(
        422,
        T_("Several villages are called {village}: {candidates}. Give the code of the right one."),
    ),
    "health-centre-unknown": ProblemKind(
        422,
        T_("No health centre here is called {wanted}. Give its name or its id."),
    ),
    "health-centre-unclear": ProblemKind(
        422,
        T_("Several health centres fit: {candidates}. Choose one of them."),
    ),
    "conflict-unknown": ProblemKind(
        404,
        T_(
            "No record in conflict has this id within your area of work; it may be settled already. Load the list again."
        ),
    ),
    "search-too-short": ProblemKind(
        400,
        T_("Type at least {letters} letters of a name, or all 16 digits of a NIK."),
    ),
    "search-too-wide": ProblemKind(
        400,
        T_(
            "Your area has {people} children; a name can be searched among {most}. Choose a posyandu first, or"
            " search by NIK."
        ),
    ),
    "page-unknown": ProblemKind(404, T_("There is nothing at this address.")),
    "method-not-allowed": ProblemKind(405, T_("This address does not take that request.")),
    "too-many-enrolments": ProblemKind(
        409,
        T_(
            "Too many devices have gone on from tablet {tablet}. Ask the health centre for a new enrolment code."
        ),
    ),
    "enrolment-open": ProblemKind(
        409,
        T_("Tablet {tablet} is in order and needs no new enrolment. Sync again."),
    ),
    "already-linked": ProblemKind(
        409,
        T_(
            "These two are one child already, or both are linked to others. Load them again and take a link back first."
        ),
    ),
    "not-linked": ProblemKind(
        409,
        T_(
            "Neither of these names the other. Load them again; they may hang together through a third record."
        ),
    ),
    "already-decided": ProblemKind(
        409,
        T_(
            "This change was decided before ({decision}, {decided_at}). That decision stands; load the list again."
        ),
    ),
    "nothing-to-undo": ProblemKind(
        409,
        T_("There is no decision to take back; somebody else may have done so. Load the page again."),
    ),
    "undo-refused": ProblemKind(
        409,
        T_(
            "This release cannot be taken back: what it made was changed or built upon since ({registers}). "
            "Mend it on the child's page or on a tablet."
        ),
    ),
    "aid-moved-on": ProblemKind(
        409,
        T_(
            "The gap or the commitment has changed since the page was opened; nothing was assigned. Look at the"
            " new proposals."
        ),
    ),
    "batch-id-reused": ProblemKind(
        409,
        T_("Batch id {batch} was used for other content. Give it a new id (UUIDv7), then send it again."),
    ),
    "batch-not-carried": ProblemKind(
        400,
        T_("This batch is not marked as carried. Seal one that was made to be carried."),
    ),
    "sealed-unreadable": ProblemKind(
        400,
        T_(
            "This sealed batch is cut short, altered or none at all. Ask the tablet for its file or QR codes once more."
        ),
    ),
    "sealed-for-another-server": ProblemKind(
        400,
        T_("This was sealed for another server. Bring it to the one where the tablet is enrolled."),
    ),
    "witness-malformed": ProblemKind(
        400,
        T_("This is no request to a witness ({reason}). Send the form of c2sp.org/tlog-witness."),
    ),
    "witness-log-unknown": ProblemKind(
        404,
        T_("This log is not witnessed here. Ask the operator to add its key."),
    ),
    "witness-signature-invalid": ProblemKind(
        403,
        T_(
            "No key that is trusted for this log has signed the checkpoint. Give the operator the present key."
        ),
    ),
    "witness-inconsistent": ProblemKind(
        422,
        T_(
            "The checkpoint does not continue the one that was cosigned before: the log was rewritten, or the proof is"
            " wrong. It was not cosigned."
        ),
    ),
    "batch-too-large": ProblemKind(
        413,
        T_("The batch exceeds the limit of {limit}. Split it into smaller ones."),
    ),
    "request-too-slow": ProblemKind(
        408,
        T_(
            "The request came too slowly: fewer than {least} bytes a second for {seconds} seconds. Nothing of it was"
            " stored; send it again where the signal is better."
        ),
    ),
    "request-line-too-long": ProblemKind(
        414,
        T_("The address exceeds the limit of {limit}. Send a shorter one."),
    ),
    "headers-too-large": ProblemKind(
        431,
        T_("The header fields exceed the limit of {limit}. Send fewer or shorter ones."),
    ),
    "expectation-unknown": ProblemKind(
        417,
        T_("This expectation cannot be met ({reason}). Send Expect: 100-continue, or none."),
    ),
    "transfer-coding-unknown": ProblemKind(
        501,
        T_(
            "This transfer coding is not known ({reason}). Send Content-Length, or Transfer-Encoding: chunked."
        ),
    ),
    "app-too-old": ProblemKind(
        426,
        T_(
            "This app ({app}) is too old; the server serves versions from {oldest} on. Open the app where there"
            " is a signal so"
            " that it renews itself, then send again. Your data are still on the tablet; nothing is lost."
        ),
    ),
    "media-type-unknown": ProblemKind(
        415,
        T_("Send application/json, with Content-Encoding: gzip if you like."),
    ),
    "too-many-tries": ProblemKind(
        429,
        T_("Too many tries. Try again in {seconds} seconds."),
    ),
    "too-many-connections": ProblemKind(
        429,
        T_("Too many connections from this address. Close some, or try again in {seconds} seconds."),
    ),
    "server-busy": ProblemKind(
        503,
        T_(
            "The server has too much to do just now. Your data are still on the tablet; try again in {seconds} seconds."
        ),
    ),
    "unavailable": ProblemKind(
        503,
        T_(
            "The server cannot store anything just now. Your data are still on the tablet; try again in {seconds} seconds."
        ),
    ),
    "internal": ProblemKind(
        500,
        T_(
            "Something went wrong on the server; it is on record as {request_id}. Your data are still on the tablet."
        ),
    ),
}


class Problem(Exception):
    """A request refused as a whole: raising it rolls back.

    Parameters
    ----------
    code : a key of PROBLEMS
    **details : values for the texts, and others for programs (never personal data)
    """

    def __init__(self, code: str, **details: Any) -> None:
        super().__init__(code)
        self.code = code
        self.kind = PROBLEMS[code]
        self.details = details

    @property
    def text(self) -> Text:
        """What happened and what to do, filled in."""
        return self.kind.text.format(**self.details)

    @property
    def retry_after(self) -> int | None:
        """After how many seconds the same request may be sent again (Retry-After); None if it says nothing of it."""
        return self.details.get("seconds") if self.kind.status in (429, 503) else None

    def body(self) -> dict[str, Any]:
        """Return the members of `application/problem+json` (RFC 9457), with `code` and both languages."""
        return {
            "type": f"urn:posyandu-sync:problem:{self.code}",
            "code": self.code,
            "status": self.kind.status,
            "title": self.text.id,
            "title_en": self.text.en,
            **{name: value for name, value in self.details.items() if name not in ("code", "status")},
        }
