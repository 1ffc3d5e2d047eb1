"""Which ad platforms audiences really go to: one set of options per platform.

`ad_platforms:` in reengage.yaml names those that are told; a platform left out goes to the outbox. Tokens are never
written here: they come from the environment (`.env.example` lists them).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field


class _AdPlatform(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    secrets: ClassVar[tuple[str, ...]] = ()  # settings that must be there before anything can be told


class Meta(_AdPlatform):
    """Meta Custom Audiences, Marketing API."""

    secrets: ClassVar[tuple[str, ...]] = ("meta_ads_token",)

    platform: Literal["meta"]
    endpoint: str = Field("https://graph.facebook.com", pattern=r"^https?://[^\s/]+/?$", description="base address")
    api_version: str = Field("v26.0", pattern=r"^v[0-9]{2}\.0$", description="version of the Marketing API")
    ad_account: str = Field(pattern=r"^(act_)?[0-9]{1,32}$", description="id of the ad account that owns the audiences")

    @property
    def owner(self) -> str:
        """Where audiences are kept, in words."""
        return f"Meta's ad account {self.ad_account}"


class Google(_AdPlatform):
    """Google Customer Match, Data Manager API."""

    platform: Literal["google"]
    endpoint: str = Field(
        "https://datamanager.googleapis.com", pattern=r"^https?://[^\s/]+/?$", description="base address"
    )
    account: str = Field(pattern=r"^[0-9]{10}$", description="id of the Google Ads account, digits alone")
    login_account: str | None = Field(
        None, pattern=r"^[0-9]{10}$", description="id of the manager account that may act for it; default: the account"
    )
    credentials: Path | None = Field(
        None,
        description="a service account's JSON file, relative to reengage.yaml; default: where Google's library looks",
    )
    membership_days: int = Field(
        540, ge=1, le=540, description="days after which Google itself drops people from lists made from now on"
    )

    @property
    def owner(self) -> str:
        """Where audiences are kept, in words."""
        return f"Google's account {self.account}"


class Tiktok(_AdPlatform):
    """TikTok custom audiences, API for Business."""

    secrets: ClassVar[tuple[str, ...]] = ("tiktok_ads_token",)

    platform: Literal["tiktok"]
    endpoint: str = Field(
        "https://business-api.tiktok.com", pattern=r"^https?://[^\s/]+/?$", description="base address"
    )
    advertiser: str = Field(pattern=r"^[0-9]{1,32}$", description="id of the advertiser that owns the audiences")

    @property
    def owner(self) -> str:
        """Where audiences are kept, in words."""
        return f"TikTok's advertiser {self.advertiser}"


AdPlatform = Annotated[Meta | Google | Tiktok, Field(discriminator="platform")]
