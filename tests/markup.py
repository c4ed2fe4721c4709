"""A page as the tests look at it: its elements and its texts, without their lay-out."""

from html.parser import HTMLParser

VOID = {"img", "input", "link", "meta"}


class Parsed(HTMLParser):
    """Elements in order, each with its attributes, and the text of each."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[int] = []
        self.feed(page)
        self.close()
        assert self.open == [], "an element is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)), f"an attribute of {tag} is there twice"
        self.elements.append((tag, dict(attrs)))
        self.texts.append("")
        if tag not in VOID:
            self.open.append(len(self.elements) - 1)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self.open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        for index in self.open:
            self.texts[index] += data

    @property
    def skeleton(self) -> list[tuple[str, list[str]]]:
        """Every element with the names of its attributes."""
        return [(tag, list(attributes)) for tag, attributes in self.elements]

    @property
    def links(self) -> list[str | None]:
        """Where each link leads."""
        return [attributes["href"] for tag, attributes in self.elements if tag == "a"]

    def text(self, tag: str) -> str:
        """Return the text of the one element of this kind."""
        (text,) = [
            text for (name, _), text in zip(self.elements, self.texts, strict=True) if name == tag
        ]
        return text

    def attributes(self, tag: str, **wanted: str) -> dict[str, str | None]:
        """Return the attributes of the one element of this kind that has the wanted ones."""
        (attributes,) = [
            attributes
            for name, attributes in self.elements
            if name == tag and wanted.items() <= attributes.items()
        ]
        return attributes
