"""The office in the stories: a page opened at one time and saved at another, with what stood on it.

A page is of a child (`on` and `task` None), of its measurement of a day, or of something to be done for it.
"""

from dataclasses import dataclass

from server.sync import server_edits
from sync_protocol import NOTHING_SEEN, Json, RecordState, VersionVector, follow_up_id, measurement_id
from tests.server._district import District


@dataclass
class Page:
    """A record on a screen at the health centre."""

    district: District
    child_id: str
    on: str | None
    context: VersionVector
    task: str | None = None

    def save(self, **registers: Json) -> str:
        """Save what stands here; give the outcome."""
        hub, now = self.district.hub, self.district.clock.now
        if self.task is not None:
            edit = server_edits.Edit.of_follow_up(self.child_id, self.task, registers, self.context)
        elif self.on is None:
            edit = server_edits.Edit.of_child(self.child_id, registers, self.context)
        else:
            edit = server_edits.Edit.of_measurement(self.child_id, self.on, "cadre", registers, self.context)
        with hub.database.transaction() as session:
            (written,) = server_edits.write(session, hub, [edit], "record.edited", author="operator", now=now)
        return written.outcome.value


def open_page(district: District, child_id: str, on: str | None = None, task: str | None = None) -> Page:
    """Show a record as the server has it now."""
    state = state_of(district, child_id, on, task)
    return Page(district, child_id, on, state.vector if state else NOTHING_SEEN, task)


def state_of(
    district: District, child_id: str, on: str | None = None, task: str | None = None
) -> RecordState | None:
    """Give a record as the server has it now; None if it has none."""
    ref = ("child", child_id) if on is None else ("measurement", measurement_id(child_id, on, "cadre"))
    if task is not None:
        ref = ("follow_up", follow_up_id(child_id, task))
    return district.stored().get(ref, ("", None))[1]


def move(district: District, child_id: str, post: int) -> str:
    """Move a child to the first (0) or second (1) post, at the office."""
    return open_page(district, child_id).save(post={"post": district.posts[post]})
