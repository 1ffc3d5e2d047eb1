"""When the shop opens, where its customers live, what they are called and what they can buy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

# 1 June 2026, 00:00 in Berlin: the history ends here and the first simulated day begins. A Monday.
OPENS_AT = datetime(2026, 5, 31, 22, tzinfo=UTC)
HISTORY_DAYS = 730
EARLIEST = OPENS_AT - timedelta(days=HISTORY_DAYS)


class Place(NamedTuple):
    """Where a customer lives; `mobile` is a national number, # stands for any digit."""

    country: str
    region: str
    zone: str
    language: str
    currency: str
    code: str
    mobile: str
    weight: float


PLACES = (
    Place("DE", "BE", "Europe/Berlin", "de", "EUR", "49", "1512#######", 26),
    Place("DE", "BY", "Europe/Berlin", "de", "EUR", "49", "1761#######", 12),
    Place("AT", "9", "Europe/Vienna", "de", "EUR", "43", "6641######", 6),
    Place("CH", "ZH", "Europe/Zurich", "de", "CHF", "41", "791######", 4),
    Place("FR", "IDF", "Europe/Paris", "fr", "EUR", "33", "612######", 9),
    Place("ES", "MD", "Europe/Madrid", "es", "EUR", "34", "612######", 6),
    Place("IT", "25", "Europe/Rome", "it", "EUR", "39", "3471######", 6),
    Place("NL", "NH", "Europe/Amsterdam", "nl", "EUR", "31", "612######", 4),
    Place("PL", "14", "Europe/Warsaw", "pl", "PLN", "48", "512######", 4),
    Place("GB", "ENG", "Europe/London", "en", "GBP", "44", "7400######", 6),
    Place("PT", "11", "Europe/Lisbon", "pt", "EUR", "351", "912######", 2),
    Place("US", "NY", "America/New_York", "en", "USD", "1", "212555####", 5),
    Place("US", "IL", "America/Chicago", "en", "USD", "1", "312555####", 2),
    Place("US", "CA", "America/Los_Angeles", "en", "USD", "1", "415555####", 3),
    Place("BR", "SP", "America/Sao_Paulo", "pt", "BRL", "55", "1198#######", 2),
    Place("BR", "AM", "America/Manaus", "pt", "BRL", "55", "9298#######", 0.5),
    Place("IN", "KA", "Asia/Kolkata", "en", "INR", "91", "98450#####", 1.5),
    Place("JP", "13", "Asia/Tokyo", "ja", "JPY", "81", "9012######", 1),
)
PER_EURO = {"EUR": 1.0, "CHF": 0.95, "PLN": 4.3, "GBP": 0.85, "USD": 1.1, "BRL": 6.0, "INR": 95.0, "JPY": 165.0}
FIRST_NAMES = (
    "Anna", "Ben", "Clara", "David", "Emma", "Felix", "Greta", "Hugo", "Ida", "Jonas", "Karla", "Leon", "Mia",
    "Noah", "Olga", "Paul", "Rosa", "Samuel", "Tilda", "Viktor", "Adele", "Bruno", "Chiara", "Diego", "Elif",
    "Farid", "Giulia", "Hana", "Iwona", "Jack", "Kofi", "Lucia", "Mateus", "Nadia", "Oscar", "Priya", "Rafael",
    "Sofia", "Tomasz", "Yuki",
)  # fmt: skip
LAST_NAMES = (
    "Albrecht", "Bauer", "Costa", "Dubois", "Ebert", "Fischer", "Garcia", "Huber", "Ivanova", "Jansen", "Keller",
    "Lopez", "Moreau", "Nowak", "Oliveira", "Peters", "Quinn", "Rossi", "Schmidt", "Tanaka", "Ulrich", "Vogel",
    "Weber", "Young", "Zimmer", "Almeida", "Bianchi", "Carvalho", "Dietrich", "Eriksen", "Fontaine", "Gruber",
    "Hofmann", "Iyer", "Jones", "Kowalska", "Lindner", "Meyer", "Novak", "Patel",
)  # fmt: skip
PRODUCTS = (
    ("P100", "Coffee beans 1 kg", 18.90),
    ("P101", "Espresso beans 500 g", 11.50),
    ("P110", "Green tea 250 g", 9.80),
    ("P111", "Herbal tea box", 7.40),
    ("P120", "Filter papers", 3.20),
    ("P130", "Stoneware mug", 14.00),
    ("P131", "Travel cup", 21.50),
    ("P140", "Hand grinder", 59.00),
    ("P150", "Chocolate bar", 4.60),
    ("P160", "Oat biscuits", 5.10),
    ("P170", "Gift box", 34.00),
    ("P180", "Milk frother", 27.90),
)
DOMAINS = ("example.com", "example.org", "example.net")


class Ad(NamedTuple):
    """An ad that opens a WhatsApp chat; one that is paused brings nobody new from `changed_at` on."""

    ad_id: str
    campaign_name: str
    bot_id: str
    status: str
    changed_at: datetime
    hours_to_answer: float = 0.0  # by a person; 0: the bot answers at once
    weight: float = 1.0


# The ads of config/examples/shop/campaigns/partial_leads.
LEAD_ADS = (
    Ad("AD101", "Beans by subscription", "order-bot", "active", OPENS_AT - timedelta(days=40), weight=4),
    Ad("AD102", "Coffee for the office", "order-bot", "active", OPENS_AT - timedelta(days=40), weight=3),
    Ad("AD103", "Spring tasting", "tasting-bot", "paused", OPENS_AT - timedelta(hours=20), weight=2),
    # No free window opens when the first answer takes more than a day (A2).
    Ad("AD104", "Machines for restaurants", "desk-bot", "active", OPENS_AT - timedelta(days=40), hours_to_answer=25.5),
)
# Where people who click on them live; nobody of theirs has the number of a customer.
LEAD_PLACES = tuple(
    next(place for place in PLACES if place.country == country)._replace(mobile=mobile, weight=weight)
    for country, mobile, weight in (
        ("DE", "1575#######", 14), ("AT", "6644######", 2), ("FR", "613######", 2), ("NL", "613######", 1),
        ("GB", "7401######", 1),
    )
)  # fmt: skip
