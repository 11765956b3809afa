"""What a gate has to say about one place in a rendered chart."""

from dataclasses import dataclass

from tests.chart.manifests import title


@dataclass(frozen=True)
class Problem:
    """A rule that is broken at one place of a document, in words."""

    rule: str
    document: str
    path: str
    text: str

    def __str__(self):
        return f"{self.document} {self.path}: {self.text} [{self.rule}]"


def judged(rules, subject, document):
    """Yield what each of the named rules has to say about the subject, as problems of this document."""
    for name, rule in rules.items():
        for path, text in rule(subject):
            yield Problem(name, title(document), path, text)
