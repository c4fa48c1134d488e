"""Data sets on this machine: a folder of the author's, the user's cache, or a download."""

import errno
import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from generators.errors import AuthorError, MissingDataError, nearest

LOCAL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Errors of this machine's disk, not of a mirror."""


LONG = 100
"""Letters of an error of the network that are too many for a line: it tells its whole story."""


class Dataset(NamedTuple):
    """Files with their MD5 sums, and the addresses of the folders that offer them."""

    variable: str
    files: dict[str, str]
    mirrors: tuple[str, ...]


MNIST = "mnist"
DATASETS = {
    MNIST: Dataset(
        "MNIST_DIR",
        {
            "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        },
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
    ),
    # Of the same format and size: https://github.com/zalandoresearch/fashion-mnist
    "fashion-mnist": Dataset(
        "FASHION_MNIST_DIR",
        {
            "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        },
        (
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
    ),
}


def find(name: str, folder: str = "", root: Path = Path()) -> Path:
    """Return a folder with all files of a data set, each checked against its MD5 sum.

    `folder`, where the author has set one, relative to `root`, or the data set's environment
    variable is the only place that is looked at; without either, the user's cache, filled from
    the mirrors if need be.
    Raises: AuthorError naming the first file that is missing or not what it should be,
    or a cache that cannot be written; MissingDataError when nobody named a folder and no mirror
    answers.
    """
    if name not in DATASETS:
        raise AuthorError(f"unknown data set {name!r}{nearest(name, DATASETS)}")
    dataset = DATASETS[name]
    variable = os.environ.get(dataset.variable, "")
    if not folder and not variable:
        return fetched(name, dataset)
    chosen = (
        root / Path(os.path.expanduser(folder)) if folder else Path(os.path.expanduser(variable))
    )
    check(chosen, dataset.files)
    return chosen


def check(folder: Path, sums: dict[str, str]) -> None:
    contents = {file: folder / file for file in sums}
    for file, path in contents.items():
        if not path.is_file():
            raise AuthorError(f"{path}: no such file; the data set needs {', '.join(sums)}")
        found = md5(path)
        if found != sums[file]:
            twin = [other for other, value in sums.items() if value == found]
            what = f"is {twin[0]}" if twin else f"is damaged (MD5 {found}, expected {sums[file]})"
            raise AuthorError(f"{path} {what}")


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def fetched(name: str, dataset: Dataset) -> Path:
    """Return the user's cache of a data set, downloading what it lacks."""
    import pooch

    pooch.get_logger().setLevel("ERROR")
    cache = Path(pooch.os_cache("diffusion-write-up")) / name
    problem = ""
    for mirror in dataset.mirrors:
        known = {file: f"md5:{value}" for file, value in dataset.files.items()}
        store = pooch.create(cache, mirror, registry=known)
        try:
            for file in dataset.files:
                store.fetch(file)
            return cache
        except (OSError, ValueError) as error:
            # pooch raises a PermissionError of its own, without a number.
            is_local = isinstance(error, PermissionError)
            if is_local or (isinstance(error, OSError) and error.errno in LOCAL):
                raise AuthorError(f"{cache}: {getattr(error, 'strerror', '') or error}") from None
            said = str(error)
            problem = f"{mirror}: {said if len(said) < LONG else type(error).__name__}"
    raise MissingDataError(
        name,
        f"{name} is not on this machine and could not be downloaded ({problem}); "
        f"put its files into a folder and name it in {dataset.variable} or content/site.toml "
        "[data]",
    )
