"""The growth file gives back every published number, and all words stand in it as the server has them."""

import gzip
import json

import numpy as np
import pytest

from server.children.flags import RULES
from server.children.labels import LABELS, SCREENING_NOTE
from server.growth import ENGINE_VERSION, KBM_VERSION
from server.growth.lms import FIRST_LENGTH_STEP, TABLE_NAMES, TableName, table
from server.growth.weight_gain import GainReason, kbm_g
from server.growth.zscores import Reason
from server.web.growth_file import growth_file
from tests.tablet._modules import Modules

pytestmark = pytest.mark.browser
KIBIBYTE = 1024


@pytest.mark.parametrize("name", TABLE_NAMES)
@pytest.mark.parametrize("sex", ["M", "F"])
def test_table_holds_the_published_numbers_when_unpacked(modules: Modules, name: TableName, sex: str) -> None:
    found = modules.call("[...'lms'].map((c) => Array.from(tables.lms[given[0]][given[1]][c]))", [name, sex])
    first = modules.call("tables.lms[given[0]][given[1]].first", [name, sex])
    lms = table(name)
    row = "MF".index(sex)
    published = np.flatnonzero(~np.isnan(lms.m[row]))
    assert found == [getattr(lms, column)[row, published].tolist() for column in "lms"]
    assert first == published[0] + FIRST_LENGTH_STEP.get(name, 0)
    assert published.tolist() == list(range(published[0], published[-1] + 1))


def test_kbm_is_the_servers_when_unpacked(modules: Modules) -> None:
    assert modules.call("[tables.kbm.M, tables.kbm.F]") == kbm_g().tolist()


def test_words_are_the_servers_when_unpacked(modules: Modules) -> None:
    said = modules.call("({...tables, lms: null})")
    assert (said["engine"], said["kbm_version"]) == (ENGINE_VERSION, KBM_VERSION)
    assert said["rules"] == {
        name: {"urgency": rule.urgency, **rule.text.wire()} for name, rule in RULES.items()
    }
    assert said["labels"] == {code: {"id": label.id, "en": label.en} for code, label in LABELS.items()}
    assert said["note"] == {"id": SCREENING_NOTE.id, "en": SCREENING_NOTE.en}
    assert said["ranges"] == {
        "weight_g": [500, 40_000],
        "length_mm": [300, 1400],
        "muac_mm": [50, 300],
        "head_mm": [250, 650],
    }


def test_every_reason_has_words_when_a_score_is_undefined(modules: Modules) -> None:
    reasons = modules.call("zscores.REASONS")
    assert reasons == [reason.name.lower() for reason in Reason if reason != Reason.NOT_ASKED]
    assert set(modules.call("Object.keys(tables.reasons)")) >= set(reasons[1:])
    judged = {reason.name.lower() for reason in GainReason} - {"compared"}
    assert set(modules.call("Object.keys(tables.gain_reasons)")) == judged


def test_rules_stand_in_order_of_urgency_when_unpacked(modules: Modules) -> None:
    urgencies = modules.call("Object.values(tables.rules).map((rule) => rule.urgency)")
    assert urgencies == sorted(urgencies)


def test_file_is_small_when_compressed() -> None:
    assert len(gzip.compress(growth_file())) < 16 * KIBIBYTE


def test_file_is_refused_when_it_is_something_else(modules: Modules) -> None:
    said = modules.call(
        "given.map((json) => { try { packed.readTables(json); return null; } catch (e) { return e.message; } })",
        [None, {}, {"lms": {}}],
    )
    assert said == ["not a growth file: lms, kbm or rules missing"] * 3
    assert json.loads(growth_file()).keys() >= {"lms", "kbm", "rules"}
