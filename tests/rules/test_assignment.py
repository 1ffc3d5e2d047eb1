"""The published assignment formula."""

import hashlib

import pytest

from config.campaign import Campaign
from tasks.rules import assignment

MESSAGES = {"sms": {"file": "sms.txt"}}


def campaign(**changes: object) -> Campaign:
    given = {
        "name": "win_back", "segment": "lapsing_customers", "channels": ["sms"],
        "steps": [{"send_after": "1h", "messages": MESSAGES}],
    }  # fmt: skip
    return Campaign.model_validate({**given, **changes})


def test_the_number_is_the_first_eight_bytes_of_the_hash():
    digest = hashlib.sha256(b"salt|win_back/holdout|0042").hexdigest()

    assert assignment.draw("salt", "win_back/holdout", "0042") == int(digest[:16], 16) / 2**64


def test_a_customer_id_counts_without_outer_blanks_and_with_its_zeros():
    drawn = assignment.draw("salt", "x", "0042")

    assert assignment.draw("salt", "x", " 0042 ") == drawn
    assert assignment.draw("salt", "x", "42") != drawn


def test_raising_the_share_only_adds_people():
    people = [f"{number}" for number in range(2000)]
    held = [
        {one for one in people if assignment.assign(campaign(holdout=share), "salt", one).arm == "holdout"}
        for share in (0.05, 0.1, 0.3)
    ]

    assert held[0] < held[1] < held[2]
    assert [len(some) / 2000 for some in held] == pytest.approx([0.05, 0.1, 0.3], abs=0.02)


def test_variants_take_consecutive_intervals_in_file_order():
    shares = [0.2, 0.5, 0.3]
    found = campaign(variants=[{"name": f"v{place}", "share": share} for place, share in enumerate(shares)])

    for number in range(500):
        put = assignment.assign(found, "salt", f"{number}")
        wanted = "v0" if put.variant_u < 0.2 else "v1" if put.variant_u < 0.7 else "v2"
        assert put.variant == wanted


def test_holdout_and_variant_are_drawn_independently():
    drawn = assignment.assign(campaign(), "salt", "1")

    assert drawn.assigned_u != drawn.variant_u
    assert drawn.variant == "control"


@pytest.mark.parametrize(
    ("changes", "salt"),
    [
        ({"holdout": 0.2}, "salt"),
        ({"variants": [{"name": "a", "share": 0.5}, {"name": "b", "share": 0.5}]}, "salt"),
        ({}, "pepper"),
    ],
)
def test_share_variants_and_salt_open_a_new_version(changes, salt):
    assert assignment.version(campaign(**changes), salt) != assignment.version(campaign(), "salt")


def test_nothing_else_opens_a_new_version():
    other = campaign(description="another sentence", params={"margin_days": 9}, expires_after="3d")

    assert assignment.version(other, "salt") == assignment.version(campaign(), "salt")
