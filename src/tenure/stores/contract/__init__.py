"""The suite that every store must pass. It is public: run it over a store of your own.

Derive a test class from `StoreContract` and give it a `backend` fixture. What a store can't do it
declares by leaving the ability out; the cases that need it then show as skipped, never as passed.
Needs pytest and anyio, which the base install doesn't bring.
"""

from tenure.stores.contract.admissions import AdmissionCases
from tenure.stores.contract.claims import ClaimCases
from tenure.stores.contract.idempotency import IdempotencyCases
from tenure.stores.contract.interrupts import InterruptCases
from tenure.stores.contract.journals import JournalCases
from tenure.stores.contract.keys import KeyCases
from tenure.stores.contract.reads import ReadCases
from tenure.stores.contract.recoveries import RecoveryCases
from tenure.stores.contract.sessions import SessionCases
from tenure.stores.contract.settlements import SettlementCases
from tenure.stores.contract.stage import Ability, Backend, Stage, Stages

__all__ = ["Ability", "Backend", "Stage", "Stages", "StoreContract"]


class StoreContract(
    SessionCases,
    AdmissionCases,
    IdempotencyCases,
    JournalCases,
    SettlementCases,
    InterruptCases,
    ClaimCases,
    RecoveryCases,
    KeyCases,
    ReadCases,
):
    """All cases. Every case ends with the invariant checker over every session that it made."""
