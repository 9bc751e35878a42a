"""The suite that every store must pass. It is public: run it over a store of your own.

Derive a test class from `StoreContract` and give it a `backend` fixture. What a store can't do it
declares by leaving the ability out; the cases that need it then show as skipped, never as passed.
Needs pytest and anyio, which the base install doesn't bring.
"""

from tenure.stores.contract.admissions import AdmissionCases
from tenure.stores.contract.approvals import ApprovalCases, EntitledCases, WaitingCases
from tenure.stores.contract.briefs import BriefCases
from tenure.stores.contract.claims import ClaimCases
from tenure.stores.contract.effects import EffectCases, LedgerCases
from tenure.stores.contract.files import FileCases
from tenure.stores.contract.forks import ForkCases, StrandCases
from tenure.stores.contract.front_door import FrontDoorCases
from tenure.stores.contract.gaps import GapCases
from tenure.stores.contract.histories import BusyUndoCases, CompactionCases, RedoCases, UndoCases
from tenure.stores.contract.idempotency import IdempotencyCases
from tenure.stores.contract.interrupts import InterruptCases
from tenure.stores.contract.journals import JournalCases
from tenure.stores.contract.keys import KeyCases
from tenure.stores.contract.limits import LimitCases
from tenure.stores.contract.listings import FacetCases, ListedSessionCases, RunListCases
from tenure.stores.contract.occurrences import AskedCases, FiringCases, RightsCases
from tenure.stores.contract.operations import AuditCases, LoadCases, UserCases
from tenure.stores.contract.outcomes import OutcomeCases, SessionOfRecallCases
from tenure.stores.contract.outlines import OutlineCases
from tenure.stores.contract.own_calls import CheckpointCases, OwnCallCases
from tenure.stores.contract.policies import PolicyCases, ReductionCases, SteeringCases
from tenure.stores.contract.queues import QueueCases, RetryCases
from tenure.stores.contract.reads import ReadCases
from tenure.stores.contract.recoveries import RecoveryCases
from tenure.stores.contract.retention import RetentionCases
from tenure.stores.contract.schedules import ChangingCases, ListingCases, MadeByRunCases, MakingCases
from tenure.stores.contract.search import SearchCases
from tenure.stores.contract.sessions import SessionCases
from tenure.stores.contract.settlements import SettlementCases
from tenure.stores.contract.several import SeveralHostsCases
from tenure.stores.contract.signing import ShareCases, SignInCases
from tenure.stores.contract.stage import Ability, Backend, Stage, Stages
from tenure.stores.contract.states import StateCases

__all__ = ["Ability", "Backend", "Stage", "Stages", "StoreContract"]


class StoreContract(
    SessionCases,
    AdmissionCases,
    PolicyCases,
    SteeringCases,
    ReductionCases,
    QueueCases,
    RetryCases,
    IdempotencyCases,
    JournalCases,
    GapCases,
    SettlementCases,
    UndoCases,
    BusyUndoCases,
    RedoCases,
    CompactionCases,
    ForkCases,
    StrandCases,
    InterruptCases,
    ClaimCases,
    RecoveryCases,
    KeyCases,
    SignInCases,
    ShareCases,
    FileCases,
    LimitCases,
    SearchCases,
    RetentionCases,
    ReadCases,
    LoadCases,
    UserCases,
    AuditCases,
    BriefCases,
    OutlineCases,
    ListedSessionCases,
    FacetCases,
    RunListCases,
    EffectCases,
    LedgerCases,
    ApprovalCases,
    EntitledCases,
    WaitingCases,
    OwnCallCases,
    CheckpointCases,
    FrontDoorCases,
    StateCases,
    MakingCases,
    MadeByRunCases,
    ChangingCases,
    ListingCases,
    FiringCases,
    RightsCases,
    AskedCases,
    OutcomeCases,
    SessionOfRecallCases,
    SeveralHostsCases,
):
    """All cases. Every case ends with the invariant checker over every session that it made."""
