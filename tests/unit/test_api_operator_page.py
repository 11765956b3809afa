"""The operator page's own sentences, played in Node.js; and that its files keep to what the policy allows."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from service import api
from tests.browser.building import missing_node

PAGE = Path(api.__file__).parent / "static" / "page"
SCRIPTS = sorted(PAGE.glob("*.js"))
MARKUP = (
    r"innerHTML|outerHTML\s*=|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\(.style"
)


@pytest.mark.skipif(bool(missing_node()), reason="Node.js is not installed, or too old")
def test_the_sentence_at_the_top_is_the_worst_of_what_there_is_to_know():
    world = Path(__file__).with_suffix(".mjs")
    run = subprocess.run(
        [shutil.which("node"), "--test", world], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_reads_no_text_as_markup_and_names_no_other_host(script):
    text = script.read_text()
    assert re.findall(MARKUP, text) == []
    assert set(re.findall(r"https?://[\w.]+", text)) <= {"http://www.w3.org"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_every_script_is_loaded_ahead_of_the_one_that_needs_it(script):
    assert f'"/page/{script.name}"' in (PAGE / "index.html").read_text()


def test_the_key_is_kept_in_the_tab_alone():
    kept = [
        script.name for script in SCRIPTS if re.search(r"localStorage|cookie|indexedDB", script.read_text())
    ]
    assert kept == []
    assert "sessionStorage" in (PAGE / "api.js").read_text()
