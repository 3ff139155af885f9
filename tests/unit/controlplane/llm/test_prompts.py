"""Prompts: ours and an operator's are read and checked when the server starts, and know what they are called."""

from pathlib import Path

import pytest
from jinja2.exceptions import SecurityError

from controlplane.errors import BadSetting
from controlplane.llm.prompts.library import Prompts

FRONT = '+++\nname = "{name}"\nversion = {version}\ncategory = "review"\nvariables = {variables}\n+++\n'


def written(folder: Path, body: str, *, name: str = "own", version: int = 1, variables: str = "[]") -> Path:
    file = folder / f"{name}-{version}.j2"
    file.write_text(FRONT.format(name=name, version=version, variables=variables) + body, "utf-8")
    return folder


def test_the_shipped_prompts_are_those_that_have_a_user() -> None:
    prompts = Prompts.load()
    assert prompts["reflection"].label == "reflection@1"
    assert prompts["consensus"].label == "consensus@1"
    said = prompts["reflection"].render(perspective="the weather", schema='{"a": 1}')
    assert "from here: the weather" in said
    assert '{"a": 1}' in said
    assert "3 readers" in prompts["consensus"].render(readings=3, schema="")


def test_an_operators_newest_version_takes_the_place_of_ours(tmp_path: Path) -> None:
    for version in (7, 12):
        written(tmp_path, "{{ perspective }}{{ schema }}", name="reflection", version=version,
                variables='["perspective", "schema"]')  # fmt: skip
    prompts = Prompts.load(tmp_path)
    assert prompts["reflection"].label == "reflection@12"
    assert prompts["reflection"].render(perspective="a", schema="b") == "ab"
    assert prompts["consensus"].label == "consensus@1"


@pytest.mark.parametrize(
    ("body", "variables", "why"),
    [
        ("{{ a }}", "[]", "declared or taken, but not both: a"),
        ("", '["a"]', "declared or taken, but not both: a"),
        ("{% include 'other.j2' %}", "[]", "refers to another file"),
        ("{{ a", '["a"]', "unexpected end of template"),
        ("", "3", "Expected `array`"),
    ],
)
def test_a_prompt_that_cannot_be_meant_is_refused_at_the_start(
    tmp_path: Path, body: str, variables: str, why: str
) -> None:
    with pytest.raises(BadSetting, match=f"own-1.j2 is no prompt: .*{why}"):
        Prompts.load(written(tmp_path, body, variables=variables))


def test_a_prompt_without_front_matter_and_a_folder_that_is_not_there_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bare.j2").write_text("Say something.", "utf-8")
    with pytest.raises(BadSetting, match=r"bare\.j2 is no prompt"):
        Prompts.load(tmp_path)
    with pytest.raises(BadSetting, match="cannot be read"):
        Prompts.load(tmp_path / "nowhere")


def test_one_version_of_a_prompt_stands_in_one_file(tmp_path: Path) -> None:
    written(tmp_path, "")
    (tmp_path / "other.j2").write_text((tmp_path / "own-1.j2").read_text("utf-8"), "utf-8")
    with pytest.raises(BadSetting, match="own@1 is there twice"):
        Prompts.load(tmp_path)


def test_an_operators_prompt_takes_what_ours_of_its_name_takes(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="has to take what ours takes: perspective, schema"):
        Prompts.load(written(tmp_path, "Guess.", name="reflection", version=2))


def test_a_value_is_never_read_as_a_template() -> None:
    said = Prompts.load()["reflection"].render(perspective="{{ 7 * 7 }}", schema="{% raise %}")
    assert "{{ 7 * 7 }}" in said
    assert "{% raise %}" in said


def test_a_template_does_not_get_out_of_its_sandbox(tmp_path: Path) -> None:
    prompt = Prompts.load(written(tmp_path, "{{ ''.__class__.__mro__ }}"))["own"]
    with pytest.raises(SecurityError):
        prompt.render()


def test_a_variable_that_is_not_given_is_an_error() -> None:
    with pytest.raises(AssertionError, match=r"reflection@1 takes"):
        Prompts.load()["reflection"].render(perspective="a")
