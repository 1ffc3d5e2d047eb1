"""Keyword groups: which groups of words a message uses, whatever its case, accents or script. Pure.

A word counts where it stands as a whole word; `*` at its beginning or end stands for any letters. Scripts that write no
spaces between words (Chinese, Japanese, Thai and their neighbours) are searched anywhere.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

# Accents as Latin, Greek and Cyrillic letters carry them. Marks of other scripts are vowels, and stay.
_ACCENTS: Final = re.compile("[\u0300-\u036f]")
_BLANKS: Final = re.compile(r"\s+")
_APOSTROPHES: Final = str.maketrans({"\u2019": "'", "\u2018": "'", "\u00b4": "'", "`": "'", "\u0131": "i"})
_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


@dataclass(frozen=True)
class _Word:
    text: str
    starts_free: bool
    ends_free: bool


class Keywords:
    """Groups made ready once, for many messages."""

    def __init__(self, groups: Mapping[str, Sequence[str]]) -> None:
        self._groups = {name: [_word(word) for word in words] for name, words in sorted(groups.items())}

    def __bool__(self) -> bool:
        return bool(self._groups)

    def found(self, text: str) -> list[str]:
        """Names of the groups that a text has a word of, sorted."""
        plain = normalised(text)
        return [name for name, words in self._groups.items() if any(_stands(word, plain) for word in words)]


def normalised(text: str) -> str:
    """A text as words are compared: compatible forms, small letters, no accents, single blanks."""
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_APOSTROPHES)
    return _BLANKS.sub(" ", _ACCENTS.sub("", unicodedata.normalize("NFD", folded))).strip()


def _word(word: str) -> _Word:
    text = normalised(word)
    plain = text.strip("*").strip()
    return _Word(
        plain,
        text.startswith("*") or not plain or not _needs_edge(plain[0]),
        text.endswith("*") or not plain or not _needs_edge(plain[-1]),
    )


def _needs_edge(character: str) -> bool:
    return _is_of_word(character) and not _UNSPACED.match(character)


def _stands(word: _Word, plain: str) -> bool:
    at = plain.find(word.text) if word.text else -1
    while at >= 0:
        end = at + len(word.text)
        starts = word.starts_free or at == 0 or not _is_of_word(plain[at - 1])
        if starts and (word.ends_free or end == len(plain) or not _is_of_word(plain[end])):
            return True
        at = plain.find(word.text, at + 1)
    return False


def _is_of_word(character: str) -> bool:
    """Letters, digits and the marks that belong to letters."""
    return character == "_" or unicodedata.category(character)[0] in "LNM"
