"""Figures, moments and names as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from markupsafe import Markup

from models.bands import Bands
from models.explanation import alike

BAND_WORDS = {"low": "Low", "moderate": "Moderate", "high": "High", "very_high": "Very high"}

ROUTE_WORDS = {
    "pre_approved": "It may go ahead as pre-approved.",
    "delegated_approver": "A delegated approver may decide.",
    "cab": "The board decides.",
    "ecab": "The emergency board decides.",
}

SHADOW_WORDS = {
    "pre_approved": "go ahead as pre-approved",
    "delegated_approver": "go to a delegated approver",
    "cab": "go to the board",
    "ecab": "go to the emergency board",
}
"""Routes that are only rehearsed, after "in shadow it would"."""

ODD = ("impossible_window", "unusual_window", "impossible_time", "retrospective")
"""Warnings of an answer that are shown at once; the others on request."""

ROLE_WORDS = {
    "requester": "Requester",
    "approver": "Approver",
    "data_scientist": "Data scientist",
    "auditor": "Auditor",
    "service": "Service",
    "admin": "Administrator",
}

OPERATORS = ("data_scientist", "admin")
"""Roles that can give the service a model again; they are told why there are no scores."""

LONGEST_TITLE = 160
"""Characters of a title shown in a list; its page shows all."""


def role_of(role: str) -> str:
    """Somebody of a role.

    Examples
    --------
    >>> role_of("auditor"), role_of("requester")
    ('an auditor', 'a requester')
    """
    word = ROLE_WORDS[role].lower()
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def figure(probability: float, band: str | None = None, bands: Bands | None = None) -> str:
    """A probability as a whole number in 100 that lies in the band the probability lies in.

    Examples
    --------
    >>> figure(0.336), figure(0.004), figure(0)
    ('34', '<1', '<1')
    """
    hundred = 100 * probability
    whole = round(hundred)
    if band is not None and bands is not None and bands.of(whole / 100) != band:
        inside = [n for n in (int(hundred), int(hundred) + 1) if bands.of(n / 100) == band]
        if not inside:
            return f"{hundred:.1f}"
        whole = inside[0]
    return str(whole) if whole >= 1 else "<1"


def points(share: float) -> str:
    """A part of a probability in points of 100, signed, two digits.

    Examples
    --------
    >>> points(0.1213), points(-0.051), points(0.00004)
    ('+12', '−5.1', '~0')
    """
    hundred = 100 * share
    if abs(hundred) < 0.05:
        return "~0"
    shown = f"{abs(hundred):.0f}" if abs(hundred) >= 9.95 else f"{abs(hundred):.1f}"
    return f"{'+' if hundred > 0 else '−'}{shown}"


def tenth(value: float) -> str:
    """A number with one digit behind the point."""
    return f"{value:.1f}".replace("-", "−")


def times(ratio: float) -> str:
    """How much more often than usual; empty where it is neither the same nor worth a ratio.

    Examples
    --------
    >>> times(5.62), times(1.04), times(0.31), times(1.3)
    ('5.6 times as often as usual', 'about as often as usual', '0.3 times as often as usual', '')
    """
    if 0.9 <= ratio <= 1.1:
        return "about as often as usual"
    if alike(ratio):
        return ""
    shown = f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}"
    return f"{shown} times as often as usual"


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """A number and its noun.

    Examples
    --------
    >>> counted(1, "change"), counted(2, "change"), counted(0, "change")
    ('1 change', '2 changes', 'no changes')
    """
    number = "no" if count == 0 else f"{count:,}"
    return f"{number} {noun if count == 1 else plural or noun + 's'}"


def listed(names: Sequence[str]) -> str:
    """Names in a row, the last after "and"."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def duration(span: timedelta) -> str:
    """A span in its two largest units.

    Examples
    --------
    >>> duration(timedelta(minutes=90)), duration(timedelta(days=2, hours=3))
    ('1 h 30 min', '2 days 3 h')
    >>> duration(timedelta(seconds=20)), duration(timedelta(days=1))
    ('under a minute', '1 day')
    """
    minutes = int(span.total_seconds() // 60)
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        words = [f"{days} day{'s' if days > 1 else ''}", f"{hours} h" if hours else ""]
    else:
        words = [f"{hours} h" if hours else "", f"{rest} min" if rest else ""]
    return " ".join(filter(None, words)) or "under a minute"


class Times:
    """Moments in the board's time zone.

    Parameters
    ----------
    zone : ZoneInfo
    now : datetime
        Moments of its year are shown without it.
    """

    def __init__(self, zone: ZoneInfo, now: datetime) -> None:
        self.zone = zone
        self.now = now.astimezone(zone)

    def local(self, moment: datetime) -> datetime:
        """The moment on the board's clock."""
        return moment.astimezone(self.zone)

    def day(self, moment: datetime) -> str:
        """``Wed 25 Nov``, with the year where it is another one."""
        local = self.local(moment)
        year = "" if local.year == self.now.year else f" {local.year}"
        return f"{local:%a} {local.day} {local:%b}{year}"

    def moment(self, moment: datetime) -> str:
        """``Wed 25 Nov 19:00``."""
        return f"{self.day(moment)} {self.local(moment):%H:%M}"

    def window(self, start: datetime | None, end: datetime | None) -> str:
        """``Wed 25 Nov 19:00–22:00``; over midnight ``Thu 26 Nov 21:00 – Fri 01:00``."""
        return "No window yet" if start is None else f"{self.day(start)} {self.hours(start, end)}"

    def hours(self, start: datetime, end: datetime | None) -> str:
        """The same without its first day: ``19:00–22:00``, ``21:00 – Fri 01:00``."""
        first = self.local(start)
        if end is None or end <= start:
            return f"{first:%H:%M}"
        last = self.local(end)
        if first.date() == last.date() and last.utcoffset() != first.utcoffset():
            return f"{first:%H:%M} {first:%Z}–{last:%H:%M} {last:%Z}"
        if first.date() == last.date():
            return f"{first:%H:%M}–{last:%H:%M}"
        if last - first < timedelta(days=6):
            return f"{first:%H:%M} – {last:%a} {last:%H:%M}"
        return f"{first:%H:%M} – {self.moment(end)}"

    def zone_name(self) -> str:
        """The zone's short name now."""
        return f"{self.now:%Z}" or str(self.zone)


def short(text: str | None, longest: int = LONGEST_TITLE) -> str:
    """A text in one line, cut where it is too long."""
    line = " ".join((text or "").split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def remark(reason: str) -> Markup:
    """A reason as the log has it, as a sentence; commands in it as code.

    Examples
    --------
    >>> remark("there is no model; give one with `changerisk train`")
    Markup('There is no model; give one with <code>changerisk train</code>.')
    """
    parts = f"{reason[:1].upper()}{reason[1:]}".rstrip(".").split("`")
    code = Markup("<code>{}</code>")
    return Markup("").join([*(code.format(p) if n % 2 else p for n, p in enumerate(parts)), "."])


LONGEST_NAME = 24
"""Characters of a name in a title that are kept in one line."""


def whole(title: str) -> Markup:
    """A title that is not broken at the hyphens of the names in it.

    Examples
    --------
    >>> whole("Restart <b> on portal-lb-01")
    Markup('Restart &lt;b&gt; on <span class="whole">portal-lb-01</span>')
    """
    name = Markup('<span class="whole">{}</span>')
    return Markup(" ").join(
        name.format(word) if "-" in word and len(word) <= LONGEST_NAME else word
        for word in title.split(" ")
    )


def kept(window: str) -> str:
    """A window that breaks between its moments, not within them."""
    return window.replace(" ", "\u00a0").replace("\u00a0–\u00a0", "\u00a0– ")


def moment(text: object) -> datetime | None:
    """A moment of a journal entry."""
    return datetime.fromisoformat(text) if isinstance(text, str) else None
