"""The shell that runs the pages' commands hides nothing that went wrong, and leaves nothing behind."""

import os

import pytest

from tests.docs.shell import shell

PATH = {"PATH": os.environ["PATH"]}


def test_a_block_goes_on_where_the_one_before_it_ended(tmp_path):
    (tmp_path / "there").mkdir()
    with shell(tmp_path, PATH) as running:
        running.run("name=Ada; cd there\n", 10)
        assert running.run('echo "$name in ${PWD##*/}"\n', 10) == "Ada in there\n"


@pytest.mark.parametrize("commands", ["ls nowhere\n", "echo nowhere && false\ntrue\n", "echo $nowhere\n"])
def test_a_command_that_fails_is_shown_with_what_it_wrote(tmp_path, commands):
    with shell(tmp_path, PATH) as running, pytest.raises(AssertionError, match="nowhere"):
        running.run(f"{commands}true\n", 10)


def test_what_a_block_leaves_running_ends_with_the_session(tmp_path):
    with shell(tmp_path, PATH) as running:
        left = int(running.run("sleep 300 & echo $!\n", 10))
        os.kill(left, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(left, 0)
