"""Draw `strip.png`: one mixture, and what two classes were heard in.

    .venv/bin/python docs/pictures/strip.py

The clips come with the package; who recorded them stands in
focalaudio/data/examples/ATTRIBUTION.csv.
"""

from pathlib import Path

from focalaudio import SoundInterpreter
from focalaudio.audio import load_wav
from focalaudio.data.examples import list_examples
from focalaudio.mixtures import mix
from focalaudio.pictures import draw_spectrograms, save_picture

CLASSES = ("crying_baby", "rain")


def draw(path: Path) -> Path:
    """Explain a mixture twice, once for each of its classes."""
    model = SoundInterpreter.from_hparams()
    paths = {each.label: each.path for each in list_examples()}
    first, second = (
        load_wav(paths[label], model.sample_rate) for label in CLASSES
    )
    mixture = mix(first, second, 0.0).wav
    sounds = {"two sounds at once": mixture}
    for label in CLASSES:
        found = model.explain_batch(
            mixture, target=label, maps=["class_share"], mask="ratio"
        )
        sounds[f"heard as {label}"] = found.wavs[0]
    panels = [
        (title, model.spectrogram(wav[None]).log_magnitude[0])
        for title, wav in sounds.items()
    ]
    return save_picture(draw_spectrograms(panels, model.spectrogram), path)


if __name__ == "__main__":
    draw(Path(__file__).with_suffix(".png"))
