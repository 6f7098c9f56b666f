"""The vaccines of made-up children, as the schedule has them: most in time, some late, some never. PURE."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from server.demo.acts import Act, MadeUpChild
from server.schedule import DUE, OVERDUE, Given, calendar, schedule

LATE_EVERY, NEVER_EVERY = 4, 9
"""One child in so many gets its vaccines only at every second visit; one gets none but those of birth."""
AT_BIRTH = ("HB0", "BCG", "OPV1")


def vaccinated(child: MadeUpChild, acts: Sequence[Act]) -> list[Act]:
    """Give a child its vaccines: those of birth stand in its Buku KIA, others are given at the visits."""
    if not acts or child.mishap == "birth_unknown":
        return list(acts)
    plan = schedule()
    known = {code: child.born_on + timedelta(days=at) for at, code in zip((0, 3, 3), AT_BIRTH, strict=True)}
    book = {"given": {code: day.isoformat() for code, day in known.items()}}
    done = [replace(acts[0], registers={**acts[0].registers, "book_doses": book})]
    for number, act in enumerate(acts[1:]):
        day = act.measured_on
        skipped = child.number % NEVER_EVERY == 0 or (child.number % LATE_EVERY == 0 and number % 2)
        if day is None or skipped:
            done.append(act)
            continue
        lines = calendar(plan, child.born_on, Given(known), day)
        codes = [line.code for line in lines if line.state in (DUE, OVERDUE) and line.code not in _OTHERS]
        known |= dict.fromkeys(codes, day)
        doses = {"doses": {"given": dict.fromkeys(codes)}} if codes else {}
        done.append(replace(act, registers={**act.registers, **doses}))
    return done


_OTHERS = frozenset({"vitamin_a", "deworming", "KPSP"})
"""Lines of a calendar that are no vaccines."""
