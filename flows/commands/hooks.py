"""`reengage hooks`: the receiver of what comes back, until Ctrl-C."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from flows.commands.console import console, workspace

if TYPE_CHECKING:
    from config.settings import Settings

MOST_CONNECTIONS = 200
# A connection beyond these is answered 503, since each may hold a body that is not judged yet. No access log: addresses
# of unsubscribe links hold ids. Proxies are the application's own business (`trusted_proxies`).
SERVER: Final[dict[str, Any]] = {
    "access_log": False,
    "log_level": "warning",
    "server_header": False,
    "proxy_headers": False,
    "limit_concurrency": MOST_CONNECTIONS,
    "timeout_graceful_shutdown": 15,
}


def hooks(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on; put a TLS proxy before it.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8080,
) -> None:
    """Receive what providers report and people answer, and serve the unsubscribe page; Ctrl-C stops it."""
    import uvicorn

    from flows.receiver.app import build

    work = workspace(context)
    work.database.now()  # a database that cannot be reached is told here, not by the first webhook
    work.queries.verify()
    for line in open_doors(work.settings):
        console.print(line, markup=False)
    uvicorn.run(build(work), host=host, port=port, **SERVER)


def open_doors(settings: Settings) -> list[str]:
    """Which reports can be believed with this configuration, and what the others lack."""
    from config.providers import EmailSendgrid
    from flows.receiver.hooks import SNS

    pipeline = settings.pipeline
    email = pipeline.provider("email")
    has_key = isinstance(email, EmailSendgrid) and bool(email.event_key)
    lines = [_door("/hooks/sendgrid", "event_key of email_sendgrid", is_open=has_key)]
    for name, (channel, kind) in SNS.items():
        options = pipeline.provider(channel)
        has_topics = isinstance(options, kind) and bool(options.topics)
        lines.append(_door(f"/hooks/sns/{name}", f"topics of {kind.model_fields['provider'].annotation.__args__[0]}",
                           is_open=has_topics))  # fmt: skip
    has_secrets = bool(settings.whatsapp_app_secret and settings.whatsapp_verify_token)
    needs = "REENGAGE_WHATSAPP_APP_SECRET and REENGAGE_WHATSAPP_VERIFY_TOKEN"
    lines.append(_door("/hooks/whatsapp", needs, is_open=has_secrets))
    proxies = ", ".join(map(str, settings.trusted_proxies))
    told = f"by what {proxies} say" if proxies else "by their connection; behind a proxy set REENGAGE_TRUSTED_PROXIES"
    return [
        *lines,
        f"{'/unsubscribe/...':22} open; links in messages begin with {settings.public_url}",
        f"clients are told apart {told}",
    ]


def _door(path: str, needs: str, *, is_open: bool) -> str:
    return f"{path:22} {'open' if is_open else f'closed: needs {needs}'}"
