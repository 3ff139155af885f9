"""The setting `redis_url`: what is refused before anything is connected, without quoting what may be a secret."""

import subprocess
import sys

import pytest

from controlplane.errors import BadSetting
from controlplane.redis import Link
from controlplane.settings import load


@pytest.mark.parametrize("url", ["redis://:s3cret@", "redis://:s3cret@h:99999", "http://u:s3cret@h", "s3cret"])
def test_an_address_that_is_none_of_a_redis_is_refused(url: str) -> None:
    with pytest.raises(BadSetting, match="POINTSMAN_REDIS_URL") as refused:
        load({"POINTSMAN_REDIS_URL": url})
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("url", ["redis://:s3cret@h?colour=red", "redis://:s3cret@h?socket_timeout=soon"])
def test_an_option_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(BadSetting, match="POINTSMAN_REDIS_URL has an option") as refused:
        Link(url, "r")
    assert "s3cret" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_without_the_extra_one_line_says_how_to_install_it() -> None:
    code = "import sys; sys.modules['redis'] = None; from controlplane.redis import Link; Link('redis://h', 'r')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].endswith("POINTSMAN_REDIS_URL needs redis-py: pip install 'pointsman[redis]'")
