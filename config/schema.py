"""The JSON Schema that gives editors completion and help in campaign files; `make schema` writes it."""

from __future__ import annotations

import json
import os.path
from pathlib import Path
from typing import Any

from config.campaign import Campaign
from config.settings import CHECKOUT

PATH = CHECKOUT / "config" / "campaign.schema.json"


def campaign_schema() -> dict[str, Any]:
    """JSON Schema of campaign.yaml, generated from the model, with the short forms the model also reads."""
    schema = Campaign.model_json_schema(mode="validation")
    properties = schema["properties"]
    for field, part in (("channels", "ChannelUse"), ("platforms", "PlatformUse")):
        full = properties[field]["items"]
        properties[field]["items"] = {"anyOf": [schema["$defs"][part]["properties"]["name"], full]}
    properties["channels"] = {
        "description": properties["channels"]["description"],
        "anyOf": [
            {key: value for key, value in properties["channels"].items() if key != "description"},
            {"const": "all_viable", "description": "email, push and sms, one message on each viable channel"},
        ],
    }
    # The folder's name stands in for it.
    schema["required"] = [name for name in schema["required"] if name != "name"]
    schema["title"] = "reengage campaign"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def schema_text() -> str:
    """The schema file's content."""
    return json.dumps(campaign_schema(), indent=2, ensure_ascii=False) + "\n"


def schema_comment(folder: Path) -> str:
    """The first line of a campaign file, which tells editors where the schema is."""
    relative = os.path.relpath(PATH, folder.resolve()).replace(os.path.sep, "/")
    return f"# yaml-language-server: $schema={relative}"


if __name__ == "__main__":
    PATH.write_text(schema_text(), "utf-8")
