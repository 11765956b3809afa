"""The page of the settings is what the settings say."""

from docs.generate import PAGE, SOURCE, render


def test_the_page_is_the_one_that_make_docs_makes():
    assert PAGE.read_text() == render(), "run `make docs`, and commit what it made"


def test_no_place_of_the_page_is_left_open():
    assert "{" not in PAGE.read_text()
    assert "{" in SOURCE.read_text()
