"""The agent's durable memory. It imports no other room."""

from clvsync.ledger.journal import ENTRIES
from clvsync.ledger.leases import Busy, Lease
from clvsync.ledger.ledger import Ledger
from clvsync.ledger.outbox import ROWS, Doubt, OutOfTurn
from clvsync.ledger.records import Batch, Entry, Model, PlatformObject, Refusal, Run, Tally
from clvsync.ledger.schema import BatchState, Decision, EntryState, RunStatus
from clvsync.ledger.vault import WrongKey

__all__ = [
    "ENTRIES",
    "ROWS",
    "Batch",
    "BatchState",
    "Busy",
    "Decision",
    "Doubt",
    "Entry",
    "EntryState",
    "Lease",
    "Ledger",
    "Model",
    "OutOfTurn",
    "PlatformObject",
    "Refusal",
    "Run",
    "RunStatus",
    "Tally",
    "WrongKey",
]
