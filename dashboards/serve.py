"""How the dashboard is started, for `reengage up` and for the browser test."""

from __future__ import annotations

import sys
from pathlib import Path

APP = Path(__file__).parent / "site" / "app.py"


def command(port: int, address: str = "127.0.0.1") -> list[str]:
    """The command that serves the dashboard; it reads the same environment as every other command.

    The options repeat .streamlit/config.toml, since a configuration in a user's home may say otherwise.
    """
    return [
        sys.executable, "-m", "streamlit", "run", str(APP),
        "--server.port", str(port), "--server.address", address, "--server.headless", "true",
        "--server.showEmailPrompt", "false", "--browser.gatherUsageStats", "false",
    ]  # fmt: skip
