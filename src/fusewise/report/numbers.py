"""Numbers as text: one way to write an estimate, an interval, a share and a count."""

from __future__ import annotations

import math
from typing import Any

MINUS = "\N{MINUS SIGN}"
NOT_AVAILABLE = "n/a"
LEVEL = 0.05


def known(value: Any) -> bool:
    """Return whether `value` is a finite number (None, NaN and infinities are not)."""
    if isinstance(value, str | bool):
        return False
    try:
        return math.isfinite(value)
    except TypeError:
        return False


def _decimals(*values: float) -> int:
    largest = max((abs(float(v)) for v in values if known(v)), default=0.0)
    if largest >= 100:
        return 0
    if largest >= 10:
        return 1
    if largest > 1:
        return 2
    if largest >= 0.001 or largest == 0:
        return 3
    return min(2 - math.floor(math.log10(largest)), 9)


def _write(value: float, decimals: int) -> str:
    text = f"{float(value):,.{decimals}f}"
    if text.startswith("-"):
        text = text[1:]
        # A rounded zero has no sign.
        return MINUS + text if any(digit in text for digit in "123456789") else text
    return text


def number(value: Any, *beside: Any) -> str:
    """Write a number: three decimals up to 1, then three significant digits, all before the point.

    What stands `beside` it has a say in the number of decimals.

    Examples
    --------
    >>> number(0.85312), number(41.24), number(1234.6), number(0.00012345), number(float("nan"))
    ('0.853', '41.2', '1,235', '0.000123', 'n/a')
    """
    return _write(value, _decimals(value, *beside)) if known(value) else NOT_AVAILABLE


def signed(value: Any, low: Any = None, high: Any = None) -> str:
    """Write a difference, always with its sign, and its interval where there is one.

    Examples
    --------
    >>> signed(0.0312), signed(-0.0312, -0.05, 0.01)
    ('+0.031', '−0.031 [−0.050, 0.010]')
    """
    text = estimate(value, low, high)
    shown = text.split(" ", maxsplit=1)[0]
    positive = known(value) and float(value) > 0 and shown.strip("0.,") != ""
    return f"+{text}" if positive else text


def interval(low: Any, high: Any, *beside: Any) -> str:
    """Write the two ends of an interval, or nothing where there is none.

    What stands `beside` it has a say in the number of decimals.

    Examples
    --------
    >>> interval(0.8461, 0.8602)
    '[0.846, 0.860]'
    """
    if not (known(low) and known(high)):
        return ""
    decimals = _decimals(low, high, *beside)
    return f"[{_write(low, decimals)}, {_write(high, decimals)}]"


def estimate(value: Any, low: Any = None, high: Any = None, *, reason: str = "") -> str:
    """Write an estimate with its interval; where there is none, say why.

    Examples
    --------
    >>> estimate(0.8531, 0.8461, 0.8602)
    '0.853 [0.846, 0.860]'
    >>> estimate(float("nan"), reason="one class only")
    'n/a: one class only'
    """
    if not known(value):
        return f"{NOT_AVAILABLE}: {reason}" if reason else NOT_AVAILABLE
    ends = interval(low, high, value)
    return f"{_write(value, _decimals(value, low, high))} {ends}" if ends else number(value)


def percent(value: Any) -> str:
    """Write a share between 0 and 1 as a percentage.

    Examples
    --------
    >>> percent(0.2961), percent(0.0004), percent(1)
    ('29.6%', '0.04%', '100%')
    """
    return f"{_percent_digits(value)}%" if known(value) else NOT_AVAILABLE


def percent_interval(value: Any, low: Any, high: Any) -> str:
    """Write a share and its interval as percentages.

    Examples
    --------
    >>> percent_interval(0.2961, 0.288, 0.3043)
    '29.6% [28.8, 30.4]'
    """
    if not (known(value) and known(low) and known(high)) or low == high:
        return percent(value)
    return f"{percent(value)} [{_percent_digits(low)}, {_percent_digits(high)}]"


def percent_short(value: Any) -> str:
    """Write a share without decimals that say nothing: for axes and thresholds.

    Examples
    --------
    >>> percent_short(0.9), percent_short(0.025)
    ('90%', '2.5%')
    """
    return percent(value).replace(".0%", "%")


def _percent_digits(value: Any) -> str:
    share = 100 * float(value)
    if share in (0.0, 100.0):
        return f"{share:.0f}"
    digits = f"{share:.1f}" if abs(share) >= 0.1 else f"{share:.2g}"
    # 99.96 % is not everything.
    if digits == "100.0":
        digits = "99.9"
    return digits.replace("-", MINUS)


def count(value: Any) -> str:
    """Write a count with separators of thousands.

    Examples
    --------
    >>> count(11988), count(4312.6), count(None)
    ('11,988', '4,313', 'n/a')
    """
    return f"{round(float(value)):,}".replace("-", MINUS) if known(value) else NOT_AVAILABLE


def p_value(value: Any) -> str:
    """Write a p-value, which is never zero.

    Examples
    --------
    >>> p_value(0.0241), p_value(0.0001), p_value(1.0), p_value(float("nan"))
    ('0.024', '< 0.001', '1.000', 'n/a')
    """
    if known(value) and value < 0.001:
        return "< 0.001"
    return _write(value, 3) if known(value) else NOT_AVAILABLE


def beyond_chance(p: Any) -> bool:
    """Return whether a p-value is at most 5 %; one that does not exist is not.

    Examples
    --------
    >>> beyond_chance(0.05), beyond_chance(0.051), beyond_chance(float("nan"))
    (True, False, False)
    """
    return known(p) and float(p) <= LEVEL


def clock(time: Any) -> str:
    """Write a time without decimals that say nothing, and without an exponent.

    Examples
    --------
    >>> clock(0.0), clock(312.0), clock(7.25), clock(43218.4), clock(float("nan"))
    ('0', '312', '7.25', '43,218', 'n/a')
    """
    return count(time) if known(time) and float(time).is_integer() else number(time)


def plain(value: Any) -> str:
    """Write any value of a settings tree: numbers short, None as a dash.

    Examples
    --------
    >>> plain(True), plain(None), plain(0.9), plain(200000), plain("late")
    ('yes', '—', '0.9', '200,000', 'late')
    """
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace("-", MINUS)
    if isinstance(value, float):
        return f"{value:,.4g}".replace("-", MINUS) if known(value) else NOT_AVAILABLE
    if isinstance(value, list | tuple | set | frozenset):
        shown = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return ", ".join(plain(item) for item in shown) or "—"
    return str(value)


def plural(n: Any, singular: str, many: str | None = None) -> str:
    """Write a count with its noun.

    Examples
    --------
    >>> plural(1, "modality", "modalities"), plural(1200, "sample")
    ('1 modality', '1,200 samples')
    """
    noun = singular if known(n) and round(float(n)) == 1 else (many or f"{singular}s")
    return f"{count(n)} {noun}"
