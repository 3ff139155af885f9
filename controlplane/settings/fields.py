"""The table: name, type, default, help. The hash of everything that shapes a decision is stamped on every trace."""

from hashlib import blake2b
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta

from strategist import Estimates, ExplorationName, Mode, UpdateRule

from .. import failpoints as points
from ..addresses import LOOPBACK, refuse_unclear, refuse_unreachable
from ..errors import BadSetting
from ..licences import Denylist
from ..masking import without_secrets
from . import scale

PREFIX = "POINTSMAN_"
Share = Annotated[float, Meta(ge=0, le=1)]
Threshold = Annotated[float, Meta(ge=0, le=2)]
Seconds = Annotated[float, Meta(gt=0, le=10**9)]
ProviderUrl = Annotated[str, Meta(pattern="^https?://")] | None
RequestLogged = Literal["failures", "all", "off"]


def _help(text: str) -> Meta:
    return Meta(description=text)


class Settings(scale.ScaleSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings. Each is `POINTSMAN_<NAME>` in the environment and `<name>` in pointsman.toml."""

    data_dir: Annotated[str, _help("Where the journal, recovery files and checkpoints lie.")] = "./data"
    host: Annotated[str, Meta(min_length=1), _help("Address to listen on; with insecure_local only loopback.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=0, le=65535), _help("Port to listen on.")] = 8080
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], _help("Least severe log lines that are written.")
    ] = "info"
    request_log: Annotated[
        RequestLogged,
        _help("Requests that are logged: `failures` (also slow ones and operators' changes), `all` or `off`."),
    ] = "failures"
    embedder: Annotated[
        str,
        _help(
            "`minilm` (installed, offline), `minilm-int8` (the same, several times as fast; needs the extra `onnx`), "
            "`openai` or `openai:MODEL`, `hashing` (no model), or a sentence-transformers model: a folder, or as"
            " ORGANISATION/MODEL (network)."
        ),
    ] = "minilm"
    image_model: Annotated[
        str | None,
        _help("A CLIP model for images of captures: a folder, or a sentence-transformers name (network)."),
    ] = None
    psi_url: Annotated[str | None, _help("Signal source: GET {url}/state answers {coherence, density}.")] = None
    router_url: Annotated[str | None, _help("Downstream router: POST {url}/route answers {score}.")] = None
    cache_ttl_s: Annotated[Seconds, _help("How long a signal counts as fresh.")] = 5.0
    upstream_deadline_s: Annotated[Seconds, _help("Longest wait for the signal source or the router.")] = 0.25
    epsilon: Annotated[
        Share | None,
        _help("Share of uniform exploration at the start; unset: 0.1 falling to 0.02, or 0.005 beside other rules."),
    ] = None
    exploration: Annotated[
        ExplorationName | None,
        _help(
            "What is tried: `epsilon_greedy`, `softmax`, `ucb`, `thompson`, `inverse_gap`; unset: the first at the "
            "gate and where epsilon is set, else `thompson` for routing and chat."
        ),
    ] = None
    estimates: Annotated[
        Estimates | None,
        _help(
            "What values come from: `table`, `linear` (weights of words and keys) or `stacked` (both, and similar "
            "cases); unset: `table` at the gate, `stacked` for routing and chat."
        ),
    ] = None
    experience: Annotated[
        Annotated[int, Meta(ge=0, le=100)], _help("Earlier decisions that are learnt of again with each one.")
    ] = 0
    update_rule: Annotated[
        UpdateRule, _help("Target of a decision with a successor: `q_learning`, `expected_sarsa` or `tree_backup`.")
    ] = "q_learning"
    gamma: Annotated[Share, _help("Discount of a task's next decision.")] = 0.92
    alpha: Annotated[
        Annotated[float, Meta(ge=0.0001, le=1)] | None,
        _help(
            "Constant step size, 0.0001 to 1; unset: max(0.02, 1/(1 + visits)), which averages and then follows drift."
        ),
    ] = None
    gate_mode: Annotated[Mode, _help("`learning`, `apprentice` (the fixed rule acts) or `frozen` at the gate.")] = (
        "learning"
    )
    route_mode: Annotated[Mode, _help("The same for routing; there is no rule to be an apprentice of.")] = "learning"
    chat_mode: Annotated[Mode, _help("The same for which model answers a chat.")] = "learning"
    apprentice_share: Annotated[Share, _help("Probability an apprentice spreads over the other actions.")] = 0.05
    risk_ceiling: Annotated[Share, _help("Above this risk, verdicts laxer than the preferred one are not drawn.")] = 0.8
    audit_ceiling: Annotated[Share, _help("Below this risk a share of BLOCK is let through as HINT, to audit it.")] = (
        0.6
    )
    audit_share: Annotated[Share, _help("That share of BLOCK's probability; 0 lets nothing through.")] = 0.05
    withheld_share: Annotated[
        float, Meta(ge=0, le=0.2), _help("Below that risk, how often a memory is withheld to see its worth; 0: never.")
    ] = 0.05
    rule_skill: Annotated[Threshold, _help("The fixed rule: similarity of a skill for REWRITE; above 1, never.")] = 0.85
    rule_block: Annotated[Threshold, _help("The fixed rule: similarity of a failure for BLOCK; above 1, never.")] = 0.90
    rule_block_precondition: Annotated[Share, _help("The fixed rule: fit of that failure's conditions for BLOCK.")] = (
        0.70
    )
    rule_rewrite: Annotated[
        Threshold, _help("The fixed rule: similarity of a failure with a validated fix for REWRITE; above 1, never.")
    ] = 0.80
    rule_rewrite_precondition: Annotated[
        Share, _help("The fixed rule: fit of that failure's conditions for REWRITE.")
    ] = 0.50
    rule_hint: Annotated[Threshold, _help("The fixed rule: similarity of a failure for HINT; above 1, never.")] = 0.70
    route_window_s: Annotated[Seconds, _help("How long a routing decision waits for feedback.")] = 600.0
    chat_window_s: Annotated[Seconds, _help("How long a chat decision waits for what its caller says of it.")] = 600.0
    gate_window_s: Annotated[Seconds, _help("How long a gate decision waits for feedback.")] = 1800.0
    trajectory_ttl_s: Annotated[Seconds, _help("How long a task waits for its next decision.")] = 1800.0
    recovery_interval_s: Annotated[Seconds, _help("Time between two recovery files.")] = 60.0
    seed: Annotated[int | None, _help("Seed of exploration; unset: from the operating system.")] = None
    insecure_local: Annotated[bool, _help("Read no API keys; every caller is the tenant `default`.")] = False
    api_key: Annotated[str | None, _help("The key that commands and the hook send; the server does not read it.")] = (
        None
    )
    admin_api_key: Annotated[str | None, _help("The key that `pointsman keys` and `tenants` send.")] = None
    alarm_url: Annotated[
        Annotated[str, Meta(pattern="^https?://")] | None,
        _help("Where alarms are sent: POST of signed JSON. The address is kept like a key."),
    ] = None
    archive_after_days: Annotated[
        Annotated[float, Meta(ge=0, le=36_500)],
        _help("After so many days, memories that nobody came back to are set aside; 0: never."),
    ] = 0.0
    webhooks_private: Annotated[
        bool, _help("Let webhooks of tenants lead into private networks, over plain HTTP too.")
    ] = False
    openai_base_url: Annotated[
        ProviderUrl,
        _help("Where OpenAI, Ollama, vLLM or llama.cpp is; unset: https://api.openai.com/v1, where there is a key."),
    ] = None
    openai_api_key: Annotated[str | None, _help("The key that is sent there, and nowhere else.")] = None
    anthropic_base_url: Annotated[
        ProviderUrl, _help("Where Anthropic is; unset: https://api.anthropic.com, where there is a key.")
    ] = None
    anthropic_api_key: Annotated[str | None, _help("The key that is sent there, and nowhere else.")] = None
    openrouter_base_url: Annotated[
        ProviderUrl, _help("Where OpenRouter is; unset: https://openrouter.ai/api/v1, where there is a key.")
    ] = None
    openrouter_api_key: Annotated[str | None, _help("The key that is sent there, and nowhere else.")] = None
    catalogue: Annotated[
        str | None, _help("A file of models and their prices, written like the shipped one; replaces and adds.")
    ] = None
    prompts: Annotated[
        str | None, _help("A folder of prompts (*.j2), written like the shipped ones; replaces and adds.")
    ] = None
    chat_deadline_s: Annotated[Seconds, _help("Longest wait for a model's whole answer, further tries included.")] = (
        120.0
    )
    wrong_reuse_target: Annotated[
        Annotated[float, Meta(gt=0, lt=1)],
        _help("Share of reused reflections that may be wrong; by it each error class finds its threshold."),
    ] = 0.05
    ranker_interval_s: Annotated[
        Annotated[float, Meta(ge=0)],
        _help("Time between two refits of how search weighs its terms, where outcomes of sessions came in; 0: never."),
    ] = 3600.0
    ranker_return_swing: Annotated[
        Annotated[float, Meta(ge=0)],
        _help("Returns of sessions, in sum, after which it is refitted at once; 0: never."),
    ] = 50.0
    ranker_risk_swing: Annotated[
        Annotated[float, Meta(ge=0)], _help("Failed sessions after which it is refitted at once; 0: never.")
    ] = 20.0
    license_denylist: Annotated[
        str | None,
        _help(
            "Licences whose documents are neither kept nor found, and whose failures are not told of, by name, SPDX id"
            " or `sha256:` of a text, with commas."
        ),
    ] = None
    failpoints: Annotated[
        str | None, _help("For tests of crashes: where the server dies or fails, as name:kill@3,name:error@1.")
    ] = None

    def __post_init__(self) -> None:
        points.read(self.failpoints or "")
        Denylist(self.license_denylist or "")
        if self.insecure_local and self.host not in LOOPBACK:
            raise BadSetting(f"POINTSMAN_HOST={self.host!r}: without keys (--insecure-local) only loopback is served")
        providers = (self.openai_base_url, self.anthropic_base_url, self.openrouter_base_url)
        for url in (self.alarm_url, self.broker_url, self.redis_url, *providers):
            if url is not None:
                refuse_unreachable(url)
        for url in (self.database_url, self.vectors_url):
            if url is not None:
                refuse_unclear(url)

    def shown(self) -> dict[str, Any]:
        """Every setting by name, without what must not be read over a shoulder."""
        values: dict[str, Any] = msgspec.to_builtins(self)
        return {name: shown_value(name, value) for name, value in values.items()}

    def __repr__(self) -> str:
        return f"<Settings {self.shown()}>"

    @property
    def hash(self) -> str:
        """Of what shapes a decision: not where it runs."""
        shaping = {k: v for k, v in msgspec.to_builtins(self).items() if k not in _PLACES}
        return blake2b(msgspec.json.encode(shaping, order="sorted"), digest_size=8).hexdigest()


PROVIDER_KEYS = {"openai_api_key", "anthropic_api_key", "openrouter_api_key"}
SECRET = {"api_key", "admin_api_key", "alarm_url", *PROVIDER_KEYS, *scale.SECRET}
HIDDEN, FILE = "(hidden)", "_file"
_PLACES = {"data_dir", "host", "port", "log_level", "seed", "recovery_interval_s", "insecure_local", "failpoints"}
_PLACES |= {"request_log", "catalogue", "prompts", "license_denylist", "webhooks_private", "archive_after_days"}
_PLACES |= {"image_model", *SECRET, *scale.PLACES}


def shown_value(name: str, value: Any) -> Any:
    """A value without what must not be read over a shoulder: keys, who asks in an address, where alarms go."""
    if name in SECRET and value:
        return HIDDEN
    return without_secrets(value) if isinstance(value, str) else value


class Described(msgspec.Struct, frozen=True):
    """One row of the table."""

    name: str
    env: str
    default: Any
    help: str


def table() -> list[Described]:
    """Every setting with its default and help, for the command line, the docs and the tests."""
    hints = get_type_hints(Settings, include_extras=True)
    rows = []
    for field in msgspec.structs.fields(Settings):
        metas = [m for m in get_args(hints[field.name])[1:] if isinstance(m, Meta) and m.description]
        rows.append(Described(field.name, PREFIX + field.name.upper(), field.default, metas[-1].description or ""))
    return rows
