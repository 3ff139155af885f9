"""The router beside ours that may see every answer: two logistic regressions on the text, 5-fold."""

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold

from .play import Floats
from .questions import Questions

FOLDS = 5


def gaps(questions: Questions, seed: int) -> Floats:
    """How much likelier the premium model is right [N], by what was learnt of the other folds' questions."""
    texts, found = np.array(questions.prompts, object), np.empty(len(questions.prompts))
    for learnt, asked in KFold(FOLDS, shuffle=True, random_state=seed).split(texts):
        words = TfidfVectorizer(sublinear_tf=True, min_df=2, ngram_range=(1, 2))
        seen, new = words.fit_transform(texts[learnt]), words.transform(texts[asked])
        models = [LogisticRegression(max_iter=1000).fit(seen, questions.right[learnt, column]) for column in (0, 1)]
        cheap, premium = (model.predict_proba(new)[:, 1] for model in models)
        found[asked] = premium - cheap
    return found
