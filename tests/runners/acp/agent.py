"""A scripted agent that speaks the Agent Client Protocol on its standard streams. It misbehaves when told to.

It obeys the lines of the last text of a prompt, in order. It needs nothing but Python, so that it starts
at once:

    SAY text · THINK text · SLOW n ms (words "w0 w1 …") · UPDATE json (any session/update)
    TOOL json · TOOLS json-list (at once): {id, title, kind, input, meta, ask: [option kinds],
        runs: the input that it is made with in the end, output, fail, announce, ends, heeds, waits,
        append: a file that gets that}
    NOTIFY method json · LINE text · FLOOD n · HUGE bytes · LATE ms text · STOP reason · ERROR code text
    DIE code · HANG · READ path · WRITE path text · TERMINAL json-argv · MCP tool json · USAGE json
    ASK method json (any request, and its answer)
    SESSION · SERVERS · BLOCKS · PROMPT · ENV name · ECHO text · AWAIT n (n messages that steer) · MET
    DEAF (to messages that steer) · DETACH (leaves a process in a group of its own behind)
"""

import base64
import contextlib
import json
import os
import queue
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

Json = dict[str, Any]


class Options:
    """What it was started with. By hand, since the library for that takes long to import."""

    def __init__(self, words: list[str]) -> None:
        given = dict(zip(words, [*words[1:], ""], strict=False))
        self.store = given.get("--store")
        """A folder that keeps its sessions, so that it can load them."""
        self.log = given.get("--log")
        """A file that gets a line for each method that is called."""
        self.version = int(given.get("--version", "1"))
        self.lie, self.http, self.sees = ("--lie" in given, "--http" in given, "--sees" in given)
        self.steering, self.auth, self.mute = ("--steering" in given, "--auth" in given, "--mute" in given)
        self.exit, self.garbage, self.hang = ("--exit" in given, "--garbage" in given, "--hang" in given)


class Cancelled(Exception):
    """The prompt was called off."""


class Refused(Exception):
    """A request fails with this code and message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Wire:
    """Lines of JSON, both ways, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[int, queue.Queue[Json]] = {}
        self._count = 0

    def line(self, text: str) -> None:
        with self._lock:
            sys.stdout.buffer.write(text.encode() + b"\n")
            sys.stdout.buffer.flush()

    def send(self, message: Json) -> None:
        self.line(json.dumps({"jsonrpc": "2.0", **message}))

    def update(self, session_id: str, update: Json) -> None:
        self.send({"method": "session/update", "params": {"sessionId": session_id, "update": update}})

    def ask(self, method: str, params: Json) -> Json:
        with self._lock:
            self._count += 1
            number = self._count
            self._answers[number] = queue.Queue()
        self.send({"id": number, "method": method, "params": params})
        return self._answers[number].get()

    def answered(self, message: Json) -> None:
        waiting = self._answers.get(message["id"])
        if waiting is not None:
            waiting.put(message)


class Session:
    """One session of the agent's own: what it was prompted with, and how it may call tools elsewhere."""

    def __init__(self, session_id: str, params: Json) -> None:
        self.id = session_id
        self.cwd = params.get("cwd", "")
        self.servers: list[Json] = params.get("mcpServers", [])
        self.prompts: list[str] = []
        self.settings: Json = {}
        self.cancelled = threading.Event()
        self.busy = False
        self.deaf = False
        self.steered: list[str] = []
        self.usage: Json | None = None


class Agent:
    def __init__(self, options: Options) -> None:
        self.options = options
        self.wire = Wire()
        self.sessions: dict[str, Session] = {}

    # --- the protocol

    def serve(self) -> None:
        for line in sys.stdin.buffer:
            message = json.loads(line)
            if "method" not in message:
                self.wire.answered(message)
            elif message["method"] == "session/prompt":
                threading.Thread(target=self.reply, args=(message,), daemon=True).start()
            else:
                self.reply(message)

    def reply(self, message: Json) -> None:
        try:
            result = self.handle(message["method"], message.get("params") or {})
        except Refused as refusal:
            self.refuse(message, refusal.code, str(refusal))
            return
        except (OSError, LookupError, TypeError, ValueError) as error:
            self.refuse(message, -32603, f"{type(error).__name__}: {error}")
            return
        if "id" in message:
            self.wire.send({"id": message["id"], "result": result})

    def refuse(self, message: Json, code: int, text: str) -> None:
        self.wire.send({"id": message.get("id"), "error": {"code": code, "message": text}})

    def handle(self, method: str, params: Json) -> Any:
        if self.options.log:
            with Path(self.options.log).open("a") as log:
                log.write(f"{method}\n")
        match method:
            case "initialize":
                return self.hello()
            case "authenticate":
                return {}
            case "session/new":
                return self.new(params)
            case "session/load":
                return self.load(params)
            case "session/prompt":
                return self.prompt(self.sessions[params["sessionId"]], params["prompt"])
            case "session/cancel":
                self.sessions[params["sessionId"]].cancelled.set()
                return None
            case "session/set_mode":
                return self.set_mode(self.sessions[params["sessionId"]], params["modeId"])
            case "session/set_config_option":
                self.sessions[params["sessionId"]].settings[params["configId"]] = params["value"]
                return {"configOptions": []}
            case "session/close":
                self.sessions.pop(params["sessionId"]).cancelled.set()
                return {}
            case "_session/steering":
                return self.steer(self.sessions[params["sessionId"]], params)
            case _:
                raise Refused(-32601, f"Method not found: {method}")

    def hello(self) -> Json:
        asked = self.options
        return {
            "protocolVersion": asked.version,
            "agentInfo": {"name": "scripted", "version": "1"},
            "agentCapabilities": {
                "loadSession": bool(asked.store) or asked.lie,
                "promptCapabilities": {
                    "image": asked.sees,
                    "embeddedContext": asked.sees,
                    "audio": asked.sees,
                },
                "mcpCapabilities": {"http": asked.http},
                "sessionCapabilities": {"close": {}},
            },
            "authMethods": [{"id": "scripted-key", "name": "Key", "description": ""}] if asked.auth else [],
            "_meta": {"steering": {"supported": asked.steering}},
        }

    def new(self, params: Json) -> Json:
        if self.options.auth:
            raise Refused(-32000, "Authentication required")
        if self.options.mute:
            threading.Event().wait()
        session = Session(f"own-{os.getpid()}-{len(self.sessions) + 1}", params)
        self.sessions[session.id] = session
        self.keep(session)
        return {"sessionId": session.id}

    def load(self, params: Json) -> Json:
        path = Path(self.options.store or "/nowhere", params["sessionId"])
        if self.options.lie or not path.exists():
            raise Refused(-32002, "No previous sessions found for this project")
        session = Session(params["sessionId"], params)
        session.prompts = json.loads(path.read_text())
        self.sessions[session.id] = session
        for text in session.prompts:
            self.wire.update(session.id, chunk("user_message_chunk", text))
            self.wire.update(session.id, chunk("agent_message_chunk", f"(replayed {text})"))
        return {}

    def keep(self, session: Session) -> None:
        if self.options.store:
            Path(self.options.store, session.id).write_text(json.dumps(session.prompts))

    def set_mode(self, session: Session, mode: str) -> Json:
        if mode == "nonsense":
            raise Refused(-32602, "Invalid mode")
        session.settings["mode"] = mode
        return {}

    def steer(self, session: Session, params: Json) -> Json:
        if not session.busy or session.deaf:
            return {"outcome": "promptRequired", "reason": "noRunningTurn"}
        session.steered.append(params["prompt"][0]["text"])
        return {"outcome": "injected"}

    def prompt(self, session: Session, blocks: list[Json]) -> Json:
        session.cancelled.clear()
        text = [block["text"] for block in blocks if block["type"] == "text"][-1]
        session.prompts.append(text)
        self.keep(session)
        session.usage, session.busy = None, True
        try:
            for line in text.splitlines():
                reason = self.obey(session, line, blocks)
                if reason is not None:
                    break
            else:
                reason = "end_turn"
        except Cancelled:
            reason = "cancelled"
        finally:
            session.busy = False
        return {"stopReason": reason, **({"usage": session.usage} if session.usage else {})}

    # --- the lines

    def say(self, session: Session, text: str) -> None:
        self.wire.update(session.id, chunk("agent_message_chunk", text))

    def obey(self, session: Session, line: str, blocks: list[Json]) -> str | None:
        word, _, rest = line.partition(" ")
        match word:
            case "SAY":
                self.say(session, rest)
            case "THINK":
                self.wire.update(session.id, chunk("agent_thought_chunk", rest))
            case "SLOW":
                self.slow(session, *map(int, rest.split()))
            case "UPDATE":
                self.wire.update(session.id, json.loads(rest))
            case "TOOL":
                self.tool(session, json.loads(rest))
            case "TOOLS":
                self.tools(session, json.loads(rest))
            case "STOP":
                return rest
            case "ERROR":
                code, _, text = rest.partition(" ")
                raise Refused(int(code), text)
            case "DIE":
                sys.stderr.write("the agent fell over\n")
                sys.stderr.flush()
                os._exit(int(rest or 1))
            case "HANG":
                self.say(session, "hanging")
                threading.Event().wait()
            case "DEAF":
                session.deaf = True
            case "USAGE":
                session.usage = json.loads(rest)
            case _:
                self.obey_more(session, word, rest, blocks)
        return None

    def obey_more(self, session: Session, word: str, rest: str, blocks: list[Json]) -> None:
        match word:
            case "NOTIFY":
                method, _, params = rest.partition(" ")
                self.wire.send({"method": method, "params": json.loads(params or "{}")})
            case "LINE":
                self.wire.line(rest)
            case "FLOOD":
                for number in range(int(rest)):
                    self.say(session, str(number))
            case "HUGE":
                self.say(session, "x" * int(rest))
            case "LATE":
                ms, _, text = rest.partition(" ")
                threading.Timer(int(ms) / 1000, self.say, (session, text)).start()
            case "ECHO":
                self.wire.update(session.id, chunk("user_message_chunk", rest))
            case "SESSION":
                told = {
                    "id": session.id,
                    "prompts": len(session.prompts),
                    "pid": os.getpid(),
                    "cwd": session.cwd,
                }
                self.say(session, json.dumps({**told, "settings": session.settings}))
            case "SERVERS":
                self.say(session, json.dumps(session.servers))
            case "BLOCKS":
                self.say(session, " ".join(told_of(block) for block in blocks))
            case "PROMPT":
                self.say(session, " | ".join(block.get("text", "") for block in blocks))
            case "ENV":
                self.say(session, os.environ.get(rest, "(unset)"))
            case _:
                self.obey_outward(session, word, rest)

    def obey_outward(self, session: Session, word: str, rest: str) -> None:
        match word:
            case "READ":
                self.say(session, self.told(session, "fs/read_text_file", {"path": rest}))
            case "WRITE":
                path, _, text = rest.partition(" ")
                self.say(session, self.told(session, "fs/write_text_file", {"path": path, "content": text}))
            case "ASK":
                method, _, params = rest.partition(" ")
                self.say(session, self.told(session, method, json.loads(params or "{}")))
            case "TERMINAL":
                command, *arguments = json.loads(rest)
                self.terminal(session, {"command": command, "args": arguments})
            case "MCP":
                tool, _, arguments = rest.partition(" ")
                self.say(session, self.called(session, tool, json.loads(arguments or "{}")))
            case "AWAIT":
                self.heed(session, int(rest))
            case "MET":
                self.say(session, "we have met" if len(session.prompts) > 1 else "how do you do")
            case "DETACH":
                null = [(os.POSIX_SPAWN_OPEN, number, "/dev/null", os.O_RDWR, 0) for number in range(3)]
                words = ["sleep", "300"]
                child = os.posix_spawnp("sleep", words, os.environ, setsid=True, file_actions=null)
                self.say(session, str(child))
            case _:
                if word:
                    self.say(session, "ok")

    def slow(self, session: Session, count: int, ms: int) -> None:
        for number in range(count):
            self.say(session, f"w{number} ")
            if session.cancelled.wait(ms / 1000):
                raise Cancelled
            while session.steered:
                self.say(session, f"steered: {session.steered.pop(0)} ")

    def called(self, session: Session, tool: str, arguments: Json) -> str:
        """The answer of an MCP server, unless the prompt is called off meanwhile."""
        answers: queue.Queue[str] = queue.Queue()

        def call() -> None:
            try:
                answers.put(mcp(session.servers[0], tool, arguments))
            except (OSError, LookupError, ValueError) as error:
                answers.put(f"{type(error).__name__}: {error}")

        threading.Thread(target=call, daemon=True).start()
        while not session.cancelled.is_set():
            with contextlib.suppress(queue.Empty):
                return answers.get(timeout=0.01)
        raise Cancelled

    def heed(self, session: Session, count: int) -> None:
        """Say what steers, until that came `count` times."""
        while count:
            if session.cancelled.wait(0.005):
                raise Cancelled
            while session.steered and count:
                self.say(session, f"steered: {session.steered.pop(0)} ")
                count -= 1

    def told(self, session: Session, method: str, params: Json) -> str:
        answer = self.wire.ask(method, {"sessionId": session.id, **params})
        return json.dumps(answer.get("result", answer.get("error")))

    def terminal(self, session: Session, params: Json) -> None:
        made = self.wire.ask("terminal/create", {"sessionId": session.id, **params})
        if "error" in made:
            self.say(session, json.dumps(made["error"]))
            return
        known = {"terminalId": made["result"]["terminalId"]}
        shown = {"toolCallId": "run", "title": params["command"], "kind": "execute", "rawInput": params}
        content = [{"type": "terminal", **known}]
        self.wire.update(session.id, {"sessionUpdate": "tool_call", **shown, "content": content})
        self.say(session, self.told(session, "terminal/wait_for_exit", known))
        self.say(session, self.told(session, "terminal/output", known))
        self.told(session, "terminal/release", known)
        self.progress(session, shown, status="completed")

    # --- tools of its own

    def tools(self, session: Session, calls: list[Json]) -> None:
        threads = [threading.Thread(target=self.quietly, args=(session, call), daemon=True) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if session.cancelled.is_set():
            raise Cancelled

    def quietly(self, session: Session, call: Json) -> None:
        try:
            self.tool(session, call)
        except Cancelled:
            session.cancelled.set()

    def tool(self, session: Session, call: Json) -> None:
        shown = {
            "toolCallId": call.get("id", "c1"),
            "title": call.get("title", "echo hi"),
            "kind": call.get("kind", "execute"),
            "rawInput": call.get("input", {"command": "echo hi"}),
            "_meta": call.get("meta", {}),
        }
        if call.get("announce", True):
            self.wire.update(session.id, {"sessionUpdate": "tool_call", "status": "pending", **shown})
        allowed = "ask" not in call or self.permitted(session, shown, call)
        if session.cancelled.is_set():
            raise Cancelled
        if not allowed and call.get("heeds", True):
            self.progress(session, shown, status="failed")
            return
        self.progress(session, shown, status="in_progress", rawInput=call.get("runs", shown["rawInput"]))
        if "append" in call:
            with Path(session.cwd, call["append"]).open("a") as file:
                file.write(json.dumps(call.get("runs", shown["rawInput"])) + "\n")
        if call.get("ends", True):
            content = [{"type": "content", "content": {"type": "text", "text": call.get("output", "hi\n")}}]
            status = "failed" if call.get("fail") else "completed"
            self.progress(session, shown, status=status, content=content)

    def progress(self, session: Session, shown: Json, **more: Any) -> None:
        told = {"sessionUpdate": "tool_call_update", "toolCallId": shown["toolCallId"], **more}
        self.wire.update(session.id, told)

    def permitted(self, session: Session, shown: Json, call: Json) -> bool:
        """Ask, say which option was chosen, and whether that lets the call be made."""
        options = [
            {"optionId": f"{kind}-{number}", "name": kind, "kind": kind}
            for number, kind in enumerate(call["ask"])
        ]
        asked = {"sessionId": session.id, "toolCall": shown, "options": options}
        if not call.get("waits", True):
            threading.Thread(
                target=self.wire.ask, args=("session/request_permission", asked), daemon=True
            ).start()
            time.sleep(0.05)
            return True
        answer = self.wire.ask("session/request_permission", asked)
        outcome = answer["result"]["outcome"] if "result" in answer else {"outcome": "refused"}
        chosen = outcome.get("optionId", outcome["outcome"])
        self.say(session, f"[{chosen}]")
        if chosen == "cancelled" and call.get("heeds", True):
            self.progress(session, shown, status="failed")
            raise Cancelled
        return chosen.startswith("allow")


def chunk(kind: str, text: str) -> Json:
    return {"sessionUpdate": kind, "content": {"type": "text", "text": text}}


def told_of(block: Json) -> str:
    """A block of a prompt in a word or two."""
    match block["type"]:
        case "resource_link":
            return f"link:{block['name']}"
        case "resource":
            return f"text:{block['resource']['text']}"
        case "image" | "audio":
            return f"{block['type']}:{block['mimeType']}:{len(base64.b64decode(block['data']))}"
        case kind:
            return kind


def mcp(server: Json, tool: str, arguments: Json) -> str:
    """Call a tool of an MCP server by hand, in one life of its session."""
    headers = {header["name"]: header["value"] for header in server["headers"]}
    headers |= {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}

    place, _, path = server["url"].removeprefix("http://").partition("/")
    host, _, port = place.partition(":")

    def post(body: Json) -> tuple[Json, str | None]:
        # By hand: HTTP/1.0 ends its answer with the connection, and the library takes long to import.
        content = json.dumps(body).encode()
        lines = [f"POST /{path} HTTP/1.0", f"Host: {place}", f"Content-Length: {len(content)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        with socket.create_connection((host, int(port)), 30) as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode() + content)
            with connection.makefile("rb") as stream:
                head, _, text = stream.read().decode().partition("\r\n\r\n")
        told = [line[5:] for line in text.splitlines() if line.startswith("data:")] or [text]
        ids = [
            line.partition(":")[2] for line in head.splitlines() if line.lower().startswith("mcp-session-id:")
        ]
        return json.loads(told[-1] or "{}"), ids[0].strip() if ids else None

    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "s", "version": "1"}}
    _, session_id = post({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello})
    if session_id is not None:
        headers["Mcp-Session-Id"] = session_id
    post({"jsonrpc": "2.0", "method": "notifications/initialized"})
    call = {"name": tool, "arguments": arguments}
    answer, _ = post({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call})
    return json.dumps(answer.get("result", answer.get("error")))


def main() -> None:
    options = Options(sys.argv[1:])
    if options.exit:
        sys.stderr.write("no licence found\n")
        sys.exit(3)
    if options.hang:
        threading.Event().wait()
    if options.garbage:
        sys.stdout.write("Welcome to the agent!\n")
        sys.stdout.flush()
    Agent(options).serve()


if __name__ == "__main__":
    main()
