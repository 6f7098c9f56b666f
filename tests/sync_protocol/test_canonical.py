"""The one byte form: RFC 8785, with the cases of its appendix B and section 3.2.3."""

import json
import math
import struct
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, strategies as st

from sync_protocol import MAX_SAFE_INTEGER, RemoteProtocolError, canonical, digest

# Appendix B names a double by its bits; the texts follow from ECMAScript's rule: shortest digits that read back
# as the same double, an exponent from 1e21 up and below 1e-6.
NUMBERS: Mapping[str, str] = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
).filter(lambda value: _has_doubles_only(value))


def _has_doubles_only(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_has_doubles_only(inner) for inner in value.values())
    if isinstance(value, list):
        return all(map(_has_doubles_only, value))
    return not isinstance(value, int) or abs(value) < 10**308


def double(bits: str) -> float:
    """Read a double from its bits, as sixteen hexadecimal digits."""
    number: float = struct.unpack(">d", bytes.fromhex(bits))[0]
    return number


def as_ecmascript(number: float) -> str:
    """Write a number by the rule, with decimal arithmetic: digits times a power of ten, then where the point goes."""
    if number == 0:
        return "0"
    sign, digits, _ = Decimal(repr(number)).normalize().as_tuple()
    text, power = "".join(map(str, digits)), Decimal(repr(number)).adjusted()
    if not -7 < power < 21:
        text = text[0] + ("." + text[1:] if text[1:] else "") + f"e{power:+d}"
    elif power < 0:
        text = "0." + "0" * (-power - 1) + text
    elif len(text) <= power + 1:
        text = text.ljust(power + 1, "0")
    else:
        text = text[: power + 1] + "." + text[power + 1 :]
    return "-" * sign + text


@pytest.mark.parametrize(("bits", "text"), NUMBERS.items())
def test_number_is_written_as_the_rfc_has_it(bits: str, text: str) -> None:
    assert canonical(double(bits)).decode() == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_number_follows_the_rule_when_it_is_any_double(number: float) -> None:
    assert canonical(number).decode() == as_ecmascript(number)


@given(st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER))
def test_integer_is_written_as_json_does_when_it_is_safe(number: int) -> None:
    assert canonical([number]) == json.dumps([number]).encode()


@given(st.integers(MAX_SAFE_INTEGER + 1, 10**300))
def test_integer_is_written_as_a_double_when_it_is_not_safe(number: int) -> None:
    assert canonical(number) == canonical(float(number))
    assert canonical(-number) == b"-" + canonical(number)


def test_keys_are_sorted_by_utf16_code_units() -> None:
    # The example of RFC 8785 section 3.2.3; by code points the last two would change places.
    keys = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    assert list(json.loads(canonical(dict.fromkeys(reversed(keys), 0)))) == keys


@given(st.dictionaries(st.text(), st.integers(0, 9), max_size=6), st.randoms(use_true_random=False))
def test_bytes_are_equal_when_only_the_order_of_keys_differs(value: dict[str, int], rng: Any) -> None:
    pairs = list(value.items())
    rng.shuffle(pairs)
    assert canonical(dict(pairs)) == canonical(value)


def by_the_rule(value: Any) -> str:
    """Write a JSON value by the rule alone, without a thought for speed."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(f"{by_the_rule(key)}:{by_the_rule(value[key])}" for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(by_the_rule, value)) + "]"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return as_ecmascript(float(value))
    return json.dumps(value, ensure_ascii=False)


@given(JSON)
def test_bytes_follow_the_rule_when_it_is_any_json_value(value: Any) -> None:
    assert canonical(value).decode() == by_the_rule(value)


@given(JSON)
def test_bytes_are_a_fixed_point_when_read_and_written_again(value: Any) -> None:
    assert canonical(json.loads(canonical(value))) == canonical(value)


def test_text_is_escaped_only_where_json_must() -> None:
    assert canonical('€$\u000f\nA\'B"\\\\"/\u2028') == '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/\u2028"'.encode()


def test_tuples_and_marks_are_written_when_a_fraction_stands_beside_them() -> None:
    assert canonical({"b": (True, None, 0.5), "a": []}) == b'{"a":[],"b":[true,null,0.5]}'


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        [math.inf],
        {"a": -math.inf},
        10**400,
        "\ud800",
        {"\ud800": 1},
        ["\ud800", 0.5],
        {1: 0.5},
        {1, 2},
        [b"bytes", 0.5],
    ],
    ids=ascii,
)
def test_canonical_raises_when_json_has_no_such_value(value: object) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        canonical(value)
    assert caught.value.code == "value-not-canonical"
    assert caught.value.message


def test_canonical_raises_when_nesting_has_no_end() -> None:
    endless: list[Any] = [0.5]
    endless.append(endless)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (endless, deep):
        with pytest.raises(RemoteProtocolError):
            canonical(value)


def test_digest_is_base64url_without_padding() -> None:
    # SHA-256 of the two bytes {}: 44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a
    assert digest({}) == "RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o"
