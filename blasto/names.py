"""Names: the one spelling of each that is greeted, and how an address carries it."""

import re
import unicodedata

from werkzeug.routing import BaseConverter, ValidationError

MAX_LENGTH = 80

# Everything else of the categories Cc and Cf is invisible or reorders the text around it.
WHITE_SPACE = "\t\n\v\f\r\x85"
JOINERS = "\u200c\u200d"  # Persian, Indic scripts and emoji families need them
# Arabic, Syriac and Kaithi signs around numbers (Prepended_Concatenation_Mark in PropList.txt).
SIGNS = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"

# Tags are invisible, but behind a black flag they spell a region: Wales is "gbwls" (UTS #51).
TAGS = re.compile(
    r"(\U0001F3F4[\U000E0030-\U000E0039\U000E0061-\U000E007A]{3,6}\U000E007F)"
    r"|[\U000E0000-\U000E007F]"
)
LOOSE_JOINERS = re.compile(rf"(?<!\S)[{JOINERS}]+")

# What a browser draws nothing for (Default_Ignorable_Code_Point in Unicode's
# DerivedCoreProperties.txt, and the empty braille pattern): harmless in a name, none on its own.
BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2065\u2800\u3164"
    "\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff\\s]*"
)


class InvalidNameError(ValueError):
    """A text that cannot be greeted, and for the visitor: why, and what to do about it."""

    def __init__(self, text: str, advice: str) -> None:
        super().__init__(advice)
        self.text = text
        self.advice = advice


def canonical(text: str) -> str:
    """Return the one spelling of a name: visible, single-spaced (RFC 8266), NFC (UAX #15).

    Raises InvalidNameError where nothing visible is left, or more than MAX_LENGTH characters.
    """
    name = text
    if not name.isprintable():
        name = TAGS.sub(r"\1", name)
        name = "".join(filter(survives, name))
        name = LOOSE_JOINERS.sub("", name)
    name = " ".join(unicodedata.normalize("NFC", name).split())
    if BLANK.fullmatch(name):
        raise InvalidNameError(text, "Please type a name: letters, digits, punctuation or emoji.")
    if len(name) > MAX_LENGTH:
        raise InvalidNameError(
            text, f"That name has {len(name)} characters. Please shorten it to {MAX_LENGTH}."
        )
    return name


def survives(character: str) -> bool:
    return (
        unicodedata.category(character) not in ("Cc", "Cf")
        or character in WHITE_SPACE
        or character in JOINERS + SIGNS
        or character > "\U000e0000"  # a flag's tags: TAGS has removed all others
    )


class NameConverter(BaseConverter):
    """A name in a path, whatever its characters, a slash at the end aside."""

    regex = "(?s:.*)"
    part_isolating = False

    def to_python(self, value: str) -> str:
        return value.removesuffix("/")

    def to_url(self, value: str) -> str:
        """Quote a name; refuse one that browsers and proxies change in a path (RFC 3986, 5.2.4).

        Werkzeug then takes the endpoint's next rule, which has the name in its query.
        """
        if not {"", ".", ".."}.isdisjoint(value.split("/")):
            raise ValidationError
        return super().to_url(value)
