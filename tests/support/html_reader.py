"""An HTML page as a test looks at it: tags, attributes, words and links."""

from __future__ import annotations

from html.parser import HTMLParser


class HtmlReader(HTMLParser):
    """The tags, attributes and words of a page."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, key, value or "") for key, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        """All words."""
        return "".join(self.words)

    @property
    def links(self) -> list[str]:
        """The addresses of all links."""
        return [value for tag, key, value in self.attributes if key in {"href", "src"}]
