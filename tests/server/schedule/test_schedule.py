"""The schedule of vaccines and services: what a file must hold, and what a child is offered on a day."""

from datetime import date
from pathlib import Path

import pytest

from server.schedule import SHIPPED, Choices, Given, Item, calendar, schedule, wire
from tests.server.schedule.children import given_of, random_children

BORN = date(2025, 1, 31)
PLAN = schedule()


def on(day: date, born_on: date | None = BORN, plan: object = None, **doses: date) -> dict[str, Item]:
    found = calendar(schedule() if plan is None else plan, born_on, Given(doses), day)  # type: ignore[arg-type]  # object: a default that no schedule is
    return {item.code: item for item in found}


def states(day: date, *codes: str, **doses: date) -> list[str]:
    found = on(day, **doses)
    return [found[code].state for code in codes]


# -- doses -----------------------------------------------------------------------------------------


def test_a_newborn_is_offered_what_is_given_at_birth() -> None:
    assert states(BORN, "HB0", "BCG", "OPV1", "DPT1") == ["due", "due", "due", "later"]
    assert states(date(2025, 2, 1), "HB0") == ["overdue"]
    assert states(date(2025, 2, 27), "HB0") == ["overdue"]
    assert states(date(2025, 2, 28), "HB0") == ["missed"]


def test_months_end_on_the_last_day_where_there_is_no_such_day() -> None:
    assert states(date(2025, 3, 30), "DPT1") == ["later"]
    assert states(date(2025, 3, 31), "DPT1", "PCV1", "RV1") == ["due"] * 3
    assert states(date(2025, 4, 29), "DPT1") == ["due"]
    assert states(date(2025, 4, 30), "DPT1") == ["overdue"]


def test_only_the_next_dose_of_a_series_is_offered() -> None:
    found = on(date(2025, 7, 1))
    assert [found[code].state for code in ("DPT1", "DPT2", "DPT3")] == ["overdue", "later", "later"]
    assert found["DPT2"].from_on is None  # after the dose before


def test_a_dose_waits_for_its_interval() -> None:
    given = date(2025, 6, 20)
    found = on(date(2025, 7, 17), DPT1=given)
    assert (found["DPT2"].state, found["DPT2"].from_on) == ("later", date(2025, 7, 18))
    assert states(date(2025, 7, 18), "DPT2", DPT1=given) == ["overdue"]


def test_a_booster_waits_for_its_interval_after_the_last_dose() -> None:
    doses = {"DPT1": date(2025, 4, 1), "DPT2": date(2025, 5, 1), "DPT3": date(2026, 3, 1)}
    assert states(date(2026, 8, 1), "DPT4", **doses) == ["later"]
    assert states(date(2027, 3, 1), "DPT4", **doses) == ["overdue"]


def test_a_dose_that_nobody_recorded_is_not_offered_after_a_later_one() -> None:
    assert states(date(2025, 7, 1), "OPV1", "OPV2", OPV2=date(2025, 4, 1)) == ["unrecorded", "given"]


def test_rotavirus_ends_at_seven_months_and_is_not_begun_after_four() -> None:
    assert states(date(2025, 6, 29), "RV1") == ["overdue"]
    assert states(date(2025, 6, 30), "RV1", "RV2", "RV3") == ["missed"] * 3
    doses = {"RV1": date(2025, 6, 1), "RV2": date(2025, 7, 5)}
    assert states(date(2025, 8, 30), "RV3", **doses) == ["overdue"]
    assert states(date(2025, 8, 31), "RV3", **doses) == ["missed"]
    assert states(date(2025, 7, 10), "RV3", RV1=date(2025, 6, 1), RV2=date(2025, 8, 4)) == ["later"]


def test_a_dose_whose_interval_ends_after_its_last_day_is_missed() -> None:
    assert states(date(2025, 8, 20), "RV3", RV1=date(2025, 6, 1), RV2=date(2025, 8, 15)) == ["missed"]


def test_japanese_encephalitis_is_offered_where_it_is_endemic() -> None:
    day = date(2025, 12, 1)
    assert "JE1" not in on(day)
    assert on(day, plan=schedule(SHIPPED, Choices(je_endemic=True)))["JE1"].state == "due"
    assert on(day, JE1=day)["JE1"].state == "given"  # elsewhere


def test_without_a_birth_date_or_before_birth_there_is_no_calendar() -> None:
    assert on(date(2025, 12, 1), born_on=None) == {}
    assert on(date(2025, 1, 30)) == {}


def test_what_is_given_later_than_the_day_does_not_count() -> None:
    assert states(date(2025, 4, 1), "DPT1", DPT1=date(2025, 4, 2)) == ["due"]


def test_no_dose_is_ever_offered_too_early_or_too_late() -> None:
    doses = {dose.code: dose for dose in PLAN.doses}
    offered = 0
    for child in random_children(PLAN, 1500, seed=7):
        if child["born_on"] is None:
            continue
        born_on, day, given = (
            date.fromisoformat(child["born_on"]),
            date.fromisoformat(child["on"]),
            given_of(child),
        )
        for item in calendar(PLAN, born_on, given, day):
            if item.code not in doses or item.state not in ("due", "overdue"):
                continue
            dose, offered = doses[item.code], offered + 1
            assert dose.begins.after(born_on) <= day < dose.until.after(born_on)
            before = [
                given.doses[one.code]
                for one in PLAN.doses
                if one.series == dose.series and one.code in given.doses and given.doses[one.code] <= day
            ]
            assert not before or (dose.after is not None and dose.after.after(max(before)) <= day)
    assert offered > 1000


# -- rounds ----------------------------------------------------------------------------------------


def capsule(day: date, *given: date) -> Item | None:
    found = calendar(PLAN, BORN, Given({}, {"vitamin_a": given}), day)
    return next((item for item in found if item.code == "vitamin_a"), None)


@pytest.mark.parametrize(
    ("day", "given", "expected"),
    [
        (date(2025, 7, 30), (), ("later", "blue", date(2025, 8, 1))),
        (date(2025, 8, 1), (), ("due", "blue", date(2025, 8, 1))),
        (date(2025, 8, 31), (), ("due", "blue", date(2025, 8, 1))),
        (date(2025, 9, 30), (), ("overdue", "blue", date(2025, 8, 1))),
        (date(2025, 10, 1), (), ("later", "red", date(2026, 2, 1))),
        (date(2025, 8, 20), (date(2025, 8, 6),), ("given", "blue", None)),
        (date(2025, 9, 3), (date(2025, 9, 2),), ("given", "blue", None)),
        (date(2026, 2, 1), (date(2025, 8, 6),), ("due", "red", date(2026, 2, 1))),
        (date(2026, 1, 30), (), ("later", "red", date(2026, 2, 1))),
        (date(2030, 1, 31), (), None),
    ],
)
def test_capsules_are_due_in_their_months_by_the_age_of_the_day(
    day: date, given: tuple[date, ...], expected: tuple[str, str, date | None] | None
) -> None:
    found = capsule(day, *given)
    assert (found and (found.state, found.value, found.from_on)) == expected


def test_a_child_who_was_too_young_in_the_round_is_not_late_after_it() -> None:
    found = calendar(PLAN, date(2025, 3, 5), Given(), date(2025, 9, 10))
    (item,) = [one for one in found if one.code == "vitamin_a"]
    assert (item.state, item.from_on) == ("later", date(2026, 2, 1))


def test_a_district_chooses_the_months_of_deworming() -> None:
    yearly = schedule(SHIPPED, Choices(deworming_months=(8,)))
    never = schedule(SHIPPED, Choices(deworming_months=()))
    day = date(2026, 2, 10)
    assert on(day)["deworming"].state == "due"
    assert on(day, plan=yearly)["deworming"].from_on == date(2026, 8, 1)
    assert "deworming" not in on(day, plan=never)


# -- development -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "results", "expected"),
    [
        (date(2025, 4, 29), (), ("later", 3)),
        (date(2025, 4, 30), (), ("due", 3)),
        (date(2025, 5, 30), (), ("overdue", 3)),
        (date(2025, 5, 30), ((date(2025, 5, 5), "S"),), ("given", 3)),
        (date(2025, 7, 31), ((date(2025, 5, 5), "S"),), ("due", 6)),
        (date(2025, 5, 18), ((date(2025, 5, 5), "M"),), ("later", 3)),
        (date(2025, 5, 19), ((date(2025, 5, 5), "M"),), ("due", 3)),
        (date(2025, 5, 19), ((date(2025, 5, 5), "P"),), ("given", 3)),
    ],
)
def test_the_kpsp_is_due_at_its_ages_and_again_when_doubtful(
    day: date, results: tuple[tuple[date, str], ...], expected: tuple[str, int]
) -> None:
    found = calendar(PLAN, BORN, Given({}, {}, results), day)
    (item,) = [one for one in found if one.code == "KPSP"]
    assert (item.state, item.value) == expected


def test_the_kpsp_ends() -> None:
    assert "KPSP" in on(date(2031, 2, 27))
    assert "KPSP" not in on(date(2031, 2, 28))


# -- names -----------------------------------------------------------------------------------------


def test_every_line_has_a_name() -> None:
    assert PLAN.name("OPV1", None).in_("id") == "Polio tetes 1 (OPV)"
    assert PLAN.name("OPV1", None).in_("en") == "Oral polio 1 (OPV)"
    assert PLAN.name("vitamin_a", "red").in_("id") == "Vitamin A, kapsul merah"
    assert PLAN.name("vitamin_a", None).in_("id") == "Vitamin A"
    assert PLAN.name("KPSP", 9).in_("id") == "KPSP umur 9 bulan"
    assert PLAN.name("HPV1", None).in_("id") == "HPV1"


# -- the file --------------------------------------------------------------------------------------


def test_the_schedule_names_its_sources_and_what_was_not_verified() -> None:
    assert "HK.01.07/MENKES/1098/2024" in " ".join(PLAN.sources)
    assert PLAN.unverified


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        ('version = "2025-1"', "version = 7", "version is 7"),
        ('from = "2m"\nlate = "3m"', 'from = "2 months"\nlate = "3m"', "DPT1.from is '2 months'"),
        ('from = "2m"\nlate = "3m"', 'from = ""\nlate = "3m"', "DPT1.from is ''"),
        ('from = "2m"\nlate = "3m"', 'from = "3m"\nlate = "3m"', "DPT1 of the schedule"),
        ('code = "OPV2"', 'code = "OPV1"', "has OPV1 twice"),
        ('code = "OPV2"', 'code = "opv2"', "code is 'opv2'"),
        (
            'until = "60m"\nafter = "28d"\n\n[[doses]]\ncode = "PCV1"',
            'until = "60m"\n\n[[doses]]\ncode = "PCV1"',
            "OPV2",
        ),
        ('where = "je"', 'where = "bali"', "JE1.where is 'bali'"),
        ('service = "deworming"', 'service = "iron"', "service is 'iron'"),
        ("months = [2, 8]\nsweep", "months = [2, 13]\nsweep", "vitamin_a.months is 13"),
        ('value = "blue"', 'value = "green"', "vitamin_a.value is 'green'"),
        ('from = "6m"\nuntil = "12m"', 'from = "12m"\nuntil = "12m"', "vitamin_a of the schedule"),
        ("ages = [3, 6,", "ages = [6, 3,", "kpsp.ages"),
        ("[kpsp]", "[development]", "lacks 'kpsp'"),
        ("[kpsp]", "[kpsp", "is not TOML"),
        ("months = [2, 8]\nsweep", "months = 2\nsweep", "is not of the form"),
    ],
)
def test_a_schedule_that_is_wrong_says_where(tmp_path: Path, was: str, becomes: str, told: str) -> None:
    text = SHIPPED.read_text("utf-8")
    assert was in text
    path = tmp_path / "schedule.toml"
    path.write_text(text.replace(was, becomes, 1), "utf-8")
    with pytest.raises(ValueError, match="schedule") as refused:
        schedule(path)
    assert told in str(refused.value)


def test_the_tablet_gets_ages_as_months_and_days() -> None:
    sent = wire(PLAN)
    by_code = {dose["code"]: dose for dose in sent["doses"]}
    assert (by_code["RV3"]["until"], by_code["RV3"]["after"]) == ([7, 0], [0, 28])
    assert (by_code["BCG"]["begins"], by_code["BCG"]["after"]) == ([0, 0], None)
    assert by_code["JE1"]["offered"] is False
    assert [one["service"] for one in sent["rounds"]] == ["vitamin_a", "deworming"]
    assert sent["kpsp"]["again"] == [0, 14]


def test_a_schedule_that_is_missing_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        schedule(tmp_path / "none.toml")


def test_a_capsule_of_the_last_day_of_sweeping_does_not_hold_back_the_next_round() -> None:
    for one in PLAN.rounds:
        assert one.after.after(date(2025, 3, 31)) <= date(2025, 8, 1)
