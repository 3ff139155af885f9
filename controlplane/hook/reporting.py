"""After a call, and at the end of a session: say what came of it, remember failures, and what solved them."""

from collections.abc import Mapping

from .answer import BLOCK, HINT, REWRITE
from .client import Client, Refused
from .command import program, solves
from .event import Event, Json, digest, kept, mapping, text
from .outcome import Outcome
from .session import ADVICE, CALL, FAILURE, LAST, Session
from .streams import complain
from .surroundings import facts

NOT_RUN: Json = {"executed": False}  # cancels a decision nobody can judge


class Report:
    """One call that is over."""

    def __init__(self, event: Event, client: Client, session: Session, environ: Mapping[str, str]) -> None:
        self._event, self._client, self._session, self._environ = event, client, session, environ
        self._outcome = Outcome(event)
        self._call = session.take(CALL, event.call_id)

    def send(self) -> None:
        """Everything there is to say about the call. What one step is refused does not keep the next from being said.

        Raises:
          Away: nobody is there.
        """
        steps = [self._credit]
        if self._outcome.success is not None:
            steps += [self._validate, self._solved if self._outcome.success else self._capture]
        for step in steps:
            try:
                step()
            except Refused as error:
                complain(str(error))

    def _credit(self) -> None:
        """Report to the decision about this call; there is none if nobody answered."""
        if self._call is None:
            return
        outcome = NOT_RUN if self._outcome.success is None else self._told(self._call)
        self._client.post("/v1/feedback", {"trace_id": text(self._call, "trace_id"), "outcome": outcome})

    def _told(self, call: Json) -> Json:
        verdict = call.get("verdict")
        outcome: Json = {"success": self._outcome.success}
        if self._outcome.latency_ms is not None:
            outcome["latency_ms"] = self._outcome.latency_ms
        if verdict == BLOCK:
            outcome["overridden"] = True
        elif verdict in (HINT, REWRITE):
            outcome["applied_suggestion"] = call.get("advice") == digest(kept(self._event.planned))
        return outcome

    def _validate(self) -> None:
        """Say of every advice that this command is whether it held. Each advice is followed once."""
        for name, note in self._session.notes(ADVICE):
            if note.get("advice") == digest(kept(self._event.planned)) and self._session.take(ADVICE, name) is not None:
                held = "success" if self._outcome.success else "failure"
                self._client.post(
                    "/v1/validate_fix", {"episode_id": note["episode_id"], "trace_id": name, "outcome": held}
                )

    def _capture(self) -> None:
        event, call = self._event, self._call or {}
        failure: Json = {
            "task_id": event.task_id,
            "goal": event.goal,
            "planned_action": event.planned,
            "error_trace": self._outcome.error,
            "environment": mapping(call, "environment") or facts(event.cwd, self._environ),
        }
        if trace_id := text(call, "trace_id"):
            failure["trace_id"] = trace_id
        episode_id = self._client.post("/v1/capture", failure)["episode_id"]
        self._session.keep(FAILURE, str(episode_id), {"program": program(event.planned)})

    def _solved(self) -> None:
        """Note this command as what solved earlier failures of the session, where it is them, mended."""
        ours = program(self._event.planned)
        for name, note in list(self._session.notes(FAILURE)):
            if note.get("program") == ours:
                self._compare(name, mapping(self._client.get(f"/v1/episodes/{name}"), "episode"))

    def _compare(self, name: str, failed: Json) -> None:
        """A failed command that works now needs no lesson: what changed is not in the command."""
        planned, command = kept(self._event.planned), text(failed, "planned_action")
        mended = solves(planned, command, text(failed, "error_trace"))
        if not (mended or digest(planned) == digest(command)) or self._session.take(FAILURE, name) is None:
            return
        if mended:
            fields = ("task_id", "trace_id", "goal", "planned_action", "error_trace", "environment")
            again = {field: failed[field] for field in fields if failed.get(field) is not None}
            self._client.post("/v1/capture", {**again, "resolution": planned})


def end(client: Client, session: Session) -> None:
    """The session is over: cancel what never ran, say that the task ends, forget it and what else is old.

    Raises:
      Away: nobody is there; the session is forgotten all the same.
    """
    try:
        for agent in session.agents():
            for trace_id, outcome in _last_words(agent).items():
                try:
                    client.post("/v1/feedback", {"trace_id": trace_id, "outcome": outcome})
                except Refused as error:
                    complain(str(error))
    finally:
        session.forget()
        session.forget_old()


def _last_words(agent: Session) -> dict[str, Json]:
    """Calls that were declined or cut short are cancelled, the newest decision ends the task."""
    words: dict[str, Json] = {text(note, "trace_id"): {"terminal": True} for _, note in agent.notes(LAST)}
    for _, call in agent.notes(CALL):
        if call.get("verdict") != BLOCK:
            words[text(call, "trace_id")] = NOT_RUN
    return words
