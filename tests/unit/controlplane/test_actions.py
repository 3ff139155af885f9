"""What a planned command is taken for: its tool, its family, whether it destroys, and which commands are one case."""

import pytest

from controlplane.memory.actions import (
    MAX_CACHED,
    MAX_SIGNATURE,
    family_of,
    is_destructive,
    normalise,
    signature,
    tool_of,
)

TOOLS = {
    "git push": "git",
    "cd src && FOO=1 sudo -u bob -E /usr/bin/git push": "git",
    "cd src": "cd",
    "mkdir -p out && cp a out": "cp",
    "mkdir -p out": "mkdir",
    "export PATH=$(pwd)/bin:$PATH\ncd web\nnpm ci": "npm",
    "# why\ngit status": "git",
    "cd a && (make -j4)": "make",
    "cd a && \\\n  make": "make",
    "{ echo begin; make; }": "make",
    "echo a | kubectl apply -f -": "kubectl",
    "grep -q 'a; git push' notes": "grep",
    'git commit -m "stop; make it && run"': "git",
    "if [ -f x ]; then rm x; fi": "rm",
    'for f in *.py; do black "$f"; done': "black",
    "timeout 10s nice -n 5 make": "make",
    ". venv/bin/activate; pytest": "pytest",
    "python -m pytest -q": "pytest",
    "python3.11 -m pip install x": "pip",
    "python -m shop.server": "python",
    "python - <<'EOF'\nimport git\nEOF": "python",
    "cat <<EOF > a.py\ncd x\nEOF\npython3 a.py": "python3",
    "cat <<EOF > a.py\nimport x\nEOF": "cat",
    "bash -lc 'cd web && npm test'": "npm",
    "uv run pytest": "pytest",
    "npx eslint .": "eslint",
    "2>&1 ls": "ls",
    "./tests/run.py --all": "run.py",
    "SELECT name FROM people": "sql",
    "with t as (select 1) select * from t": "sql",
    "show-status": "show-status",
    "it's broken": "it",
    "a=1": "",
    "": "",
}
FAMILIES = {
    "git": "version control",
    "python3.11": "interpreter",
    "run.py": "interpreter",
    "deploy.sh": "interpreter",
    "gcc-12": "build and test",
    "pip3": "package manager",
    "sql": "database",
    "nl": "text",
    "frobnicate": "other",
    "": "other",
}
DESTROY = [
    "rm -rf build",
    "find . -name '*.pyc' -delete",
    "find . | xargs rm",
    "sudo /bin/rm x",
    "ssh h 'rm -rf x'",
    "git push --force",
    "git push -f origin main",
    "git reset --hard",
    "git clean -fd",
    "kubectl delete pod x",
    "DROP TABLE people",
    "sqlite3 a.db 'DELETE FROM people'",
    "sh <<EOF\nrm -rf x\nEOF",
]
SPARE = [
    "ls",
    "grep -f words x",
    "git push",
    "grep 'def delete(self):' a.py",
    "python -c \"print(open('a', format='x'))\"",
    "cat <<EOF > notes\nrm the old ones\nEOF",
    "npm run lint --format json",
]
ONE_CASE = [
    ("sed -n '10,20p' a.py", "sed -n '300,340p' a.py"),
    ("git push origin 'main'", "git  push origin main"),
    ("cp /tmp/tmpab12/x.csv .", "cp /tmp/other/x.csv ."),
    ("cat /home/ada/work/shop/src/a.py", "cat /workspace/shop/src/a.py"),
    ("curl http://127.0.0.1:8080/health?t=1", "curl http://127.0.0.1:9090/health?t=2"),
    ("git checkout 1a2b3c4d5e", "git checkout 99aabbccdd"),
    ("docker logs 3f5e8a7b-1c2d-4e5f-8a9b-0c1d2e3f4a5b", "docker logs 00000000-1c2d-4e5f-8a9b-0c1d2e3f4a5b"),
    ("see 2024-01-05T10:11:12Z", "see 2025-12-31 23:59:59,123"),
    ("dump 0x7f5728c51198", "dump 0x55d0a1b2c3d4"),
    ("timeout 5s make", "timeout 60s make"),
]
CASES = [
    ("cat src/a/models.py", "cat src/b/models.py"),
    ("cat /srv/shop/a/models.py", "cat /srv/shop/b/models.py"),
    ("pip install foo==1.2", "pip install foo==1.3"),
    ("npm i react@17.0.2", "npm i react@18.2.0"),
    ("docker run shop:1.2", "docker run shop:1.3"),
    ("python3.9 a.py", "python3.11 a.py"),
    ("curl https://a.example/x", "curl https://b.example/x"),
    ("sed -n '/class A/,/return/p' a.py", "sed -n '/class A/,/raise/p' a.py"),
    ("sed -i 's/[a]/x/' a", "sed -i 's/[a]/y/' a"),
    ("ls 2>/dev/null", "ls 2>/dev/stdout"),
    ("select * from t where a = true", "select * from t where a = 'true'"),
    ("cat <<EOF > a.py\nlimit = 10\nEOF", "cat <<EOF > a.py\nlimit = 20\nEOF"),
    (f"echo {'a ' * 400}b", f"echo {'a ' * 400}c"),
]
HOSTILE = [
    "a",
    "/a",
    '"',
    "'",
    "\\",
    '"\\',
    "'\"",
    "$(",
    "(",
    "<<A\n",
    "<< 'A' >\n",
    "&>",
    " ",
    "\n",
    "1.",
    "a1",
    "0f",
    "a=",
]
HOSTILE += [
    "http://",
    "http://a?",
    "bash -c ",
    "sudo -u ",
    "select ",
    "create a ",
    "/tmp/",
    "/home/",
    "ab-",
    "rm ",
    "push -",
]


@pytest.mark.parametrize("command", TOOLS)
def test_tool_is_what_the_command_is_there_to_run(command: str) -> None:
    assert tool_of(command) == TOOLS[command]


def test_tool_the_caller_names_is_taken() -> None:
    assert tool_of("rm -rf x", named=" Shell ") == "shell"


@pytest.mark.parametrize("tool", FAMILIES)
def test_family_is_known_of_tools_in_versions_and_of_scripts(tool: str) -> None:
    assert family_of(tool) == FAMILIES[tool]


@pytest.mark.parametrize("command", DESTROY)
def test_what_removes_or_overwrites_is_destructive(command: str) -> None:
    assert is_destructive(command)


@pytest.mark.parametrize("command", SPARE)
def test_what_only_speaks_of_removing_is_not(command: str) -> None:
    assert not is_destructive(command)


def signed(command: str) -> str:
    return signature(tool_of(command), command)


@pytest.mark.parametrize(("one", "other"), ONE_CASE)
def test_what_changes_from_run_to_run_makes_no_other_case(one: str, other: str) -> None:
    assert signed(one) == signed(other)


@pytest.mark.parametrize(("one", "other"), CASES)
def test_what_matters_makes_another_case(one: str, other: str) -> None:
    assert signed(one) != signed(other)


@pytest.mark.parametrize("command", [command for pair in ONE_CASE + CASES for command in pair])
def test_normal_form_of_a_normal_form_is_itself(command: str) -> None:
    assert normalise(normalise(command)) == normalise(command)


def test_long_texts_are_read_as_short_ones_are() -> None:
    """Only short ones are kept, so that memory stays bounded; what is said of them is the same."""
    long = "see /tmp/a1/x.csv 42 " * MAX_CACHED
    assert normalise(long) == " ".join(["see <tmp>/x.csv <n>"] * MAX_CACHED)
    assert signature("see", long) == signature("see", long.replace("42", "43"))


@pytest.mark.parametrize("piece", HOSTILE)
def test_no_command_leads_the_reading_astray(piece: str) -> None:
    """Patterns that try again and again would not come back from these."""
    command = piece * (65_536 // len(piece))
    assert len(tool_of(command)) <= 40
    assert len(signed(command)) <= MAX_SIGNATURE
    assert normalise(command) == normalise(f" {command} ")
    assert is_destructive(command) == (piece == "rm ")
