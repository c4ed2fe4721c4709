"""Names: their canonical form, and the converter that puts them into URLs."""

import re
import unicodedata

from werkzeug.routing import BaseConverter, ValidationError

MAX_LENGTH = 80

# Kept whole: a flag that spells its region in tags (UTS #51), white space, the joiners of Persian,
# Indic scripts and emoji, and signs around Arabic numbers. The group matches any other.
KEPT = re.compile(
    r"(?s)\U0001F3F4[\U000E0030-\U000E0039\U000E0061-\U000E007A]{3,6}\U000E007F|[\t-\r\x85"
    r"\u200c\u200d\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd]|(.)"
)
# Browsers draw nothing for these (Default_Ignorable_Code_Point, and the empty braille pattern).
BLANK = re.compile(
    r"[\s\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2065\u2800\u3164"
    r"\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]*"
)


class InvalidNameError(ValueError):
    """Raised for an invalid name; the message tells the visitor what to change."""


def normalize(text: str) -> str:
    """Return a name without control characters, single-spaced (RFC 8266), in NFC (UAX #15).

    Raises InvalidNameError if nothing visible is left, or more than MAX_LENGTH characters.
    """
    kept = text
    if not text.isprintable():
        kept = KEPT.sub(
            lambda match: "" if unicodedata.category(match[1] or " ") in ("Cc", "Cf") else match[0],
            text,
        )
        kept = re.sub(r"(?<!\S)[\u200c\u200d]+", "", kept)  # a joiner joins two characters
    name = " ".join(unicodedata.normalize("NFC", kept).split())
    if BLANK.fullmatch(name):
        blank = "Enter a name with at least one visible character."
        raise InvalidNameError(blank if text.strip() else "Enter your name.")
    if len(name) > MAX_LENGTH:
        raise InvalidNameError(
            f"Your name must be {MAX_LENGTH} characters or fewer. That was {len(name)}."
        )
    return name


class NameConverter(BaseConverter):
    """Any text in a path, slashes and line breaks included, without a slash at the end."""

    regex = "(?s:.*)"
    part_isolating = False

    def to_python(self, value: str) -> str:
        return value.removesuffix("/")

    def to_url(self, value: str) -> str:
        # Browsers rewrite such paths (RFC 3986, 5.2.4): Werkzeug then puts the name in the query.
        if not {"", ".", ".."}.isdisjoint(value.split("/")):
            raise ValidationError
        return super().to_url(value)
