"""Git without identity or upstream: a commit nobody signs, a push that does not know where to.

The remote is a bare repository beside the work tree, named by a relative path, so that a copy of the
folder is a whole world of its own. `useConfigOnly` keeps git from inventing an address out of the
machine's name, so that the machine does not decide.
"""

from pathlib import Path

from .family import Aside, Family, Job, Phrase, Scene

FACTS = """
printf 'git_email=%s\\n' "$(git config user.email)"
printf 'pager=%s\\n' "${GIT_PAGER-}"
printf 'upstream=%s\\n' "$(git rev-parse --abbrev-ref '@{u}' 2>/dev/null)"
"""

GITCONFIG = "[user]\n\tuseConfigOnly = true\n[advice]\n\tdetachedHead = false\n"
PUSHING_NEW = GITCONFIG + "[push]\n\tautoSetupRemote = true\n"
IDENTITY = "git config user.name 'Ada' && git config user.email 'ada@example.invalid'\n"
BEGIN = """set -e
git init -q --bare remote.git
git init -q field-notes
cd field-notes
git symbolic-ref HEAD refs/heads/topic
git remote add origin ../remote.git
commit() { git add -A && git -c user.name=Ben -c user.email=ben@example.invalid commit -q -m "$1"; }
echo 'Monday: rain.' > notes.md
commit 'Start the notes'
"""
PUBLISHED = "git push -q -u origin topic\n"
SIGNATURE = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.invalid",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.invalid",
}
EDITED = "echo 'Tuesday: sun.' >> notes.md\n"
COMMITTED = EDITED + "commit 'Add Tuesday'\n"


def _scene(rest: str, *, config: str = GITCONFIG, variables: dict[str, str] | None = None) -> Scene:
    return Scene(cwd="field-notes", files={"home/.gitconfig": config}, variables=variables or {}, setup=BEGIN + rest)


def _commit_scenes() -> tuple[tuple[int, Scene], ...]:
    """Identity in the repository, in the shell, or nowhere; the branch was published or not, which does not matter."""
    return (
        (5, _scene(EDITED)),
        (5, _scene(PUBLISHED + EDITED)),
        (4, _scene(EDITED + IDENTITY)),
        (4, _scene(PUBLISHED + EDITED + IDENTITY)),
        (1, _scene(EDITED, variables=SIGNATURE)),
        (1, _scene(PUBLISHED + EDITED, variables=SIGNATURE)),
    )


def _push_scenes() -> tuple[tuple[int, Scene], ...]:
    """Upstream set, unset, or unset with a git told to set it; the identity is there or not, which does not matter."""
    return (
        (5, _scene(COMMITTED)),
        (5, _scene(IDENTITY + COMMITTED)),
        (4, _scene(PUBLISHED + COMMITTED)),
        (4, _scene(IDENTITY + PUBLISHED + COMMITTED)),
        (1, _scene(COMMITTED, config=PUSHING_NEW)),
        (1, _scene(IDENTITY + COMMITTED, config=PUSHING_NEW)),
    )


def ways(here: Path, command: str) -> list[str]:
    """Say who commits, for this command or for the repository; say where to push, by HEAD or by the branch's name."""
    if " commit" in command:
        who = "-c user.name=Agent -c user.email=agent@example.invalid"
        settled = "git config user.name Agent && git config user.email agent@example.invalid"
        return [command.replace("git commit", f"git {who} commit"), f"{settled} && {command}"]
    branch = (here / ".git" / "HEAD").read_text("utf-8").strip().removeprefix("ref: refs/heads/")
    return ["git push -u origin HEAD", f"git push --set-upstream origin {branch}"]


GIT = Family(
    name="git without identity or upstream",
    facts=FACTS,
    aside=Aside(variables={"GIT_PAGER": "cat"}),
    ways=ways,
    jobs=(
        Job(
            phrases=(
                Phrase("Commit the edited field notes", "git commit -am 'Update the notes'"),
                Phrase("Record today's changes to the field notes", "git commit -am 'Update the notes'"),
                Phrase("Save my edits of the field notes in git", "git commit --all -m 'Update the notes'"),
                Phrase("Check in the corrected field notes", "git commit -am 'Correct the notes'", late=True),
            ),
            scenes=_commit_scenes(),
            check="git -C field-notes diff --quiet HEAD",
        ),
        Job(
            phrases=(
                Phrase("Publish the finished branch", "git push"),
                Phrase("Push the branch to the shared repository", "git push"),
                Phrase("Send the finished branch to the remote", "git push -q"),
                Phrase("Hand the branch over to the others for review", "git push", late=True),
                Phrase("Upload the branch so that the others can fetch it", "git push", late=True),
            ),
            scenes=_push_scenes(),
            check='test "$(git -C field-notes rev-parse HEAD)" = "$(git -C remote.git rev-parse -q --verify topic)"',
        ),
    ),
)
