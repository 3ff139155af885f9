"""A missing Python module: it lies in a folder that only some shells have on PYTHONPATH."""

import re
from pathlib import Path

from .family import Family, Job, Phrase, Scene

PROBE = """
printf 'cwd=%s\\n' "$(basename "$PWD")"
printf 'pythonpath=%s\\n' "${PYTHONPATH-}"
"""

TABULAR = """
def table(rows):
    return "\\n".join(f"{name:<12}{amount:>8.2f}" for name, amount in rows)
"""
REPORT = """
import pathlib

from tabular import table

rows = [line.split(",") for line in pathlib.Path("sales.csv").read_text().split()]
pathlib.Path("out").mkdir(exist_ok=True)
pathlib.Path("out/report.txt").write_text(table((name, float(amount)) for name, amount in rows))
"""
TAX_RULES = """
RATES = {"books": 0.07, "tools": 0.19}


def gross(kind, net):
    return round(net * (1 + RATES[kind]), 2)
"""
INVOICES = """
import json
import pathlib

import tax_rules

wrong = []
for invoice in json.loads(pathlib.Path("invoices.json").read_text()):
    if tax_rules.gross(invoice["kind"], invoice["net"]) != invoice["gross"]:
        wrong.append(invoice["number"])
pathlib.Path("checked.json").write_text(json.dumps({"wrong": wrong}))
"""
INVOICE_DATA = '[{"number": 17, "kind": "books", "net": 100.0, "gross": 107.0}]\n'


def _scenes(root: str, files: dict[str, str], module: str, source: str) -> tuple[tuple[int, Scene], ...]:
    """The module in vendor/ or beside the script; PYTHONPATH unset, pointing there, or pointing elsewhere."""
    here = {f"{root}/{path}": text for path, text in files.items()}
    vendored = {**here, f"{root}/vendor/{module}.py": source, f"{root}/lib/README": "Shared scripts go here.\n"}
    beside = {**here, f"{root}/{module}.py": source}
    return (
        (4, Scene(cwd=root, files=vendored)),
        (4, Scene(cwd=root, files=vendored, variables={"PYTHONPATH": "vendor"})),
        (1, Scene(cwd=root, files=vendored, variables={"PYTHONPATH": "lib"})),
        (1, Scene(cwd=root, files=beside)),
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
    probe=PROBE,
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
                "tabular",
                TABULAR,
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
                "bookkeeping", {"invoices.py": INVOICES, "invoices.json": INVOICE_DATA}, "tax_rules", TAX_RULES
            ),
            check="test -s bookkeeping/checked.json",
        ),
    ),
)
