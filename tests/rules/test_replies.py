"""What an answer means: words that revoke, wording that may, and everything else."""

from __future__ import annotations

import pytest

from tasks.rules.replies import judge


@pytest.mark.parametrize(
    "text",
    [
        "stop", "STOP", "Stop.", " s t o p ", "STOP!!!", "st-op", "\u200bstop\n", "\uff33\uff34\uff2f\uff30", "quit",
        "END", "Revoke",
        "opt out", "Opt-Out", "OPTOUT", "opt\nout", "cancel", "unsubscribe", "UN SUBSCRIBE", "stop all", "STOPALL",
        # German, French, Spanish, Italian, Portuguese, Dutch
        "Stopp", "abmelden", "ABBESTELLEN!", "Widerruf", "Ende", "arrêt", "ARRET", "désabonner",
        "Désinscription",
        "baja", "BAJA.", "alto", "Cancelar", "darse de baja", "ferma", "Basta!", "annulla", "cancellami", "sair",
        "Pare",
        "descadastrar", "afmelden", "Uitschrijven", "stoppen", "opzeggen",
    ],
)  # fmt: skip
def test_a_word_that_revokes_is_a_stop_however_it_is_written(text: str) -> None:
    assert judge(text) == "stop"


@pytest.mark.parametrize(
    "text",
    [
        "please don't text me again", "Please don\u2019t text me again", "do not contact me", "STOP texting me",
        "stop please", "Please stop!", "can you stop these", "no more messages", "Remove me from your list",
        "take me off this list", "not interested", "leave me alone", "never message me again", "wrong number",
        "I want to unsubscribe", "opting out", "enough!!", "cancel these texts", "quit texting", "this is spam", "🛑",
        "Bitte keine Nachrichten mehr", "nicht mehr schreiben", "kein Interesse", "lasst mich in Ruhe",
        "bitte abmelden",
        "Ne m'envoyez plus de messages", "je ne veux plus de SMS", "pas intéressé", "laissez-moi tranquille",
        "no me escriban más", "no quiero más mensajes", "dejen de escribirme", "no me interesa",
        "non mi scrivete più", "non sono interessato", "smettetela", "não quero mais", "Não me mande mensagens",
        "pare de mandar", "geen berichten meer", "niet meer sturen", "geen interesse",
    ],
)  # fmt: skip
def test_wording_that_reads_like_a_refusal_waits_for_a_reader(text: str) -> None:
    assert judge(text) == "unclear"


@pytest.mark.parametrize(
    "text",
    [
        None, "", "   ", "👍", "thanks!", "When do you open?", "I would like to order two",
        "What time does the sale end?",
        "please cancel my order 4711", "Danke, super", "Wann kommt meine Bestellung?", "merci beaucoup", "gracias",
        "¿a qué hora abren?", "Ci vediamo domani", "obrigado", "dank je wel", "Where is your shop?", "yes", "ok",
        "I never got my parcel", "How do I get to the end of the street",
    ],
)  # fmt: skip
def test_anything_else_is_no_refusal(text: str | None) -> None:
    assert judge(text) == "none"


@pytest.mark.parametrize("text", ["START", "unstop", "Subscribe", "resume!"])
def test_a_wish_to_start_is_only_noted(text: str) -> None:
    assert judge(text) == "start"
