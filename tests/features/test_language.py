"""Messages: English without a catalogue, another language with one, and what a bad one does."""

from __future__ import annotations

import io
from gettext import GNUTranslations
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo

from features.catalogue import BY_NAME
from features.columns import Columns
from features.instants import from_micros
from features.language import LanguageError, catalogue_from, digits, say, say_count, speaking
from features.records import Change
from features.sentences import number, per_hundred, reference_words, sentence, within


def french() -> GNUTranslations:
    """A few messages, with plurals from two on and a comma before the decimals."""
    made = Catalog(locale="fr")
    changes = "{value} change by team {team} in {window}"
    made.add(
        (changes, changes.replace("change ", "changes ")),
        ("{window} : {value} changement de {team}", "{window} : {value} changements de {team}"),
    )
    made.add(
        ("the last {days} day", "the last {days} days"),
        ("le dernier jour", "{days} derniers jours"),
    )
    made.add(("{value} day", "{value} days"), ("{value} jour", "{value} jours"))
    made.add("fewer than {share}", "moins de {share}")
    made.add(".", ",", context="decimal point")
    made.add(",", " ", context="thousands separator")
    file = io.BytesIO()
    write_mo(file, made)
    file.seek(0)
    return GNUTranslations(file)


def change(**fields: str) -> Columns:
    known = from_micros(0)
    assert known is not None
    return Columns.from_records(Change, [Change(change_id="C", known_at=known, **fields)])  # type: ignore[arg-type]


def test_a_sentence_in_another_language() -> None:
    feature, about = BY_NAME["team_changes_7d"], change(assignment_group="dba")
    with speaking(french()):
        told = [sentence(feature, value, change=about) for value in (0.0, 1.0, 2.0, 1234.0)]
    assert told == [
        "7 derniers jours : 0 changement de dba",
        "7 derniers jours : 1 changement de dba",
        "7 derniers jours : 2 changements de dba",
        "7 derniers jours : 1 234 changements de dba",
    ]
    assert sentence(feature, 1.0, change=about) == "1 change by team dba in the last 7 days"


def test_numbers_with_the_language_s_own_separators() -> None:
    with speaking(french()):
        assert (number(1234.0), number(2.25), digits("1,234.5")) == ("1 234", "2,2", "1 234,5")
        assert (per_hundred(0.024), per_hundred(0)) == ("2,4", "moins de 0,1")
        assert within(0.04996, [0.05]) == "4,996"
        assert reference_words(BY_NAME["ci_days_since_change"], 2.5) == "2,5 jours"
    assert within(0.04996, [0.05]) == "4.996"


def test_what_a_catalogue_lacks_is_told_in_english() -> None:
    with speaking(french()):
        assert say("No title is given") == "No title is given"
        assert say_count("{n} thing", "{n} things", 2, n="2") == "2 things"


def test_what_is_filled_in_is_no_template() -> None:
    assert say("{fact}; {usual}", fact="{usual}", usual="x") == "{usual}; x"
    assert say("{fact} {unknown}", fact="a") == "a {unknown}"


def test_english_again_after_a_fault() -> None:
    with pytest.raises(RuntimeError, match="midway"), speaking(french()):
        raise RuntimeError("midway")
    assert per_hundred(0) == "fewer than 0.1"


@pytest.mark.parametrize(
    "content", [b"", b"no catalogue", b"\xde\x12\x04\x95" + b"\xff" * 30, None]
)
def test_a_catalogue_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "xx.mo"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LanguageError, match=r"a compiled gettext catalogue \(\.mo\) in .*xx\.mo"):
        catalogue_from(path)


def test_none_named_is_english() -> None:
    with speaking(catalogue_from(None)):
        assert say("yes") == "yes"
