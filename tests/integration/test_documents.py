"""Documents over HTTP: kept in passages, found again, told with sources, replaced, dropped and kept out."""

import sqlite3
from pathlib import Path
from typing import Any

from controlplane.licences import fingerprints
from controlplane.memory.chunking import BUDGET, tokens

from .conftest import Running, Serve

CANARY = "canary-8c1e07"
GUIDE = """# Deploying

## Quotas

A deployment that exceeds the quota of its namespace is refused. Raise the quota before you deploy.

## Registries

Images are pulled from the registry. Push the image first: an image that is not there cannot be pulled.
"""


def kept(server: Running, *documents: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    """Documents that are sent together; what became of each."""
    answers: list[dict[str, Any]] = server.post("/v1/documents", {"documents": list(documents), **fields})["documents"]
    return answers


def found(server: Running, query: str, **fields: Any) -> Any:
    return server.post("/v1/documents/search", {"query": query, "min_similarity": -1.0, **fields})


def keys(answer: Any) -> list[str]:
    return [result["key"] for result in answer["results"]]


def listed(server: Running, origin: str, namespace: str, after: str = "") -> Any:
    query = {"origin": origin, "namespace": namespace, "after": after}
    answer = server.client.get("/v1/documents", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def drop(server: Running, status: int = 204, **query: str) -> None:
    answer = server.client.delete("/v1/documents", params=query)
    assert answer.status_code == status, answer.text


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("journal.db*"))


def test_the_passage_that_speaks_of_it_is_found_with_its_place_in_its_document(server: Running) -> None:
    long = GUIDE + "\n## Other matters\n\n" + "Nothing of interest stands in this part of the guide. " * 60
    facts = {"license": "MIT", "metadata": {"team": "infra"}, "enhancement": 0.5, "semantic_alerts": 2}
    [answer] = kept(server, {"key": "guide.md", "title": "Guide", "text": long, **facts}, namespace="place")
    assert (answer["key"], answer["status"], answer["why"]) == ("guide.md", "kept", None)
    assert answer["passages"] > 2
    [best, *_] = found(server, "push the image to the registry first", namespace="place", k=1)["results"]
    assert "Push the image first" in best["text"]
    assert (best["parts"], best["title"], best["origin"]) == (answer["passages"], "Guide", "documents")
    assert {name: best[name] for name in facts} == facts
    assert best["alignment_severity"] is None
    assert 1 <= best["part"] <= best["parts"]


def test_a_document_takes_the_place_of_the_one_under_its_key_whose_text_is_gone(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    first, second = {"key": "a.md", "text": f"Old advice, {CANARY}."}, {"key": "a.md", "text": "New advice."}
    assert [a["status"] for a in kept(server, first)] == ["kept"]
    assert CANARY.encode() in on_disk(tmp_path / "data")
    assert [a["status"] for a in kept(server, second)] == ["kept"]
    assert [result["text"] for result in found(server, "advice")["results"]] == ["New advice."]
    assert CANARY.encode() not in on_disk(tmp_path / "data")


def test_of_two_versions_that_come_together_the_later_one_is_left(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    both = [{"key": "a", "text": f"Old {CANARY}."}, {"key": "a", "text": "New."}]
    assert [a["status"] for a in kept(server, *both, {"key": "b", "text": "Beside."})] == ["kept"] * 3
    kept(server, {"key": "b", "text": "Beside it."}, {"key": "c", "text": "And more."})
    assert sorted(result["text"] for result in found(server, "x")["results"]) == ["And more.", "Beside it.", "New."]
    assert CANARY.encode() not in on_disk(tmp_path / "data")
    server.stop()
    assert sorted(keys(found(serve(), "x"))) == ["a", "b", "c"]


def test_what_is_there_as_it_is_changes_nothing(server: Running) -> None:
    document = {"key": "a.md", "text": GUIDE, "version": "1"}
    kept(server, document, namespace="same")
    before = server.last_seq
    [answer] = kept(server, document, namespace="same")
    assert (answer["status"], server.last_seq) == ("unchanged", before)
    [answer] = kept(server, {**document, "version": "2"}, namespace="same")
    assert answer["status"] == "kept"
    assert listed(server, "documents", "same")["documents"][0]["version"] == "2"


def test_a_document_of_blanks_and_marks_that_are_not_seen_is_refused(server: Running) -> None:
    answers = kept(server, {"key": "blank", "text": " \n\t"}, {"key": "unseen", "text": "\u200b\u202e"})
    assert [(one["status"], "no text" in one["why"]) for one in answers] == [("refused", True)] * 2


def test_a_document_without_a_key_is_known_by_its_text(server: Running) -> None:
    [first] = kept(server, {"text": "Read me."}, namespace="keyless")
    [again, other] = kept(server, {"text": "Read me."}, {"text": "And me."}, namespace="keyless")
    assert (again["key"], again["status"], other["status"]) == (first["key"], "unchanged", "kept")


def test_documents_outlive_the_server_and_those_that_were_dropped_do_not(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    for name in ("a", "b", "c"):
        kept(server, {"key": name, "text": f"Advice {name} {CANARY}{name}."}, origin="wiki")
    kept(server, {"key": "d", "text": f"Advice d {CANARY}d."}, origin="blog")
    drop(server, origin="wiki", key="a")
    drop(server, origin="blog")
    server.stop()
    again = serve()
    assert sorted(keys(found(again, "advice"))) == ["b", "c"]
    assert [d["key"] for d in listed(again, "wiki", "")["documents"]] == ["b", "c"]
    left = on_disk(tmp_path / "data")
    assert [f"{CANARY}{name}".encode() in left for name in "abcd"] == [False, True, True, False]
    drop(again, 404, origin="wiki", key="a")
    drop(again, 404, origin="blog")


def test_a_former_text_that_a_crash_left_on_disk_is_overwritten_by_the_next_start(serve: Serve, tmp_path: Path) -> None:
    """As if the process had died between the commit and the overwriting: the former version stands in the journal."""
    server = serve()
    kept(server, {"key": "a", "text": f"Old {CANARY}."}, {"key": "b", "text": f"Old too {CANARY}."})
    server.stop()
    with sqlite3.connect(tmp_path / "data" / "journal.db") as database:
        former = database.execute("SELECT * FROM events WHERE kind = 'document' ORDER BY seq").fetchall()
    server = serve()
    kept(server, {"key": "a", "text": "New."})
    drop(server, origin="documents", key="b")
    server.stop()
    with sqlite3.connect(tmp_path / "data" / "journal.db") as database:
        for row in former:
            database.execute("DELETE FROM events WHERE seq = ?", row[:1])
            database.execute(f"INSERT INTO events VALUES ({', '.join('?' * len(row))})", row)
    server = serve()
    assert [result["text"] for result in found(server, "new")["results"]] == ["New."]
    server.stop()
    assert CANARY.encode() not in on_disk(tmp_path / "data")


def test_a_search_is_narrowed_by_kind_origin_and_metadata_and_says_what_it_left_out(server: Running) -> None:
    patch = {"key": "p", "text": "quota patch", "kind": "patch", "metadata": {"team": "infra", "n": 1}}
    page = {"key": "d", "text": "quota page", "metadata": {"team": "web"}}
    kept(server, patch, page, namespace="narrow", origin="wiki")
    kept(server, {"key": "e", "text": "quota essay"}, namespace="narrow", origin="blog")
    asked = {"query": "quota", "namespace": "narrow"}
    assert sorted(keys(found(server, **asked))) == ["d", "e", "p"]
    assert keys(found(server, **asked, kind="patch")) == ["p"]
    answer = found(server, **asked, origin="blog")
    assert (keys(answer), answer["filtered"]) == (["e"], {"origin": 2})
    answer = found(server, **asked, filters={"team": ["infra", "ops"]})
    assert (keys(answer), answer["filtered"]) == (["p"], {"team": 2})
    answer = found(server, query="quota", namespace="narrow", k=2) | {}
    assert len(answer["results"]) == 2
    strict = server.post("/v1/documents/search", {**asked, "min_similarity": 0.999})
    assert (strict["results"], strict["filtered"]) == ([], {"min_similarity": 3})


def test_a_context_names_its_sources_and_keeps_to_its_budget(server: Running) -> None:
    things = ("disk space", "network ports", "user names", "backup tapes", "desk lamps")
    pages = [{"key": f"{n}.md", "title": f"Page {n}", "text": f"Quota of {of}. " * 10} for n, of in enumerate(things)]
    kept(server, *pages, namespace="context")
    asked = {"query": "quota rule", "namespace": "context", "format": "context"}
    answer = found(server, **asked, token_budget=100)
    assert 1 < len(answer["results"]) < 5
    assert answer["tokens"] == tokens(answer["context"]) <= 100
    whole = found(server, **asked, token_budget=2000)
    assert len(whole["results"]) == 5
    for number, result in enumerate(whole["results"], 1):
        source = f"[{number}] {result['title']} (documents: {result['key']}, part 1 of 1)\n{result['text']}"
        assert source in whole["context"]
    assert found(server, query="quota", namespace="context")["context"] is None


def test_a_context_says_nothing_twice_and_tells_the_part_of_a_long_text_that_answers(server: Running) -> None:
    dull = "Nothing of interest stands here. " * 24
    page = {"key": "long", "text": f"About quotas.\n\n{dull}\n\nThe quota of the registry is ten images."}
    other = {"key": "other", "text": "The quota of a namespace is refused when it is exceeded."}
    kept(server, page, other, {**other, "key": "again"}, namespace="diverse")
    asked = {"query": "quota of the registry", "namespace": "diverse", "format": "context", "min_similarity": 0.1}
    answer = found(server, **asked, token_budget=120)
    assert len({"other", "again"} & set(keys(answer))) == 1
    assert "[...]" in answer["context"]
    assert "The quota of the registry is ten images." in answer["context"]


def test_a_passage_is_found_by_its_words_until_it_is_replaced_or_dropped(server: Running) -> None:
    told = ("the disk", "a lamp", "our tapes", "the port")
    filler = [{"key": f"f{n}", "text": f"Somebody asked about {of}, reply {n}."} for n, of in enumerate(told * 10)]
    named = {
        "key": "named",
        "text": "A long story of a ship, of storms and harbours. Error ZX-4711 came up.",
    }
    kept(server, *filler, named, namespace="words")
    asked = {"query": "who asked about ZX-4711 and the lamp", "namespace": "words", "k": 1}
    [best] = found(server, **asked)["results"]
    assert (best["key"], best["scores"]["lexical"] > 0.4) == ("named", True)
    kept(server, {**named, "text": "A long story of a ship."}, namespace="words")
    assert keys(found(server, **asked)) != ["named"]
    kept(server, named, namespace="words")
    assert keys(found(server, **asked)) == ["named"]
    drop(server, origin="documents", key="named", namespace="words")
    assert keys(found(server, **asked)) != ["named"]


def test_documents_are_searched_within_the_bounds_of_safety(server: Running) -> None:
    fine = {"key": "fine", "text": "quota page", "license": "MIT"}
    severe = {"key": "severe", "text": "quota essay", "alignment_severity": 0.9, "semantic_alerts": 3}
    kept(server, fine, severe, {"key": "left", "text": "quota", "license": "GPL-3.0"}, namespace="safe")
    asked = {"query": "quota", "namespace": "safe"}
    answer = found(server, **asked, safety={"max_alerts": 1, "license_denylist": ["GPL-3.0"]})
    assert (keys(answer), answer["filtered"]) == (["fine"], {"semantic_alerts": 1, "license": 1})
    assert found(server, **asked, safety={"max_alignment_severity": 0.5})["filtered"] == {"alignment_severity": 1}
    assert found(server, **asked, safety={"min_trust": 0.9})["filtered"] == {"trust": 3}
    wrong = {**asked, "safety": {"license_denylist": ["sha256:12"]}}
    assert "sha256:" in server.post("/v1/documents/search", wrong, 422)["detail"]


def test_secrets_and_people_are_taken_out_before_anything_is_kept(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    secret = "hunter2-4711"
    document = {
        "key": "a.md",
        "title": f"password={secret}",
        "text": f"Log in with token={secret} or write to ann@acme.org.",
        "license": f"MIT token={secret}",
        "version": f"v1 token={secret}",
        "metadata": {
            f"token={secret}": 1,
            "api_key": secret,
            "deep": [{"url": f"https://ann:{secret}@acme.org"}],
            "long": "x " * 2000,
        },
    }
    kept(server, document)
    [result] = found(server, "log in")["results"]
    assert result["text"] == "Log in with token=*** or write to [mail]."
    assert result["metadata"]["long"] == "x " * 2000
    assert result["license"] == "MIT token=***"
    assert [one["version"] for one in server.get("/v1/documents?origin=documents")["documents"]] == ["v1 token=***"]
    assert [one["status"] for one in kept(server, document)] == ["unchanged"]
    registered = server.post("/v1/origins", {"origin": "o", "license": f"token={secret}"})
    assert registered["license"] == "token=***"
    [refused] = kept(server, {"key": f"token={secret}", "text": "x"})
    assert (refused["status"], refused["key"]) == ("refused", "token=***")
    assert secret.encode() not in on_disk(tmp_path / "data")


def test_a_denied_licence_is_kept_out_by_name_by_what_a_text_says_and_by_fingerprint(serve: Serve) -> None:
    notice = "This software is the property of Acme.\nAll rights reserved."
    [*_, mark] = sorted(fingerprints(notice))
    server = serve(license_denylist=f"GPL-3.0, {mark}")
    server.post("/v1/origins", {"origin": "forum", "what": "errors", "license": "GPL-3.0-or-later"})
    texts = [
        {"key": "named", "text": "x", "license": "gpl-3.0-only"},
        {"key": "tagged", "text": "# SPDX-License-Identifier: GPL-3.0-only\nx = 1"},
        {"key": "marked", "text": f"# {notice.replace(chr(10), chr(10) + '# ')}\n\nx = 1"},
        {"key": "choice", "text": "x", "license": "MIT OR GPL-3.0-only"},
        {"key": "free", "text": "x", "license": "MIT"},
    ]
    answers = kept(server, *texts)
    assert [a["status"] for a in answers] == ["refused"] * 3 + ["kept"] * 2
    assert ["licence" in a["why"] for a in answers[:3]] == [True] * 3
    [inherited, own] = kept(server, {"text": "y"}, {"text": "z", "license": "MIT"}, origin="forum")
    assert (inherited["status"], own["status"]) == ("refused", "kept")


def test_a_document_is_judged_as_a_whole_whichever_part_of_it_is_found(serve: Serve) -> None:
    """By its head, where its licence stands; by its text, though a long paragraph was cut into parts that overlap."""
    server, parts = serve(), [f"# Part {n}\n\n" + f"The quota of shard {n} is raised. " * 30 for n in range(4)]
    tagged = "\n\n".join(["<!-- SPDX-License-Identifier: GPL-3.0-only -->", *parts])
    notice = "\n\n".join(["Nobody may copy this paragraph, or any. " * 60, *parts])
    kept(server, {"key": "tagged", "text": tagged}, {"key": "noticed", "text": notice})
    for denied, left in (("GPL-3.0", "noticed"), *((mark, "tagged") for mark in fingerprints(notice))):
        answer = found(server, "quota", k=50, safety={"license_denylist": [denied]})
        assert set(keys(answer)) == {left}, denied
        assert answer["filtered"]["license"] > len(parts)


def test_what_was_kept_before_its_licence_was_denied_is_not_found_and_counted(serve: Serve) -> None:
    server = serve()
    kept(server, {"key": "a", "text": "quota", "license": "AGPL-3.0"}, {"key": "b", "text": "quota"})
    server.stop()
    answer = found(serve(license_denylist="AGPL-3.0"), "quota")
    assert (keys(answer), answer["filtered"]) == (["b"], {"license": 1})


def test_origins_are_listed_with_what_they_are_and_what_is_kept_of_them(serve: Serve) -> None:
    server = serve()
    registered = server.post("/v1/origins", {"origin": "bots", "what": "bots", "license": "CC0-1.0"})
    kept(server, {"text": "one"}, {"text": "two", "license": "MIT"}, origin="bots")
    kept(server, {"text": "three"})
    own = {"origin": "bots", "what": "bots", "license": "CC0-1.0", "registered": True}
    assert registered == {**own, "documents": 0, "passages": 0}
    other = {"origin": "documents", "what": "documents", "license": None, "registered": False}
    told = [{**own, "documents": 2, "passages": 2}, {**other, "documents": 1, "passages": 1}]
    assert server.get("/v1/origins") == told
    assert [result["license"] for result in found(server, "one", k=1)["results"]] == ["CC0-1.0"]
    server.stop()
    assert serve().get("/v1/origins") == told


def test_a_long_list_comes_in_pages(serve: Serve) -> None:
    server = serve()
    every = [f"{n:04}" for n in range(1003)]
    for start in range(0, len(every), 64):
        kept(server, *({"key": key, "text": key} for key in every[start : start + 64]))
    first = listed(server, "documents", "")
    second = listed(server, "documents", "", first["next"])
    assert [d["key"] for d in (*first["documents"], *second["documents"])] == every
    assert second["next"] is None


def test_a_whole_page_of_text_is_taken_and_no_passage_is_longer_than_the_model_reads(server: Running) -> None:
    text = "\n\n".join(f"Paragraph {n} says something of its own, and then something more." for n in range(1500))
    [answer] = kept(server, {"key": "long", "text": text}, namespace="long")
    assert answer["status"] == "kept"
    results = found(server, "paragraph 1499", namespace="long", k=100)["results"]
    assert max(tokens(result["text"]) for result in results) <= BUDGET
    too_long = {"documents": [{"text": "x" * 131_073}]}
    assert server.post("/v1/documents", too_long, 400)["errors"][0]["path"] == "$.documents[0].text"
