"""Who delivers each channel, and what it still needs, as `reengage doctor` tells."""

from __future__ import annotations

import contextlib
import shutil
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from config.settings import CHECKOUT
from tasks.store.readiness import needs
from tasks.store.workspace import Workspace
from tests.evaluation_world import insert
from tests.send.stage import write_campaign

OURS = "sender: {name: Shop, email: shop@shop.example, postal_address: '2 Own Street, Berlin'}\n"
SENDGRID = "providers: [{provider: email_sendgrid}]\n"
SES = "providers: [{provider: email_ses, region: eu-central-1}]\n"
READY = {"sendgrid_api_key": SecretStr("SG.key"), "public_url": "https://news.shop.example"}


@pytest.fixture
def email(make_workspace, tmp_path, monkeypatch):
    """What doctor says of a campaign's emails, with this reengage.yaml and these settings."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))

    def ask(pipeline: str, need: str = "credentials: email", **settings: object) -> tuple[str, str]:
        folder = tmp_path / "config"
        folder.mkdir()
        for name in ("campaigns", "suites", "sources.yaml"):
            (folder / name).symlink_to(CHECKOUT / "config" / name)
        (folder / "reengage.yaml").write_text(pipeline)
        found = needs(make_workspace(config=folder, **settings), datetime(2026, 6, 8, tzinfo=UTC))
        (answer,) = {(one.there, one.detail) for one in found if one.need == need}
        return answer

    return ask


def test_without_a_provider_the_outbox_keeps_everything(email):
    there, detail = email("{}")
    assert there == "warning"
    assert "outbox" in detail


def test_a_simulated_database_needs_no_provider(email):
    assert email(SENDGRID, mode="simulated")[0] == "yes"


def test_a_provider_that_has_what_it_needs_delivers(email):
    assert email(OURS + SENDGRID, **READY) == ("yes", "email_sendgrid delivers")


@pytest.mark.parametrize(
    ("pipeline", "without", "named"),
    [
        (OURS + SENDGRID, "sendgrid_api_key", "REENGAGE_SENDGRID_API_KEY"),
        (OURS + SENDGRID, "public_url", "REENGAGE_PUBLIC_URL"),
        (SENDGRID, None, "sender.email"),
        (SENDGRID, None, "sender.postal_address"),
    ],
)
def test_what_a_provider_lacks_is_named(email, pipeline, without, named):
    there, detail = email(pipeline, **{name: value for name, value in READY.items() if name != without})
    assert there == "no"
    assert detail.startswith("email_sendgrid would deliver, but needs ")
    assert named in detail


def test_a_provider_that_only_checks_is_no_surprise(email):
    there, detail = email(OURS + "providers: [{provider: email_sendgrid, sandbox: true}]\n", **READY)
    assert there == "warning"
    assert "delivers none" in detail


def test_keys_of_amazon_are_looked_for_where_boto3_does(email, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    assert email(OURS + SES, **READY) == ("yes", "email_ses delivers")


def test_a_machine_without_keys_of_amazon_may_still_have_a_role(email):
    there, detail = email(OURS + SES, **READY)
    assert there == "warning"
    assert "boto3 finds no keys" in detail


@pytest.mark.parametrize(
    ("provider", "more", "named"),
    [
        ("email_ses", ", region: eu-central-1", "ses:GetAccount"),
        ("email_ses", ", region: eu-central-1, rate: 14", "14 a second"),
        ("sms_aws", ", region: eu-central-1, origination_identity: pool-1", "1 message parts a second"),
        ("sms_aws", ", region: eu-central-1, origination_identity: '12345'", "100 message parts a second"),
        ("email_sendgrid", "", "publishes no limit"),
    ],
)
def test_how_fast_a_provider_is_called_and_how_to_say_otherwise_is_told(email, provider, more, named):
    there, detail = email(f"providers: [{{provider: {provider}{more}}}]\n", f"rate: {provider}")
    assert there == "yes"
    assert named in detail


@pytest.mark.parametrize(("proxies", "there"), [([], "warning"), (["10.0.0.5"], "yes")])
def test_a_receiver_that_people_reach_and_no_named_proxy_is_a_warning(email, proxies, there):
    need = "receiver: REENGAGE_TRUSTED_PROXIES"
    assert email("{}", need, public_url=READY["public_url"], trusted_proxies=proxies)[0] == there


def test_a_receiver_that_nobody_reaches_yet_needs_no_named_proxy(make_workspace):
    found = needs(make_workspace(), datetime(2026, 6, 8, tzinfo=UTC))
    assert found
    assert "receiver: REENGAGE_TRUSTED_PROXIES" not in {one.need for one in found}


def test_an_ad_without_a_bot_is_an_error_and_an_unknown_one_a_warning(make_workspace, tmp_path):
    folder = tmp_path / "config"
    folder.mkdir()
    campaigns = folder / "campaigns"
    shutil.copytree(CHECKOUT / "config" / "campaigns" / "partial_leads", campaigns / "partial_leads")
    path = campaigns / "partial_leads" / "campaign.yaml"
    path.write_text(path.read_text().replace("[name-your-ad-here]", "[with, without, unknown]"))
    work = make_workspace(config=folder)
    with work.database.transaction() as connection:
        for ad, bot in (("with", "bot"), ("without", None)):
            insert(connection, "core.ads", [{
                "ad_id": ad, "bot_id": bot, "campaign_name": "Spring", "status": "active", "load_id": 1,
                "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
            }])  # fmt: skip

    found = {one.need: one.there for one in needs(work, datetime(2026, 6, 8, tzinfo=UTC))}

    assert [found[f"ad: {ad}"] for ad in ("with", "without", "unknown")] == ["yes", "no", "warning"]


def test_a_campaign_with_words_of_its_own_on_whatsapp_is_told_whom_they_reach(make_workspace, tmp_path):
    folder = tmp_path / "config"
    template = {"template": {"name": "news"}}
    messages = {"whatsapp": {"file": "sms.txt", **template}}
    steps = [{"send_after": f"{hours}h", "messages": messages} for hours in (1, 2)]
    own_words = {2: {"whatsapp": {"file": "sms.txt"}}}
    halves = [{"name": "a", "share": 0.5}, {"name": "b", "share": 0.5, "messages": own_words}]
    for name, variants in (("templates", []), ("words", halves)):
        write_campaign(folder, name, channels=["whatsapp"], steps=steps, variants=variants)

    answers = needs(make_workspace(config=folder), datetime(2026, 6, 8, tzinfo=UTC))

    found = [(one.campaign, one.there, one.detail) for one in answers if one.need == "templates: whatsapp"]
    assert found == [
        ("words", "warning",
         "none in step 2: WhatsApp then takes it for people only who wrote there within the last 24 hours"),
    ]  # fmt: skip


def test_who_pays_for_whatsapp_is_told_which_countries_have_no_price(make_workspace, tmp_path):
    folder = tmp_path / "config"
    shutil.copytree(CHECKOUT / "config" / "campaigns" / "partial_leads", folder / "campaigns" / "partial_leads")
    path = folder / "campaigns" / "partial_leads" / "campaign.yaml"
    as_shipped = path.read_text()
    prices = folder / "prices.yaml"
    german = "{place: DE, category: marketing, currency: EUR, price: 0.1, valid_from: 2026-01-01, SOURCE}"
    written = f"checked: 2026-01-01\nprices: [{german}]\n"
    prices.write_text(written.replace("SOURCE", "source: our contract, dated: 2026-01-01"))
    (folder / "reengage.yaml").write_text("whatsapp_prices: prices.yaml\n")
    work = make_workspace(config=folder, mode="live")
    people = [("ann", "DE"), ("bob", "IN"), ("carl", "IN"), ("dora", "BR")]
    with work.database.transaction() as connection:
        insert(
            connection,
            "core.customers",
            [{"customer_id": one, "phone_e164": f"+{one}", "phone_country": country} for one, country in people],
        )
        granted = {"channel": "whatsapp", "purpose": "retargeting", "status": "granted", "basis": "express"}
        insert(connection, "core.consents", [
            granted | {"consent_id": one, "customer_id": one, "occurred_at": datetime(2026, 6, 1, tzinfo=UTC)}
            for one, _ in people[:3]
        ])  # fmt: skip

    def told() -> list[tuple[str, str]]:
        fresh = Workspace(work.settings)  # reads the files again
        with contextlib.closing(fresh):
            answers = needs(fresh, datetime(2026, 6, 8, tzinfo=UTC))
        return [(one.there, one.detail) for one in answers if one.need == "prices: whatsapp"]

    assert told() == [], "free messages only"
    path.write_text(as_shipped.replace("after_free_window: false", "after_free_window: true"))
    ((there, detail),) = told()
    assert there == "warning"
    assert "none for marketing to IN (2 people):" in detail
    prices.write_text(prices.read_text().replace("place: DE", 'place: "*"'))
    assert told() == [("yes", "known for the numbers of 2 countries")]


META = "ad_platforms: [{platform: meta, ad_account: '1'}]\n"
GOOGLE = "ad_platforms: [{platform: google, account: '1234567890', credentials: google.json}]\n"


@pytest.mark.parametrize(
    ("pipeline", "platform", "settings", "answer"),
    [
        (META, "meta", {}, ("no", "audiences would go to Meta's ad account 1, which needs REENGAGE_META_ADS_TOKEN")),
        (META, "meta", {"meta_ads_token": SecretStr("token")}, ("yes", "audiences go to Meta's ad account 1")),
        (
            GOOGLE,
            "google",
            {},
            ("no", "audiences would go to Google's account 1234567890, which needs the file google.json"),
        ),
    ],
)
def test_an_ad_platform_that_is_named_needs_its_token(email, pipeline, platform, settings, answer):
    assert email(pipeline, f"credentials: {platform}", **settings) == answer


def test_audiences_of_an_ad_platform_that_is_not_named_stay_in_the_outbox(email):
    there, detail = email("{}", "credentials: meta")
    assert (there, "outbox" in detail) == ("warning", True)
