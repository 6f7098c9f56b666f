"""Makes a database follow the list of what was withdrawn (`withdrawals`): what it lacks is decided in it again.

A decision is lacking if the database's own log has none about the same matter that is as late or later. What concerns a
tablet, account or child that the database does not have is left in the list: a tablet may send the child again, and then
the job applies it.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from server import accounts, privacy
from server.accounts import people
from server.backup.refusals import BackupRefused
from server.backup.withdrawals import (
    CLOSED,
    DISABLED,
    ENABLED,
    ERASED,
    LIFTED,
    PASSKEYS,
    POST_GIVEN,
    POST_TAKEN,
    RECOVERY_CODES,
    RESTRICTED,
    REVOKED,
    SECRETS,
    Decision,
    Decisions,
    Withdrawals,
    from_log,
    keep,
    list_in,
    read_list,
)
from server.config import Settings
from server.context import AppContext
from server.crypto.key_file import load_keys
from server.crypto.vault import Vault
from server.database.engine import Database, among
from server.database.models import Account, Base, Child, Passkey, RecoveryCode, Tablet, TabletPost, table
from server.translations import T_, Text

JOB: Final = "job:withdrawals"
SENT_AGAIN: Final = frozenset({RESTRICTED, LIFTED, ERASED})
"""What can be lacking without a restore: a tablet sends a child again that the restored database did not have."""
KINDS: Final[Mapping[str, Text]] = {
    REVOKED: T_("{count} tablets revoked again"),
    CLOSED: T_("{count} enrolments of tablets closed again"),
    POST_TAKEN: T_("{count} posts taken from tablets again"),
    POST_GIVEN: T_("{count} posts given to tablets again"),
    DISABLED: T_("{count} accounts disabled again"),
    ENABLED: T_("{count} accounts enabled again"),
    SECRETS: T_(
        "{count} accounts had a newer password or second factor, and the older ones no longer work: invite them"
    ),
    RECOVERY_CODES: T_(
        "{count} accounts had used or replaced recovery codes, and the older ones no longer work"
    ),
    PASSKEYS: T_("{count} passkeys ended, as one of the account was removed: their owners add new ones"),
    RESTRICTED: T_("{count} children restricted again"),
    LIFTED: T_("{count} children whose restriction was lifted again"),
    ERASED: T_("{count} children erased again"),
}
"""What was made again, for the operator."""
OPENED: Final = (
    T_("{count} open invitations ended: make new ones"),
    T_("{count} unused enrolment codes ended: make new ones"),
)
LIST_ENDS: Final = T_("what was withdrawn is known up to {until}: check what was withdrawn later by hand")
NO_LIST: Final = T_(
    "nothing tells what was withdrawn since the backup: check 'tablet list' and 'user list', and which children were "
    "restricted or erased"
)

_Apply = Callable[[Session, AppContext, Decision, str, datetime], object]


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a kind of decision is looked up and made again.

    Parameters
    ----------
    subject : the column with the id
    lacking : the rows in which the decision is not in force
    beside : columns with other ids that the subject names too, after "/"
    """

    model: type[Base]
    subject: Any
    lacking: ColumnElement[bool]
    apply: _Apply
    beside: tuple[Any, ...] = ()


def _revoke(session: Session, hub: AppContext, one: Decision, actor: str, now: datetime) -> None:
    accounts.revoke_tablet(session, hub, one.subject, actor=actor, now=now)


def _close(session: Session, hub: AppContext, one: Decision, actor: str, now: datetime) -> None:
    accounts.close_tablet(session, hub, one.subject, actor=actor, now=now)


def _take_post(session: Session, hub: AppContext, one: Decision, actor: str, now: datetime) -> None:
    tablet_id, post_id = one.subject.split("/")
    accounts.set_post(session, hub, tablet_id, post_id, given=False, actor=actor, now=now)


def _give_post(session: Session, hub: AppContext, one: Decision, actor: str, now: datetime) -> None:
    tablet_id, post_id = one.subject.split("/")
    accounts.set_post(session, hub, tablet_id, post_id, given=True, actor=actor, now=now)


def _disable(session: Session, hub: AppContext, one: Decision, actor: str, now: datetime) -> None:
    people.disable(session, hub, _account(session, hub, one), actor=actor, now=now)


def _enable(session: Session, hub: AppContext, one: Decision, actor: str, now: datetime) -> None:
    people.enable(session, hub, _account(session, hub, one), actor=actor, now=now)


def _end_secrets(session: Session, hub: AppContext, one: Decision, actor: str, now: datetime) -> None:
    people.end_secrets(session, hub, _account(session, hub, one), actor=actor, now=now)


def _end_codes(session: Session, hub: AppContext, one: Decision, actor: str, now: datetime) -> None:
    people.end_recovery_codes(session, hub, _account(session, hub, one), actor=actor, now=now)


def _end_passkeys(session: Session, hub: AppContext, one: Decision, actor: str, now: datetime) -> None:
    people.end_passkeys(session, hub, _account(session, hub, one), actor=actor, now=now)


def _account(session: Session, hub: AppContext, one: Decision) -> Account:
    return session.get_one(Account, (hub.district, one.subject), with_for_update=True)


def _restrict(session: Session, hub: AppContext, one: Decision, actor: str, now: datetime) -> None:
    privacy.restrict(session, hub, one.subject, actor=actor, now=now)


def _lift(session: Session, hub: AppContext, one: Decision, actor: str, now: datetime) -> None:
    privacy.lift(session, hub, one.subject, actor=actor, now=now)


def _erase(session: Session, hub: AppContext, one: Decision, actor: str, now: datetime) -> None:
    proposed_by, agreed_by = one.by or (actor, actor)
    privacy.erase_again(session, hub, one.subject, proposed_by=proposed_by, agreed_by=agreed_by, now=now)


_not_erased: Final = Child.wrapped_key.is_not(None)
_HOW: Final[Mapping[str, _Kind]] = {
    REVOKED: _Kind(Tablet, Tablet.id, Tablet.revoked_at.is_(None), _revoke),
    CLOSED: _Kind(Tablet, Tablet.id, Tablet.closed_at.is_(None), _close),
    POST_TAKEN: _Kind(
        *(TabletPost, TabletPost.tablet_id, TabletPost.taken_at.is_(None), _take_post),
        beside=(TabletPost.post_id,),
    ),
    POST_GIVEN: _Kind(
        *(TabletPost, TabletPost.tablet_id, TabletPost.taken_at.is_not(None), _give_post),
        beside=(TabletPost.post_id,),
    ),
    DISABLED: _Kind(Account, Account.id, Account.disabled_at.is_(None), _disable),
    ENABLED: _Kind(Account, Account.id, Account.disabled_at.is_not(None), _enable),
    SECRETS: _Kind(Account, Account.id, Account.password_hash != "", _end_secrets),
    RECOVERY_CODES: _Kind(RecoveryCode, RecoveryCode.account_id, RecoveryCode.used_at.is_(None), _end_codes),
    PASSKEYS: _Kind(Passkey, Passkey.account_id, Passkey.account_id.is_not(None), _end_passkeys),
    RESTRICTED: _Kind(Child, Child.id, _not_erased & Child.restricted_at.is_(None), _restrict),
    LIFTED: _Kind(Child, Child.id, _not_erased & Child.restricted_at.is_not(None), _lift),
    ERASED: _Kind(Child, Child.id, _not_erased, _erase),
}


def lacking(
    session: Session,
    district: str,
    listed: Withdrawals,
    kinds: Collection[str] = tuple(KINDS),
    own: Decisions | None = None,
) -> list[Decision]:
    """Return the decisions that are listed and that a database lacks, the earliest first.

    Parameters
    ----------
    own : the decisions in the database's log; read if it is needed and not given
    """
    found = [
        one
        for kind in kinds
        for one in _not_in_force(
            session, [d for d in listed.decisions.values() if (d.district, d.kind) == (district, kind)]
        )
    ]
    if not found:
        return []
    own = from_log(session).decisions if own is None else own
    return sorted(
        (one for one in found if one.matter not in own or own[one.matter].at < one.at), key=lambda one: one.at
    )


def _not_in_force(session: Session, decisions: list[Decision]) -> list[Decision]:
    """Return those decisions, of one district and kind, whose subject is there and does not show them."""
    if not decisions:
        return []
    how, district = _HOW[decisions[0].kind], decisions[0].district
    c = table(how.model).c
    query = select(how.subject, *how.beside).where(c.district == district, how.lacking, among(how.subject))
    first = [one.subject.partition("/")[0] for one in decisions]
    ids = {"/".join(row) for row in session.execute(query.distinct(), {"among": first})}
    return [one for one in decisions if one.subject in ids]


def apply(
    session: Session,
    hub: AppContext,
    listed: Withdrawals,
    *,
    actor: str,
    now: datetime,
    kinds: Collection[str] = tuple(KINDS),
) -> Counter[str]:
    """Make the decisions that a database lacks in it again; return how many of each kind. Each is logged."""
    done: Counter[str] = Counter()
    for one in lacking(session, hub.district, listed, kinds):
        if _not_in_force(session, [one]):  # an earlier one may have included it: linked children go together
            _HOW[one.kind].apply(session, hub, one, actor, now)
        done[one.kind] += 1
    return done


def apply_everywhere(
    session: Session,
    settings: Settings,
    database: Database,
    listed: Withdrawals,
    *,
    actor: str,
    now: datetime,
) -> Counter[str]:
    """As `apply`, for every district in a database."""
    done: Counter[str] = Counter()
    keys = load_keys(settings.key_file, create=False, command=settings.key_command)
    for district in sorted({one.district for one in listed.decisions.values()}):
        hub = AppContext(replace(settings, district=district), database, keys, Vault(keys, district))
        done += apply(session, hub, listed, actor=actor, now=now)
    return done


def keep_and_apply(hub: AppContext, now: datetime) -> Mapping[str, Any]:
    """Bring the list up to date, and apply to children that a tablet sent again what was decided about them before.

    Returns
    -------
    dict : the number of decisions in the list, and how many of each kind were applied
    """
    listed = keep(hub, now)
    with hub.database.reading() as session:
        found = lacking(session, hub.district, listed, SENT_AGAIN)
    done: Counter[str] = Counter()
    if found:
        with hub.database.transaction() as session:
            done = apply(session, hub, listed, actor=JOB, now=now, kinds=SENT_AGAIN)
    return {"listed": len(listed.decisions), **done}


# -- where a list is found ------------------------------------------------------------------------


def found_lists(settings: Settings, beside: Path | None, given: Path | None) -> list[Path]:
    """Return the lists that there are: in the data directory, with nightly backups, beside a backup, and the one given."""
    directories = [settings.data_dir, settings.backup_dir, beside]
    files = [list_in(one, settings.district) for one in directories if one is not None]
    return [*(file for file in dict.fromkeys(files) if file.exists()), *([given] if given else [])]


def read_lists(
    settings: Settings, vault: Vault, files: Collection[Path], *, skip_broken: bool
) -> Withdrawals:
    """Join lists.

    Parameters
    ----------
    skip_broken : leave out those that cannot be trusted

    Raises
    ------
    BackupRefused
        One cannot be trusted.
    """
    joined = Withdrawals()
    for file in files:
        try:
            joined = joined.joined(read_list(file, settings.key_file, vault))
        except BackupRefused:
            if not skip_broken:
                raise
    return joined
