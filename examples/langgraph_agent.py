"""A LangGraph graph as an agent. OPENAI_API_KEY, OPENAI_BASE_URL and OPENAI_MODEL say which model."""

import os
import re
from collections.abc import AsyncIterator

from langchain_core.messages import AIMessageChunk, HumanMessage
from langchain_core.tools import StructuredTool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

import tenure

MODEL = os.environ.get("OPENAI_MODEL", "gpt-5-mini")


@tenure.agent("langgraph", steering=True)
async def langgraph(run: tenure.Run) -> AsyncIterator[str | tenure.Spent]:
    """Answers with a graph, and calls the tools it was granted."""
    tools = [tool_of(run, info) for info in run.tools.infos()]
    model = ChatOpenAI(model=MODEL, stream_usage=True).bind_tools(tools)

    async def think(state: MessagesState) -> MessagesState:
        notes = [HumanMessage(note.text) for note in await run.steering.take()]
        return {"messages": [*notes, await model.ainvoke([*state["messages"], *notes])]}

    def after(state: MessagesState) -> str:
        return "act" if state["messages"][-1].tool_calls else "think" if run.steering.pending else END

    graph = (
        StateGraph(MessagesState).add_node(think).add_node("act", ToolNode(tools, handle_tool_errors=told))
    )
    graph.add_edge(START, "think").add_conditional_edges("think", after).add_edge("act", "think")
    said = [(item.role.replace("summary", "system"), item.text) for item in await run.history()]
    async for chunk, _ in graph.compile().astream({"messages": said}, stream_mode="messages"):
        if run.stopping:
            return
        if isinstance(chunk, AIMessageChunk) and chunk.text:
            yield chunk.text
        if isinstance(chunk, AIMessageChunk) and (used := chunk.usage_metadata):
            read, wrote = used["input_tokens"], used["output_tokens"]
            yield tenure.Spent(tenure.Usage(model=MODEL, input_tokens=read, output_tokens=wrote))


def tool_of(run: tenure.Run, info: tenure.ToolInfo) -> StructuredTool:
    async def call(**arguments: object) -> object:
        return await run.tools.call_with(info.name, arguments)

    name = re.sub(r"[^\w-]", "_", info.name)
    return StructuredTool(
        name=name, description=info.description, args_schema=info.parameters, coroutine=call
    )


def told(refused: tenure.TenureError) -> str:
    return f"{refused.code}: {refused}"
