"""A skip without a listed reason is a failure, wherever it is told: this suite's own hooks, at work in a small one."""

from __future__ import annotations

import pytest

from tests.conftest import LISTED_SKIPS

pytest_plugins = ["pytester"]

HOOKS = "from tests.conftest import pytest_make_collect_report, pytest_runtest_makereport\n"
UNLISTED = "was skipped for a reason that tests/conftest.py does not list"


@pytest.fixture(autouse=True)
def _no_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plugins that happen to be installed say nothing about these hooks, and take seconds to load."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def _run(pytester: pytest.Pytester, text: str) -> pytest.RunResult:
    pytester.makeconftest(HOOKS)
    pytester.makepyfile(text)
    return pytester.runpytest_inprocess("-p", "no:cacheprovider")


@pytest.mark.parametrize(
    "text",
    [
        "import pytest\ndef test_it(): pytest.skip('{reason}')",
        "import pytest\n@pytest.mark.skip(reason='{reason}')\ndef test_it(): pass",
        "import pytest\n@pytest.fixture\ndef it(): pytest.skip('{reason}')\ndef test_it(it): pass",
        "import pytest\npytest.skip('{reason}', allow_module_level=True)\ndef test_it(): pass",
    ],
    ids=["in the test", "by a mark", "in a fixture", "as a file"],
)
def test_a_skip_needs_a_listed_reason(pytester: pytest.Pytester, text: str) -> None:
    listed = _run(pytester, text.format(reason=LISTED_SKIPS[0]))
    assert (listed.ret, listed.parseoutcomes()) in [
        (pytest.ExitCode.OK, {"skipped": 1}),
        (pytest.ExitCode.NO_TESTS_COLLECTED, {"skipped": 1}),
    ]

    other = _run(pytester, text.format(reason="the weather is too fine"))
    assert other.ret in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED)
    other.stdout.fnmatch_lines([f"*{UNLISTED}: the weather is too fine*"])


def test_a_module_that_cannot_be_imported_is_no_reason_to_skip_a_file(pytester: pytest.Pytester) -> None:
    found = _run(pytester, "import pytest\npytest.importorskip('no_such_module')\ndef test_it(): pass")

    assert found.ret == pytest.ExitCode.INTERRUPTED
    found.stdout.fnmatch_lines([f"*{UNLISTED}: could not import 'no_such_module'*"])
