"""`files of a bundle -> a hub's repository`: all of them in one commit."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import HTTPError

from focalaudio.errors import HubError
from focalaudio.models.bundle_files import is_bundle_file

# HTTP, the network and offline mode, hf_xet, what the hub says of a card
_REFUSALS = (HTTPError, OSError, RuntimeError, ValueError)


def upload_files(
    endpoint: str,
    name: str,
    folder: Path,
    names: Collection[str],
    private: bool = False,
    revision: str | None = None,
) -> str:
    """Make a repository hold these files of a bundle, and no other's.

    What it holds that is no bundle's (`.gitattributes`, for one) stays. The
    arguments are those of `focalaudio.models.push_bundle`, `names` the files
    in `folder`. Returns the URL of the commit; a `HubError` if the hub refuses
    or is out of reach.
    """
    api = HfApi(endpoint=endpoint)
    try:
        api.create_repo(name, private=private, exist_ok=True)
        if revision is not None:
            api.create_branch(name, branch=revision, exist_ok=True)
        there = api.model_info(name, revision=revision).siblings or ()
        old = {file.rfilename for file in there} - {*names}
        commit = api.create_commit(
            name,
            [
                *map(CommitOperationDelete, filter(is_bundle_file, old)),
                *(CommitOperationAdd(one, folder / one) for one in names),
            ],
            commit_message="Upload a focalaudio bundle",
            revision=revision,
        )
    except _REFUSALS as error:
        raise HubError(
            f"{endpoint}/{name} did not take {folder}: "
            f"{error or type(error).__name__}"
        ) from error
    return commit.commit_url
