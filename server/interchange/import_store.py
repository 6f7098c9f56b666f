"""What the database keeps of imports: runs, the sealed rows of each chunk, and the questions that rows raise."""

import re
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

import orjson
from sqlalchemy import bindparam, insert, or_, select, update
from sqlalchemy.orm import Session

from server.context import AppContext
from server.crypto.vault import sha256
from server.database.engine import among, holds_bytes
from server.database.models import ImportCase, ImportChunk, table
from server.database.writes import upsert
from server.interchange.import_chunks import Packed, pack_row, unpack_row
from server.interchange.import_plan import ChunkPlan
from server.interchange.sheets import Cell
from server.interchange.sigizi import Layout, plain

SIGIZI: Final = "sigizi"
WAITING, RUNNING, DONE = "waiting", "running", "done"
"""States of a run."""
OPEN, DECIDED = "open", "decided"
"""States of a question."""
InRow = Callable[[Sequence[Cell]], bool]
NIK_DIGITS: Final = 16
DIGEST_BYTES: Final = 8
"""Length of an id's digest in `ImportChunk.children`; where two are the same, one chunk more is opened."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a file is imported.

    Parameters
    ----------
    post_id : the post of all rows, for sheets that name none; "" to find each row's post by its name
    add_posts : add posyandu that are not here first
    scope_kind, scope : the area of the importing person; rows of other posts are refused
    allowed : the posts of that area, None for all
    """

    post_id: str = ""
    add_posts: bool = False
    scope_kind: str = "district"
    scope: str = ""
    allowed: frozenset[str] | None = None

    def key(self) -> str:
        """Give the options that the content of the chunks depends on, as text: part of the run's digest."""
        return f"{SIGIZI}/{self.post_id}/{self.add_posts:d}/{self.scope_kind}/{self.scope}"


def run_row(
    hub: AppContext, run_id: str, file: str, state: str, options: Options, actor: str, now: datetime
) -> dict[str, Any]:
    """Give the database row of a new run."""
    return {
        "district": hub.district,
        "id": run_id,
        "kind": SIGIZI,
        "digest": file,
        "state": state,
        "scope_kind": options.scope_kind,
        "scope": options.scope or hub.district,
        "chunks": 0,
        "counts": "{}",
        "started_by": actor,
        "started_at": now,
        "finished_at": None,
        "sealed": None,
    }


# -- chunks ---------------------------------------------------------------------------------------


def chunk_purpose(hub: AppContext, run_id: str, number: int) -> str:
    """Give the purpose that a chunk is sealed for."""
    return f"import/{hub.district}/{run_id}/{number}"


def store_chunk(
    session: Session, hub: AppContext, run_id: str, number: int, rows: Packed, plan: ChunkPlan
) -> None:
    """Store the rows of a chunk, sealed, with the result of each."""
    results = [result.wire() for result in plan.results]
    kept = [[orjson.Fragment(packed), result] for packed, result in zip(rows, results, strict=True)]
    row = {
        "district": hub.district,
        "run_id": run_id,
        "number": number,
        "rows": len(rows),
        "counts": orjson.dumps(plan.counts(), option=orjson.OPT_SORT_KEYS).decode(),
        "sealed": hub.vault.seal_for_district(
            zlib.compress(orjson.dumps(kept), 1), chunk_purpose(hub, run_id, number)
        ),
        "children": _children(hub, zip(rows, results, strict=True)),
    }
    session.execute(insert(table(ImportChunk)), [row])


def chunk_counts(session: Session, hub: AppContext, run_id: str) -> Counter[str]:
    """Count the rows of a run by outcome, from its chunks."""
    c = table(ImportChunk).c
    counts: Counter[str] = Counter()
    for text in session.scalars(select(c.counts).where(c.district == hub.district, c.run_id == run_id)):
        counts.update(orjson.loads(text))
    return counts


def forget_rows(
    session: Session,
    hub: AppContext,
    ids: Collection[str],
    numbers: Collection[str],
    names: Collection[str],
    in_row: InRow,
) -> None:
    """Remove the rows of some children, and those of some questions, from the stored chunks; the row's number and outcome
    stay. A question may be decided after its chunk was stored, so such a row names no child; a row that was refused names
    none either, and is recognised.

    Parameters
    ----------
    numbers, names : their NIKs, and what they were called
    in_row : whether a row is about one of them
    """
    c = table(ImportChunk).c
    sought = [
        *(_digest(one) for one in sorted(ids)),
        *(_of_text(hub, one) for one in sorted({*numbers, *names})),
    ]
    wanted = or_(c.children.is_(None), *(holds_bytes(c.children, one) for one in sought))
    keys = select(c.run_id, c.number).where(c.district == hub.district, wanted)
    for run_id, number in session.execute(keys).all():
        _forget_in_chunk(session, hub, run_id, number, ids, in_row)


def _forget_in_chunk(
    session: Session, hub: AppContext, run_id: str, number: int, ids: Collection[str], in_row: InRow
) -> None:
    """Open a chunk, remove rows, and store it again with the digests of what its rows name now."""
    c, purpose = table(ImportChunk).c, chunk_purpose(hub, run_id, number)
    own = c.district == hub.district, c.run_id == run_id, c.number == number
    sealed = session.execute(select(c.sealed).where(*own)).scalar_one()
    kept = orjson.loads(zlib.decompress(hub.vault.unseal_for_district(sealed, purpose)))
    left: list[list[Any]] = [
        [None, {**result, "child": None, "case": None, "refusals": [], "apart": []}]
        if _named(result) & set(ids) or (not _named(result) and _is_about(cells, in_row))
        else [cells, result]
        for cells, result in kept
    ]
    packed = ((orjson.dumps(cells) if cells is not None else None, result) for cells, result in left)
    values: dict[str, Any] = {"children": _children(hub, packed)}
    if left != kept:
        values["sealed"] = hub.vault.seal_for_district(zlib.compress(orjson.dumps(left), 1), purpose)
    session.execute(update(table(ImportChunk)).where(*own).values(**values))


def _is_about(packed: Any, in_row: InRow) -> bool:
    return packed is not None and in_row(unpack_row(orjson.dumps(packed))[1])


def _children(hub: AppContext, rows: Iterable[tuple[bytes | None, Mapping[str, Any]]]) -> bytes:
    """Give the digests of the children and questions in the results of a chunk's rows; of rows that name none, of texts."""
    ids: set[str] = set()
    texts: set[str] = set()
    for packed, result in rows:
        named = _named(result)
        ids.update(named)
        if packed is not None and not named:
            texts.update(map(_identifying, unpack_row(packed)[1]))
    digests = {*map(_digest, ids), *(_of_text(hub, text) for text in texts - {""})}
    return b"".join(sorted(digests))


def _named(result: Mapping[str, Any]) -> set[str]:
    return {id_ for name in ("child", "case") if (id_ := result.get(name))}


def _digest(id_: str) -> bytes:
    return sha256(id_.encode())[:DIGEST_BYTES]


def _of_text(hub: AppContext, text: str) -> bytes:
    """Give the keyed digest of a NIK or name, however it is written."""
    return sha256(hub.vault.digest("import-text", plain(text)).encode())[:DIGEST_BYTES]


def _identifying(cell: Cell) -> str:
    """Give what in a cell may identify a child: text with letters, or the 16 digits of a NIK; "" for others."""
    text = f"{cell:.0f}" if isinstance(cell, float) else cell if isinstance(cell, str) else ""
    digits = re.sub(r"[^0-9]", "", text)
    if len(digits) == NIK_DIGITS:
        return digits
    return text if len(digits) < len(text) // 2 and len(text) > 2 else ""


# -- questions ------------------------------------------------------------------------------------


def case_purpose(hub: AppContext, case_id: str) -> str:
    """Give the purpose that a question's row is sealed for."""
    return f"import-case/{hub.district}/{case_id}"


def store_cases(
    session: Session, hub: AppContext, layout: Layout, plan: ChunkPlan, run_id: str, now: datetime
) -> None:
    """Store the questions of a chunk; one that is stored already, open or decided, is left as it is."""
    raised = {result.case_id: result for result in plan.cases()}
    if not raised:
        return
    given = {"district": hub.district, "among": sorted(raised)}
    known = set(session.connection().execute(_known_cases(), given).scalars())
    rows = []
    for case_id, result in sorted(raised.items()):
        if case_id in known:
            continue
        content = {
            "kind": layout.kind,
            "headings": layout.headings,
            "row": orjson.Fragment(pack_row(result.row.number, result.row.raw)),
        }
        rows.append(
            {
                "district": hub.district,
                "id": case_id,
                "run_id": run_id,
                "row": result.row.number,
                "question": result.question,
                "post_id": result.post_id,
                "who": result.who,
                "candidates": orjson.dumps(result.candidates).decode(),
                "sealed": hub.vault.seal_for_district(orjson.dumps(content), case_purpose(hub, case_id)),
                "status": OPEN,
                "decision": None,
                "child_id": None,
                "found_at": now,
                "decided_by": None,
                "decided_at": None,
            }
        )
    upsert(session, table(ImportCase), rows)


def cases_about(session: Session, hub: AppContext, in_row: InRow) -> set[str]:
    """Find the questions whose row names some children; one that was decided for another child is about that one."""
    c = table(ImportCase).c
    rows = session.execute(select(c.id, c.sealed).where(c.district == hub.district, c.child_id.is_(None)))
    return {
        row.id
        for row in rows
        if _is_about(
            orjson.loads(hub.vault.unseal_for_district(row.sealed, case_purpose(hub, row.id)))["row"], in_row
        )
    }


@cache
def _known_cases() -> Any:
    c = table(ImportCase).c
    return select(c.id).where(c.district == bindparam("district"), among(c.id))
