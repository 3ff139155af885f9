"""The questions, whether each model's recorded answer is right, and what the answers cost."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..datasets import rows
from ..models import Priced

MODELS = (Priced("cheap", "openai", "cheap", 240), Priced("premium", "openrouter", "premium", 24_700))
ANSWER_TOKENS = 1  # a letter

Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]


class Questions(NamedTuple):
    """Prompts [N], their tokens [N], and whether each of MODELS answers right [N, 2]."""

    prompts: list[str]
    tokens: Ints
    right: Flags

    @property
    def nano_usd(self) -> Ints:
        """What each model's answer costs [N, 2]."""
        return np.outer(self.tokens + ANSWER_TOKENS, [model.nano_usd for model in MODELS])


def routellm(data: Path) -> Questions:
    """RouteLLM's MMLU questions; one that is there twice is answered both times as it was the first time."""
    found = [row for row in rows(data / "routellm" / "mmlu.jsonl.gz") if not row["contaminated"]]
    prompts = [row["prompt"] for row in found]
    first = {prompt: place for place, prompt in reversed(list(enumerate(prompts)))}
    right = np.array([[row["weak_correct"], row["strong_correct"]] for row in found], bool)
    return Questions(
        prompts, np.array([row["in_tokens_est"] for row in found]), right[[first[prompt] for prompt in prompts]]
    )
