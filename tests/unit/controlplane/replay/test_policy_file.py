"""A policy that cannot be meant is refused with the name of what is wrong."""

from pathlib import Path

import pytest

from controlplane.errors import UnusablePolicy
from controlplane.replay.policy_file import read_policy
from strategist import EpsilonDecay, PolicySettings, StepSize
from strategist.evaluation import Target
from strategist.exploration.rules import Softmax, Thompson

IN_FORCE = PolicySettings(
    estimates="stacked", relatives_visits=5, exploration=Thompson(), epsilon=EpsilonDecay(start=0.005, floor=0.005)
)
TOML = """
reward_range = [-1.0, 1.0]
[policy]
kappa = 5.0
[policy.step]
alpha = 0.2
[policy.epsilon]
start = 0.05
[policy.exploration]
type = "softmax"
temperature = 0.2
[weights]
success = 1.0
[features]
point = "route"
version = 3
[features.features]
region = { fact = "region" }
[[features.tilings]]
name = "place"
levels = [[], ["region"]]
"""


def test_a_policy_is_read_from_toml(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(TOML)
    found = read_policy(tmp_path / "policy.toml", IN_FORCE)
    assert found.settings == PolicySettings(
        kappa=5.0,
        step=StepSize(alpha=0.2),
        epsilon=EpsilonDecay(start=0.05, floor=0.005),
        exploration=Softmax(0.2),
        estimates="stacked",
        relatives_visits=5,
    ), "what it leaves out is as it is in force"
    assert (found.weights, found.reward_range) == ({"success": 1.0}, (-1.0, 1.0))
    assert found.spec is not None
    assert found.spec.tilings[0].levels == ((), ("region",))


def test_an_empty_policy_is_the_one_in_force(tmp_path: Path) -> None:
    (tmp_path / "policy.json").write_text("{}")
    assert read_policy(tmp_path / "policy.json", IN_FORCE) == Target(settings=IN_FORCE)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("p.toml", "[policy]\nkapa = 1.0\n", "policy.kapa is no setting of a policy; did you mean 'kappa'?"),
        ("p.toml", "[policy.step]\nalfa = 0.1\n", "policy.step.alfa is no setting of a policy; did you mean 'alpha'?"),
        ("p.toml", '[policy.exploration]\ntype = "softmax"\nheat = 1.0\n', "policy.exploration.heat"),
        ("p.toml", "[policy.step]\nalpha = 7.0\n", "alpha must be in"),
        ("p.toml", '[policy]\nmode = "wild"\n', "Invalid enum value 'wild'"),
        ("p.toml", "[policy]\nkappa = -1.0\n", "Expected `float` >= 0.0 - at `$.kappa`"),
        ("p.toml", "[policy]\nkappa = nan\n", "at `$.kappa`"),
        ("p.toml", "[policy]\ngamma = 5.0\n", "Expected `float` <= 1.0 - at `$.gamma`"),
        ("p.toml", "[policy]\nrelatives_visits = -1\n", "at `$.relatives_visits`"),
        ("p.toml", "[policy]\nreplayed = 10000000\n", "Expected `int` <= 100 - at `$.replayed`"),
        ("p.toml", "[policy]\napprentice_share = 2.0\n", "at `$.apprentice_share`"),
        ("p.toml", '[policy.exploration]\ntype = "softmax"\ntemperature = 0.0\n', "at `$.exploration.temperature`"),
        ("p.toml", '[policy.exploration]\ntype = "softmax"\ntemperature = -1.0\n', "at `$.exploration.temperature`"),
        ("p.toml", '[policy.exploration]\ntype = "inverse_gap"\ngamma = -5.0\n', "at `$.exploration.gamma`"),
        ("p.toml", '[policy.exploration]\ntype = "thompson"\nspread = -1.0\n', "at `$.exploration.spread`"),
        ("p.toml", '[policy.exploration]\ntype = "ucb"\nbonus = inf\n', "at `$.exploration.bonus`"),
        (
            "p.toml",
            "[policy.step]\nomega = 0.5\nfloor = 0.0001\n",
            "the step floor must be in [0.01, 1]",
        ),
        ("p.toml", "[weights]\nsuccess = nan\n", "at `$.weights[...]`"),
        ("p.toml", "reward_range = [-1e308, 1e308]\n", "at `$.reward_range[0]`"),
        ("p.json", "[" * 100_000, "is no JSON: maximum recursion depth"),
        ("p.toml", "[policies]\n", "unknown field `policies`"),
        ("p.toml", '[features]\npoint = "x"\nversion = 1\nfeatures = {}\ntilings = []\n', "no tilings"),
        ("p.toml", "reward_range = [1.0, 0.0]\n", "the first number is to be the smaller one"),
        ("p.toml", "[policy\n", "is no TOML"),
        ("p.json", "{", "is no JSON"),
        ("p.json", "[]", "the policy cannot be used"),
    ],
)
def test_what_is_no_policy_is_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UnusablePolicy) as refused:
        read_policy(tmp_path / name, IN_FORCE)
    assert said in str(refused.value)


def test_a_policy_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnusablePolicy, match=r"none\.toml cannot be read"):
        read_policy(tmp_path / "none.toml", IN_FORCE)
