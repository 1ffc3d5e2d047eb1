"""What a person who answers a text means by it: stop, perhaps stop, start, or something else. Pure.

A whole message that is one of the words carriers and regulators list revokes for certain (47 CFR 64.1200(a)(10)); any
other wording that a reasonable reader may take for a refusal is left to a person. Wrongly held is safe, wrongly sent is
not, so the wording is read generously.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, Literal

Verdict = Literal["stop", "unclear", "start", "none"]

# As the whole message; compared without case, accents, punctuation and spaces.
_STOP: Final = frozenset(
    {
        # English
        "stop", "stopall", "quit", "end", "revoke", "optout", "cancel", "unsubscribe",
        # German
        "stopp", "abmelden", "abbestellen", "austragen", "beenden", "ende", "widerruf", "widerrufen",
        # French
        "arret", "arreter", "desabonner", "desabonnement", "desinscrire", "desinscription",
        # Spanish
        "baja", "dardebaja", "darsedebaja", "alto", "parar", "cancelar", "detener", "salir", "fin",
        # Italian
        "ferma", "fermare", "basta", "annulla", "cancella", "cancellami", "disiscrivi", "disiscrivimi",
        # Portuguese
        "pare", "sair", "descadastrar", "remover", "remova", "cancele",
        # Dutch
        "stoppen", "afmelden", "uitschrijven", "opzeggen", "einde",
    }
)  # fmt: skip
_START: Final = frozenset(
    ("start", "unstop", "subscribe", "resume", "anmelden", "commencer", "abonner", "comenzar", "iniciar", "inizia")
)

# As a part of the message: words only, without case, accents and apostrophes.
_REFUSALS: Final = (
    # in any language
    r"stop\w*|arret\w*|unsub\w*|opt(ing|ed)? ?out|revok\w*|desabonn\w*|desinscri\w*|disiscri\w*|descadastr\w*",
    r"abmeld\w*|abbestell\w*|austrag\w*|widerruf\w*|afmeld\w*|uitschrijv\w*|opzegg\w*|spam|gdpr|dsgvo|rgpd",
    # English
    r"(dont|do not|never|no longer|quit|cease|end|cancel)\b.{0,30}\b(text|message|msg|sms|contact|whatsapp)\w*",
    r"(dont|do not|never|no longer|quit|cease|end|cancel)\b.{0,30}\b(send|writ|call|bother)\w*",
    r"(dont|do not|quit|cease|end|cancel)\b.{0,30}\b(ads|offers|these|this)",
    r"no more|enough|remove me|take me off|leave me alone|lose my number|wrong number|go away|(fuck|piss) off",
    r"not interested|no thanks|no thank you|do not want|dont want|delete my|harass\w*|lawyer|report you",
    # German
    r"(keine?n?|nicht) (mehr|weiteren?|nachrichten?|sms|werbung|interesse)|kein interesse|nicht interessiert",
    r"in ruhe|aufhoren|hort auf|loscht mich|falsche nummer|schreibt? mir nicht|will das nicht|lasst das",
    # French
    r"(ne|n) ?(me|m)? ?(envoy|envoi|ecriv|contact|veux|souhait)\w* (plus|pas)|plus (de|d) (sms|messages?|pub\w*)",
    r"pas interesse\w*|laissez moi|mauvais numero|retirez moi|supprimez|ca suffit",
    # Spanish and Portuguese
    r"no (me|nos) (escrib|mand|envi|contact|interes|molest)\w*|no (mas|quiero|deseo)|(dejen|deje|deja) de",
    r"nao (me|quero|desejo|tenho interesse|mande|envie|mais)|(pare|parem) de|numero (equivocado|errado)",
    r"borrenme|eliminen|quitenme|me tirem?|me remova|dar(me)? de baja|me deixem? em paz|dejenme en paz",
    # Italian
    r"non (mi|voglio|desidero|sono interessat\w|scriv\w+|mandat\w+|inviat\w+|contattat\w+)",
    r"toglietemi|cancellatemi|smettete\w*|smettila|numero sbagliato|lasciatemi",
    # Dutch
    r"(geen|niet) (berichten|sms|reclame|interesse|meer|geinteresseerd)|met rust|verkeerd nummer|verwijder mij",
)
_REFUSAL: Final = re.compile("|".join(rf"\b(?:{pattern})\b" for pattern in _REFUSALS))
_APOSTROPHES: Final = re.compile("['`\u2019\u00b4]")
_SIGNS: Final = ("🛑", "⛔", "🚫", "🖕")


def judge(text: str | None) -> Verdict:
    """What a reply means; one without words means nothing."""
    if not text:
        return "none"
    plain = _plain(text)
    whole = re.sub(r"[\W_]+", "", plain)
    if whole in _STOP:
        return "stop"
    if whole in _START:
        return "start"
    words = " ".join(re.sub(r"[\W_]+", " ", _APOSTROPHES.sub("", plain)).split())
    if _REFUSAL.search(words) or any(sign in text for sign in _SIGNS):
        return "unclear"
    return "none"


def _plain(text: str) -> str:
    """Small letters without accents, full-width and other fancy letters as plain ones."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
