"""Keyword groups over languages, case, accents and scripts."""

# ruff: noqa: RUF001 - texts of many scripts

from __future__ import annotations

import pytest

from tasks.rules.keywords import Keywords, normalised


@pytest.mark.parametrize(
    ("words", "text", "is_found"),
    [
        (["price"], "What is the PRICE?", True),
        (["price"], "priceless", False),
        (["price"], "the surprise", False),
        (["price*"], "Two prices, please", True),
        (["*bio*"], "an antibiotic", True),
        (["price list"], "your Price\n  List", True),
        (["price"], "price_list", False),
        (["Preis"], "der preis?", True),
        (["GRÖSSE"], "welche größe", True),  # sharp s and capital letters
        (["größe"], "WELCHE GROSSE", True),  # and without the dots that people leave out
        (["cuánto"], "cuanto es", True),
        (["cuanto"], "¿CUÁNTO?", True),
        (["prix"], "Prix\u00a0?", True),
        (["ΤΙΜΗ"], "ποια είναι η τιμή;", True),
        (["цена"], "Какая ЦЕНА", True),
        (["istanbul"], "İSTANBUL'da", True),
        (["fiyat"], "FİYAT ne", True),
        (["fiyatı"], "FIYATI", True),
        (["कीमत"], "कीमत क्या है", True),
        (["कम"], "कमी है", False),  # the vowel sign belongs to the word
        (["سعر"], "كم سعر هذا؟", True),
        (["価格"], "この価格はいくら", True),  # no spaces between words
        (["ราคา"], "ขอราคาหน่อย", True),
        (["가격"], "가격 알려주세요", True),
        (["don't"], "I don’t know", True),  # the apostrophe that phones write
        (["ﬁne"], "fine", True),
        (["price"], "ｐｒｉｃｅ", True),  # full-width letters
        (["✅"], "ok ✅✅", True),
        (["a"], "", False),
        (["no", "yes please"], "Yes, please", False),  # a comma is no blank
        (["yes please"], "yes please!", True),
    ],
)
def test_a_word_is_found_where_it_stands_as_one(words: list[str], text: str, is_found: bool) -> None:
    assert bool(Keywords({"group": words}).found(text)) is is_found


def test_a_message_has_every_group_it_has_a_word_of() -> None:
    keywords = Keywords({"price": ["price", "cost"], "call": ["book a call"], "other": ["x"]})

    assert keywords.found("What does it cost to book a call?") == ["call", "price"]
    assert not Keywords({})


def test_words_of_stars_alone_match_nothing() -> None:
    assert Keywords({"group": ["*", " "]}).found("anything") == []


def test_a_text_is_compared_the_same_whichever_way_its_accents_are_written() -> None:
    assert normalised("Cafe\u0301") == normalised("CAFÉ") == "cafe"
