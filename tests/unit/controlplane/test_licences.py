"""A licence is denied under each of its names, and no other is."""

import pytest

from controlplane.licences import Denylist, fingerprints

DENIED = Denylist("GPL-3.0, AGPL-3.0-only ,proprietary")


@pytest.mark.parametrize(
    ("licence", "denied"),
    [
        ("GPL-3.0", True), ("gpl-3.0-only", True), ("GPL-3.0-or-later", True), ("GPL-3.0+", True),
        ("Proprietary", True),
        ("GPL-3.0-only WITH GCC-exception-3.1", True), ("MIT AND (AGPL-3.0)", True), ("GPL-3.0 OR AGPL-3.0", True),
        ("GPL-3.0-only AND (MIT OR Apache-2.0)", True), ("(MIT OR Apache-2.0) AND GPL-3.0-only", True),
        ("(GPL-3.0-only OR (AGPL-3.0-only AND MIT)) AND MIT", True), ("MIT AND (GPL-3.0-only)(Apache-2.0)", True),
        ("(MIT OR GPL-3.0-only) AND (Apache-2.0 OR AGPL-3.0-only)", False), ("(MIT AND GPL-3.0-only) OR ISC", False),
        ("MIT)OR(GPL-3.0-only", True), ("((", False), ("GPL-3.0 (or later)", True),
        ("MIT OR GPL-3.0-only", False), ("LGPL-3.0-only", False), ("GPL-2.0-only", False), ("MIT", False), ("", False),
        (None, False),
    ],
)  # fmt: skip
def test_a_licence_is_denied_under_each_of_its_names(licence: str | None, denied: bool) -> None:
    assert DENIED.denies(licence) is denied


def test_a_text_that_names_its_licence_deep_inside_does_not_name_its_own() -> None:
    line = "SPDX-License-Identifier: GPL-3.0-only"
    assert DENIED.objection(None, f"/* {line} */\nint x;") is not None
    assert DENIED.objection("MIT", f"{'x ' * 3000}\n{line}") is None


def test_of_several_licences_that_a_text_names_each_counts() -> None:
    lines = [f"# SPDX-License-Identifier: {name}" for name in ("MIT", "MIT AND AGPL-3.0-only", "GPL-3.0-only OR MIT")]
    assert "'MIT AND AGPL-3.0-only'" in str(DENIED.objection(None, "\n".join(lines)))
    assert DENIED.objection(None, "\n".join([lines[0], lines[2]])) is None


def test_a_fingerprint_holds_for_other_white_space_case_and_marks_of_comments() -> None:
    text = "Copyright Acme.\nAll rights reserved."
    denied = Denylist(", ".join(fingerprints(text)))
    assert denied.objection(None, text.upper()) is not None
    assert denied.objection(None, "// Copyright  Acme.\n// All rights reserved.\n\nint x;") is not None
    assert denied.objection(None, text + " Not.") is None


def test_a_fingerprint_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="sha256: and 64"):
        Denylist("MIT, sha256:abc")
