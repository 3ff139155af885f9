"""What secrets look like: each form is taken out of a text, and ordinary commands stay what they are."""

import pytest

from controlplane.masking import without_secrets

LETTERS = "abcdefghijABCDEFGHIJ0123456789abcdefghij"
HEX = "0123456789abcdef" * 4
FORMS = {  # by whose or what it is: (the text, what must not be left of it), joined here
    "GitHub": ("push ghp_{0}", LETTERS[:36]),
    "GitHub, fine-grained": ("github_pat_{0}", LETTERS),
    "GitLab": ("glpat-{0}", LETTERS[:20]),
    "AWS": ("AKIA{0} is it", "IOSFODNN7EXAMPLE"),
    "AWS, for a while": ("ASIA{0}", "IOSFODNN7EXAMPLE"),
    "AWS, by name": ("aws_secret_access_key = {0}", LETTERS),
    "Slack": ("xoxb-{0}", "123456789012-" + LETTERS[:24]),
    "a hook of Slack": ("curl https://hooks.slack.com/services/{0}", "T0/B0/" + LETTERS[:24]),
    "a hook of Discord": ("https://discord.com/api/webhooks/{0}", "1/" + LETTERS),
    "Stripe": ("sk_live_{0}", LETTERS[:24]),
    "Twilio": ("SK{0}", HEX[:32]),
    "SendGrid": ("SG.{0}", f"{LETTERS[:22]}.{LETTERS[:38]}"),
    "npm": ("npm_{0}", LETTERS[:36]),
    "PyPI": ("pypi-{0}", LETTERS * 2),
    "OpenAI": ("sk-proj-{0}", LETTERS[:32]),
    "Anthropic": ("sk-ant-api03-{0}", LETTERS[:32]),
    "Google": ("AIza{0}", LETTERS[:35]),
    "Google, for a while": ("ya29.{0}", LETTERS),
    "Hugging Face": ("hf_{0}", LETTERS[:34]),
    "DigitalOcean": ("dop_v1_{0}", HEX),
    "Shopify": ("shpat_{0}", HEX[:32]),
    "Square": ("sq0atp-{0}", LETTERS[:22]),
    "Mailchimp": ("{0}-us12", HEX[:32]),
    "Vault": ("hvs.{0}", LETTERS[:24]),
    "age": ("AGE-SECRET-KEY-1{0}", HEX[:58].upper()),
    "a bot of Telegram": ("110201543:AA{0}", LETTERS[:33]),
    "a bot of Discord": ("M{0}", f"{LETTERS[:23]}.Cl2FMQ.{LETTERS[:27]}"),
    "a JSON web token": ("eyJhbGciOiJI{0}", f"UzI1NiJ9.eyJzdWIiOiIxIn0.{LETTERS}"),
    "a private key": ("-----BEGIN RSA PRIVATE KEY-----\n{0}\n-----END RSA PRIVATE KEY-----", LETTERS),
    "a private key of PGP": ("-----BEGIN PGP PRIVATE KEY BLOCK-----\n{0}", LETTERS),
    "Azure": ("AccountKey={0}==", LETTERS),
    "an address": ("psql postgres://app:{0}@db.internal:5432/x", "hunter2pw"),
    "basic": ("curl -H 'Authorization: Basic {0}'", "YWRtaW46aHVudGVyMg"),
    "bearer": ("curl -H 'Authorization: Bearer {0}'", LETTERS),
    "curl -u": ("curl -u admin:{0} https://acme.org", "hunter2pw"),
    "mysql -p": ("mysql -u root -p{0} shop", "hunter2pw"),
    "sshpass -p": ("sshpass -p {0} ssh host", "hunter2pw"),
    "an option": ("login --password {0} --user x", "hunter2pw"),
    "an option with =": ("login --db-password='{0}'", "hunter2 pw"),
    "a variable": ("export DB_PASSWORD={0}", "hunter2pw"),
    "YAML": ("password: {0}", "hunter2pw"),
    "JSON": ('{{"apiKey": "{0}"}}', "hunter2pw"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_of_each_form_is_taken_out(form: str) -> None:
    text, secret = FORMS[form]
    left = without_secrets(f"before {text.format(secret)} after")
    assert secret not in left
    assert left.startswith("before ")


@pytest.mark.parametrize(
    "text",
    [
        "git push --force-with-lease origin main", "docker run -u 1000:1000 -p 8080:80 app", "mysql -u root -p shop",
        "pip install pypi-simple", "kubectl create secret generic app", "sk-learn", "cp -p a b", "ls -u /srv",
        'File "/srv/app/models.py", line 12, in load', "commit 0123456789abcdef0123456789abcdef01234567",
        "sha256:" + HEX, "https://acme.org/docs/tokens.html", "npm_config_cache is unset",
    ],
)  # fmt: skip
def test_an_ordinary_text_stays_what_it_is(text: str) -> None:
    assert without_secrets(text) == text
