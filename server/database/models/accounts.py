"""Who signs in: accounts, sessions, invitations, recovery codes, saved views and rate limits.

`mac` of a row vouches for it (`database.row_macs`). Tokens and codes are stored as keyed digests only.
"""

from datetime import datetime

from sqlalchemy import Index, Integer, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from server.database.models.columns import Base, Count, Id, Moment, refers_to, table_args


class Account(Base):
    """A person who signs in. `scope` is the post, health centre or region that they may see, by `scope_kind`.

    - `password_hash`: "" until the invitation is used.
    - `totp_sealed`: the secret of the second factor under the district's key; None until it is set up.
    - `totp_step`: the newest time step used, so that no code works twice.
    """

    __tablename__ = "account"
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    username: Mapped[str] = mapped_column(Text)
    display_name: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    scope_kind: Mapped[str] = mapped_column(Text)
    scope: Mapped[str] = mapped_column(Text)
    password_hash: Mapped[str] = mapped_column(Text)
    disabled_at: Mapped[datetime | None] = mapped_column(Moment)
    created_at: Mapped[datetime] = mapped_column(Moment)
    totp_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    totp_step: Mapped[int | None] = mapped_column(Count)
    password_set_at: Mapped[datetime | None] = mapped_column(Moment)
    mac: Mapped[bytes | None] = mapped_column(LargeBinary)


class Username(Base):
    """Which account has which username, over all districts."""

    __tablename__ = "username"
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    district: Mapped[str] = mapped_column(Text)
    account_id: Mapped[str] = mapped_column(Id)
    mac: Mapped[bytes | None] = mapped_column(LargeBinary)


class Invitation(Base):
    """A one-time link with which a person sets a first or a new password. Only its digest is stored."""

    __tablename__ = "invitation"
    __table_args__ = table_args(refers_to("account", "account_id", to=("id",)))
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    token_digest: Mapped[str] = mapped_column(Text, primary_key=True)
    account_id: Mapped[str] = mapped_column(Id)
    made_by: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment)
    used_at: Mapped[datetime | None] = mapped_column(Moment)
    mac: Mapped[bytes | None] = mapped_column(LargeBinary)


class RecoveryCode(Base):
    """A code that replaces the second factor once. Only its digest is stored."""

    __tablename__ = "recovery_code"
    __table_args__ = table_args(refers_to("account", "account_id", to=("id",)))
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    account_id: Mapped[str] = mapped_column(Id, primary_key=True)
    code_digest: Mapped[str] = mapped_column(Text, primary_key=True)
    used_at: Mapped[datetime | None] = mapped_column(Moment)
    mac: Mapped[bytes | None] = mapped_column(LargeBinary)


class Passkey(Base):
    """A passkey (WebAuthn) of a person: its public key, and how often the authenticator says it was used.

    `credential_id`: base64url. `user_handle`: what the authenticator keeps for this person.
    """

    __tablename__ = "passkey"
    __table_args__ = table_args(
        refers_to("account", "account_id", to=("id",)), Index("ix_passkey_account", "district", "account_id")
    )
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    credential_id: Mapped[str] = mapped_column(Text, primary_key=True)
    account_id: Mapped[str] = mapped_column(Id)
    id: Mapped[str] = mapped_column(Id)
    name: Mapped[str] = mapped_column(Text)
    user_handle: Mapped[bytes] = mapped_column(LargeBinary)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(Count)
    created_at: Mapped[datetime] = mapped_column(Moment)
    used_at: Mapped[datetime | None] = mapped_column(Moment)


class UserSession(Base):
    """A signed-in session. Only the digest of its token is stored; `id` identifies it in lists.

    `agent`: the browser, in a few words. `passed_at`: when the second factor was passed; until then only its page is open.
    """

    __tablename__ = "session"
    __table_args__ = table_args(refers_to("account", "account_id", to=("id",)))
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    token_digest: Mapped[str] = mapped_column(Text, primary_key=True)
    account_id: Mapped[str] = mapped_column(Id)
    created_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment)
    id: Mapped[str] = mapped_column(Id)
    agent: Mapped[str] = mapped_column(Text, default="")
    last_seen_at: Mapped[datetime] = mapped_column(Moment)
    passed_at: Mapped[datetime | None] = mapped_column(Moment)
    mac: Mapped[bytes | None] = mapped_column(LargeBinary)


class SavedView(Base):
    """The queue filters that an account has saved, each under a name of its own: `sealed`, under the district's key."""

    __tablename__ = "saved_view"
    __table_args__ = table_args(refers_to("account", "account_id", to=("id",)))
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    account_id: Mapped[str] = mapped_column(Id, primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class RateLimit(Base):
    """Attempts of one kind from one source in a time window, over all workers; `source` is a keyed digest of it."""

    __tablename__ = "rate_limit"
    __table_args__ = table_args()
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    what: Mapped[str] = mapped_column(Text, primary_key=True)
    source: Mapped[str] = mapped_column(Text, primary_key=True)
    window_at: Mapped[datetime] = mapped_column(Moment, primary_key=True)
    count: Mapped[int] = mapped_column(Integer)
    last_at: Mapped[datetime | None] = mapped_column(Moment)
