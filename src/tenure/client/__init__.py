"""The Python client: asks a server and follows its journals, blocking (`Client`) or not (`AsyncClient`).

Programs and the command line use it. It knows values and errors, and nothing of the server's inside.
"""

from tenure.client.clients import AsyncClient, Client
from tenure.client.failures import ServerUnreachable
from tenure.client.journal import EventPage, Gap, JournalEvent
from tenure.client.place import Place, find_place

__all__ = [
    "AsyncClient",
    "Client",
    "EventPage",
    "Gap",
    "JournalEvent",
    "Place",
    "ServerUnreachable",
    "find_place",
]
