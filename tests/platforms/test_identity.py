"""Each platform hashes a person in its own form (published vectors: reliability finding 14, providers section 7)."""

from __future__ import annotations

import hashlib

import pytest

from tasks.platforms.identity import Contact, identifiers, misfits, normal_email, normal_name, normal_phone

# What the platforms publish: platform, who, which identifier, its SHA-256.
PUBLISHED = [
    ("meta", Contact("John_Smith@gmail.com"), "email",
     "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"),
    ("meta", Contact(phone="+16505551212"), "phone",
     "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176"),
    ("meta", Contact("a@example.com", first_name="Mary"), "first_name",
     "6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec"),
    ("meta", Contact("a@example.com", first_name="Valéry"), "first_name",
     "08e1996b5dd49e62a4b4c010d44e4345592a863bb9f8e3976219bac29417149c"),
    ("meta", Contact("a@example.com", last_name="정"), "last_name",
     "8fa8cd9c440be61d0151429310034083132b35975c4bea67fdd74158eb51db14"),
    ("google", Contact("  ALEXZ@EXAMPLE.com "), "email",
     "509e933019bb285a134a9334b8bb679dff79d0ce023d529af4bd744d47b4fd8a"),
    ("google", Contact(phone="+18005550100"), "phone",
     "fb4f73a6ec5fdb7077d564cdd22c3554b43ce49168550c3b12c547b78c517b30"),
    ("google", Contact("Jefferson.Loves.hiking@gmail.com"), "email",
     hashlib.sha256(b"jeffersonloveshiking@gmail.com").hexdigest()),
    ("tiktok", Contact(" JaneDoe@gmail.com"), "email",
     "d6117306485ed0e50afab3ac871e98f81699151f30281527d63ff5f233656c69"),
    # the page writes the number with a plus and hashes it without
    ("tiktok", Contact(phone="+37493828222"), "phone",
     "65b7e6dcf6f4310f8d7cbfbd78289a753062fb054d6664fb9aaac5df66a422d4"),
]  # fmt: skip


@pytest.mark.parametrize(("platform", "contact", "kind", "sha256"), PUBLISHED)
def test_every_published_vector(platform, contact, kind, sha256):
    assert identifiers(platform, contact)[kind] == sha256


@pytest.mark.parametrize(
    ("name", "sha256"),
    [
        ("GivenName", "128a07bfe2df877c52076e60d7774cf5baaa046c5a6c48daf30ff43ecca2f814"),
        ("FamilyName", "77762c287e61ce065bee5c15464012c6fbe088398b8057627d5577249430d574"),
    ],
)
def test_googles_published_names_are_those_of_meta(name, sha256):
    assert hashlib.sha256(normal_name(name).encode()).hexdigest() == sha256


@pytest.mark.parametrize(
    ("platform", "email", "normal"),
    [
        ("google", "Jane.Doe+news@Gmail.com", "janedoe@gmail.com"),
        ("google", "jane.doe+news@googlemail.com", "janedoe@googlemail.com"),
        ("google", "jane.doe+news@example.com", "jane.doe+news@example.com"),
        ("meta", "Jane.Doe+news@Gmail.com", "jane.doe+news@gmail.com"),
        ("tiktok", "Jane.Doe@example.com", "jane.doe@example.com"),
    ],
)
def test_only_google_takes_dots_and_suffixes_out_and_only_of_its_own_mail(platform, email, normal):
    assert normal_email(platform, email) == normal


def test_google_keeps_the_plus_of_a_phone_number_and_the_others_do_not():
    assert normal_phone("google", "+491701234567") == "+491701234567"
    assert normal_phone("meta", "+491701234567") == "491701234567"


def test_everything_a_platform_takes_is_given_and_nothing_else():
    ann = Contact("a@example.com", "+491701234567", "Ann-Marie", "O'Neill", "DE")

    assert set(identifiers("meta", ann)) == {"email", "phone", "first_name", "last_name", "country"}
    assert set(identifiers("google", ann)) == {"email", "phone"}
    assert set(identifiers("tiktok", ann)) == {"email", "phone"}
    assert identifiers("meta", ann)["last_name"] == hashlib.sha256(b"oneill").hexdigest()
    assert identifiers("meta", ann)["country"] == hashlib.sha256(b"de").hexdigest()


def test_an_accent_is_one_letter_however_it_was_typed():
    composed, apart = (Contact("a@example.com", first_name=name) for name in ("Val\u00e9ry", "Vale\u0301ry"))

    assert identifiers("meta", composed) == identifiers("meta", apart)


@pytest.mark.parametrize(
    ("name", "normal"),
    [
        ("प्रिया", "प्रिया"),
        ("Nguyễn", "nguyễn"),
        ("มานี", "มานี"),
        ("مُحَمَّد", "مُحَمَّد"),
        ("\u0130lker", "i\u0307lker"),  # lower case of one letter is a letter and a mark
        ("Priya \u2764\ufe0f", "priya"),
        ("\u2764\ufe0f", ""),
    ],
)
def test_marks_are_part_of_the_letters_of_a_name(name, normal):
    assert normal_name(name) == normal


@pytest.mark.parametrize(
    "contact",
    [
        Contact(),
        Contact(first_name="Ann", last_name="Smith", country="DE"),
        Contact(email="no address"),
        Contact(phone="01701234567"),  # nobody knows in which country
        Contact(phone="+0170123456"),
    ],
)
@pytest.mark.parametrize("platform", ["meta", "google", "tiktok"])
def test_who_cannot_be_found_by_an_address_has_no_identifiers(platform, contact):
    assert identifiers(platform, contact) == {}


@pytest.mark.parametrize("country", ["D", "DEU", "dé", "ßß", "1A", "D\n"])
def test_what_is_no_country_of_two_letters_is_left_out(country):
    assert set(identifiers("meta", Contact("a@example.com", country=country))) == {"email"}


GOOD = {"email": "0" * 64, "phone": "f" * 64}


@pytest.mark.parametrize(
    ("person", "why"),
    [
        ({}, "no_identifier"),
        ({"email": "0" * 63, "phone": "f" * 65}, "invalid_identifier"),  # as long as two hashes together
        ({"email": "A" * 64}, "invalid_identifier"),
        ({"email": "0" * 63 + "\n"}, "invalid_identifier"),
        ({"email": "0" * 63 + "é"}, "invalid_identifier"),
        ({"email": "0" * 63 + "\ud800"}, "invalid_identifier"),
        ({"email": "٣" * 64}, "invalid_identifier"),  # digits of another script
        ({"email": ""}, "invalid_identifier"),
        ({"email": "ann@example.com"}, "invalid_identifier"),
        (GOOD | {"shoe_size": "0" * 64}, "invalid_identifier"),
    ],
)
def test_of_a_page_exactly_those_who_cannot_be_told_are_found(person, why):
    assert misfits([GOOD, person, GOOD, person], ("email", "phone")) == {1: why, 3: why}
    assert misfits([GOOD, {"phone": "a" * 64}], ("email", "phone")) == {}
    assert misfits([], ("email", "phone")) == {}
