"""`numbers of a clip -> plain words`: what was found, and what not to trust."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

SURE = 0.5  # a probability below it is no clear answer
CLOSE = 0.1  # two probabilities nearer than this are a toss-up
FULL, EMPTY = 0.9, 0.001  # shares of the cells that a mask keeps
SOFT = 0.003  # RMS of a clip, full scale 1: about -50 dB
AGAINST_ITSELF = "explained against itself: nothing is kept."
# a mask that keeps what matters changes a probability by at least so much
LITTLE = 0.05


def count(number: int, noun: str) -> str:
    """Return a number of things; the noun is one that takes an s.

    Example
    -------
    >>> count(1, "segment"), count(2, "segment")
    ('1 segment', '2 segments')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def tell_scores(label: str, scores: Mapping[str, float]) -> list[str]:
    """Say what silencing either part does to the probability of a class.

    Arguments
    ---------
    label : str
        The explained class.
    scores : mapping
        `probability`, `kept_probability`, `removed_probability`, 0 to 1; what
        is absent is not told.

    Returns
    -------
    list of str
        Sentences.

    Example
    -------
    >>> scores = {"probability": 0.93, "removed_probability": 0.12}
    >>> tell_scores("dog", scores | {"kept_probability": 0.95})[0]
    'Without the kept part the probability of dog falls from 0.93 to 0.12.'
    """
    whole = scores.get("probability")
    parts = {
        "Without the kept part": scores.get("removed_probability"),
        "With the kept part alone": scores.get("kept_probability"),
    }
    return [
        f"{start} the probability of {label} {_compare(whole, part)}."
        for start, part in parts.items()
        if whole is not None and part is not None
    ]


def _compare(before: float, after: float) -> str:
    if abs(after - before) < LITTLE:
        return f"stays at {after:.2f} (it was {before:.2f})"
    verb = "falls" if after < before else "rises"
    return f"{verb} from {before:.2f} to {after:.2f}"


def _doubt_decisions(probabilities: Sequence[tuple[str, float]]) -> list[str]:
    """Say which classes may be there or not, and if none is."""
    first, highest = probabilities[0]
    open_ones = ", ".join(
        f"{label} {probability:.2f}"
        for label, probability in probabilities
        if abs(probability - 0.5) < CLOSE / 2
    )
    doubts = [f"Undecided: {open_ones}."] if open_ones else []
    if highest < 0.5:
        doubts.append(
            f"No class is found: even {first}, the highest, has only "
            f"{highest:.2f}."
        )
    return doubts


def doubt_answer(
    probabilities: Sequence[tuple[str, float]],
    is_known: bool = True,
    is_several: bool = False,
) -> list[str]:
    """Say why an answer should not be trusted.

    Arguments
    ---------
    probabilities : sequence of tuple
        Labels and their probabilities, the highest first, at least one.
    is_known : bool
        Whether the model's rule found evidence for any class.
    is_several : bool
        Whether a clip may have several labels, each decided for itself.

    Returns
    -------
    list of str
        Sentences; none if nothing speaks against it.

    Example
    -------
    >>> doubt_answer([("dog", 0.98), ("cat", 0.02)])
    []
    >>> doubt_answer([("dog", 0.46), ("cat", 0.44)])
    ['Close call: dog 0.46, cat 0.44.']
    >>> doubt_answer([("dog", 0.9), ("cat", 0.52)], is_several=True)
    ['Undecided: cat 0.52.']
    """
    (first, highest), *others = probabilities
    doubts = []
    if not is_known:
        doubts.append(
            "No evidence for any class: the sound is unlike what the model "
            f"was trained on; {first} is only the closest."
        )
    if is_several:
        return doubts + _doubt_decisions(probabilities)
    if others and highest - others[0][1] < CLOSE:
        second, probability = others[0]
        doubts.append(
            f"Close call: {first} {highest:.2f}, {second} {probability:.2f}."
        )
    elif highest < SURE:
        doubts.append(
            f"Flat probabilities: even {first}, the highest, has only "
            f"{highest:.2f}."
        )
    return doubts


def doubt_sound(
    level: float, seconds: float, seen: float, sounds: float | None = None
) -> list[str]:
    """Say why what a classifier was given is not what it was trained on.

    Arguments
    ---------
    level : float
        RMS of the clip, full scale 1.
    seconds, seen : float
        Length of the clip, and of what the classifier was shown of it.
    sounds : float
        When its last sound ends, in s; None if nothing is known, or to hear.

    Returns
    -------
    list of str
        Sentences; none if nothing speaks against it.

    Example
    -------
    >>> doubt_sound(0.1, 5.0, 5.0), doubt_sound(0.1, 2.0, 5.0)
    ([], ['Padded: the clip has 2.0 s, silence was added up to 5.0 s.'])
    """
    doubts = []
    if level < SOFT:
        doubts.append("Low energy: there is hardly anything to hear.")
    if seen > 1.05 * seconds + 0.05:
        doubts.append(
            f"Padded: the clip has {seconds:.1f} s, silence was added up to "
            f"{seen:.1f} s."
        )
    if sounds is not None and sounds < 0.9 * seconds - 0.05:
        doubts.append(
            f"Nothing sounds after {sounds:.1f} s of {seconds:.1f} s: the clip "
            "was padded, or ends in silence."
        )
    if seconds > 1.05 * seen + 0.05:
        doubts.append(
            f"Cut: the clip has {seconds:.1f} s, only the first {seen:.1f} s "
            "were classified."
        )
    return doubts


def doubt_mask(
    kept: float, is_telling: bool = True, is_against_itself: bool = False
) -> list[str]:
    """Say why a mask explains little.

    Arguments
    ---------
    kept : float
        Share of the cells that it keeps, 0 to 1.
    is_telling : bool
        Whether the saliency differs from cell to cell at all.
    is_against_itself : bool
        Whether a class is explained rather than the same class.

    Returns
    -------
    list of str
        Sentences; none if nothing speaks against it.

    Example
    -------
    >>> doubt_mask(0.1), doubt_mask(0.95)
    ([], ['Mask nearly full: 95.0 % of the clip is kept.'])
    """
    if is_against_itself:
        return [AGAINST_ITSELF.capitalize()]
    doubts = []
    if not is_telling:
        doubts.append("The saliency is the same everywhere: it says nothing.")
    if kept > FULL:
        doubts.append(
            f"Mask nearly full: {100 * kept:.1f} % of the clip is kept."
        )
    if kept < EMPTY:
        doubts.append(
            f"Mask nearly empty: {100 * kept:.2f} % of the clip is kept."
        )
    return doubts
