"""Failures are found by their trace, their code and their images, each in an index of its own, over every restart."""

import importlib
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from controlplane.embedding import BatchingEmbedder
from controlplane.errors import BadSetting
from controlplane.memory.vectorizers import vectorizers
from controlplane.settings import load

from .conftest import Running
from .tiny_clip import DIMENSION, clip_model, image

Serve = Callable[..., Running]
TRACE = (
    'Traceback (most recent call last):\n  File "a.py", line 3, in <module>\n    import yaml\n'
    "ModuleNotFoundError: No module named 'yaml'"
)
CODE = "def total(rows):\n    return sum(row.price for row in rows)"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return clip_model(tmp_path_factory.mktemp("clip"))


def found(server: Running, **asked: Any) -> list[int]:
    """The episodes that a search finds, best first."""
    results = server.post("/v1/search", {"min_similarity": 0.5, **asked})["results"]
    return [result["episode_id"] for result in results]


def test_a_failure_is_found_by_its_trace_whatever_was_wanted(serve: Serve) -> None:
    server = serve()
    wanted = server.capture(goal="bake bread", error_trace="x\n" * 5000 + TRACE)["episode_id"]
    server.capture(goal="load the settings", error_trace="OSError: [Errno 28] No space left on device")
    server.capture(goal="no trace at all")
    other = TRACE.replace("a.py", "b.py").replace("line 3", "line 90")
    assert found(server, modality="error", query=other) == [wanted]
    assert found(server, goal="bake bread", planned_action="make deploy")[0] == wanted


def test_the_end_of_a_long_trace_is_what_it_is_found_by(serve: Serve) -> None:
    server, noise = serve(), [f"[{n:05}] compiled module part_{n} in {n % 7} ms" for n in range(1500)]
    ends = ("OSError: [Errno 28] No space left on device", "RuntimeError: CUDA out of memory", "KeyError: 'price'")
    ids = [
        server.capture(goal=f"build {end[:8]}", error_trace="\n".join([*noise, f"Error: {end}"]))["episode_id"]
        for end in ends
    ]
    for episode_id, end in zip(ids, ends, strict=True):
        assert found(server, modality="error", query=end, k=1, min_similarity=-1)[0] == episode_id


def test_a_search_by_trace_or_code_counts_the_words_it_is_asked(serve: Serve) -> None:
    server = serve()
    script = "set -e\ncd /srv\nmake ledger_totals"
    wanted = server.capture(goal="bake", planned_action=script, error_trace=TRACE.replace("yaml", "ledger"))
    server.capture(goal="yeast", planned_action="set -e\ncd /opt\nmake bread", error_trace="KeyError: 'yeast'")
    for modality, query in ("error", "ModuleNotFoundError: No module named 'ledger'"), ("code", "make ledger_totals"):
        asked = {"goal": "yeast", "modality": modality, "query": query, "min_similarity": -1}
        best, *others = server.post("/v1/search", asked)["results"]
        assert best["episode_id"] == wanted["episode_id"]
        assert best["scores"]["lexical"] > 0.5 > max(other["scores"]["lexical"] for other in others)


def test_a_failure_is_found_by_its_code(serve: Serve) -> None:
    server = serve()
    told = server.capture(goal="sum up", custom={"code": CODE})["episode_id"]
    script = server.capture(goal="a script", planned_action="set -e\ncd /srv\nmake all")["episode_id"]
    server.capture(goal="one line is a command", planned_action="cd /srv")
    assert found(server, modality="code", query=CODE.replace("total", "sums")) == [told]
    assert found(server, modality="code", query="set -e\ncd /srv\nmake test") == [script]


def test_a_failure_is_found_by_its_images(serve: Serve, clip: str) -> None:
    server = serve(image_model=clip)
    red = server.capture(goal="red", images=[image("red")])["episode_id"]
    blue = server.capture(goal="blue", images=[image("blue", "JPEG"), image("navy", "WEBP")])["episode_id"]
    server.capture(goal="none")
    assert found(server, modality="image", query=image("red", "GIF"), min_similarity=-1)[0] == red
    assert sorted(found(server, modality="image", query=image("blue"), min_similarity=-1)) == [red, blue]
    said = server.get("/status")["modalities"]["image"]
    assert said["model"].startswith(f"{clip}@")
    assert said["dimension"] == DIMENSION


def test_another_image_makes_another_failure_and_the_same_one_a_repeat(serve: Serve, clip: str) -> None:
    server = serve(image_model=clip)
    first, again, other = (server.capture(images=[image(colour)]) for colour in ("red", "red", "blue"))
    assert again["duplicate_of"] == first["episode_id"]
    assert other["duplicate_of"] is None


def test_failures_that_were_exported_without_their_images_are_known(serve: Serve, clip: str) -> None:
    server = serve(image_model=clip)
    for colour in ("red", "blue"):
        server.capture(images=[image(colour)])
    episodes = server.get("/v1/memory")["episodes"]
    assert server.post("/v1/memory", {"episodes": episodes}) == {"episode_ids": [], "duplicates": 2}


def test_of_an_image_only_its_digest_and_vector_are_kept(serve: Serve, clip: str, tmp_path: Path) -> None:
    server = serve(image_model=clip)
    sent = image("red")
    episode = server.capture(images=[sent])["episode_id"]
    [recorded] = server.run(server.service.journal.read(episode - 1, 1))
    kept = recorded.event.modalities["image"]
    assert len(kept.vector) == 4 * DIMENSION
    assert len(kept.digests) == 1
    assert sent.encode() not in msgspec.json.encode(recorded.event)


def test_every_modality_is_found_after_a_restart_without_embedding_anything_again(serve: Serve, clip: str) -> None:
    server = serve(image_model=clip)
    episode = server.capture(error_trace=TRACE, custom={"code": CODE}, images=[image("red")])["episode_id"]
    server.stop()
    server = serve(image_model=clip)
    assert server.get("/status")["memory"]["stale_vectors"] == 0
    for modality, query in (("error", TRACE), ("code", CODE), ("image", image("red"))):
        assert found(server, modality=modality, query=query) == [episode]


def test_vectors_of_an_old_model_are_renewed_where_their_content_is_kept(serve: Serve, clip: str) -> None:
    server = serve(image_model=clip)
    episode = server.capture(error_trace=TRACE, images=[image("red")])["episode_id"]
    server.stop()
    server = serve(image_model=f"{clip}/", embedder="openai", openai_base_url="http://127.0.0.1:9/v1")
    assert server.get("/status")["memory"]["stale_vectors"] == 2, "its text and its trace; an image is not kept"
    assert episode in server.service.memory.space("default", "").episodes


def test_what_is_purged_is_found_in_no_modality(serve: Serve, clip: str) -> None:
    server = serve(image_model=clip)
    episode = server.capture(error_trace=TRACE, custom={"code": CODE}, images=[image("red")])["episode_id"]
    server.client.delete(f"/v1/episodes/{episode}").raise_for_status()
    for modality, query in (("error", TRACE), ("code", CODE), ("image", image("red"))):
        assert found(server, modality=modality, query=query, min_similarity=-1) == []


def test_nothing_of_another_tenant_or_namespace_is_found_in_any_modality(serve: Serve, clip: str) -> None:
    server = serve(image_model=clip, insecure_local=False)
    admin, first = (server.service.first_keys.admin, server.service.first_keys.tenant)
    operator = {"X-Admin-API-Key": admin}
    server.client.post("/v1/admin/tenants", json={"tenant": "acme"}, headers=operator).raise_for_status()
    key = server.client.post("/v1/admin/keys", json={"tenant": "acme", "name": "acme"}, headers=operator)
    own, other = {"X-API-Key": first}, {"X-API-Key": key.json()["key"]}
    body = {"goal": "g", "error_trace": TRACE, "custom": {"code": CODE}, "images": [image("red")]}
    server.client.post("/v1/capture", json=body, headers=own).raise_for_status()
    for modality, query in (("error", TRACE), ("code", CODE), ("image", image("red"))):
        asked = {"modality": modality, "query": query, "min_similarity": -1}
        seen = [
            len(server.client.post("/v1/search", json={**asked, **more}, headers=headers).json()["results"])
            for headers, more in ((own, {}), (own, {"namespace": "x"}), (other, {}))
        ]
        assert seen == [1, 0, 0], modality


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ("not base64!", "not base64"),
        (b64encode(b"GIF89a" + b"\0" * 40).decode(), "cannot be read"),
        (b64encode(b"<svg xmlns='http://www.w3.org/2000/svg'/>").decode(), "PNG, JPEG, GIF, WEBP"),
        (image("red")[:-40], "cannot be read"),
        (b64encode(b"\0" * (512 * 1024 + 1)).decode(), "524288 are taken"),
        (image("red", size=(4097, 4096)), "pixels"),
    ],
    ids=["no base64", "no gif", "an svg", "cut", "large", "many pixels"],
)
def test_what_is_no_image_is_refused_and_nothing_is_written(serve: Serve, clip: str, sent: str, said: str) -> None:
    server = serve(image_model=clip)
    before = server.last_seq
    for path, body in (("capture", {"images": [sent]}), ("search", {"modality": "image", "query": sent})):
        problem = server.post(f"/v1/{path}", {"goal": "g", **body}, 422)
        assert said in problem["detail"]
    assert server.last_seq == before


def test_more_images_than_are_taken_are_refused(serve: Serve, clip: str) -> None:
    server = serve(image_model=clip)
    server.post("/v1/capture", {"goal": "g", "images": [image("red")] * 5}, 400)


def test_without_a_model_images_are_refused_with_the_setting_that_is_missing(serve: Serve) -> None:
    server = serve()
    for path, body in (("capture", {"images": [image("red")]}), ("search", {"modality": "image", "query": "x"})):
        assert "POINTSMAN_IMAGE_MODEL" in server.post(f"/v1/{path}", {"goal": "g", **body}, 422)["detail"]
    server.capture()


def test_a_model_that_cannot_be_loaded_costs_images_alone(serve: Serve, tmp_path: Path) -> None:
    server = serve(image_model=str(tmp_path / "nowhere"))
    assert "the log says why" in server.post("/v1/capture", {"goal": "g", "images": [image("red")]}, 503)["detail"]
    server.capture()


def test_a_search_says_what_it_lacks(serve: Serve) -> None:
    server = serve()
    for body, said in (
        ({}, "`goal`"),
        ({"modality": "error"}, "`query`"),
        ({"goal": "g", "query": "q"}, "other modalities"),
    ):
        assert said in str(server.post("/v1/search", body, 400))
    problem = server.post("/v1/search", {"modality": "smell", "query": "q"}, 422)
    assert problem["detail"] == "modality is one of code, error, image, text"


PLUGIN = '''
"""What was done, as one modality more."""

from controlplane.memory.vectorizers.port import OfTexts


class ActionVectorizer(OfTexts):
    """The tool chain."""

    source = "tool_chain of captures"

    def content(self, episode, images):
        return " ".join(episode.tool_chain) or None
'''


@pytest.fixture
def plugged(tmp_path: Path) -> Iterator[None]:
    """An installed package of somebody else's, with an entry point."""
    (tmp_path / "actions_of_mine.py").write_text(PLUGIN, "utf-8")
    info = tmp_path / "actions_of_mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: actions-of-mine\nVersion: 1.0\n", "utf-8")
    (info / "entry_points.txt").write_text("[pointsman.vectorizers]\naction = actions_of_mine\n", "utf-8")
    sys.path.insert(0, str(tmp_path))
    importlib.invalidate_caches()
    yield
    sys.path.remove(str(tmp_path))
    sys.modules.pop("actions_of_mine", None)


@pytest.mark.usefixtures("plugged")
def test_a_package_with_an_entry_point_adds_a_modality(serve: Serve) -> None:
    server = serve()
    episode = server.capture(tool_chain=["terraform", "plan"])["episode_id"]
    server.capture(goal="another")
    assert found(server, modality="action", query="terraform plan") == [episode]
    assert server.get("/status")["modalities"]["action"]["source"] == "tool_chain of captures"
    server.stop()
    assert found(serve(), modality="action", query="terraform plan") == [episode]


@pytest.mark.usefixtures("plugged")
def test_an_entry_point_that_is_broken_or_of_a_known_modality_is_refused_at_the_start(tmp_path: Path) -> None:
    module = tmp_path / "actions_of_mine.py"
    module.write_text(PLUGIN.replace("ActionVectorizer", "CodeVectorizer"), "utf-8")
    with pytest.raises(BadSetting, match="two vectorizers are of the modality 'code'"):
        vectorizers(BatchingEmbedder(), load({}))
    sys.modules.pop("actions_of_mine")
    module.write_text("import no_such_module", "utf-8")
    with pytest.raises(BadSetting, match=r"entry point action .* cannot be loaded: No module named 'no_such_module'"):
        vectorizers(BatchingEmbedder(), load({}))
