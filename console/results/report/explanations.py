"""The statistics in plain words, for those who read a report and not the code."""

from __future__ import annotations

EXPLANATIONS: tuple[tuple[str, str], ...] = (
    (
        "interval, 95% or as its table says",
        "Where the true value lies, as far as this data can tell: if the experiment were repeated with other lemmas and other"
        " seeds, 95 of 100 such intervals would hold it. Bootstrap over lemmas and seeds, 10,000 draws, or"
        " Student's t: the wider of the two; exact binomial bounds where nearly no lemma varies. With one seed it is for new"
        " lemmas alone. Results that are read again with more seeds have wider intervals: 97.5% at the second look.",
    ),
    (
        "PASS, FAIL, INCONCLUSIVE",
        "A ship blocker passes if the whole interval reaches its threshold, fails if none of it does, and cannot be told yet"
        " if the threshold lies inside. A pass of the mean alone is shown too, and proves less.",
    ),
    (
        "not told apart",
        "The data do not show a difference. That is no proof that there is none: it may be smaller than what this data can"
        " resolve, which is said beside it.",
    ),
    (
        "Is this recipe better? Are these models better?",
        "Two questions. The first asks about training again with other seeds and is what decides. The second asks only about"
        " the heads that were trained, on new lemmas: seeds are averaged, and the signs of whole lemmas are flipped.",
    ),
    (
        "confirmatory, exploratory",
        "Confirmatory comparisons were fixed before the first launch; their p-values are adjusted by Holm's method, so that"
        " one false alarm among all of them is as rare as the level says. Everything else is exploratory: adjusted by"
        " Benjamini and Hochberg's method, good for ideas and not for claims.",
    ),
    (
        "not worse (non-inferiority)",
        "The interval's lower end is above minus the margin: at most that much was lost. One-sided:"
        " a 95% interval has 2.5% beyond its lower end.",
    ),
    (
        "paired t-test",
        "Compares the means of runs with the same seed. With three pairs it finds only effects of more than three standard"
        " deviations of the differences, so its silence means little. Welch's test, beside it, pairs nothing.",
    ),
    (
        "McNemar's test",
        "Of the items that only one of two conditions gets right by a majority of its seeds: are they split more unevenly than"
        " coins would?",
    ),
    (
        "frozen mean pooling, chance, word overlap, ceiling",
        "What needs no training: the mean of the encoder's token states; guessing; counting shared words. The ceiling is what"
        " the best reader reaches on this evaluation, where some items cannot be told. A gate below one of the first three"
        " is passed without learning anything.",
    ),
    (
        "needs",
        "What would settle an open question four times in five, if the difference is what was seen: more seeds, more items, or"
        " neither. Each difference's variance is split into lemmas, seeds and the rest to say which.",
    ),
)
