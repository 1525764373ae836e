"""One advertiser's access to Meta."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

from connectors.errors import FixConfiguration
from connectors.meta import facts
from connectors.transport import READ_TIMEOUT, base_url


@dataclass(frozen=True)
class MetaAccount:
    """Who calls, and where.

    `ad_account` is taken with or without `act_` (None: only a dataset is written to). `access_token` is a
    system user's; `app_secret` adds the proof that an app may require. `graph_url` and `certificate` (a PEM
    file) point at another server that speaks the Graph API. Raises FixConfiguration.
    """

    ad_account: str | None
    access_token: SecretStr = field(repr=False)
    app_secret: SecretStr | None = field(default=None, repr=False)
    graph_url: str | None = None
    api_version: str = facts.API_VERSION
    certificate: Path | None = None
    timeout: timedelta = READ_TIMEOUT

    def __post_init__(self) -> None:
        if self.ad_account is not None:
            digits = self.ad_account.strip().removeprefix("act_")
            if not digits.isascii() or not digits.isdigit():
                raise FixConfiguration(
                    "Meta ad account",
                    f"{self.ad_account!r} is not an ad account's id",
                    "Write it as act_ and digits; Ads Manager shows it beside the account's name.",
                )
            object.__setattr__(self, "ad_account", f"act_{digits}")
        token = self.access_token.get_secret_value()
        if not token or not token.isascii() or any(c.isspace() or not c.isprintable() for c in token):
            raise FixConfiguration(
                self.name, "the access token is empty or holds blanks", "Copy the token again, on one line."
            )
        if not re.fullmatch(r"v\d+\.\d+", self.api_version):
            raise FixConfiguration(
                self.name,
                f"{self.api_version!r} is not an API version",
                f"Write it as {facts.API_VERSION}.",
            )
        object.__setattr__(self, "graph_url", base_url(self.name, self.graph_url or facts.GRAPH_URL))
        if self.certificate is not None and not self.certificate.is_file():
            raise FixConfiguration(
                self.name,
                f"the certificate {self.certificate} does not exist",
                "Name a PEM file, or leave it out.",
            )

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"Meta ad account {self.ad_account}" if self.ad_account else "Meta"

    @property
    def base(self) -> str:
        """The Graph API's address, without a trailing slash."""
        return self.graph_url or facts.GRAPH_URL
