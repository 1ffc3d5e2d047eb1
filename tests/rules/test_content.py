"""Messages: what a template may do, what a person's data may not do to it (H11 to H16)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from config.campaign import Campaign, load_campaign
from config.settings import CHECKOUT, Sender
from tasks.rules.content import Content, Person, Templates, Variable, one_line, unsubscribe_token, unsubscribe_url
from tasks.rules.errors import CampaignError

COLUMNS = (Variable("days_since_last"), Variable("favourite", optional=True))
SENDER = Sender(name="Shop", email="shop@example.com", postal_address="1 Street, Berlin")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shipped = CHECKOUT / "config" / "campaigns" / "lapsing_customers"
    return Path(shutil.copytree(shipped, tmp_path / "lapsing_customers"))


def load(folder: Path, campaign: Campaign | None = None) -> Templates:
    return Templates.load(campaign or load_campaign(folder), folder, COLUMNS, SENDER)


def render(folder: Path, channel: str = "push", person: Person | None = None, **evidence) -> Content:
    return load(folder).render(
        1,
        "control",
        channel,
        person or Person("1", first_name="Ann"),
        {"days_since_last": 68, **evidence},
        unsubscribe="https://example.com/u",
    )


def findings(folder: Path, text: str, file: str = "push.txt") -> str:
    (folder / file).write_text(text)
    with pytest.raises(CampaignError) as caught:
        load(folder)
    return str(caught.value)


def test_the_shipped_messages_show_voucher_name_and_unsubscribe_link(folder):
    email = render(folder, "email")
    assert "COMEBACK10" in email.fields["html"]
    assert 'href="https://example.com/u"' in email.fields["html"]
    assert email.fields["subject"] == "Ann, 10 % for you"
    assert email.fields["list_unsubscribe"] == "https://example.com/u"


@pytest.mark.parametrize("name", [None, "", "   ", "\r\n"])
def test_a_missing_name_falls_back_and_never_shows_none(folder, name):
    text = render(folder, person=Person("1", first_name=name)).fields["text"]
    assert text.startswith("Hello there:")


def test_a_name_is_never_code_markup_or_a_header(folder):
    person = Person("1", first_name="<script>{{7*7}}\r\nBcc: x@y")
    email = render(folder, "email", person)
    assert "&lt;script&gt;{{7*7}} Bcc: x@y" in email.fields["html"]
    assert "<script>" not in email.fields["html"]
    assert "\n" not in email.fields["subject"]
    assert "\r" not in email.fields["subject"]


@pytest.mark.parametrize(
    "hostile",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ 'a' * 1000000000 }}",
        "{{ 10 ** 10 ** 8 }}",
        "{% for i in range(100000) %}x{% endfor %}",
        "{{ range(3) }}",
        "{{ env.SENDGRID_API_KEY }}",
        "{% include '/etc/passwd' %}",
        "{% set x = 1 %}",
        "{{ customer.first_name | default('x') | attr('__class__') }}",
        "{{ self }}",
        "{% macro m() %}{% endmacro %}",
    ],
)
def test_a_hostile_template_is_refused_when_it_is_loaded(folder, hostile):
    assert "push.txt" in findings(folder, "{{ voucher.code }} " + hostile)


def test_shell_style_variables_stay_literal_text(folder):
    (folder / "push.txt").write_text("{{ voucher.code }} ${SENDGRID_API_KEY}")
    assert render(folder).fields["text"] == "COMEBACK10 ${SENDGRID_API_KEY}"


def test_an_unknown_variable_is_named_with_file_and_line(folder):
    said = findings(folder, "{{ voucher.code }}\n{{ costumer.first_name }}")
    assert "lapsing_customers/push.txt:2: unknown variable costumer.first_name" in said


def test_a_value_that_can_be_missing_needs_a_fallback(folder):
    assert "favourite can be missing" in findings(folder, "{{ voucher.code }} {{ favourite }}")
    (folder / "push.txt").write_text("{{ voucher.code }} {{ favourite | default('books') }}")
    assert render(folder).fields["text"] == "COMEBACK10 books"
    assert render(folder, favourite="tea").fields["text"] == "COMEBACK10 tea"


def test_asking_first_is_a_fallback_too_but_not_the_other_way_round(folder):
    (folder / "push.txt").write_text("{{ voucher.code }}{% if favourite %} {{ favourite }}{% else %} -{% endif %}")
    assert render(folder).fields["text"] == "COMEBACK10 -"
    assert render(folder, favourite="tea").fields["text"] == "COMEBACK10 tea"
    assert "can be missing" in findings(folder, "{{ voucher.code }}{% if not favourite %}{{ favourite }}{% endif %}")


def test_an_email_needs_an_unsubscribe_link_and_a_postal_address(folder):
    said = findings(folder, "<p>{{ voucher.code }} {{ days_since_last }}</p>", "email.html")
    assert "no unsubscribe link" in said
    assert "no postal address" in said


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,x", "http://plain.example", "{{ favourite }}"])
def test_a_link_is_https_mail_or_the_unsubscribe_link(folder, link):
    page = f'{{{{ voucher.code }}}} {{{{ sender.postal_address }}}} {{{{ unsubscribe_url }}}} <a href="{link}">x</a>'
    assert "a link must begin with https://" in findings(folder, page, "email.html")


def test_a_voucher_campaign_shows_the_code_in_every_message(folder):
    assert "does not show {{ voucher.code }}" in findings(folder, "Come back!")


def test_a_text_longer_than_any_provider_takes_is_refused(folder):
    assert "longer than 1600" in findings(folder, "{{ voucher.code }}" + "x" * 1600, "sms.txt")


def test_the_version_changes_with_the_words_and_only_with_them(folder):
    before = {(version.channel, version.sha256) for version in load(folder).versions()}
    assert before == {(version.channel, version.sha256) for version in load(folder).versions()}
    (folder / "sms.txt").write_text("{{ voucher.code }} now")
    after = {(version.channel, version.sha256) for version in load(folder).versions()}
    assert {channel for channel, _ in before ^ after} == {"sms"}


def test_the_same_words_have_the_same_hash(folder):
    assert render(folder).sha256 == render(folder).sha256
    assert render(folder).sha256 != render(folder, person=Person("2", first_name="Bob")).sha256


def test_the_unsubscribe_token_follows_the_published_formula():
    import base64
    import hashlib
    import hmac

    digest = hmac.new(b"key", b"v1|u|0042|email|marketing", hashlib.sha256).digest()
    token = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert unsubscribe_token("key", "0042", "email", "marketing") == token
    url = unsubscribe_url("https://shop.example/", "key", "a/b", "email", "marketing")
    assert url.startswith("https://shop.example/unsubscribe/a%2Fb/email/marketing/")


def test_one_line_keeps_letters_and_joined_emoji():
    assert one_line("Zoë 👩\u200d🚀\x00\u2028x") == "Zoë 👩\u200d🚀 x"


def with_template(folder: Path, parameters: str) -> Path:
    path = folder / "campaign.yaml"
    kept = f"file: email.html, template: {{name: d-0123, parameters: {{{parameters}}}}}"
    path.write_text(path.read_text().replace("file: email.html", kept))
    return folder


def test_a_template_kept_at_the_provider_gets_its_parameters_filled_in_their_order(folder):
    names = '"name": \'{{ customer.first_name | default("friend") }}\', "days": \'{{ days_since_last }} days\''
    fields = render(with_template(folder, names), "email").fields
    assert fields["template"] == "d-0123"
    assert json.loads(fields["parameters"]) == {"name": "Ann", "days": "68 days"}
    assert list(json.loads(fields["parameters"])) == ["name", "days"]


def test_an_unknown_variable_in_a_parameter_is_a_finding_with_its_place(folder):
    with pytest.raises(CampaignError, match=r"messages\.email\.template\.parameters\.name.*unknown variable shoe_size"):
        load(with_template(folder, "\"name\": '{{ shoe_size }}'"))


def test_a_changed_parameter_is_another_version_of_the_words(folder):
    before = load(with_template(folder, "\"name\": 'Ann'")).versions()
    path = folder / "campaign.yaml"
    path.write_text(path.read_text().replace("'Ann'", "'Bob'"))
    after = load(folder).versions()
    changed = {b.channel for a, b in zip(before, after, strict=True) if a.sha256 != b.sha256}
    assert changed == {"email"}


def test_every_unreadable_template_is_reported_with_the_place_it_stands_in(folder):
    path = folder / "campaign.yaml"
    path.write_text(path.read_text().replace('"We miss you"', '"{{ open"'))
    (folder / "sms.txt").write_text("{% if %}")
    with pytest.raises(CampaignError) as caught:
        load(folder)
    assert {problem.where for problem in caught.value.problems} == {
        "lapsing_customers/campaign.yaml: steps.0.messages.push.title:1",
        "lapsing_customers/sms.txt:1",
    }
