"""Texts of strangers: one printable line, hidden characters as escapes, no workflow command, no link with a user."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.cli.output import fit
from indexer.core.printable import LONGEST, clean, one_line
from indexer.core.records.about import link_of

HIDDEN = [*"\u061c\u200b\u200d\u200e\u202e\u2060\u2067\u3164\ufe0f\ufeff\u00ad", "\U000e0041", "\U000e0100"]


@given(st.text(st.characters()) | st.text(st.sampled_from(HIDDEN), max_size=900))
def test_a_line_is_printable_and_short_whatever_the_text(text: str) -> None:
    line = one_line(text)
    assert line.isprintable()
    assert len(line) <= LONGEST
    assert not set(HIDDEN) & set(line)


@pytest.mark.parametrize("character", HIDDEN)
@pytest.mark.parametrize("show", [one_line, clean, fit])
def test_hidden_characters_are_shown_as_escapes(show: object, character: str) -> None:
    assert callable(show)
    escape = character.encode("ascii", "backslashreplace").decode()
    assert show(f"a{character}b") == f"a{escape}b"


def test_visible_texts_stay_as_they_are() -> None:
    assert one_line(result := "Geräusche im Röhricht, 葦の音 🌾") == clean(result) == fit(result) == result


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("::add-mask::x", r"\x3a:add-mask::x"),
        ("  ::error::x", r"\x3a:error::x"),
        ("fault: a ##[error]x", r"fault: a ##\x5berror]x"),
        ("a\n::error::x", r"a\n::error::x"),
        ("a::b", "a::b"),
    ],
)
def test_no_line_begins_a_workflow_command(line: str, shown: str) -> None:
    assert fit(line) == shown


@pytest.mark.parametrize("address", ["https://conda.org@evil.example/", "http://a:b@c", "https://@c/", "https://a@b?c"])
def test_a_link_with_a_user_is_no_link(address: str) -> None:
    assert link_of(address) == ""


@pytest.mark.parametrize("address", ["https://a.example/@b", "https://a.example?q=c@d", "http://a/#e@f"])
def test_a_link_with_an_at_sign_behind_its_host_is_one(address: str) -> None:
    assert link_of(address) == address
