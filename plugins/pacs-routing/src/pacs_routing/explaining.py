"""Why an instance goes where: each rule, with what the instance has to its conditions."""

from collections.abc import Iterator

from attrs import frozen

from pacs_core.contracts import Origin
from pacs_core.dataset import Attributes
from pacs_routing.routes import Routes
from pacs_routing.rules import Reason, Rule


@frozen
class Verdict:
    """What a rule says of an instance.

    Attributes
    ----------
    rule : Rule
    reasons : tuple of Reason
    to : tuple of str
        Peers to which it goes.
    not_to : dict of str to str
        Peers to which it does not go although the rule applies, and why.
    """

    rule: Rule
    reasons: tuple[Reason, ...]
    to: tuple[str, ...]
    not_to: dict[str, str]

    @property
    def applies(self) -> bool:
        """Whether all conditions are met."""
        return all(each.is_met for each in self.reasons)

    def describe(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return {
            "rule": self.rule.name,
            "applies": self.applies,
            "on": self.rule.config.on,
            "to": list(self.to),
            "not_to": self.not_to,
            "reasons": [
                {"condition": each.condition, "found": each.found, "met": each.is_met}
                for each in self.reasons
            ],
        }

    def lines(self) -> Iterator[str]:
        """Iterate over lines for people."""
        yield f"{self.rule.name}: {'applies' if self.applies else 'does not apply'}"
        for each in self.reasons:
            yield f"  {'yes' if each.is_met else 'no '}  {each.condition}: {each.found}"
        when = "when its study is complete" if self.rule.config.on == "study" else "at once"
        yield from (f"  to {peer}, {when}" for peer in self.to)
        yield from (f"  not to {peer}: {obstacle}" for peer, obstacle in self.not_to.items())


def judge(routes: Routes, attributes: Attributes, origin: Origin) -> list[Verdict]:
    """Return what each rule says of an instance that came from somewhere."""
    verdicts = []
    for rule in routes.rules:
        reasons = tuple(rule.reasons(attributes, origin))
        applies = all(each.is_met for each in reasons)
        choices = list(routes.choose(rule, origin.calling_ae_title)) if applies else []
        to = tuple(each.peer for each in choices if not each.obstacle)
        not_to = {each.peer: each.obstacle for each in choices if each.obstacle}
        verdicts.append(Verdict(rule, reasons, to, not_to))
    return verdicts
