"""Signing in, the own account, and the people whom somebody manages."""

from typing import Final

from schemas.strict import choice
from server.accounts.roles import ROLES, SCOPE_KINDS
from server.web.request_schemas.parts import NEXT, TEXT, TICK, WORDS, one_of, texts
from server.web.request_schemas.schema import Fields, RequestSchema, Sent, checked

PERSON: Final[Fields] = {"username": TEXT, "name": TEXT}
ROLE: Final = checked(one_of(ROLES))

LANGUAGE: Final = RequestSchema(NEXT)
SIGN_IN: Final = RequestSchema(NEXT, {"username": TEXT, "password": TEXT})
INVITATION: Final = RequestSchema(form={"code": TEXT, "password": TEXT, "again": TEXT})
SECOND_FACTOR: Final = RequestSchema(NEXT, {"code": TEXT, "answer": TEXT})
NEW_PASSKEY: Final = RequestSchema(form={"name": TEXT, "answer": TEXT})
PASSKEY_NAME: Final = RequestSchema(form={"name": TEXT})
PASSKEY_SIGN_IN: Final = RequestSchema(NEXT, {"answer": TEXT})
PROOF: Final = RequestSchema(NEXT, {"proof_code": TEXT, "proof_password": TEXT, "proof_passkey": TEXT})
PROOF_JSON: Final = RequestSchema(json=texts(proof=TEXT))
SET_UP: Final = RequestSchema(NEXT, {"key": TEXT, "code": TEXT, "password": WORDS})
ACCOUNT: Final = RequestSchema({"diganti": Sent(TICK)})
PASSWORD: Final = RequestSchema(form={"old": TEXT, "password": TEXT, "again": TEXT})
RECOVERY_CODES: Final = RequestSchema(form={"password": TEXT})
PASSWORD_JSON: Final = RequestSchema(json=texts(old=TEXT, new=TEXT))

PEOPLE: Final = RequestSchema({"peran": ROLE, "keadaan": checked(one_of(("invited", "active", "disabled")))})
INVITE: Final = RequestSchema({"peran": ROLE}, {**PERSON, "scope": TEXT})
INVITE_JSON: Final = RequestSchema(
    json=texts(username=TEXT, name=TEXT, role=choice(*ROLES), scope_kind=choice(*SCOPE_KINDS), scope=TEXT)
)
