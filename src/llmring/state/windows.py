"""The hours, days and months of budgets, in UTC."""

from __future__ import annotations

from .asks import MICRO

__all__ = ["end_of", "window_of"]

_DAY = 86_400 * MICRO


def window_of(now: int, per: str) -> int:
    """The hour, day or month that a time is in, in UTC, counted from 1970."""
    if per == "hour":
        return now // (3_600 * MICRO)
    day = now // _DAY
    if per == "day":
        return day
    year, month, _ = _date(day)
    return year * 12 + month - 1


def end_of(now: int, per: str) -> int:
    """When the window ends that a time is in."""
    window = window_of(now, per)
    if per == "hour":
        return (window + 1) * 3_600 * MICRO
    if per == "day":
        return (window + 1) * _DAY
    return _days(*divmod(window + 1, 12)) * _DAY


def _date(day: int) -> tuple[int, int, int]:
    """The year, month and day of the Gregorian calendar that a day since 1970 is, by counting from March on."""
    day += 719_468
    era, of_era = divmod(day, 146_097)
    year = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    return (
        year + era * 400 + (month >= 10),
        month + 3 if month < 10 else month - 9,
        of_year - (153 * month + 2) // 5 + 1,
    )


def _days(year: int, month: int) -> int:
    """The day since 1970 that a month begins on, which counts from 0."""
    year, month = (year - 1, month + 10) if month < 2 else (year, month - 2)
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 - 719_468
