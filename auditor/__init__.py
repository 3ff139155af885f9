"""The auditor judges: feedback becomes rewards, rewards become updates, validated fixes become skills.

Synchronous and pure, but for the learner, which awaits the protocols it defines itself.
"""

from .answers import Answer, FeedbackResult, Learned, ValidationResult
from .errors import AuditorError, UnreadableFold
from .feedback import Outcome
from .learner import Learner
from .rules import PointRules, PromotionRules, Rules, learn_on
from .state import State
from .trace import Trace

__all__ = [
    "Answer",
    "AuditorError",
    "FeedbackResult",
    "Learned",
    "Learner",
    "Outcome",
    "PointRules",
    "PromotionRules",
    "Rules",
    "State",
    "Trace",
    "UnreadableFold",
    "ValidationResult",
    "learn_on",
]
