"""What libraries say, and what nobody caught, comes out in our form and without its values."""

import asyncio
import logging
import sys
import threading
import warnings

import pytest

from tests.support.written_logs import raised, written_logs

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJvd25lcklkIjo3fQ.c2lnbmF0dXJl"


@pytest.fixture
def written():
    """The logs of this test."""
    with written_logs() as written:
        yield written


def test_a_librarys_message_keeps_its_words_and_loses_its_values(written):
    logging.getLogger("arq.worker").warning("job %s took %d tries, %0.2fs", "5ecret", 3, 0.5)
    line = written.line
    assert (line["event"], line["logger"], line["level"]) == ("library.message", "arq.worker", "warning")
    assert line["message"] == "job … took 3 tries, 0.50s"


@pytest.mark.parametrize(
    ("message", "arguments", "shown"),
    [
        ("Task exception was never retrieved\nfuture: <5ecret>", (), "Task exception was never retrieved"),
        ("Exception in callback Protocol.data_received(b'5ecret')", (), "Exception in callback"),
        ("bad 5ecret5ecret", (), "bad"),
        ("a%d", ("5ecret",), "a%d"),
        ("%(name)s said", ({"name": "5ecret"},), ""),
        (ValueError("5ecret"), (), ""),
        ("long" * 1250, (), ""),
    ],
)
def test_a_message_put_together_by_the_library_is_cut_before_its_first_value(
    written, message, arguments, shown
):
    logging.getLogger("asyncio").error(message, *arguments)
    assert written.line["message"] == shown
    assert "5ecret" not in written.text


@pytest.mark.may_stand(place="Captured log", why="pytest shows what the library said, before it is ours")
def test_an_error_a_library_logs_loses_its_text(written):
    error = raised(ValueError(f"invalid header {TOKEN}"))
    logging.getLogger("aiohttp.server").error("Error handling request from %s", "10.0.0.1", exc_info=error)
    line = written.line
    assert (line["message"], line["error"]) == ("Error handling request from …", "ValueError")
    assert TOKEN[:20] not in written.text


def test_libraries_are_not_heard_below_warning(written):
    logging.getLogger("aiohttp.access").info("GET /refresh?token=5ecret")
    logging.getLogger("arq.worker").info("job")
    assert written.text == ""


def test_a_level_between_the_levels_is_written(written):
    logging.getLogger("redis").log(35, "odd")
    assert written.line["level"] == "warning"


async def test_an_error_nobody_awaited_is_one_line_without_its_text(written):
    asyncio.get_running_loop().call_exception_handler(
        {"message": "Task exception was never retrieved", "exception": raised(ValueError("5ecret"))}
    )
    assert (written.line["message"], written.line["error"]) == (
        "Task exception was never retrieved",
        "ValueError",
    )
    assert "5ecret" not in written.text


def test_a_warning_is_a_line(written):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old way", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    assert "DeprecationWarning: old way" in written.line["message"]


def test_a_crash_is_one_line_without_the_errors_text(written):
    sys.excepthook(ValueError, raised(ValueError("5ecret")), None)
    assert (written.line["event"], written.line["error"]) == ("process.crashed", "ValueError")
    assert "5ecret" not in written.text


def test_a_crashed_thread_is_one_line_too(written):
    thread = threading.Thread(target=int, args=("5ecret",))
    thread.start()
    thread.join()
    assert (written.line["event"], written.line["error"]) == ("process.crashed", "ValueError")
