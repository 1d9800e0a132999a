"""docs/troubleshooting.md is made from the code: it has every kind of error that a user can see."""

from __future__ import annotations

from docs import troubleshooting
from indexer.core import errors
from tests.support.command import ROOT


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "troubleshooting.md").read_text() == troubleshooting.page(), "run `make docs`"


def test_the_page_has_every_kind_of_error() -> None:
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert kinds - troubleshooting.INTERNAL == {
        line.removeprefix("## ") for line in troubleshooting.page().splitlines() if line.startswith("## ")
    }


def test_the_page_has_the_reason_of_each_message_that_is_written_in_the_code() -> None:
    page = troubleshooting.page()
    assert "| contradict each other | remove one of the two options |" in page
    assert "| is behind a link that leaves the channel | replace the link by a folder of the channel |" in page
