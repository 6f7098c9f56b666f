"""What doctor says of each check, and the remedy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from server.translations import T_, Text


@dataclass(frozen=True, slots=True)
class CheckText:
    """Texts of a check: when all is well, and the remedy. `{count}`: how much was checked."""

    ok: Text
    problem: Text


RESTORE: Final = T_("restore the last good backup (posyandu-sync restore), tablets send again what it lacks")
FIGURES: Final = T_(
    "altered outside the program: keep a backup of this as evidence, tell the supervisor, then run 'posyandu-sync reports "
    "refresh --from-nothing'"
)
WORDS: Final[Mapping[str, CheckText]] = {
    "place": CheckText(
        T_("the place can be written, room enough"),
        T_(
            "give the server's user, and nobody else, the right (chmod 600 of the database), or make room on the disk"
        ),
    ),
    "keys": CheckText(
        T_("the key file is there, for its owner alone"),
        T_("put the key file back from your copy, then chmod 600"),
    ),
    "database": CheckText(
        T_("the database opens and is sound"),
        T_(
            "check DATABASE_URL and its service (PostgreSQL 15 or later); if damaged, move it away and restore a backup"
        ),
    ),
    "schema": CheckText(
        T_("the schema is the newest"),
        T_("run 'posyandu-sync serve' of this release, or install the newer one"),
    ),
    "district": CheckText(
        T_("the district is installed"),
        T_("set POSYANDU_DISTRICT, or run 'serve'"),
    ),
    "clock": CheckText(
        T_("the server's clock has not gone back"),
        T_("set the server's clock right and let it be synchronised (timedatectl set-ntp true)"),
    ),
    "second-factor": CheckText(
        T_("a second factor is asked of all but cadres"),
        T_("take POSYANDU_SECOND_FACTOR=0 out of the server's environment, and restart it"),
    ),
    "backups": CheckText(
        T_("a backup was made lately"),
        T_(
            "set POSYANDU_BACKUP_DIR, or run 'posyandu-sync backup' each night (cron), and keep copies off this machine"
        ),
    ),
    "proof": CheckText(
        T_("a backup was proven by restoring it"),
        T_("run 'posyandu-sync restore --trial' on the newest backup"),
    ),
    "withdrawals": CheckText(
        T_("the list of what was withdrawn is complete: {count} decisions"),
        T_(
            "missing or behind: run 'posyandu-sync serve' and leave it running; damaged: put the copy beside the backups in "
            "its place, or delete it, for it is made again from the log; not in the database: run 'posyandu-sync restore "
            "--already'"
        ),
    ),
    "sealed": CheckText(
        T_("the keys open the data of {count} children"),
        T_("put the right key file back; if it is only some children, {restore}").format(restore=RESTORE),
    ),
    "vouched": CheckText(
        T_("accounts, tablets, sessions and codes were written by this program alone"),
        T_(
            "somebody wrote to the database past this program: these rows are not accepted. Find out who, change the "
            "database's password, then run 'posyandu-sync key vouch', which ends what they stand for"
        ),
    ),
    "log": CheckText(
        T_("the log is whole: {count} entries"),
        T_("change nothing: keep a backup of this as evidence, and report it to the supervisor"),
    ),
    "checkpoint": CheckText(
        T_("a checkpoint of the log was signed lately"),
        T_("run 'posyandu-sync serve' and leave it running, or 'posyandu-sync audit checkpoint'"),
    ),
    "rows": CheckText(
        T_("the log vouches for {count} rows that hold decisions"),
        T_(
            "not bound yet: run 'posyandu-sync serve'; otherwise somebody wrote to the database directly: change nothing, "
            "keep a backup of this as evidence, report it to the supervisor, then {restore}"
        ).format(restore=RESTORE),
    ),
    "witnesses": CheckText(
        T_("{count} witnesses vouch for the log"),
        T_(
            "not reached: see to the line to it, or 'posyandu-sync witness remove' it; unknown or unsigned there: give its "
            "operator what 'posyandu-sync witness keys' prints; ahead, other tree or forked: change nothing, run "
            "'posyandu-sync audit verify --ask-witnesses' and report it to the supervisor"
        ),
    ),
    "ledger": CheckText(
        T_("{count} changes, no hole, every chain fits"),
        RESTORE,
    ),
    "batches": CheckText(
        T_("{count} batches, the outcomes add up"),
        RESTORE,
    ),
    "states": CheckText(
        T_("{count} children are as the ledger has them"),
        RESTORE,
    ),
    "streams": CheckText(
        T_("the positions of {count} posts are unique"),
        RESTORE,
    ),
    "rules": CheckText(
        T_("all children are assessed by this release's rules"),
        T_("run 'posyandu-sync serve' and leave it running: it assesses these children again within minutes"),
    ),
    "assessments": CheckText(
        T_("the assessments of {count} children are what follows from their records"),
        T_(
            "altered outside the program: keep a backup of this as evidence, tell the supervisor, then run 'posyandu-sync "
            "reassess'"
        ),
    ),
    "figures": CheckText(
        T_("the figures of {count} posts and months are what follows from the records"),
        FIGURES,
    ),
    "reports": CheckText(
        T_("what supervisors are told of {count} posts is what follows from the records"),
        FIGURES,
    ),
    "round": CheckText(
        T_("the nightly round that computes everything again is under way"),
        T_(
            "what it found is what another check above names too, with the remedy; if it does not end, run 'posyandu-sync "
            "serve' and leave it running"
        ),
    ),
    "scheduler": CheckText(
        T_("the scheduler runs"),
        T_("run 'posyandu-sync serve' and leave it running"),
    ),
    "set-aside": CheckText(
        T_("the figures of every post can be worked out"),
        T_(
            "the others go on; run the checks above first, then report the error, which the server's own log places"
        ),
    ),
    "tablets": CheckText(
        T_("{count} tablets, none left behind"),
        T_("open the app on that tablet with a signal, or enrol it anew: posyandu-sync tablet enrol"),
    ),
}
