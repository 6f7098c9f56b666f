"""The data quality of a post, or of all posts of its health centre, over some months, with advice on measuring.

Rules kept here:
- Only cadres' measurements are judged: the health centre's own were taken by other people with another scale.
- A value in conflict is not judged: it is not known yet which one was measured.
- Nobody is ranked and no cadre is named. A finding is advice on how to measure.
- The number of statements does not depend on the number of children; no name is decrypted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
from sqlalchemy import Text as TextType, and_, cast, select, type_coerce
from sqlalchemy.orm import Session

from server.context import AppContext
from server.database.ids import UUID_TEXT
from server.database.models import Assessment, Child, HealthCentre, HealthPost, Measurement
from server.errors import Problem
from server.growth.lms import FloatArray
from server.growth.measuring_quality import (
    ALARM_SD,
    FEWEST,
    INDICES,
    MISSING,
    OBSERVED_SD,
    USUAL_SD,
    Digits,
    Quality,
    Sample,
    Share,
    judge,
)
from server.growth.weight_gain import months_completed
from server.review.scope import Scope, posts_within
from server.translations import T_, Text

PERIODS: Final = (3, 12, 24)
"""Periods to choose from, in months."""
POST, CENTRE = "post", "centre"
POOLS: Final = (POST, CENTRE)
USUAL_PERIOD: Final = {POST: 12, CENTRE: 3}
"""A post has few measurements, so a year is judged; all posts of a health centre have enough in a quarter."""


@dataclass(frozen=True, slots=True)
class Advice:
    """A finding: what was found, and how to measure to avoid it."""

    text: Text
    remedy: Text


ADVICE: Final[Mapping[str, Advice]] = {
    "digits_weight": Advice(
        T_("Weights are often rounded: their last digits are uneven."),
        T_(
            "Read the scale to 0.1 kg and write just what it shows, such as 8.3 kg and not 8.5 kg. Wait until"
            " it stands still."
        ),
    ),
    "digits_length": Advice(
        T_("Lengths are often rounded: their last digits are uneven."),
        T_(
            "Read the board to 0.1 cm (the small lines), eyes level with the line. Write 74.3 cm, not 74 or 74.5."
        ),
    ),
    "digits_muac": Advice(
        T_("Arm circumferences are often rounded: their last digits are uneven."),
        T_("Read the tape to 0.1 cm in its window, at the middle of the left arm."),
    ),
    "same_weight_gain": Advice(
        T_("On one posyandu day (nearly) all children gained the same weight."),
        T_(
            "Check that day's scale: set it to zero before each child and calibrate it with a known weight."
            " Make sure that every"
            " child is really weighed."
        ),
    ),
    "same_length_gain": Advice(
        T_("On one posyandu day (nearly) all children grew by the same length."),
        T_(
            "Measure every child: never add to last month's length. See that the board stands upright and straight."
        ),
    ),
    "copied": Advice(
        T_("Weight and length of several children are just those of the month before."),
        T_(
            "Write only what was measured that day. Leave empty who was not measured; never fill in last month's values."
        ),
    ),
    "flagged": Advice(
        T_("Many values lie beyond the WHO's limits of plausibility."),
        T_(
            "Measure the children again whom the review queue lists for this. Check units (kg, cm), birth date and sex."
        ),
    ),
    "spread_haz": Advice(
        T_("HAZ spreads too widely: lengths or birth dates are not exact."),
        T_(
            "Straighten the knees, head against the board, two people measuring. Compare birth dates with the KIA book."
        ),
    ),
    "first_days": Advice(
        T_("Too many birth dates are the first of a month."),
        T_("Ask for the birth date on the KIA book or the birth certificate; never guess it."),
    ),
    "new_years": Advice(
        T_("Too many birth dates are 1 January."),
        T_(
            "1 January often means that the date was not known. Ask for the KIA book; if there is none, leave"
            " the date empty."
        ),
    ),
    "full_years": Advice(
        T_("Too many children are just one, two, three or four years old."),
        T_("Write the birth date, not the age. Ask for the date on the KIA book."),
    ),
    "missing_weight": Advice(
        T_("Weight is often missing."),
        T_(
            "Weigh every child who comes. One who refuses is weighed in the mother's arms, and her weight taken off."
        ),
    ),
    "missing_length": Advice(
        T_("Length or height is often missing."),
        T_(
            "Without a length nobody sees a stunted child. Have the board and two people ready on every posyandu day."
        ),
    ),
    "missing_position": Advice(
        T_("The position (lying or standing) is often missing."),
        T_("Choose the position every time. Lying under 24 months, standing from then on; it makes 0.7 cm."),
    ),
    "missing_birth_date": Advice(
        T_("The birth date is often unknown."),
        T_(
            "Ask for the KIA book at the next visit and fill in the date. Without it HAZ and WAZ cannot be scored."
        ),
    ),
    "missing_sex": Advice(
        T_("The sex is often unknown."),
        T_("Fill in the sex. Without it no score can be worked out."),
    ),
}


@dataclass(frozen=True, slots=True)
class PostQuality:
    """A report on a post, or on the posts of its health centre that are in scope.

    Parameters
    ----------
    first, last : the period judged, both days included; `months` : its length as chosen
    pool : POST or CENTRE; `posts` : the number of posts judged
    sessions : the day of each session that `quality.increments` names
    """

    post_id: str
    post_name: str
    centre_id: str
    centre_name: str
    village_code: str | None
    first: date
    last: date
    months: int
    pool: str
    posts: int
    quality: Quality
    sessions: Mapping[int, date]

    def wire(self) -> dict[str, Any]:
        """Write it as JSON; shares are 0 to 1, rounded to four places, SD and scores to two."""
        quality = self.quality
        return {
            "post": {"id": self.post_id, "name": self.post_name},
            "health_centre": {"id": self.centre_id, "name": self.centre_name},
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
            "months": self.months,
            "pool": self.pool,
            "posts": self.posts,
            "measurements": quality.n,
            "children": quality.children,
            "fewest": FEWEST,
            "wanted": quality.wanted,
            "digits": {name: _digits(digits) for name, digits in quality.digits.items()},
            "z": {
                index: {
                    "n": spread.n,
                    "mean": round(spread.mean, 2),
                    "sd": round(spread.sd, 2),
                    "flagged": spread.flagged,
                    "usual_sd": list(USUAL_SD[index]),
                    "observed_sd": list(OBSERVED_SD[index]),
                    "alarm_sd": ALARM_SD.get(index),
                }
                for index, spread in quality.spreads.items()
            },
            "flagged": _share(quality.flagged),
            "missing": {name: _share(share) for name, share in quality.missing.items()},
            "first_days": _share(quality.first_days),
            "new_years": _share(quality.new_years),
            "full_years": _share(quality.full_years),
            "copied": _share(quality.copied),
            "same_increments": [
                {
                    "day": self.sessions[found.session].isoformat(),
                    "measure": found.measure,
                    "step": found.step,
                    "children": found.children,
                    "compared": found.compared,
                }
                for found in quality.increments
            ],
            "findings": [{"code": code, **advice_wire(ADVICE[code])} for code in quality.findings],
        }


def advice_wire(advice: Advice) -> dict[str, str]:
    """Write advice as JSON: what was found, what to do."""
    remedy = {f"do_{language}": text for language, text in advice.remedy.wire().items()}
    return {**advice.text.wire(), **remedy}


def _digits(digits: Digits) -> dict[str, Any]:
    return {
        "counts": list(digits.counts),
        "n": digits.n,
        "score": round(digits.score, 2),
        "score_by_chance": round(digits.by_chance, 2),
        "grade": digits.grade,
        "zero_five": round(digits.zero_five, 4),
        "beyond_chance": digits.beyond_chance,
    }


def _share(share: Share) -> dict[str, Any]:
    """Write a share as JSON; null if there are too few for one."""
    return {
        "count": share.count,
        "n": share.n,
        "share": round(share.share, 4) if share.n >= FEWEST else None,
        "expected": round(share.expected, 4),
        "beyond_chance": share.n >= FEWEST and share.beyond_chance,
    }


def quality_of(
    session: Session,
    hub: AppContext,
    scope: Scope,
    post_id: str,
    today: date,
    *,
    months: int | None = None,
    pool: str = POST,
) -> PostQuality:
    """Judge the cadres' measurements.

    Parameters
    ----------
    today : the last day judged
    months : one of PERIODS, counted back from today; None for the usual one
    pool : POST for this post only, CENTRE for all posts of its health centre that are in scope

    Raises
    ------
    Problem
        `record-unknown` for a post outside the scope.
    """
    post = _post(session, hub, scope, post_id)
    months = months or USUAL_PERIOD[pool]
    first = (np.datetime64(today, "M") - np.timedelta64(months - 1, "M")).astype("datetime64[D]").item()
    posts = [post_id]
    if pool == CENTRE:
        of_centre = select(HealthPost.id).where(
            posts_within(hub, scope), HealthPost.health_centre_id == post.centre_id
        )
        posts = list(session.scalars(of_centre))
    sample, sessions = _sample(session, hub, posts, first, today)
    return PostQuality(
        post.id,
        post.name,
        post.centre_id,
        post.centre_name,
        post.village_code,
        first,
        today,
        months,
        pool,
        len(posts),
        judge(sample),
        sessions,
    )


def _post(session: Session, hub: AppContext, scope: Scope, post_id: str) -> Any:
    """Find a post in scope, with its health centre."""
    query = (
        select(
            HealthPost.id,
            HealthPost.name,
            HealthPost.village_code,
            HealthPost.health_centre_id.label("centre_id"),
            HealthCentre.name.label("centre_name"),
        )
        .join(
            HealthCentre,
            and_(
                HealthCentre.district == HealthPost.district, HealthCentre.id == HealthPost.health_centre_id
            ),
        )
        .where(HealthPost.id == post_id, posts_within(hub, scope))
    )
    row = session.execute(query).one_or_none() if UUID_TEXT.fullmatch(post_id) else None
    if row is None:
        raise Problem("record-unknown")
    return row


def _sample(
    session: Session, hub: AppContext, posts: Sequence[str], first: date, last: date
) -> tuple[Sample, dict[int, date]]:
    """Load the cadres' measurements at some posts, and number children (linked records as one) and sessions."""
    children = session.execute(
        select(Child.id, Child.person_id, Child.post_id, Child.born_on, Child.sex).where(
            Child.district == hub.district, Child.post_id.in_(posts), ~Child.removed
        )
    ).all()
    place = {post: number for number, post in enumerate(posts)}
    known = {row.id: (row.person_id, place[row.post_id]) for row in children}
    rows = [row for row in _measured(session, hub, posts, first, last) if row[0] in known]
    ids, on, *numbers, positions = zip(*rows, strict=True) if rows else ((),) * (len(_NUMBERS) + 3)
    number = {
        person: place for place, person in enumerate(dict.fromkeys(known[child_id][0] for child_id in ids))
    }
    born: dict[str, date | None] = dict.fromkeys(number)
    sex: dict[str, str | None] = dict.fromkeys(number)
    for row in children:  # of linked records, the first that has a value
        if row.person_id in number:
            born[row.person_id] = born[row.person_id] or row.born_on
            sex[row.person_id] = sex[row.person_id] or row.sex
    whom = np.array([number[known[child_id][0]] for child_id in ids], np.int64)
    day = np.array(on, "datetime64[D]")
    newest = np.full(len(number), np.datetime64(first, "D"))
    np.maximum.at(newest, whom, day)
    posted = day.astype(np.int64) * len(posts) + np.array([known[child_id][1] for child_id in ids], np.int64)
    meetings, sessions = np.unique(posted, return_inverse=True)
    column = {name: np.array(values, np.float64) for name, values in zip(_NUMBERS, numbers, strict=True)}
    sample = Sample(
        child=whom,
        session=sessions.astype(np.int64),
        day=day.astype(np.int64),
        weight_g=_whole(column["weight_g"]),
        length_mm=_whole(column["length_mm"]),
        muac_mm=_whole(column["muac_mm"]),
        haz=column["haz"],
        waz=column["waz"],
        whz=column["whz"],
        position_known=np.array([position is not None for position in positions], bool),
        born_month=_whole(np.array([at.month if at else None for at in born.values()], np.float64)),
        born_day=_whole(np.array([at.day if at else None for at in born.values()], np.float64)),
        age_months=months_completed(np.array(list(born.values()), "datetime64[D]"), newest),
        sex_known=np.array([of is not None for of in sex.values()], bool),
    )
    return sample, dict(enumerate((meetings // len(posts)).astype("datetime64[D]").tolist()))


_NUMBERS: Final = ("weight_g", "length_mm", "muac_mm", *INDICES)
"""The numeric columns of `_measured`, in its order."""


def _whole(values: FloatArray) -> Any:
    """Convert to integers, with MISSING in place of NaN."""
    return np.where(np.isnan(values), MISSING, values).astype(np.int64)


def _measured(
    session: Session, hub: AppContext, posts: Sequence[str], first: date, last: date
) -> Sequence[Any]:
    """Load the cadres' measurements of a period with their scores, without those in conflict."""
    # not converted to a date: NumPy reads the driver's date or text alike
    day = type_coerce(Measurement.measured_on, TextType())
    statement = (
        select(
            cast(Measurement.child_id, TextType()),  # on PostgreSQL this saves 30,000 UUID objects
            day,
            Measurement.weight_g,
            Measurement.length_mm,
            Measurement.muac_mm,
            Assessment.haz,
            Assessment.waz,
            Assessment.whz,
            Measurement.length_position,
        )
        .outerjoin(
            Assessment,
            and_(
                Assessment.district == Measurement.district,
                Assessment.child_id == Measurement.child_id,
                Assessment.measured_on == Measurement.measured_on,
                Assessment.source == Measurement.source,
            ),
        )
        .where(
            Measurement.district == hub.district,
            Measurement.post_id.in_(posts),
            Measurement.measured_on.between(first, last),
            Measurement.source == "cadre",
            Measurement.conflicts == "",
            ~Measurement.removed,
        )
    )
    # on the connection, not the session, to avoid the ORM's cost: a health centre has 30,000 rows
    return session.connection().execute(statement).all()
