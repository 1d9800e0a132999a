"""A patch changes only the records it names, in any order, and withdrawn packages can come back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from indexer.core import names
from indexer.core.formats.repodata import decode_run_exports, decode_unpatched, unpatched_run_exports
from indexer.core.overlay import WithdrawnPackages, Yank, make_overlay
from indexer.core.patch import apply_instructions, parse_instructions
from indexer.core.publication import publication
from indexer.core.records.index_json import PATCHABLE
from tests.support.render_context import contents, first_context
from tests.support.strategies import RUN_EXPORTS, SPECS, TEXTS, filenames, indexes, values

if TYPE_CHECKING:
    from indexer.core.model import Index

WORDS = st.text(st.characters(categories=["L", "N", "P"]), max_size=6)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "depends": SPECS | st.none(),
        "constrains": SPECS | st.none(),
        "license": WORDS | st.none(),
        "track_features": WORDS | st.none(),
        "size": st.integers(),
        "indexed_timestamp": st.none(),
        "run_exports": RUN_EXPORTS,
        "x_nobody_knows": TEXTS,
    },
)


@st.composite
def patches(draw: st.DrawFn, index: Index) -> dict[str, Any]:
    """Draw instructions for some packages of an index, and for some that are not there."""
    named = st.sampled_from(sorted(index.records)) | filenames() if index.records else filenames()
    result = draw(st.dictionaries(named, FIELDS, max_size=4))
    return {
        "patch_instructions_version": draw(st.sampled_from([1, 2])),
        "packages": {name: fields for name, fields in result.items() if name.endswith(names.TAR_BZ2)},
        "packages.conda": {name: fields for name, fields in result.items() if name.endswith(names.CONDA)},
        "v3": {
            extension[1:]: {
                name.removesuffix(extension): value for name, value in result.items() if name.endswith(extension)
            }
            for extension in names.EXTENSIONS
        },
        "remove": draw(st.lists(named, max_size=1)),
        "revoke": draw(st.lists(named, max_size=1)),
        "nobody": "knows",
    }


def formats(filename: str) -> set[str]:
    return {filename, filename.replace(names.TAR_BZ2, names.CONDA)}


@given(st.data(), indexes())
def test_a_patch_changes_only_the_records_it_names(data: st.DataObject, index: Index) -> None:
    content = data.draw(patches(index))
    patched = apply_instructions(index, parse_instructions(json.dumps(content).encode(), "")).index
    named = {file for section in ("packages", "packages.conda") for name in content[section] for file in formats(name)}
    revoked = {file for name in content["revoke"] for file in formats(name)}
    removed = {file for name in content["remove"] for file in formats(name)} & index.records.keys()
    assert patched.records.keys() == index.records.keys() - removed
    assert set(patched.removed) == set(index.removed) | removed
    assert (patched.info, patched.rest, patched.v3_rest) == (index.info, index.rest, index.v3_rest)
    for name, record in patched.records.items():
        if name not in named | revoked:
            assert record is index.records[name]
        before, after = values({"": index.records[name]})[""], values({"": record})[""]
        allowed = PATCHABLE | ({"revoked"} if name in revoked else set())
        assert {key: item for key, item in before.items() if key not in allowed} == {
            key: it for key, it in after.items() if key not in allowed
        }
    changed = {name for name, value in patched.run_exports.items() if index.run_exports.get(name) is not value}
    assert changed <= (named if content["patch_instructions_version"] == 2 else set())


@given(st.data(), indexes())
def test_the_order_of_packages_and_of_instructions_does_not_matter(data: st.DataObject, index: Index) -> None:
    content = data.draw(patches(index))
    backwards = {
        key: dict(reversed(value.items())) if isinstance(value, dict) else value for key, value in content.items()
    }
    other = replace(index, records=_reversed(index.records))
    one = apply_instructions(index, parse_instructions(json.dumps(content).encode(), ""))
    two = apply_instructions(other, parse_instructions(json.dumps(backwards).encode(), ""))
    assert values(one.index.records) == values(two.index.records)
    assert (one.index.removed, one.index.v3, one.warnings) == (two.index.removed, two.index.v3, two.warnings)


def _reversed(mapping: Any) -> dict[str, Any]:
    return dict(reversed(mapping.items()))


@given(st.data(), indexes())
def test_the_same_patch_again_changes_nothing(data: st.DataObject, index: Index) -> None:
    content = {**data.draw(patches(index)), "remove": []}
    instructions = parse_instructions(json.dumps(content).encode(), "")
    once = apply_instructions(index, instructions).index
    assert apply_instructions(once, instructions).index.records == once.records


@given(data=st.data(), index=indexes(), run_exports=st.booleans())
def test_the_unpatched_index_is_kept_under_any_overlay(data: st.DataObject, index: Index, *, run_exports: bool) -> None:
    yanked = data.draw(st.lists(st.sampled_from(sorted(index.records)), max_size=2)) if index.records else []
    content = json.dumps(data.draw(patches(index))).encode()
    overlay = make_overlay("", content, WithdrawnPackages({name: Yank("broken", 1) for name in yanked}))
    scene = first_context()
    if not run_exports:
        scene = first_context(type(scene.outputs)(run_exports=False))
    result = contents(publication(overlay.apply(index).index, scene, index))
    kept, own = decode_unpatched(result[names.FROM_PACKAGES], "")
    assert values(kept.records) == values(index.records)
    assert (kept.v3, kept.removed, kept.v3_rest.keys()) == (index.v3, index.removed, index.v3_rest.keys())
    assert values(kept.rest) == values(index.rest)
    if run_exports:
        changed = unpatched_run_exports(decode_run_exports(result[names.RUN_EXPORTS], ""), own)
        assert values(changed) == values(index.run_exports)
    else:
        assert own == {}
