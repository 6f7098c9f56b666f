"""Every code of the growth engine has words."""

from server.children.labels import GAIN_REASON_LABELS, LABELS, REASON_LABELS, SCREENING_NOTE
from server.growth.status import LENGTH_FOR_AGE_CODES, MUAC_CODES, WASTING_CODES, WEIGHT_FOR_AGE_CODES
from server.growth.weight_gain import GainReason
from server.growth.zscores import Reason


def test_every_code_has_words_in_both_languages_when_shown() -> None:
    codes = {*WEIGHT_FOR_AGE_CODES, *LENGTH_FOR_AGE_CODES, *WASTING_CODES, *MUAC_CODES}
    assert set(LABELS) == codes
    assert all(label.id and label.en for label in LABELS.values())


def test_every_reason_has_words_in_both_languages_when_shown() -> None:
    assert set(REASON_LABELS) == set(Reason) - {Reason.DEFINED}
    assert set(GAIN_REASON_LABELS) == set(GainReason) - {GainReason.COMPARED}
    assert all(label.id and label.en for label in (*REASON_LABELS.values(), *GAIN_REASON_LABELS.values()))


def test_screening_note_denies_a_diagnosis_when_read_in_either_language() -> None:
    assert "bukan diagnosis" in SCREENING_NOTE.id
    assert "not a diagnosis" in SCREENING_NOTE.en
