"""Takes secrets out of what is told, logged or shown: by name, by form, wherever they stand.

Rather too much than too little: a masked word makes two plans alike, a secret that is told cannot be taken back.
"""

import re

MASK = "***"
MOST = 2000  # characters that are read of a tool's argument, unless told otherwise; more is not told anyway

# A name holds one of these, whatever joins its words; `auth` counts as a word or at the end (`oauth`, not `author`).
_NAMES = (
    r"token|secret|passw|passphrase|pwd|(?:api|access|account|private)[-_. ]?key|authorization|bearer|cookie"
    r"|credential|auth(?![a-z])"
)
_SECRET_NAME = re.compile(_NAMES, re.IGNORECASE)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")  # authHeader is two words

_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]{0,30}://[^\s\"'<>]+", re.IGNORECASE)
_USER = re.compile(r"(?<=://)[^/?#]*@")
_QUERY = re.compile(r"([?&;#][^=&;#]*)=[^&;#]*")
_FORMS = (  # (what a secret looks like inside a text, what is left of it)
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{6,}", re.IGNORECASE), rf"\1 {MASK}"),
    # a run of such characters is gone through from its start only, and its rest is never given back
    (re.compile(rf"((?<![\w.-])(?=[\w.-]*?(?:{_NAMES}))[\w.-]++[\"']?\s*+[:=]\s*+)"
                r"(?:\"[^\"]*\"?|'[^']*'?|[^\s,;&\"']+)", re.IGNORECASE),
     rf"\1{MASK}"),
    # options of commands: by name, who asks with a password, and the two whose name is one letter
    (re.compile(rf"((?<![\w-])(?=--?[\w-]*?(?:{_NAMES}))[\w-]++\s++)(?:\"[^\"]*\"?|'[^']*'?|[^\s\"'-]\S*)",
                re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(r"((?:^|\s)(?:-u|--user)\s*[\"']?[^\s:\"']{1,64}:)(?!\d+(?:\s|$))[^\s\"']+"), rf"\1{MASK}"),
    (re.compile(r"(\b(?:mysql|mariadb)[\w-]*+[^|;&\n]{0,200}?\s-p|\bsshpass\s+-p\s*)[^\s-]\S*"), rf"\1{MASK}"),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z ]*-----|$)", re.DOTALL), MASK),
    (re.compile(r"((?:hooks\.slack\.com/services|discord(?:app)?\.com/api/webhooks)/)[^\s\"'<>]+"), rf"\1{MASK}"),
    # what providers' keys begin with, or look like; each is bounded, or ends where it ends
    (re.compile(r"\b(?:gh[a-z]_\w{16,}|github_pat_\w+|gl[a-z]{2,4}-[\w-]{20,}|xox[a-z]-[\w-]+|xapp-[\w-]+|sk-[\w-]{16,}"
                r"|[prs]k_(?:live|test)_\w{10,}|whsec_\w{16,}|SK[0-9a-f]{32}|SG\.[\w-]{16,32}\.[\w-]{16,64}"
                r"|npm_\w{30,}|pypi-[\w-]{32,}|AIza[\w-]{32,}|ya29\.[\w-]+|hf_\w{24,}|do[opr]_v1_[0-9a-f]{32,}"
                r"|shp[a-z]{2}_[0-9a-f]{24,}|sq0[a-z]{3}-[\w-]{20,}|hv[bsr]\.[\w-]{20,}|AGE-SECRET-KEY-1\w+"
                r"|pm_(?:live|admin)_\w+|A(?:KI|SI|BI|CC)A[0-9A-Z]{12,}|[0-9a-f]{32}-us\d{1,2}|\d{8,10}:AA[\w-]{32,}"
                r"|[MNO][\w-]{22,27}\.[\w-]{6}\.[\w-]{27,40}|eyJ[\w-]{6,1000}+\.[\w-]++\.[\w-]*)"), MASK),
)  # fmt: skip


def masked(value: object, name: str = "", most: int | None = MOST) -> object:
    """The value without secrets, at any depth.

    >>> masked({"user": "ann", "headers": {"X-Auth": "hunter2"}, "url": "https://ann:pw@acme.org/?key=1"})
    {'user': 'ann', 'headers': {'X-Auth': '***'}, 'url': 'https://***@acme.org/?key=***'}
    """
    if _SECRET_NAME.search(_HUMP.sub("_", name)):
        return MASK
    if isinstance(value, dict):
        return {
            without_secrets(key[:most]) if isinstance(key, str) else key: masked(item, str(key), most)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return type(value)(masked(item, "", most) for item in value)
    return without_secrets(value[:most]) if isinstance(value, str) else value


def without_secrets(text: str) -> str:
    """The text without what looks like a secret, or stands beside the name of one."""
    text = _ADDRESS.sub(lambda found: _bare(found[0]), text)
    for form, left in _FORMS:
        text = form.sub(left, text)
    return text


def _bare(address: str) -> str:
    """Without who asks, and without what is asked for."""
    return _QUERY.sub(rf"\1={MASK}", _USER.sub(f"{MASK}@", address))
