"""One pass: what the syncs that run together share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from clvsync.customers.hashed import identifier_forms, refuse_mixed
from clvsync.customers.mapping import Mapped, mapped
from clvsync.sync.opened import Opened
from clvsync.sync.staging import Progress
from clvsync.sync.workspace import open_workspace

if TYPE_CHECKING:
    from clvsync.clv.scoring import Scorer


def silent(stage: str, done: int, total: int | None) -> None:
    """Progress that nobody watches."""


class Pass:
    """Shares the warehouse, the workspace and the scores between the syncs that run together.

    `now` is the moment up to which the source is read. `customer` is the only one who is read (None: all),
    so that nothing can be learned from such a pass, only told. `scorer` is the model once the workspace has
    its scores (see clvsync.sync.fitting.scored). `tables`: everyone's, where they are mapped already.
    """

    def __init__(
        self,
        business: Opened,
        workspace: Any,
        tell: Progress,
        *,
        customer: str | None = None,
        now: datetime | None = None,
        tables: Mapped | None = None,
    ) -> None:
        self.business = business
        self.workspace = workspace
        self.tell = tell
        self.customer = customer
        self.now = now or business.clock()
        self.scorer: Scorer | None = None
        self._tables = tables

    @classmethod
    @contextmanager
    def open(
        cls,
        business: Opened,
        tell: Progress,
        *,
        customer: str | None = None,
        now: datetime | None = None,
        tables: Mapped | None = None,
    ) -> Iterator[Pass]:
        """With a workspace that is gone at the end."""
        with open_workspace(business.config.warehouse.memory) as workspace:
            yield cls(business, workspace, tell, customer=customer, now=now, tables=tables)

    @cached_property
    def mapped(self) -> Mapped:
        """The configured tables in canonical columns.

        Raises FixConfiguration for a column that is missing, cannot be read as what it is mapped to, or mixes
        plain and hashed identifiers (of one customer nothing is sent, and so nothing is looked for).
        """
        config = self.business.config
        found = self._tables or mapped(self.business.source, config.tables, config.business)
        if self.customer is not None:
            return found.of_customer(self.customer)
        with self.business.source.stream(identifier_forms(found)) as batches:
            refuse_mixed(batches.read_all().to_pylist()[0])
        return found
