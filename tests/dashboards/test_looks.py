"""What is drawn can be seen: on a white page and on a dark one, by the contrast that WCAG 2.2 asks for."""

from __future__ import annotations

import tomllib

import pytest

from config.settings import CHECKOUT
from dashboards import components

THEME = tomllib.loads((CHECKOUT / "dashboards/site/.streamlit/config.toml").read_text("utf-8"))["theme"]
COLOURS = ("TEAL", "GREY", "AMBER", "RED", "LEAF", "PLUM")


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", COLOURS)
def test_every_colour_of_a_chart_stands_out_from_the_page(name: str, theme: str):
    assert contrast(getattr(components, name), THEME[theme]["backgroundColor"]) >= 3


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("words", ["textColor", "linkColor"])
@pytest.mark.parametrize("behind", ["backgroundColor", "secondaryBackgroundColor"])
def test_words_can_be_read(words: str, behind: str, theme: str):
    assert contrast(THEME[theme][words], THEME[theme][behind]) >= 4.5


def test_streamlits_own_colours_of_charts_are_ours():
    assert set(THEME["chartCategoricalColors"]) <= {getattr(components, name) for name in COLOURS}
