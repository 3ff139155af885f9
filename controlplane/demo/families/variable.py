"""A required variable that is not set: its value stands in a file of settings that not every shell has read."""

from pathlib import Path

from .family import Aside, Family, Job, Phrase, Scene

FACTS = """
printf 'region=%s\\n' "${REGION-}"
printf 'reader=%s\\n' "${READER-}"
printf 'pager=%s\\n' "${PAGER-}"
"""

DEPLOY = """set -u
mkdir -p "live/$REGION"
cp page.html "live/$REGION/"
"""
REMIND = """: "${READER:?say whom to remind}"
grep "^$READER " loans.txt > reminder.txt
"""
READING = "set -a\n. ./.env\nset +a\n"  # a newer script reads the settings by itself
STAGED = ': "${STAGE:?say which stage}"\n'  # another wants to know more


def _scenes(top: str, script: str, source: str, files: dict[str, str], **wanted: str) -> tuple[tuple[int, Scene], ...]:
    """The variable set or not; rarely a script that wants less or more, or settings in another place."""
    settings = "".join(f"{name}={value}\n" for name, value in {**wanted, "STAGE": "live"}.items())

    def scene(told: str, source: str, variables: dict[str, str]) -> Scene:
        own = {**files, script: source, told: settings}
        return Scene(cwd=top, files={f"{top}/{path}": text for path, text in own.items()}, variables=variables)

    return (
        (7, scene(".env", source, {})),
        (9, scene(".env", source, wanted)),
        (1, scene(".env", READING + source, {})),
        (1, scene(".env", STAGED + source, wanted)),
        (2, scene("settings/live.env", source, {})),
    )


def ways(here: Path, command: str) -> list[str]:
    """Look for a file of settings; have this shell read it, or hand what it says to the command."""
    found = sorted(path.relative_to(here).as_posix() for path in here.rglob("*") if path.name.endswith(".env"))
    settings = found[0] if found else "/dev/null"
    return [f"set -a && . ./{settings} && {command}", f"env $(cat {settings}) {command}"]


VARIABLE = Family(
    name="required variable",
    facts=FACTS,
    aside=Aside(variables={"PAGER": "less"}),
    ways=ways,
    jobs=(
        Job(
            phrases=(
                Phrase("Deploy the new start page", "sh deploy.sh"),
                Phrase("Bring the start page online", "sh deploy.sh"),
                Phrase("Put the corrected page on the site", "sh ./deploy.sh"),
                Phrase("Release the start page to the public", "sh deploy.sh", late=True),
            ),
            scenes=_scenes("website", "deploy.sh", DEPLOY, {"page.html": "<h1>Welcome</h1>\n"}, REGION="north"),
            check="test -s website/live/north/page.html",
        ),
        Job(
            phrases=(
                Phrase("Write the reminder for overdue books", "sh remind.sh"),
                Phrase("Remind the reader of the books on loan", "sh remind.sh"),
                Phrase("List the loans for the reminder letter", "sh ./remind.sh", late=True),
            ),
            scenes=_scenes("library", "remind.sh", REMIND, {"loans.txt": "ada 'Emma'\nben 'Ulysses'\n"}, READER="ada"),
            check="grep -q Emma library/reminder.txt",
        ),
    ),
)
