"""Each platform hashes a contact in its own form (published vectors: reliability finding 14, providers section 7)."""

import hashlib

import pytest

from tasks.platforms.identity import identity, normal_email, normal_phone


def test_tiktoks_published_email_vector():
    wanted = "d6117306485ed0e50afab3ac871e98f81699151f30281527d63ff5f233656c69"

    assert identity("tiktok", " JaneDoe@gmail.com", None) == wanted


def test_tiktoks_published_phone_vector_is_without_the_plus():
    wanted = "65b7e6dcf6f4310f8d7cbfbd78289a753062fb054d6664fb9aaac5df66a422d4"

    assert identity("tiktok", None, "+37493828222") == wanted


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
    assert normal_phone("google", "+49 170 1234567") == "+491701234567"
    assert normal_phone("meta", "+49 170 1234567") == "491701234567"


def test_the_email_is_preferred_and_nobody_without_contact_has_an_identity():
    assert identity("meta", "a@example.com", "+491701234567") == hashlib.sha256(b"a@example.com").hexdigest()
    assert identity("meta", None, None) is None
