"""`data set, processes -> the clips of each`: evaluations are shared, too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch.utils.data import IterableDataset

from focalaudio.processes import share


def share_clips(
    dataset: Any, loader_kwargs: Mapping[str, Any], done: Iterable[str] = ()
) -> dict[str, Any]:
    """Return a loader's options with which it loads this process's share.

    SpeechBrain shares what is trained; what is validated and tested every
    process would load whole. The shares differ by one clip at most, no clip is
    in two, and one process alone loads all of them in their order.

    Arguments
    ---------
    dataset : Dataset
        With a length; an `IterableDataset` is left as it is.
    loader_kwargs : mapping
        Options of a torch loader. Its `sampler`, if there is one, says which
        clips there are, in which order; a `batch_sampler` which batches.
    done : iterable of str
        Ids, of a SpeechBrain `DynamicItemDataset`, that nobody shall load.

    Returns
    -------
    dict
        The options, with a `sampler` or a `batch_sampler` of its own.

    Example
    -------
    >>> share_clips(["a", "b", "c"], {"batch_size": 2})
    {'batch_size': 2, 'sampler': [0, 1, 2]}
    """
    kwargs = dict(loader_kwargs)
    if isinstance(dataset, IterableDataset):
        return kwargs
    if kwargs.get("batch_sampler") is not None:
        kwargs["batch_sampler"] = share(list(kwargs["batch_sampler"]))
        return kwargs
    kwargs.pop("shuffle", None)  # an average knows no order
    order = kwargs.get("sampler")
    places = range(len(dataset)) if order is None else order
    known = set(done)
    left = [i for i in places if not known or dataset.data_ids[i] not in known]
    return kwargs | {"sampler": share(left)}
