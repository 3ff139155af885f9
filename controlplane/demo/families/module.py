"""A missing Python module: it lies in a folder that only some shells have on PYTHONPATH."""

import re
from pathlib import Path

from .family import Aside, Family, Job, Phrase, Scene

FACTS = """
printf 'pythonpath=%s\\n' "${PYTHONPATH-}"
printf 'locale=%s\\n' "${LANGUAGE-}"
"""

TABULAR = """
def table(rows):
    return "\\n".join(f"{name:<12}{amount:>8.2f}" for name, amount in rows)
"""
REPORT = """
import os

from tabular import table

rows = [line.split(",") for line in open("sales.csv")]
os.makedirs("out", exist_ok=True)
open("out/report.txt", "w").write(table((name, float(amount)) for name, amount in rows))
"""
TAX_RULES = """
RATES = {"books": 0.07, "tools": 0.19}


def gross(kind, net):
    return round(net * (1 + RATES[kind]), 2)
"""
INVOICES = """
import tax_rules

wrong = []
for invoice in open("invoices.txt"):
    number, kind, net, gross = invoice.split()
    if tax_rules.gross(kind, float(net)) != float(gross):
        wrong.append(number)
open("checked.txt", "w").write(f"wrong: {wrong}\\n")
"""
INVOICE_DATA = "17 books 100.0 107.0\n"


def _scenes(
    root: str, files: dict[str, str], usual: str, other: str, module: dict[str, str]
) -> tuple[tuple[int, Scene], ...]:
    """The module in the usual folder, in the other one, or beside the script; PYTHONPATH unset, or naming the usual."""

    def scene(home: str, variables: dict[str, str]) -> Scene:
        kept = {f"{folder}/README": "Shared scripts go here.\n" for folder in (usual, other)}
        own = {**files, **kept, **{f"{home}/{name}": text for name, text in module.items()}}
        return Scene(cwd=root, files={f"{root}/{path}": text for path, text in own.items()}, variables=variables)

    told = {"PYTHONPATH": usual}
    return (
        (7, scene(usual, {})),
        (9, scene(usual, told)),
        (2, scene(other, {})),
        (1, scene(other, told)),
        (1, scene(".", {})),
    )


def ways(here: Path, command: str) -> list[str]:
    """Look for the folder that holds what the script imports; put it on the path, by variable or from inside."""
    named = re.search(r"[\w./]+\.py", command)
    script = named.group() if named else ""
    imports = re.findall(r"^(?:import|from) (\w+)", (here / script).read_text("utf-8"), re.MULTILINE)
    homes = {path.parent.relative_to(here).as_posix() for name in imports for path in here.rglob(f"{name}.py")}
    found = sorted(homes)[0] if homes else "."
    inside = f"import runpy, sys; sys.path.insert(0, '{found}'); runpy.run_path('{script}', run_name='__main__')"
    return [f"PYTHONPATH={found} {command}", f'python -c "{inside}"']


MODULE = Family(
    name="missing module",
    facts=FACTS,
    aside=Aside(variables={"LANGUAGE": "en"}),
    ways=ways,
    jobs=(
        Job(
            phrases=(
                Phrase("Write the weekly sales report", "python report.py"),
                Phrase("Produce the sales report for this week", "python report.py"),
                Phrase("Generate the weekly report on sales", "python ./report.py"),
                Phrase("Bring the sales report up to date before the weekly meeting", "python report.py", late=True),
                Phrase("Build this week's sales report again", "python3 report.py", late=True),
            ),
            scenes=_scenes(
                "storefront",
                {"report.py": REPORT, "sales.csv": "books,120.5\ntools,80\n"},
                "vendor",
                "lib",
                {"tabular.py": TABULAR},
            ),
            check="test -s storefront/out/report.txt",
        ),
        Job(
            phrases=(
                Phrase("Check the tax on last month's invoices", "python invoices.py"),
                Phrase("Verify the invoices of last month for tax", "python invoices.py"),
                Phrase("Run the tax check over the invoices", "python ./invoices.py"),
                Phrase("Make sure last month's invoices carry the right tax", "python invoices.py", late=True),
            ),
            scenes=_scenes(
                "bookkeeping",
                {"invoices.py": INVOICES, "invoices.txt": INVOICE_DATA},
                "lib",
                "shared",
                {"tax_rules.py": TAX_RULES},
            ),
            check="test -s bookkeeping/checked.txt",
        ),
    ),
)
