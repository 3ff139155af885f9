"""Lessons rest on these judgements: what is a check's answer, and what solved what."""

import pytest

from controlplane.hook.command import is_finding, program, solves

UPSTREAM = "fatal: The current branch topic has no upstream branch."


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("git push", "git"),
        ("cd api && FOO=1 sudo /usr/bin/make -j2", "make"),
        ("python3 -m pytest -q", "pytest"),
        ("uv run ruff check .", "ruff"),
        ("mcp__github__create_issue owner=acme", "mcp__github__create_issue"),
        ("echo 'unbalanced", ""),
        ("cd api", ""),
        ("", ""),
    ],
)
def test_the_program_is_the_one_that_does_the_work(command: str, name: str) -> None:
    assert program(command) == name


@pytest.mark.parametrize(
    ("later", "failed", "error"),
    [
        ("git push --set-upstream origin HEAD", "git push", UPSTREAM),
        (
            "git -c user.name=a -c user.email=b commit -m 'fix it'",
            "git commit -m 'fix it'",
            "Please tell me who you are.",
        ),
        ("cd build && make", "make", "make: *** No targets specified and no makefile found."),
        ("npm ci && npm test", "npm test", "sh: 1: jest: not found"),
        ("PYTHONPATH=. python app.py", "python app.py", "ModuleNotFoundError: No module named 'shop'"),
        (
            "pip install numpy",
            "pip install numpyy",
            "ERROR: No matching distribution found for numpyy",
        ),
        ("make -C frontend", "make -C frontends", "make: missing folder: frontends"),
        ("cat src/app.toml", "cat app.toml", "cat: app.toml: No such file or directory"),
        ("git push -u origin HEAD 2>&1", "git push", UPSTREAM),
        ("pytest tests/a.py", "cd api && pytest tests/a.py", "cd: api: No such file or directory"),
        ("git -c user.name=a commit -m ''", "git commit -m ''", "Please tell me who you are."),
        ("apt-get install -y jq", "apt-get install jq", "Do you want to continue? [Y/n] Abort."),
        ("tar -xzf build.tar.gz", "tar -xf build.tar.gz", "tar: Archive is compressed."),
    ],
)
def test_a_mended_command_solves_the_failed_one(later: str, failed: str, error: str) -> None:
    assert solves(later, failed, error)


@pytest.mark.parametrize(
    ("later", "failed", "error"),
    [
        ("git push", "git push", UPSTREAM),  # what changed is not in the command
        ("git status", "git push", UPSTREAM),  # another errand
        ("git pull", "git push", "rejected"),
        ("ls", "git push", UPSTREAM),
        ("git push --force", "git push", "rejected (non-fast-forward)"),  # solved by force
        ("git push -f origin HEAD", "git push", "rejected (non-fast-forward)"),
        ("git push --force-with-lease", "git push", "rejected (non-fast-forward)"),
        ("git commit -m x --no-verify", "git commit -m x", "hook failed"),
        ("sudo make install", "make install", "Permission denied"),
        ("rm -rf build && make", "make", "stale file"),
        ("pytest tests/b.py", "pytest tests/a.py", "1 failed"),  # other things
        ("pip install flask", "pip install numpyy", "No matching distribution found for numpyy"),
        ("kill 4712", "kill 4711", "kill: (4711) - No such process"),
        ("python exercise2.py", "python exercise1.py", "exercise1.py: not found"),
        ("pip install a", "pip install a b", "b: not found"),  # given up, not solved
        ("git push || true", "git push", UPSTREAM),  # hidden, not solved
        ("git push; echo done", "git push", UPSTREAM),
        ("git push | tail -3", "git push", UPSTREAM),
        ("git push &", "git push", UPSTREAM),
        ("git push\ntrue", "git push", UPSTREAM),
        ("git push $(cat flags)", "git push", UPSTREAM),
        ("make && ./deploy.sh", "make", "error"),  # and then something else
        ("git push 'unbalanced", "git push", UPSTREAM),
        ("git push " + "x" * 2000, "git push", UPSTREAM),
    ],
)
def test_what_is_not_the_failed_command_mended_is_no_lesson(later: str, failed: str, error: str) -> None:
    assert not solves(later, failed, error)


@pytest.mark.parametrize(
    ("command", "error", "finding"),
    [
        ("pytest -q", "Exit code 1\n1 failed", True),
        ("cd api\npython -m pytest", "Exit code 1\n1 failed", True),
        ("uv run mypy .", "Exit code 1\nFound 2 errors", True),
        ("test -f x && echo yes", "Exit code 1", True),
        ("cargo +nightly test --workspace", "Exit code 101\ntest result: FAILED. 1 failed", True),
        ("cargo clippy", "Exit code 101\nerror: this loop never loops", True),
        ("cargo build", "Exit code 101\nerror[E0308]: mismatched types", True),
        ("cd api && go test ./...", "Exit code 1\n--- FAIL: TestLogin", True),
        ("go vet", "Exit code 1\nresult of Errorf call not used", True),
        ("npm test", "Exit code 1\n1 failing", True),
        ("npm run -s lint -- --fix", "Exit code 1\n2 problems", True),
        ("pnpm run test", "Exit code 1\n1 failed", True),
        ("yarn test", "Exit code 1\n1 failed", True),
        ("tox -e py311", "Exit code 1\npy311: FAIL", True),
        ("npx tsc --noEmit", "Exit code 2\na.ts(1,1): error TS2304: Cannot find name 'x'.", True),
        ("ctest --output-on-failure", "Exit code 8\nThe following tests FAILED", True),
        ("python3 -m unittest tests.test_a", "Exit code 1\nFAILED (failures=1)", True),
        ("npm test", 'Exit code 1\nnpm ERR! Missing script: "test"', False),
        ("yarn test", 'Exit code 1\nerror Command "test" not found.', False),
        ("npm test", "Exit code 127\nsh: 1: jest: not found", False),
        ("npm install", "Exit code 1\nnpm ERR! 404", False),
        ("npm run build", "Exit code 1\nfailed", False),
        ("cargo test", "Exit code 101\nerror: could not find `Cargo.toml` in `/tmp` or any parent directory", False),
        ("cargo build", "Exit code 101\nerror: linker `cc` not found", False),
        ("cargo run", "Exit code 101\nthread 'main' panicked", False),
        ("go test", "Exit code 1\ngo: go.mod file not found in current directory", False),
        ("go build", "Exit code 1\nundefined: x", False),
        ("ctest", "Exit code 1\nNo such build folder", False),
        ("git push # pytest", "Exit code 1\r\nrejected", False),
        ("pytest -q", "Exit code 2\nERROR collecting", False),
        ("pytest -q", "Exit code 127\npytest: command not found", False),
        ("git commit -m 'a | grep b'", "Exit code 1\nnothing to commit", False),
        ("git push", "Exit code 1\nrejected", False),
        ("pytest -q", "Command timed out", False),
    ],
)
def test_a_check_that_ran_and_found_something_did_not_fail(command: str, error: str, finding: bool) -> None:
    assert is_finding(command, error) is finding
