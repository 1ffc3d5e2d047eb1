"""An address is looked at quickly where that is safe, and comes out as the full look has it."""

from __future__ import annotations

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.channels.envelope import wire_address

PARTS = st.text(st.sampled_from("ab9.-_+!#'\"<>@ [];ü\n"), max_size=8)
# Short in ASCII, too long in its own letters.
LONG = "xn--" + ("\u4e2d" * 45).encode("punycode").decode()
DOMAINS = (
    "example.com", "EXAMPLE.com", "xn--mller-kva.example.com", "müller.example.com", "localhost", "example.test",
    "127.0.0.1", "-a.com", "a..com", "a.com.", "a_b.com", f"{'a' * 64}.com", ".".join(["a" * 60] * 4) + ".com",
)  # fmt: skip


def in_full(address: str) -> str | None:
    try:
        found = validate_email(address, check_deliverability=False)
    except EmailNotValidError:
        return None
    return address if address.isascii() else found.ascii_email


@settings(max_examples=500, deadline=None)
@given(st.builds("{}@{}".format, PARTS, PARTS | st.sampled_from(DOMAINS)))
@example("a" * 300 + "@example.com")
@example("a" * 242 + "@example.com")
@example("a" * 243 + "@example.com")
@example(f"{'a' * 120}@{LONG}.com")
def test_any_address_is_taken_or_not_as_the_full_look_says(address: str) -> None:
    assert wire_address(address) == in_full(address)


@pytest.mark.parametrize("address", ["", "@", "a", "a@", "@example.com", "a@b@example.com", "a@example.com\n"])
def test_what_is_no_address_is_taken_by_nobody(address: str) -> None:
    assert wire_address(address) is None
