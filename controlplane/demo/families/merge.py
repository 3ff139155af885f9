"""Two histories that went apart: a pull that is not told how to join them, a merge of the same lines.

The remote is a bare repository beside the work tree, named by a relative path, so that a copy of the
folder is a whole world of its own.
"""

from pathlib import Path

from .family import Aside, Family, Job, Phrase, Scene

FACTS = """
printf 'ahead=%s\\n' "$(git rev-list --count '@{u}..HEAD' 2>/dev/null)"
overlap=
for path in $(git diff --name-only HEAD...revision 2>/dev/null); do
    git diff --quiet revision...HEAD -- "$path" || overlap="$path"
done
printf 'overlap=%s\\n' "$overlap"
printf 'pager=%s\\n' "${GIT_PAGER-}"
"""

GITCONFIG = "[user]\n\tname = Ada\n\temail = ada@example.invalid\n"
BEGIN = """set -e
write() { printf 'It was %s.\\n\\nThe wind blew.\\n\\nNobody %s.\\n' "$2" "$3" > "$1.txt"; }
commit() { git add -A && git commit -q -m "$1"; }
git init -q --template= novel
cd novel
git symbolic-ref HEAD refs/heads/main
write one dark spoke
write two dark spoke
commit 'Start the novel'
"""
SHARED = """git clone -q --bare --template= . ../shared.git
git remote add origin ../shared.git
git fetch -q
git branch -q --set-upstream-to=origin/main
"""
THEIRS = """known=$(git rev-parse HEAD)
write two cold spoke
commit 'Make it cold'
git push -q origin main
git reset -q --hard "$known"
git update-ref refs/remotes/origin/main "$known"
"""
REVISED = "git checkout -q -b revision\nwrite {}\ncommit 'Revise'\ngit checkout -q main\n"
OWN = "write one late spoke\ncommit 'Make it late'\n"
UNSAVED = "write two dark slept\n"  # edited and not committed


def _scene(rest: str) -> Scene:
    return Scene(cwd="novel", files={"home/.gitconfig": GITCONFIG}, setup=BEGIN + rest)


PULLS = (
    (10, _scene(SHARED + THEIRS)),
    (8, _scene(SHARED + THEIRS + OWN)),
    (1, _scene(SHARED + OWN)),
    (1, _scene(SHARED + THEIRS + UNSAVED)),
)
MERGES = (
    (9, _scene(REVISED.format("two cold spoke") + OWN)),
    (9, _scene(REVISED.format("one cold spoke") + OWN)),
    (1, _scene(REVISED.format("one dark slept") + OWN)),
    (1, _scene(REVISED.format("two cold spoke") + OWN + UNSAVED)),
)


def ways(here: Path, command: str) -> list[str]:
    """Say how to join what went apart, unsaved edits set aside; clear a stopped merge away first."""
    if " pull" in command:
        return [f"{command} --rebase --autostash", f"{command} --no-rebase --autostash"]
    return [f"git reset -q --merge && {command} --autostash -X {side}" for side in ("theirs", "ours")]


MERGE = Family(
    name="diverged branches",
    facts=FACTS,
    aside=Aside(variables={"GIT_PAGER": "cat"}),
    ways=ways,
    jobs=(
        Job(
            phrases=(
                Phrase("Get the latest chapters from the others", "git pull"),
                Phrase("Bring my copy of the novel up to date", "git pull"),
                Phrase("Fetch and join what the others wrote", "git pull -q"),
                Phrase("Catch up with the shared novel", "git pull", late=True),
            ),
            scenes=PULLS,
            check='git -C novel merge-base --is-ancestor "$(git -C shared.git rev-parse main)" HEAD',
        ),
        Job(
            phrases=(
                Phrase("Merge the revision into the novel", "git merge revision"),
                Phrase("Take the editor's revision over", "git merge revision"),
                Phrase("Join the branch of the revision with the main one", "git merge --no-edit revision"),
                Phrase("Bring the finished revision into the novel", "git merge revision", late=True),
            ),
            scenes=MERGES,
            check="git -C novel merge-base --is-ancestor revision HEAD",
        ),
    ),
)
