"""One catalogue of all messages: complete, in step with the source, and nothing told past it."""

from __future__ import annotations

import re
from string import Formatter

from babel.messages.pofile import read_po

from tests import messages


def test_the_catalogue_is_that_of_the_source() -> None:
    """``python -m tests.messages`` writes it anew."""
    assert messages.POT.read_text() == messages.text()


def test_both_forms_fill_in_the_same() -> None:
    for message in messages.catalogue():
        if message.pluralizable:
            one, many = (slots(form) for form in message.id)
            assert one == many, message.id


def test_every_message_is_a_whole_one() -> None:
    with messages.POT.open("rb") as file:
        read = read_po(file)
    assert len(read) > 350
    for message in read:
        for form in message.id if message.pluralizable else (message.id,):
            assert form == form.strip()
            assert not re.search(r"\{[^{}]*[:|]|  ", form), form


def slots(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}
