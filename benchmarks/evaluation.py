#!/usr/bin/env python3
"""Does our evaluation say what SpeechBrain's recipe says, and how fast?

    python benchmarks/evaluation.py --reference SPEECHBRAIN \
        --data_folder ESC-10 [--checkpoint FOLDER]

Runs the same clips and the same FocalNet-B through the recipe
`recipes/ESC50/interpret/interpret_amt.py` of a checkout of SpeechBrain, which
is imported from where it lies, and through ours. Compared per clip: predicted
class, fidelity (both must be the same), and faithfulness of the kept part
(within `TOLERANCE`). Three contenders take turns in one process on the CPU:

    reference   the recipe's Brain, with the settings of its amt_focalnet.yaml
    same        InterpreterBrain, only the metrics that the recipe has
    all         InterpreterBrain as it is: every metric, kept and removed parts

Waveforms are in memory and of equal length (the recipe ignores lengths): the
first `--clips` of fold 5 that hold 5 s. A first evaluation of all of them is
compared and its encoder passes counted; short turns with the first
`--turn_clips` are timed, since a machine's other work comes and goes. Weights
are random, spread by their fan-in so that predictions differ (accuracy only
means that both count alike), or `embedding_model.ckpt` and `classifier.ckpt` of
`--checkpoint`. A few cells of the masks differ: the encoders add in another
order, and neighbours at the quantile are closer than that. Ends with 1 if the
two disagree.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from answers import Answer, print_answers
from contenders import (
    Clips,
    SameMetricsBrain,
    Verdict,
    build_ours,
    build_reference,
)
from limits import largest_shares
from turns import Job, Times, count_inputs, ratio, take_turns

from focalaudio.audio import audio_info
from focalaudio.brains.interpretation import InterpreterBrain
from focalaudio.data.pipelines import open_esc50

SCRIPT = "recipes/ESC50/interpret/interpret_amt.py"
SECONDS = 5.0  # s, of each clip
TOLERANCE = 1e-4  # of a difference of probabilities
GOALS = {"same": "2.6x", "all": "1.8x"}


def compare(theirs: Verdict, ours: Verdict) -> list[str]:
    """Say what two verdicts disagree about, one line per metric."""
    others = int((theirs.predicted != ours.predicted).sum())
    unfaithful = int((theirs.fidelity != ours.fidelity).sum())
    apart = (theirs.faithfulness - ours.faithfulness).abs()
    off = int((~(apart <= TOLERANCE)).sum())  # nan is a difference too
    counts = {"predicted": others, "fidelity": unfaithful, "faithfulness": off}
    lines = [f"{name} differs on {n} clips" for name, n in counts.items() if n]
    if abs(theirs.accuracy - ours.accuracy) > TOLERANCE:
        lines.append(f"accuracy {theirs.accuracy} and {ours.accuracy}")
    return lines


def read_clips(data_folder: str, n_clips: int) -> Clips:
    """Return the first clips of fold 5 that hold 5 s, in memory."""
    dataset = open_esc50(data_folder, [1, 2, 3], [4], [5]).test
    whole = [
        clip_id
        for clip_id in dataset.data_ids
        if audio_info(dataset.data[clip_id]["path"]).duration >= SECONDS
    ]
    if len(whole) < n_clips:
        raise SystemExit(f"clips={n_clips}: fold 5 holds {len(whole)} of 5 s.")
    wanted = dataset.filtered_sorted(
        key_test={"id": lambda clip_id: clip_id in whole},
        select_n=n_clips,
    )
    # the recipe's name of the target
    return [
        clip | {"class_string_encoded": torch.tensor([clip["target"]])}
        for clip in wanted
    ]


def print_verdicts(verdicts: Mapping[str, Verdict]) -> None:
    """Print each contender's averages, and how far ours are from theirs."""
    print("\ncontender  accuracy  fidelity  faithfulness of the kept part")
    print("                               mean      median   classes predicted")
    for name, verdict in verdicts.items():
        print(
            f"{name:9} {verdict.accuracy:9.4f} "
            f"{verdict.fidelity.mean():9.4f} "
            f"{verdict.faithfulness.mean():9.6f} "
            f"{verdict.faithfulness.median():11.6f} "
            f"{len(verdict.predicted.unique()):10}"
        )
    theirs = verdicts["reference"]
    for name, ours in list(verdicts.items())[1:]:
        apart = (theirs.faithfulness - ours.faithfulness).abs().max()
        cells = int((theirs.masks != ours.masks).sum())
        print(
            f"reference and {name}: predicted class the same on "
            f"{int((theirs.predicted == ours.predicted).sum())} of "
            f"{len(ours.predicted)} clips, fidelity on "
            f"{int((theirs.fidelity == ours.fidelity).sum())}; faithfulness "
            f"at most {apart:.1e} apart; {cells} of {ours.masks.numel()} "
            "cells of the masks differ"
        )


def print_times(
    times: Times, counts: Mapping[str, Mapping[str, float]]
) -> None:
    """Print passes per clip, and seconds per turn."""
    print("\ncontender   passes    STFTs  seconds of each turn (CPU seconds)")
    print("          per clip per clip")
    for name, turns in times.items():
        listed = "  ".join(f"{wall:.1f} ({busy:.1f})" for wall, busy in turns)
        per_clip = counts[name]
        print(
            f"{name:9} {per_clip['encoder']:8.2f} {per_clip['stft']:8.2f}"
            f"  {listed}"
        )


def find_answers(times: Times, jobs: Mapping[str, Job]) -> list[Answer]:
    """Return how both of ours stand, and what takes their time."""
    return [
        Answer(
            f"evaluation of a fold, FocalNet-B, {name} metrics",
            "the reference's `interpret_amt.py`",
            ratio(times, "reference", name),
            goal,
            largest_shares(jobs[name]),
        )
        for name, goal in GOALS.items()
    ]


def run(arguments: argparse.Namespace) -> list[str]:
    """Evaluate, time and print; return what differs."""
    path = Path(arguments.reference)
    reference = build_reference(
        path if path.is_file() else path / SCRIPT, arguments.checkpoint
    )
    contenders = {
        "reference": reference,
        "same": build_ours(SameMetricsBrain, reference),
        "all": build_ours(InterpreterBrain, reference),
    }
    clips = read_clips(arguments.data_folder, arguments.clips)
    batch_size = arguments.batch_size
    print(
        f"FocalNet-B, {len(clips)} clips of {SECONDS:g} s, batches of "
        f"{batch_size}, CPU, {torch.get_num_threads()} threads, torch "
        f"{torch.__version__}"
    )
    counts, verdicts, faults = {}, {}, []
    for name, contender in contenders.items():
        seen = count_inputs(
            {"encoder": contender.encoder, "stft": contender.stft},
            partial(contender.evaluate, clips, batch_size),
        )
        counts[name] = {key: n / len(clips) for key, n in seen.items()}
        verdicts[name] = contender.read(contender.brain, clips)
        faults += [
            f"{name}: {line}"
            for line in compare(verdicts["reference"], verdicts[name])
        ]
    print_verdicts(verdicts)
    timed = clips[: arguments.turn_clips]
    jobs = {
        name: partial(contender.evaluate, timed, batch_size)
        for name, contender in contenders.items()
    }
    times = take_turns(jobs, arguments.turns)
    print_times(times, counts)
    print("\n".join(faults) or "the metrics are the same")
    print_answers(find_answers(times, jobs))
    return faults


def main() -> None:
    """Read the options, run, and fail where the two disagree."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--reference", required=True, help="checkout of SpeechBrain"
    )
    parser.add_argument("--data_folder", required=True, help="ESC-50's layout")
    parser.add_argument("--checkpoint", help="folder of the published weights")
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--batch_size", type=int, default=4)
    parser.add_argument(
        "--turn_clips", type=int, default=4, help="clips that each turn times"
    )
    parser.add_argument("--turns", type=int, default=6)
    arguments = parser.parse_args()
    if arguments.clips % arguments.batch_size:
        parser.error("the recipe averages batches: clips must fill them")
    faults = run(arguments)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
