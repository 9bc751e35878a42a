"""State of agents. Rows of the route table."""

from tenure.core.state import SetState, StatePage, StateValue
from tenure.http import states
from tenure.http.call import AnyRoute, NoBody, Route
from tenure.http.table.words import READ, SESSION, WRITE

KEY_PATH = "/v1/sessions/{session_id}/state/{scope}/{key}"

STATE_ROUTES: tuple[AnyRoute, ...] = (
    Route(
        method="GET",
        path="/v1/sessions/{session_id}/state/{scope}",
        summary="The values that the agent keeps in one scope.",
        resource="state",
        action=READ,
        tenant_rule=SESSION,
        query=states.StatesQuery,
        body=NoBody,
        answer=StatePage,
        handler=states.list_states,
    ),
    Route(
        method="GET",
        path=KEY_PATH,
        summary="One value of the agent's state.",
        resource="state",
        action=READ,
        tenant_rule=SESSION,
        query=states.StateQuery,
        body=NoBody,
        answer=StateValue,
        handler=states.read_state,
    ),
    Route(
        method="PUT",
        path=KEY_PATH,
        summary="Keep a value in the agent's state.",
        resource="state",
        action=WRITE,
        tenant_rule=SESSION,
        query=states.StateQuery,
        body=SetState,
        answer=StateValue,
        handler=states.set_state,
    ),
    Route(
        method="DELETE",
        path=KEY_PATH,
        summary="Delete a value of the agent's state.",
        resource="state",
        action=WRITE,
        tenant_rule=SESSION,
        query=states.StateQuery,
        body=NoBody,
        status=204,
        handler=states.delete_state,
    ),
)
