"""`packages/NAME.html`: all that the channel knows of one package, for people."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from indexer.core import names
from indexer.core.amounts import counted
from indexer.core.pages.dependencies import name_in, texts_of
from indexer.core.pages.document import Look, Page, channel_address, command, document, resources
from indexer.core.pages.packages import file_count, last_indexed_ms
from indexer.core.pages.safe_html import (
    day,
    download,
    downloads,
    link_outside,
    page_link,
    removed_files,
    size,
    summary,
    text,
)
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from indexer.core.model import Outputs
    from indexer.core.pages.packages import Package, Release

LOOK = Look(resources("base.css", "package.css"), resources("base.js"))
# A version that a command line may have.
_PLAIN = re.compile(r"[\w.+]+", re.ASCII)
_QUOTED = re.compile(r"[\w.+!-]+", re.ASCII)
_LINKS = {
    "home": "Home",
    "doc_url": "Documentation",
    "dev_url": "Source code",
    "doc_source_url": "Source of the documentation",
}
# How much of a page is read to see whether it is ours.
HEAD = 1024


class PackagePage(Value, frozen=True):
    """What the page of a package is made of: the package, and those of its dependencies that the channel has."""

    package: Package
    linked: Collection[str]
    outputs: Outputs

    def encode(self) -> bytes:
        """The bytes of the page."""
        package, outputs = self.package, self.outputs
        newest = _newest(package, outputs) if package.releases else ""
        content = (
            f'<header>\n<nav><a href="../{names.INDEX_HTML}">{text(outputs.title)}</a></nav>\n'
            f"{_heading(package)}\n</header>\n<main>\n{newest}{self._versions()}"
            + removed_files([(f"{file.subdir}/{file.filename}", file.reason) for file in package.removed], is_open=True)
            + "\n</main>"
        )
        page = Page(f"{package.name} - {outputs.title}", "..", content, _mark(package.name))
        return document(page, LOOK)

    def _versions(self) -> str:
        """The versions, the newest first and open."""
        groups: dict[str, list[Release]] = {}
        for release in reversed(self.package.releases):
            groups.setdefault(release.entry.version, []).append(release)
        if not groups:
            return ""
        versions = (self._version(version, group, first=not at) for at, (version, group) in enumerate(groups.items()))
        return f"<h2>Versions</h2>\n{''.join(versions)}"

    def _version(self, version: str, releases: list[Release], *, first: bool) -> str:
        subdirs = text(", ".join(sorted({release.subdir for release in releases})))
        files = f"{subdirs}, {counted(file_count(releases), 'file')}, {day(last_indexed_ms(releases))}"
        ordered = sorted(releases, key=lambda release: (release.subdir, -release.entry.build_number, release.filename))
        rows = "\n".join(self._row(release, is_open=first and not at) for at, release in enumerate(ordered))
        return (
            f"<details class=version{' open' if first else ''}>"
            f"<summary>{text(version)} <small>{files}</small></summary>\n"
            + ("" if first else command("pixi", f"pixi add {_spec(self.package.name, version)}"))
            + "<table>\n<thead><tr><th scope=col>Platform<th scope=col>File<th scope=col>Size<th scope=col>Built"
            f"<th scope=col>Published</thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n</details>\n"
        )

    def _row(self, release: Release, *, is_open: bool) -> str:
        folder = downloads(release.subdir, self.outputs, f"../{release.subdir}/")
        files = release.files.items()
        cells = (
            text(release.subdir),
            "<br>".join(download(folder, filename) for filename, _ in files),
            "<br>".join(size(entry.size) for _, entry in files),
            day(release.entry.built_ms),
            day(release.entry.indexed_ms),
        )
        return f"<tr><td>{'<td>'.join(cells)}<td class=more>{self._more(release, is_open=is_open)}"

    def _more(self, release: Release, *, is_open: bool) -> str:
        """What only some readers look for: dependencies, run exports, digests."""
        depends, constrains = (texts_of(raw) for raw in (release.entry.depends, release.entry.constrains))
        exports = [f"{kind}: {spec}" for kind, specs in sorted(release.metadata.run_exports.items()) for spec in specs]
        lists = {
            "Depends on": [self._dependency(spec) for spec in depends],
            "Constrains": [self._dependency(spec) for spec in constrains],
            "Run exports": [text(export) for export in exports],
            "SHA-256": [
                f"<code>{text(entry.sha256)}</code>" + (f" {names.extension_of(filename)}" if release.twin else "")
                for filename, entry in release.files.items()
                if entry.sha256
            ],
        }
        titles = [counted(len(depends), "dependency", "dependencies")]
        titles += ["run exports"] * bool(exports) + ["SHA-256"] * bool(lists["SHA-256"])
        return f"<details{' open' if is_open else ''}><summary>{', '.join(titles)}</summary>{_facts(lists)}</details>"

    def _dependency(self, spec: str) -> str:
        name = name_in(spec)
        if name not in self.linked:
            return text(spec)
        before, _, after = spec.partition(name)
        return f"{text(before)}{page_link(name, '')} {text(after)}".strip()


def _mark(name: str) -> str:
    return f'<meta name=conda-channel-page content="{names.page_key(name)}">\n'


def is_our_page(head: bytes, name: str) -> bool:
    """Whether a file of this name begins as only our pages begin: a copy under another name has another mark."""
    return b"content=conda-channel-indexer>" in head and _mark(name).encode() in head


def _heading(package: Package) -> str:
    if not package.releases:
        return f"<h1>{text(package.name)}</h1>\n<p>All files of this package were taken out (yanked)."
    version = text(package.latest.entry.version)
    return f"<h1>{text(package.name)} <small>{version}</small></h1>\n{summary(str(package.newest_value('summary')))}"


def _newest(package: Package, outputs: Outputs) -> str:
    """How to install the newest version, and the facts of the package."""
    name, version = package.name, package.latest.entry.version
    address, spec = channel_address(outputs), _spec(name, version)
    install = command("pixi", f"pixi workspace channel add {address}\npixi add {spec}")
    install += command("conda", f"conda install -c {address} {spec}")
    links = [link_outside(str(package.newest_value(field)), words) for field, words in _LINKS.items()]
    description = str(package.newest_value("description"))
    facts = {
        "License": [text(str(package.newest_value("license")))],
        "Links": [", ".join(link for link in links if link)],
        "Platforms": [text(", ".join(package.subdirs))],
        "Files": [f"{counted(file_count(package.releases), 'file')} in {counted(len(package.versions), 'version')}"],
        "Last update": [day(last_indexed_ms(package.releases))],
    }
    about = f"<h2>About</h2>\n<p>{text(description)}\n" if description else ""
    return f"{_facts(facts)}\n<h2>Install</h2>\n{install}\n{about}"


def _facts(lists: Mapping[str, Iterable[str]]) -> str:
    """A list of terms, each with the texts that belong to it; terms without a text are left out."""
    shown = {term: [value for value in values if value] for term, values in lists.items()}
    items = (f"<dt>{term}" + "".join(f"<dd>{value}" for value in values) for term, values in shown.items() if values)
    return f"<dl>{''.join(items)}</dl>"


def _spec(name: str, version: str) -> str:
    """The package and its version for a command line; without the version if it is not safe there."""
    if _PLAIN.fullmatch(version):
        return f"{name}=={version}"
    return f"'{name}=={version}'" if _QUOTED.fullmatch(version) else name
