"""What a reviewer would otherwise repeat: no SQL in Python, documents that tell the truth, layers that hold."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer

from config.settings import CHECKOUT
from flows.__main__ import app

PYTHON_FOLDERS = ("flows", "tasks", "config", "dashboards")
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "sql/README.md")
STATEMENT = re.compile(
    r"^\s*(select\s.+\sfrom\s|insert\s+into\s|update\s+\S+\s+set\s|delete\s+from\s|with\s+\w+\s+as\s*\()",
    re.IGNORECASE | re.DOTALL,
)


def python_files() -> Iterator[Path]:
    for folder in PYTHON_FOLDERS:
        yield from (CHECKOUT / folder).rglob("*.py")


def strings_of(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        elif isinstance(node, ast.JoinedStr):
            text = "".join(part.value if isinstance(part, ast.Constant) else "x" for part in node.values)
            yield node.lineno, text


def test_sql_lives_in_sql_files_and_not_in_python_strings():
    found = [
        f"{path.relative_to(CHECKOUT)}:{line}: {text.strip()[:60]}"
        for path in python_files()
        for line, text in strings_of(path)
        if STATEMENT.match(text)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", ["utils", "util", "common", "helpers", "helper", "misc"])
def test_there_is_no_drawer_for_things_without_a_name(name):
    assert not [path for path in python_files() if name in (path.stem, *path.parts)]


def commands(group: typer.Typer, prefix: str = "") -> Iterator[str]:
    for command in group.registered_commands:
        name = command.name or command.callback.__name__.replace("_", "-")
        yield f"{prefix}{name}"
    for inner in group.registered_groups:
        yield f"{prefix}{inner.name}"
        yield from commands(inner.typer_instance, f"{prefix}{inner.name} ")


def mentioned_commands(text: str) -> Iterator[tuple[str, ...]]:
    """`reengage ...` as code blocks and inline code of a document write it, options left out."""
    pieces = re.findall(r"`([^`\n]+)`", text) + [
        line for block in re.findall(r"```\w*\n(.*?)```", text, re.DOTALL) for line in block.splitlines()
    ]
    for piece in pieces:
        for found in re.finditer(r"(?:^|[\s/$])reengage((?: +[\w|./-]+)+)", piece):
            words = found[1].split()
            if words[:1] == ["--config"]:
                words = words[2:]
            yield tuple(word for word in words if re.fullmatch(r"[a-z][a-z-]*(\|[a-z-]+)*", word))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_a_document_names_exists(document):
    known = set(commands(app))
    groups = {name for name in known if any(other.startswith(f"{name} ") for other in known)}
    for words in mentioned_commands((CHECKOUT / document).read_text("utf-8")):
        if not words:
            continue
        assert words[0] in known, f"{document}: reengage {words[0]}"
        if words[0] in groups and len(words) > 1:
            for name in words[1].split("|"):
                assert f"{words[0]} {name}" in known, f"{document}: reengage {words[0]} {name}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_target_a_document_names_exists(document):
    targets = set(re.findall(r"^([a-z]+):", (CHECKOUT / "Makefile").read_text("utf-8"), re.MULTILINE))
    text = (CHECKOUT / document).read_text("utf-8")
    named = re.findall(r"`make ([a-z]+)", text) + re.findall(r"^make ([a-z]+)", text, re.MULTILINE)
    assert set(named) <= targets


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_a_document_links_to_exists(document):
    text = (CHECKOUT / document).read_text("utf-8")
    places = [place.partition("#")[0] for place in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in place]
    missing = [place for place in places if place and not (CHECKOUT / document).parent.joinpath(place).exists()]
    assert not missing


def test_readme_shows_the_two_commands_on_its_first_screen():
    first_screen = "\n".join((CHECKOUT / "README.md").read_text("utf-8").splitlines()[:30])
    assert "make demo" in first_screen
    assert "make test" in first_screen


def test_help_comes_without_loading_the_heavy_libraries():
    program = (
        "import sys; from flows.__main__ import app; "
        "heavy = {'prefect', 'pandas', 'great_expectations', 'boto3', 'streamlit'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_great_expectations_is_imported_in_one_place_only():
    places = [
        str(path.relative_to(CHECKOUT))
        for path in python_files()
        if re.search(r"^\s*(import|from) great_expectations", path.read_text("utf-8"), re.MULTILINE)
    ]
    assert places == ["tasks/validate.py"]


# Who may import what can speak to the outside: clients.py makes the clients of providers, and the others do not send.
SPEAKERS = ("boto3", "sendgrid", "httpx", "httpcore", "pywebpush", "requests", "urllib3", "smtplib", "aiohttp", "http",
            "urllib.request", "python_http_client")  # fmt: skip
MAY_SPEAK = {
    "tasks/channels/clients.py": "makes every client",
    "tasks/channels/direct.py": "the connection of SendGrid's client",
    "tasks/channels/outward.py": "the connection of browsers' push services",
    "tasks/channels/email_sendgrid.py": "reads its client's errors",
    "tasks/connections.py": "the connections of what we speak HTTP with ourselves",
    "tasks/http.py": "makes a client of them and reads its errors",
    "tasks/channels/webpush_vapid.py": "encrypts, and speaks through its client",
    "tasks/rules/signatures.py": "checks a signature",
    "tasks/sources/files.py": "reads buckets",
    "flows/receiver/desk.py": "fetches Amazon's certificates",
    "flows/server.py": "asks our own server whether it is up",
}


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_clients_of_providers_are_made_in_one_place_and_opened_by_the_factory_alone():
    def who(imports: Callable[[str], bool]) -> set[str]:
        return {path.relative_to(CHECKOUT).as_posix() for path in python_files() if any(map(imports, imports_of(path)))}

    assert who(lambda name: any(f"{name}.".startswith(f"{one}.") for one in SPEAKERS)) == set(MAY_SPEAK)
    makers = who(lambda name: name == "tasks.channels.clients")
    assert makers
    assert {Path(place).parent.as_posix() for place in makers} == {"tasks/channels"}
    assert who(lambda name: re.fullmatch(r"tasks\.channels\.\w+\.\w+Sender", name) is not None) == {
        "tasks/channels/__init__.py"
    }
    assert who(lambda name: name in ("tasks.channels.SENDERS", "tasks.platforms.PLATFORMS")) == {
        "tasks/channels/factory.py", "tasks/platforms/factory.py"
    }  # fmt: skip


def test_the_lock_file_names_no_address():
    lock = (CHECKOUT / "requirements.lock").read_text("utf-8")
    assert "://" not in lock
    assert "--hash=sha256:" in lock


def test_every_direct_dependency_is_pinned_in_the_lock_file():
    import tomllib

    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = project["dependencies"] + [name for extra in project["optional-dependencies"].values() for name in extra]
    names = {re.match(r"[A-Za-z0-9_-]+", entry)[0].lower().replace("_", "-") for entry in wanted}
    lock = (CHECKOUT / "requirements.lock").read_text("utf-8")
    pinned = set(re.findall(r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==", lock, re.MULTILINE))
    assert names <= pinned, names - pinned


def test_the_sample_shop_plays_the_campaign_that_is_shipped():
    shipped, played = CHECKOUT / "config/campaigns", CHECKOUT / "config/examples/shop/campaigns"

    def content(folder: Path) -> dict[str, str]:
        read = {path.name: path.read_text("utf-8") for path in (folder / "lapsing_customers").iterdir()}
        return {name: re.sub(r"^# yaml-language-server.*\n", "", text) for name, text in read.items()}

    assert content(played) == content(shipped)
