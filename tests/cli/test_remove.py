"""`indexer remove` shows the plan, and with --yes leaves a channel that the other indexer goes on with."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.support.channels import snapshot
from tests.support.command import invoke

if TYPE_CHECKING:
    from pathlib import Path

FOR_RATTLER = ("--for", "rattler-index")


def test_the_plan_changes_nothing_and_names_the_next_step(channel: Path) -> None:
    invoke("fs", channel, "--html")
    before = snapshot(channel)
    done = invoke("remove", channel, *FOR_RATTLER)
    assert done.code == 0
    assert "  would delete: .indexer-settings.json" in done.out.splitlines()
    assert "nothing was changed; repeat with --yes" in done.out
    assert snapshot(channel) == before


def test_yanked_and_ignored_packages_and_a_patch_are_named(channel: Path) -> None:
    invoke("fs", channel)
    invoke("yank", channel, "noarch/mire-1.0-0.conda", "--reason", "broken")
    done = invoke("remove", channel, *FOR_RATTLER, "--yes")
    assert done.code == 0
    assert "noarch/mire-1.0-0.conda: is yanked, and rattler-index will list the package again" in done.err
    assert not list(channel.rglob(".indexer*"))
    assert "the channel is ready for rattler-index" in done.out


def test_pruned_packages_are_counted(channel: Path) -> None:
    invoke("fs", channel)
    assert invoke("prune", channel, "--keep-newest", "1", "--yes").code == 0
    done = invoke("remove", channel, *FOR_RATTLER)
    assert re.search(r"rattler-index will list \d pruned packages? again; to delete the files, first repeat", done.err)


def test_json_has_the_files_apart(channel: Path) -> None:
    invoke("fs", channel)
    plan = invoke("remove", channel, *FOR_RATTLER, "--json").json
    done = invoke("remove", channel, *FOR_RATTLER, "--yes", "--json").json
    assert (plan["own_files"]["deleted"], done["own_files"]["would_delete"]) == ([], [])
    assert plan["own_files"]["would_delete"] == done["own_files"]["deleted"]
    assert done["successor"] == "rattler-index"


def test_the_other_indexer_must_be_named(channel: Path) -> None:
    done = invoke("remove", channel)
    assert done.code == 2
    assert "--for" in done.err
    assert "see `indexer remove --help`" in done.err
    wrong = invoke("remove", channel, "--for", "rattler")
    assert wrong.error == (
        "error: Invalid value for '--for': 'rattler' is not one of 'rattler-index', 'conda-index'; "
        "see `indexer remove --help`"
    )
